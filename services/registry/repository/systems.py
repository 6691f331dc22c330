"""Systems with their grants, credentials and certificates."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or_change
from sqlalchemy.ext.asyncio import AsyncConnection

from services.registry.tables import agencies, certificates, credentials, grants, systems
from shared.contracts.registry import Grant, Role, SealBinding, SystemEntry, SystemStatus


@dataclass(frozen=True)
class NewSystem:
    """
    A system to open.
    """

    id: str
    name: str
    dialect: str
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Binding:
    """
    A certificate bound to a system.

    Attributes:
        certificate: PEM.
        chain: PEM of the issuers.
    """

    sha256: str
    purpose: str
    certificate: str
    chain: tuple[str, ...]
    valid_from: datetime
    valid_to: datetime


@dataclass(frozen=True)
class Receiver:
    """
    Who acknowledges for an agency.
    """

    agency_key: UUID
    agency: str
    system_id: str
    status: SystemStatus


async def system_id_taken(connection: AsyncConnection, system_id: str) -> bool:
    """
    Tell whether a system has this identifier in any case of letters.
    """
    statement = select(systems.c.id).where(func.lower(systems.c.id) == system_id.lower())
    return (await connection.execute(statement)).first() is not None


async def add_system(connection: AsyncConnection, system: NewSystem, *, version: int, now: datetime) -> None:
    """
    Write a new, active system.
    """
    values = {"id": system.id, "name": system.name, "dialect": system.dialect, "sources": list(system.sources)}
    values["status"] = SystemStatus.ACTIVE.value
    await connection.execute(insert(systems).values(**values, created_at=now, changed_at=now, version=version))


async def touch_system(connection: AsyncConnection, system_id: str, *, version: int, now: datetime) -> None:
    """
    Give a system the version of its change.
    """
    statement = update(systems).where(systems.c.id == system_id).values(version=version, changed_at=now)
    await connection.execute(statement)


async def set_status(
    connection: AsyncConnection, system_id: str, status: SystemStatus, reason: str, *, version: int, now: datetime
) -> None:
    """
    Disable or enable a system.
    """
    values = {"status": status.value, "status_reason": reason or None, "version": version, "changed_at": now}
    await connection.execute(update(systems).where(systems.c.id == system_id).values(**values))


async def find_receivers(connection: AsyncConnection, agency_keys: Collection[UUID]) -> list[Receiver]:
    """
    Find who acknowledges for these agencies.
    """
    statement = (
        select(grants.c.agency_key, agencies.c.code, grants.c.system_id, systems.c.status)
        .join(systems, systems.c.id == grants.c.system_id)
        .join(agencies, agencies.c.key == grants.c.agency_key)
        .where(grants.c.agency_key.in_(agency_keys), grants.c.role == Role.RECEIVER.value, grants.c.ended_at.is_(None))
        .order_by(agencies.c.code)
    )
    rows = await connection.execute(statement)
    return [Receiver(row.agency_key, row.code, row.system_id, SystemStatus(row.status)) for row in rows]


async def end_receivers(
    connection: AsyncConnection, system_id: str, agency_keys: Collection[UUID], now: datetime
) -> None:
    """
    Take the role of receiver for these agencies from a system.
    """
    statement = update(grants).where(
        grants.c.system_id == system_id,
        grants.c.agency_key.in_(agency_keys),
        grants.c.role == Role.RECEIVER.value,
        grants.c.ended_at.is_(None),
    )
    await connection.execute(statement.values(ended_at=now))


async def add_grants(
    connection: AsyncConnection, system_id: str, roles: Iterable[tuple[UUID, Role]], now: datetime
) -> None:
    """
    Let a system act for agencies; a role that it had before begins anew.
    """
    rows = [{"system_id": system_id, "agency_key": key, "role": role.value, "granted_at": now} for key, role in roles]
    if rows:
        statement = insert_or_change(grants)
        renewed = {"granted_at": statement.excluded.granted_at, "ended_at": None}
        await connection.execute(
            statement.on_conflict_do_update(
                index_elements=[grants.c.system_id, grants.c.agency_key, grants.c.role],
                set_=renewed,
                where=grants.c.ended_at.is_not(None),
            ),
            rows,
        )


async def bind_certificates(connection: AsyncConnection, system_id: str, bindings: Sequence[Binding]) -> None:
    """
    Bind certificates to a system.
    """
    rows = [
        {
            "sha256": binding.sha256,
            "system_id": system_id,
            "purpose": binding.purpose,
            "certificate": binding.certificate,
            "chain": list(binding.chain),
            "valid_from": binding.valid_from,
            "valid_to": binding.valid_to,
        }
        for binding in bindings
    ]
    if rows:
        await connection.execute(insert(certificates), rows)


async def find_bindings(connection: AsyncConnection, system_id: str) -> list[Binding]:
    """
    Give the certificates of a system that are not revoked.
    """
    statement = (
        select(certificates)
        .where(certificates.c.system_id == system_id, certificates.c.revoked_at.is_(None))
        .order_by(certificates.c.purpose, certificates.c.valid_from.desc())
    )
    return [
        Binding(row.sha256, row.purpose, row.certificate, tuple(row.chain), row.valid_from, row.valid_to)
        for row in await connection.execute(statement)
    ]


async def find_certificate_owner(connection: AsyncConnection, sha256: str) -> tuple[str, bool] | None:
    """
    Tell whose certificate it is, and whether it is revoked.
    """
    statement = select(certificates.c.system_id, certificates.c.revoked_at).where(certificates.c.sha256 == sha256)
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else (row.system_id, row.revoked_at is not None)


async def revoke_certificate(connection: AsyncConnection, sha256: str, reason: str, now: datetime) -> None:
    """
    End the binding of a certificate.
    """
    statement = update(certificates).where(certificates.c.sha256 == sha256)
    await connection.execute(statement.values(revoked_at=now, revocation_reason=reason))


async def find_agency_codes(connection: AsyncConnection, system_id: str) -> tuple[str, ...]:
    """
    Give the codes of the agencies a system may act for.
    """
    statement = (
        select(agencies.c.code)
        .join(grants, grants.c.agency_key == agencies.c.key)
        .where(grants.c.system_id == system_id, grants.c.ended_at.is_(None))
        .distinct()
        .order_by(agencies.c.code)
    )
    return tuple((await connection.execute(statement)).scalars())


async def find_roles(
    connection: AsyncConnection, system_id: str, agency_keys: Collection[UUID]
) -> set[tuple[UUID, Role]]:
    """
    Give what a system may do for these agencies.
    """
    statement = select(grants.c.agency_key, grants.c.role).where(
        grants.c.system_id == system_id, grants.c.agency_key.in_(agency_keys), grants.c.ended_at.is_(None)
    )
    return {(row.agency_key, Role(row.role)) for row in await connection.execute(statement)}


async def list_system_ids(connection: AsyncConnection, after: str, limit: int) -> list[str]:
    """
    Give a page of identifiers.
    """
    statement = select(systems.c.id).where(systems.c.id > after).order_by(systems.c.id).limit(limit)
    return list((await connection.execute(statement)).scalars())


async def systems_after(connection: AsyncConnection, after: int, limit: int) -> list[tuple[int, str, int]]:
    """
    Give version, identifier and number of grants of the systems changed after a version, in the order of changes.
    """
    granted = select(func.count()).where(grants.c.system_id == systems.c.id, grants.c.ended_at.is_(None))
    statement = (
        select(systems.c.version, systems.c.id, granted.scalar_subquery().label("granted"))
        .where(systems.c.version > after)
        .order_by(systems.c.version)
        .limit(limit)
    )
    return [(row.version, row.id, row.granted) for row in await connection.execute(statement)]


async def read_systems(connection: AsyncConnection, ids: Collection[str], now: datetime) -> dict[str, SystemEntry]:
    """
    Read systems as the read models keep them.
    """
    granted: dict[str, list[Grant]] = {system_id: [] for system_id in ids}
    good: dict[str, list[str]] = {system_id: [] for system_id in ids}
    seals: dict[str, list[SealBinding]] = {system_id: [] for system_id in ids}
    statement: Any = (
        select(grants.c.system_id, grants.c.agency_key, grants.c.role)
        .where(grants.c.system_id.in_(ids), grants.c.ended_at.is_(None))
        .order_by(grants.c.agency_key, grants.c.role)
    )
    for row in await connection.execute(statement):
        granted[row.system_id].append(Grant(agency_key=row.agency_key, role=Role(row.role)))
    statement = (
        select(credentials.c.system_id, credentials.c.id)
        .where(credentials.c.system_id.in_(ids), is_good(now))
        .order_by(credentials.c.id)
    )
    for row in await connection.execute(statement):
        good[row.system_id].append(str(row.id))
    statement = (
        select(certificates.c.system_id, certificates.c.sha256, certificates.c.valid_from, certificates.c.valid_to)
        .where(certificates.c.system_id.in_(ids), certificates.c.purpose == "seal", certificates.c.revoked_at.is_(None))
        .order_by(certificates.c.sha256)
    )
    for row in await connection.execute(statement):
        seal = SealBinding(certificate_sha256=row.sha256, valid_from=row.valid_from, valid_to=row.valid_to)
        seals[row.system_id].append(seal)
    return {
        row.id: SystemEntry(
            id=row.id,
            name=row.name,
            dialect=row.dialect,
            status=SystemStatus(row.status),
            grants=tuple(granted[row.id]),
            credentials=tuple(good[row.id]),
            seals=tuple(seals[row.id]),
        )
        for row in await connection.execute(select(systems).where(systems.c.id.in_(ids)).order_by(systems.c.id))
    }


def is_good(now: datetime) -> ColumnElement[bool]:
    """
    The condition that a credential is good at a moment.
    """
    return and_(credentials.c.ended_at.is_(None), or_(credentials.c.ends_at.is_(None), credentials.c.ends_at > now))
