"""The directory of agencies."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.registry.domain.agency_table import LEVELS
from services.registry.domain.names import search_codes, search_words
from services.registry.domain.pages import read_cursor, write_cursor
from services.registry.errors import AgenciesRefused, CursorInvalid, NotFound
from services.registry.repository import agencies as stored
from services.registry.usecases.collaborators import Collaborators
from shared.contracts.registry import AgencyEntry, AgencyPage, ListAgencies, ReadAgency
from shared.errors import FieldError
from shared.identifiers import MAX_CODE_LENGTH, new_form_of

MAX_QUERY = 200


async def list_agencies(its: Collaborators, request: ListAgencies) -> AgencyPage:
    """
    Search the directory as of a moment; closed agencies are left out.

    Raises:
        CursorInvalid: The cursor is none of ours.
    """
    if request.level is not None and request.level not in LEVELS:
        return AgencyPage(items=())
    at = request.at or its.clock.now()
    query = request.query[:MAX_QUERY]
    async with its.store.read() as connection:
        parent = request.parent
        if parent is not None:
            if (found := await find_agency(connection, parent, at)) is None:
                return AgencyPage(items=())
            parent = found.code
        search = stored.Search(
            at=at,
            words=search_words(query),
            codes=search_codes(query),
            level=request.level,
            parent=parent,
            after=None if request.cursor is None else _read_place(request.cursor),
        )
        rows = await stored.search_agencies(connection, search, request.limit + 1)
    page, rest = rows[: request.limit], rows[request.limit :]
    cursor = write_cursor(page[-1][0], str(page[-1][1].key)) if rest else None
    return AgencyPage(items=tuple(entry for _, entry in page), next_cursor=cursor)


async def read_agency(its: Collaborators, request: ReadAgency) -> AgencyEntry:
    """
    Read one agency by either form of its code, as of a moment; one that is closed by then is shown with its end.

    Raises:
        NotFound: No agency had this code by then.
    """
    async with its.store.read() as connection:
        entry = await find_agency(connection, request.code, request.at or its.clock.now())
    if entry is None:
        raise NotFound("there is no agency with this code")
    return entry


async def open_agencies(its: Collaborators, codes: Iterable[str], pointer: str) -> list[AgencyEntry]:
    """
    Find agencies that are open now, each once, in the order given; all that are not are refused together.

    Raises:
        AgenciesRefused: Unknown or closed ones, all of them named.
    """
    now = its.clock.now()
    wanted = list(codes)
    async with its.store.read() as connection:
        known = [code for code in wanted if _could_be_a_code(code)]
        found = await stored.find_agencies(connection, {*known, *map(new_form_of, known)}, now)
    entries: dict[UUID, AgencyEntry] = {}
    errors = []
    for number, code in enumerate(wanted):
        entry = found.get(code) or found.get(new_form_of(code))
        if entry is not None and entry.is_open_at(now):
            entries[entry.key] = entry
        else:
            fault = "unknown" if entry is None else "closed"
            detail = f"{code[:MAX_CODE_LENGTH]!r} is {fault}"
            errors.append(FieldError(pointer=f"{pointer}/{number}", code=f"agency-{fault}", detail=detail))
    if errors:
        raise AgenciesRefused("agencies are unknown or closed", errors=errors)
    return list(entries.values())


async def find_agency(connection: AsyncConnection, code: str, at: datetime) -> AgencyEntry | None:
    """
    Find the agency that has a code in either form at a moment, or else had it last before.
    """
    if not _could_be_a_code(code):
        return None
    # The register's own table goes first: numbers may differ from the rule that turns an old code into a new one.
    entry = await stored.find_agency(connection, code, at)
    if entry is None and (other := new_form_of(code)) != code:
        entry = await stored.find_agency(connection, other, at)
    return entry


def _could_be_a_code(code: str) -> bool:
    return 0 < len(code) <= MAX_CODE_LENGTH and code.isascii() and code.isprintable()


def _read_place(cursor: str) -> tuple[str, UUID]:
    sort_key, key = read_cursor(cursor, 2)
    try:
        return sort_key, UUID(key)
    except ValueError as error:
        raise CursorInvalid("this cursor was not given out by the list") from error
