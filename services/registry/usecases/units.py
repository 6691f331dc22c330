"""Agencies as units: listed for all, registered and cancelled by the systems that stand above them."""

from datetime import datetime
from uuid import UUID

from services.registry.domain.pages import read_cursor, write_cursor
from services.registry.domain.units import KIND, Ground, UnitDetails, both_forms, read_details, read_key
from services.registry.errors import AgencyNotYours, CursorInvalid, NotFound, UnitInvalid
from services.registry.repository import systems as stored_systems
from services.registry.repository import units as stored
from services.registry.repository import versions
from services.registry.usecases.agencies import find_agency
from services.registry.usecases.collaborators import Collaborators
from shared.contracts.registry import (
    AgenciesChanged,
    AgencyEntry,
    CancelUnit,
    ListUnits,
    RegisterUnit,
    Role,
    Scope,
    SystemsChanged,
    SystemStatus,
    UnitPage,
)
from shared.identifiers import VIETNAM, agency_key, start_of_day
from shared.outbox import UnitOfWork
from shared.tokens import Caller

_MAX_VERSION_DIGITS = 18


async def list_units(its: Collaborators, request: ListUnits) -> UnitPage:
    """
    Give a page of all agencies, closed ones too, in the order of their last change.

    Raises:
        CursorInvalid: The cursor is none of ours.
    """
    await its.identify(request.token)
    after = 0 if request.after is None else _read_place(request.after)
    async with its.store.read() as connection:
        # The version first: what changes after it comes again on a later page.
        version = await stored.read_list_version(connection)
        found = await stored.list_units(connection, after, request.limit + 1, its.clock.now())
    page = found[: request.limit]
    return UnitPage(
        items=tuple(page),
        version=version,
        next_cursor=write_cursor(str(page[-1].version)) if len(found) > len(page) else None,
    )


async def register_unit(its: Collaborators, request: RegisterUnit) -> AgencyEntry:
    """
    Register an agency below one of the calling system, which may act for it from then on; or change what is said of it.

    Raises:
        UnitInvalid: It cannot be written like this, or has no parent that is open.
        AgencyNotYours: The parent, or the agency that has the code, does not stand below an agency of the system.
    """
    caller = await its.identify(request.token, Scope.SEND)
    details = read_details(request)
    async with its.store.begin() as uow:
        await versions.begin_change(uow.connection)
        now = its.clock.now()
        known = await find_agency(uow.connection, request.code.strip(), now)
        parent = await _find_parent(uow, request, known, now)
        ground = await _ground_of(uow, parent, now)
        owner, roles = await _check_ground(uow, caller, ground)
        if known is not None:
            await _check_known(uow, caller, known, now)
            if ground.holds(known.key):
                raise UnitInvalid(f"{known.code} cannot stand below itself")
            if known.is_open_at(now) and await _is_said_already(uow, known, parent, details):
                return known
        entry = _place_unit(its, details, known, parent, now)
        await _write(its, uow, entry, details, is_new=known is None or known.key != entry.key)
        if known is None or not known.is_open_at(now):
            await _grant(its, uow, caller, entry, roles[owner.key], now)
        await uow.commit()
    return entry


async def cancel_unit(its: Collaborators, request: CancelUnit) -> AgencyEntry:
    """
    Close an agency below one of the calling system; one that is closed already stays so.

    What lies in its mailbox stays there, and whoever may read it still may.

    Raises:
        NotFound: No agency has the code.
        AgencyNotYours: It does not stand below an agency of the system, or another system receives for it.
        UnitInvalid: Other agencies that are open stand below it.
    """
    caller = await its.identify(request.token, Scope.SEND)
    async with its.store.begin() as uow:
        await versions.begin_change(uow.connection)
        now = its.clock.now()
        known = await find_agency(uow.connection, request.code.strip(), now)
        if known is None:
            raise NotFound("there is no agency with this code")
        await _check_known(uow, caller, known, now)
        if not known.is_open_at(now):
            return known
        if await stored.has_open_units_below(uow.connection, known.code, now):
            raise UnitInvalid(f"{known.code} has units below it that are open; cancel them first")
        version = await versions.advance(uow.connection)
        await stored.close_unit(uow.connection, known.key, version=version, now=now)
        uow.outbox.add(AgenciesChanged(version=version, keys=(known.key,)))
        its.announce(uow, version)
        await uow.commit()
    return known.model_copy(update={"valid_to": now})


