"""Import of a table of agencies: all of it or nothing, and the same table again changes nothing."""

import asyncio
import re
from datetime import timedelta

from services.registry.domain.agency_table import AgencyRow, Selection, bounded, read_table, select_rows, to_records
from services.registry.errors import ImportRefused
from services.registry.repository import imports, versions
from services.registry.usecases.collaborators import Collaborators
from shared.contracts.base import MAX_ITEMS
from shared.contracts.registry import AgenciesChanged, ImportAgencies, ImportReport, LineError, Scope
from shared.identifiers import VIETNAM, start_of_day
from shared.outbox import UnitOfWork

_DIGEST = re.compile(r"[0-9a-f]{64}")
_NODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


async def import_agencies(its: Collaborators, request: ImportAgencies) -> ImportReport:
    """
    Take the rows of a table that are valid on a day into the register.

    A row with any error stops the whole table, and the report names them by line; nothing is written then. Ends of
    validity are never taken: closing an agency is an act.

    Raises:
        ImportRefused: The file is too large, or the request names no file or node.
        Unavailable: The file is not in the blob store.
    """
    await its.identify(request.token, Scope.OPERATE)
    serving_node = request.served_by or its.settings.node_id
    if not _DIGEST.fullmatch(request.csv_sha256) or not _NODE.fullmatch(serving_node):
        raise ImportRefused("the digest of the file or the name of the serving node is malformed")
    content = await _read_blob(its, request.csv_sha256)
    # 1. Read and check the file by itself, on a thread: it takes half a second for all of Vietnam.
    rows, selection, records = await asyncio.to_thread(_prepare, content, request, serving_node)
    if not rows:
        return await _report(its, request, selection)
    async with its.store.begin() as uow:
        # 2. From here on nobody else changes the register, so what is found is what will be changed.
        before = await versions.begin_change(uow.connection)
        await imports.stage(uow.connection, records)
        errors = await _check_against_register(uow, selection, request)
        if errors or request.dry_run:
            difference = imports.Difference(0, 0, 0) if errors else await imports.compare(uow.connection)
            return _to_report(difference, selection, errors, before, dry_run=request.dry_run)
        # 3. Write what differs.
        difference = await imports.compare(uow.connection)
        written = difference.added + difference.changed
        version = before
        if written:
            version = await versions.advance(uow.connection, written)
            await imports.write(uow.connection, before, its.clock.now())
            for last, keys in await imports.changed_keys(uow.connection, before, MAX_ITEMS):
                uow.outbox.add(AgenciesChanged(version=last, keys=keys))
            its.announce(uow, version)
        await uow.commit()
    return _to_report(difference, selection, [], version, dry_run=False)


async def _read_blob(its: Collaborators, sha256: str) -> bytes:
    chunks, size = [], 0
    async for chunk in its.blobs.open(sha256):
        size += len(chunk)
        if size > its.settings.max_import_bytes:
            raise ImportRefused(f"a table of agencies may have at most {its.settings.max_import_bytes} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


def _prepare(
    content: bytes, request: ImportAgencies, serving_node: str
) -> tuple[tuple[AgencyRow, ...], Selection, str]:
    rows, faults = read_table(content)
    selection = select_rows(rows, as_of=request.as_of, under=request.under, levels=request.levels)
    errors = bounded((*faults, *selection.errors))
    selection = Selection(selection.rows, selection.passed_over, selection.outside_parents, errors)
    if errors:
        return (), selection, ""
    return selection.rows, selection, to_records(selection.rows, serving_node)


async def _check_against_register(
    uow: UnitOfWork, selection: Selection, request: ImportAgencies
) -> tuple[LineError, ...]:
    noon = start_of_day(request.as_of) + timedelta(hours=12)
    known = await imports.find_known_parents(uow.connection, selection.outside_parents.keys(), noon)
    errors = [
        LineError(line=line, code="unknown-parent", detail=f"{parent} is neither in the file nor in the register")
        for parent, line in selection.outside_parents.items()
        if parent not in known
    ]
    errors += [
        LineError(
            line=obstacle.line,
            code="code-in-use",
            detail=f"{obstacle.known_code}, in the register since {obstacle.known_from.astimezone(VIETNAM).date()}, "
            f"has the code of {obstacle.code} or its old form; close it by an act first",
        )
        for obstacle in await imports.find_obstacles(uow.connection)
    ]
    return bounded(errors)


async def _report(its: Collaborators, request: ImportAgencies, selection: Selection) -> ImportReport:
    async with its.store.begin() as uow:
        version = await versions.read_version(uow.connection)
    nothing = imports.Difference(0, 0, 0)
    return _to_report(nothing, selection, selection.errors, version, dry_run=request.dry_run)


def _to_report(
    difference: imports.Difference,
    selection: Selection,
    errors: tuple[LineError, ...] | list[LineError],
    version: int,
    *,
    dry_run: bool,
) -> ImportReport:
    return ImportReport(
        added=difference.added,
        changed=difference.changed,
        unchanged=difference.unchanged,
        passed_over=selection.passed_over,
        errors=tuple(errors),
        version=version,
        dry_run=dry_run,
    )
