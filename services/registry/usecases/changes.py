"""What the read models of others are fed with: signed pages of the version log, and the beat."""

import asyncio

from sqlalchemy import text

from services.registry.repository import agencies as stored_agencies
from services.registry.repository import credentials as stored_credentials
from services.registry.repository import systems as stored_systems
from services.registry.repository import versions
from services.registry.usecases.collaborators import Collaborators
from shared.contracts.base import Health, write_moment
from shared.contracts.registry import AgencyEntry, Changes, ReadChanges, SystemsChanged
from shared.errors import Unavailable

MAX_PAGE_GRANTS = 5_000
"""A system may act for thousands of agencies, so a page is bounded by its grants too."""

# All statements of a page see one moment, so that a page never mixes two states of a system.
_ONE_MOMENT = text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")


async def read_changes(its: Collaborators, request: ReadChanges) -> Changes:
    """
    Give the agencies and systems changed after a version, in the order of changes, and sign the page.

    Each changed row has a version of its own, so a page may end anywhere, also inside an import of thousands of rows.
    Versions are handed out in the order of commits: nothing can appear later below a version that was given out.
    """
    async with its.store.begin() as uow:
        connection = uow.connection
        await connection.execute(_ONE_MOMENT)
        latest = await versions.read_version(connection)
        agencies = await stored_agencies.agencies_after(connection, request.after, request.limit)
        systems = await stored_systems.systems_after(connection, request.after, request.limit)
        last = _last_version(agencies, systems, request.limit, max(latest, request.after))
        ids = [system_id for version, system_id, _ in systems if version <= last]
        entries = await stored_systems.read_systems(connection, ids, its.clock.now()) if ids else {}
    page = Changes(
        after=request.after,
        version=last,
        latest=latest,
        agencies=tuple(entry for version, entry in agencies if version <= last),
        systems=tuple(entries[system_id] for system_id in ids),
    )
    claims = {
        "after": page.after,
        "version": page.version,
        "latest": page.latest,
        "time": write_moment(its.clock.now()),
        "items_sha256": await asyncio.to_thread(page.items_sha256),
    }
    return page.model_copy(update={"statement": await its.signing.sign_snapshot(claims)})


async def beat(its: Collaborators) -> None:
    """
    Each second: end the credentials whose time has come, and tell everyone where the register stands.
    """
    now = its.clock.now()
    async with its.store.read() as connection:
        version, due = await versions.read_beat(connection, now)
    if due:
        version = await _end_credentials(its)
    its.beat(version, its.clock.now())


async def sweep(its: Collaborators) -> None:
    """
    Forget what has served its time.
    """
    async with its.store.begin() as uow:
        await stored_credentials.sweep_assertions(uow.connection, its.clock.now())
        await uow.commit()


async def read_health(its: Collaborators) -> Health:
    """
    Tell whether the register can be read.
    """
    try:
        async with its.store.read() as connection:
            await versions.read_version(connection)
    except Unavailable as error:
        return Health(ready=False, detail=error.detail)
    return Health(ready=True)


async def _end_credentials(its: Collaborators) -> int:
    now = its.clock.now()
    async with its.store.begin() as uow:
        version = await versions.begin_change(uow.connection)
        ended = await stored_credentials.end_due(uow.connection, now)
        for system_id in ended:
            version = await versions.advance(uow.connection)
            await stored_systems.touch_system(uow.connection, system_id, version=version, now=now)
        if ended:
            uow.outbox.add(SystemsChanged(version=version, system_ids=ended, change="credential-ended"))
        await uow.commit()
    return version


def _last_version(
    agencies: list[tuple[int, AgencyEntry]], systems: list[tuple[int, str, int]], limit: int, latest: int
) -> int:
    """Where the page ends: at the newest version, unless there are too many rows or grants before it."""
    weights = {version: 0 for version, _ in agencies} | {version: granted for version, _, granted in systems}
    last, weight = 0, 0
    for number, version in enumerate(sorted(weights)):
        weight += weights[version]
        if number == limit or (number > 0 and weight > MAX_PAGE_GRANTS):
            return last
        last = version
    return last if len(weights) >= limit else latest
