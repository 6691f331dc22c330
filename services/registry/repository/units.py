"""Agencies as units: listed in the order of their changes, opened, changed and closed one by one."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, func, insert, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.registry.domain.names import fold_name, sort_key
from services.registry.domain.units import KIND, MAX_DEPTH, UnitDetails
from services.registry.repository.agencies import ENTRY, to_entry
from services.registry.tables import agencies, grants, systems
from shared.contracts.registry import AgencyEntry, Role, Unit

# A parent is named by its code; which agency that is depends on the moment, and one that is closed still has a key.
_LIST = text("""
    SELECT unit.key, unit.code, unit.code102, unit.name, unit.email, unit.version, unit.serving_node,
           unit.valid_to IS NOT NULL AND unit.valid_to <= :at AS deleted,
           coalesce(unit.changed_at, unit.valid_from) AS modified_at,
           above.key AS parent_key, coalesce(above.code, unit.parent) AS parent_code, receiver.system_id AS centre
    FROM registry.agencies AS unit
    LEFT JOIN LATERAL (
        SELECT key, code FROM registry.agencies
        WHERE code = unit.parent AND valid_from <= :at
        ORDER BY valid_from DESC
        LIMIT 1
    ) AS above ON true
    LEFT JOIN registry.grants AS receiver
        ON receiver.agency_key = unit.key AND receiver.role = 'receiver' AND receiver.ended_at IS NULL
    WHERE unit.version > :after
    ORDER BY unit.version
    LIMIT :limit
""")

_CHAIN = text("""
    WITH RECURSIVE chain AS (
        SELECT key, parent, 0 AS depth FROM registry.agencies WHERE key = :key
        UNION ALL
        SELECT above.key, above.parent, chain.depth + 1
        FROM chain JOIN registry.agencies AS above
            ON above.code = chain.parent
            AND above.valid_from <= :at AND (above.valid_to IS NULL OR above.valid_to > :at)
        WHERE chain.depth < :deepest
    )
    SELECT key, min(depth) AS depth FROM chain GROUP BY key ORDER BY depth
""").bindparams(bindparam("deepest", MAX_DEPTH))


async def list_units(connection: AsyncConnection, after: int, limit: int, at: datetime) -> list[Unit]:
    """
    Give the units whose last change came after a version, in the order of changes.
    """
    rows = await connection.execute(_LIST, {"after": after, "limit": limit, "at": at})
    return [Unit.model_validate(dict(row._mapping)) for row in rows]  # noqa: SLF001 - public in spite of its name


async def read_list_version(connection: AsyncConnection) -> int:
    """
    Give the version of the last change that the list of units can show.
    """
    newest = (select(func.coalesce(func.max(table.c.version), 0)).scalar_subquery() for table in (agencies, systems))
    version: int = (await connection.execute(select(func.greatest(*newest)))).scalar_one()
    return version


async def find_by_key(connection: AsyncConnection, key: UUID) -> AgencyEntry | None:
    """
    Find the agency that has a key.
    """
    row = (await connection.execute(select(*ENTRY).where(agencies.c.key == key))).one_or_none()
    return None if row is None else to_entry(row)


async def find_chain(connection: AsyncConnection, key: UUID, at: datetime) -> list[AgencyEntry]:
    """
    Give an agency and the open agencies above it, from the bottom to the top.
    """
    keys = [row.key for row in await connection.execute(_CHAIN, {"key": key, "at": at})]
    entries = {
        row.key: to_entry(row) for row in await connection.execute(select(*ENTRY).where(agencies.c.key.in_(keys)))
    }
    return [entries[one] for one in keys]


async def find_own(
    connection: AsyncConnection, system_id: str, keys: Sequence[UUID], codes: Sequence[str] | None
) -> dict[UUID, set[Role]]:
    """
    Give what a system may do for some agencies; of those named by code only, unless that is None.
    """
    statement = (
        select(grants.c.agency_key, grants.c.role)
        .join(agencies, agencies.c.key == grants.c.agency_key)
        .where(grants.c.system_id == system_id, grants.c.agency_key.in_(keys), grants.c.ended_at.is_(None))
    )
    if codes is not None:
        statement = statement.where(agencies.c.code.in_(codes))
    found: dict[UUID, set[Role]] = {}
    for row in await connection.execute(statement):
        found.setdefault(row.agency_key, set()).add(Role(row.role))
    return found


async def has_open_units_below(connection: AsyncConnection, code: str, at: datetime) -> bool:
    """
    Tell whether an agency stands above others that are open.
    """
    statement = select(agencies.c.key).where(
        agencies.c.parent == code, or_(agencies.c.valid_to.is_(None), agencies.c.valid_to > at)
    )
    return (await connection.execute(statement.limit(1))).first() is not None


async def add_unit(
    connection: AsyncConnection, entry: AgencyEntry, details: UnitDetails, *, version: int, now: datetime
) -> None:
    """
    Write a new agency.
    """
    values = {**_written(details), "code": entry.code, "code102": entry.code102, "level": entry.level, "kind": KIND}
    values |= {"key": entry.key, "parent": entry.parent, "serving_node": entry.serving_node}
    values |= {"valid_from": entry.valid_from, "version": version, "changed_at": now}
    await connection.execute(insert(agencies).values(**values))


async def change_unit(
    connection: AsyncConnection,
    key: UUID,
    details: UnitDetails,
    *,
    parent: str | None,
    version: int,
    now: datetime,
) -> None:
    """
    Write what is said about an agency, and open it if it was closed.
    """
    values = {**_written(details), "parent": parent, "valid_to": None, "version": version, "changed_at": now}
    await connection.execute(update(agencies).where(agencies.c.key == key).values(**values))


async def read_contact(connection: AsyncConnection, key: UUID) -> tuple[str | None, str | None, str | None]:
    """
    Give mail address, mobile and fax number of an agency.
    """
    statement = select(agencies.c.email, agencies.c.mobile, agencies.c.fax).where(agencies.c.key == key)
    row = (await connection.execute(statement)).one()
    return row.email, row.mobile, row.fax


async def close_unit(connection: AsyncConnection, key: UUID, *, version: int, now: datetime) -> None:
    """
    Let an agency end now.
    """
    values = {"valid_to": now, "version": version, "changed_at": now}
    await connection.execute(update(agencies).where(agencies.c.key == key).values(**values))


def _written(details: UnitDetails) -> dict[str, Any]:
    contact = asdict(details)
    return {name: contact[name] for name in ("name", "email", "mobile", "fax")} | {
        "name_folded": fold_name(details.name),
        "sort_key": sort_key(details.name),
    }
