"""Where systems may call from, and where they have called from."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.registry.tables import system_addresses, systems
from shared.contracts.registry import Sighting, SystemAccess


@dataclass(frozen=True)
class Place:
    """
    What a call from an address is judged by.

    Attributes:
        sources: Networks the system may call from.
        addresses: How many it has called from.
        last_seen_at: Last note of a call from this one; None: there is none.
    """

    sources: tuple[str, ...] = ()
    addresses: int = 0
    last_seen_at: datetime | None = None


async def read_place(connection: AsyncConnection, system_id: str, address: str | None) -> Place:
    """
    Read what is known about an address of a system; nothing about a system that is not there.
    """
    all_of_it = system_addresses.alias()
    number = select(func.count()).select_from(all_of_it).where(all_of_it.c.system_id == systems.c.id).scalar_subquery()
    this_one = and_(system_addresses.c.system_id == systems.c.id, system_addresses.c.address == address)
    statement = (
        select(systems.c.sources, number.label("number"), system_addresses.c.last_seen_at)
        .outerjoin(system_addresses, this_one)
        .where(systems.c.id == system_id)
    )
    row = (await connection.execute(statement)).one_or_none()
    return Place() if row is None else Place(tuple(row.sources), row.number, row.last_seen_at)


async def add_address(
    connection: AsyncConnection, system_id: str, address: str, now: datetime, *, accepted: bool
) -> bool:
    """
    Note the first call from an address; False if there was one before.
    """
    statement = insert(system_addresses).values(
        system_id=system_id, address=address, first_seen_at=now, last_seen_at=now, accepted=accepted
    )
    return (await connection.execute(statement.on_conflict_do_nothing())).rowcount == 1


async def note_again(connection: AsyncConnection, system_id: str, address: str, now: datetime) -> None:
    """
    Note a later call from an address.
    """
    statement = update(system_addresses).where(
        system_addresses.c.system_id == system_id, system_addresses.c.address == address
    )
    await connection.execute(statement.values(last_seen_at=now))


async def set_sources(connection: AsyncConnection, system_id: str, sources: Sequence[str]) -> None:
    """
    Write the networks a system may call from.
    """
    await connection.execute(update(systems).where(systems.c.id == system_id).values(sources=list(sources)))


async def settle_addresses(connection: AsyncConnection, system_id: str, accepted: Collection[str]) -> None:
    """
    Let the addresses named pass, and forget all others of a system.
    """
    others = (system_addresses.c.system_id == system_id, system_addresses.c.address.not_in(accepted))
    await connection.execute(delete(system_addresses).where(*others))
    statement = update(system_addresses).where(system_addresses.c.system_id == system_id)
    await connection.execute(statement.values(accepted=True))


async def read_accesses(connection: AsyncConnection, ids: Collection[str]) -> dict[str, SystemAccess]:
    """
    Read where systems may call from and where they have; those with neither are left out.
    """
    sightings: dict[str, list[Sighting]] = {}
    statement = (
        select(system_addresses)
        .where(system_addresses.c.system_id.in_(ids))
        .order_by(system_addresses.c.first_seen_at, system_addresses.c.address)
    )
    for row in await connection.execute(statement):
        sighting = Sighting(
            address=row.address,
            first_seen_at=row.first_seen_at,
            last_seen_at=row.last_seen_at,
            accepted=row.accepted,
        )
        sightings.setdefault(row.system_id, []).append(sighting)
    limited = select(systems.c.id, systems.c.sources).where(systems.c.id.in_(ids)).order_by(systems.c.id)
    return {
        row.id: SystemAccess(system_id=row.id, sources=tuple(row.sources), addresses=tuple(sightings.get(row.id, ())))
        for row in await connection.execute(limited)
        if row.sources or row.id in sightings
    }


async def count_alarming(connection: AsyncConnection, most: int) -> int:
    """
    Count the systems that were used from an address nobody has let pass, up to a limit.
    """
    some = select(system_addresses.c.system_id).where(~system_addresses.c.accepted).distinct().limit(most).subquery()
    number: int = (await connection.execute(select(func.count()).select_from(some))).scalar_one()
    return number