async def _find_parent(uow: UnitOfWork, request: RegisterUnit, known: AgencyEntry | None, now: datetime) -> AgencyEntry:
    wanted = request.parent.strip() or (known.parent if known is not None else None)
    if not wanted:
        raise UnitInvalid("a unit needs the code of the unit above it")
    key = read_key(wanted)
    parent = await (
        find_agency(uow.connection, wanted, now) if key is None else stored.find_by_key(uow.connection, key)
    )
    if parent is None or not parent.is_open_at(now):
        fault = "unknown" if parent is None else "closed"
        raise UnitInvalid(f"the unit above it, {wanted[:64]!r}, is {fault}")
    return parent


async def _ground_of(uow: UnitOfWork, entry: AgencyEntry, now: datetime) -> Ground:
    return Ground(await stored.find_chain(uow.connection, entry.key, now))


async def _check_ground(uow: UnitOfWork, caller: Caller, ground: Ground) -> tuple[AgencyEntry, dict[UUID, set[Role]]]:
    keys = [entry.key for entry in ground.chain]
    roles = await stored.find_own(uow.connection, caller.system_id, keys, caller.agencies)
    owner = ground.owner_in({key for key, its_roles in roles.items() if Role.SENDER in its_roles})
    if owner is None:
        raise AgencyNotYours("only units below an agency of the calling system can be registered or cancelled")
    return owner, roles


async def _check_known(uow: UnitOfWork, caller: Caller, known: AgencyEntry, now: datetime) -> None:
    above = (await _ground_of(uow, known, now)).chain[1:]
    await _check_ground(uow, caller, Ground(above))
    for receiver in await stored_systems.find_receivers(uow.connection, [known.key]):
        if receiver.system_id != caller.system_id and receiver.status is SystemStatus.ACTIVE:
            raise AgencyNotYours(f"{known.code} is connected by another system")


async def _is_said_already(uow: UnitOfWork, known: AgencyEntry, parent: AgencyEntry, details: UnitDetails) -> bool:
    contact = await stored.read_contact(uow.connection, known.key)
    said = (details.name, parent.code, (details.email, details.mobile, details.fax))
    return (known.name, known.parent, contact) == said


def _place_unit(
    its: Collaborators, details: UnitDetails, known: AgencyEntry | None, parent: AgencyEntry, now: datetime
) -> AgencyEntry:
    """Give the agency as it will be: the one that is open, the one cancelled today, or one that begins today."""
    changes = {"name": details.name, "parent": parent.code, "valid_to": None}
    if known is not None and known.is_open_at(now):
        return known.model_copy(update=changes)
    today = now.astimezone(VIETNAM).date()
    code, code102 = both_forms(details.code, parent) if known is None else (known.code, known.code102)
    key = agency_key(code, today)
    if known is not None and known.key == key:
        return known.model_copy(update=changes)
    begins_at = start_of_day(today)
    return AgencyEntry(
        key=key,
        code=code,
        code102=code102,
        name=details.name,
        level=parent.level,
        kind=KIND,
        parent=parent.code,
        # A former validity may have ended in the course of this day.
        valid_from=begins_at if known is None or known.valid_to is None else max(begins_at, known.valid_to),
        serving_node=its.settings.node_id,
    )


async def _write(
    its: Collaborators, uow: UnitOfWork, entry: AgencyEntry, details: UnitDetails, *, is_new: bool
) -> None:
    version = await versions.advance(uow.connection)
    now = its.clock.now()
    if is_new:
        await stored.add_unit(uow.connection, entry, details, version=version, now=now)
    else:
        await stored.change_unit(uow.connection, entry.key, details, parent=entry.parent, version=version, now=now)
    uow.outbox.add(AgenciesChanged(version=version, keys=(entry.key,)))
    its.announce(uow, version)


async def _grant(
    its: Collaborators, uow: UnitOfWork, caller: Caller, entry: AgencyEntry, roles: set[Role], now: datetime
) -> None:
    """Whoever registers a unit sends and receives for it, as for the agency it stands below."""
    taken = await stored_systems.find_receivers(uow.connection, [entry.key])
    others = any(receiver.system_id != caller.system_id for receiver in taken)
    granted = {Role.READER if role is Role.RECEIVER and others else role for role in roles}
    version = await versions.advance(uow.connection)
    await stored_systems.add_grants(
        uow.connection, caller.system_id, [(entry.key, role) for role in sorted(granted)], now
    )
    await stored_systems.touch_system(uow.connection, caller.system_id, version=version, now=now)
    uow.outbox.add(SystemsChanged(version=version, system_ids=(caller.system_id,), change="unit-registered"))
    its.announce(uow, version)


def _read_place(cursor: str) -> int:
    (version,) = read_cursor(cursor, 1)
    if not version.isascii() or not version.isdecimal() or len(version) > _MAX_VERSION_DIGITS:
        raise CursorInvalid("this cursor was not given out by the list")
    return int(version)
