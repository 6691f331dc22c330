"""Credentials: who may get a token, and since when."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or_skip
from sqlalchemy.ext.asyncio import AsyncConnection

from services.registry.repository.systems import is_good
from services.registry.tables import credentials, systems, used_assertions
from shared.contracts.registry import SystemStatus


@dataclass(frozen=True)
class StoredCredential:
    """
    A credential as stored.

    Attributes:
        secret_hmac: None until a secret was handed over.
        sealed_secret: The secret again, encrypted, where headers are signed with it.
    """

    id: UUID
    system_id: str
    secret_hmac: bytes | None
    scopes: tuple[str, ...]
    in_use: bool
    sealed_secret: bytes | None = None


async def add_credential(connection: AsyncConnection, credential: StoredCredential, now: datetime) -> None:
    """
    Write a new credential.
    """
    await connection.execute(
        insert(credentials).values(
            id=credential.id,
            system_id=credential.system_id,
            secret_hmac=credential.secret_hmac,
            scopes=list(credential.scopes),
            created_at=now,
            sealed_secret=credential.sealed_secret,
        )
    )


async def find_good_credentials(
    connection: AsyncConnection, system_id: str, now: datetime, *, of_disabled: bool = False
) -> list[StoredCredential]:
    """
    Give the good credentials of a system, newest first; none if it is disabled, unless those are wanted too.
    """
    statement = (
        select(credentials)
        .join(systems, systems.c.id == credentials.c.system_id)
        .where(systems.c.id == system_id, is_good(now))
        .order_by(credentials.c.created_at.desc(), credentials.c.id.desc())
    )
    if not of_disabled:
        statement = statement.where(systems.c.status == SystemStatus.ACTIVE.value)
    return [_to_credential(row) for row in await connection.execute(statement)]


async def find_newest_credential(connection: AsyncConnection, system_id: str) -> StoredCredential | None:
    """
    Give the newest credential of a system, whether it is good or not.
    """
    statement = (
        select(credentials)
        .where(credentials.c.system_id == system_id)
        .order_by(credentials.c.created_at.desc(), credentials.c.id.desc())
        .limit(1)
    )
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else _to_credential(row)


async def is_still_good(connection: AsyncConnection, system_id: str, credential_id: UUID, now: datetime) -> bool:
    """
    Tell whether a credential is good and its system active.
    """
    statement = (
        select(credentials.c.id)
        .join(systems, systems.c.id == credentials.c.system_id)
        .where(
            credentials.c.id == credential_id,
            systems.c.id == system_id,
            systems.c.status == SystemStatus.ACTIVE.value,
            is_good(now),
        )
    )
    return (await connection.execute(statement)).first() is not None


async def note_use(connection: AsyncConnection, credential: StoredCredential, now: datetime) -> bool:
    """
    Note that a credential gets a token; False if it is no longer what it was when it was checked.
    """
    active = select(systems.c.id).where(
        systems.c.id == credential.system_id, systems.c.status == SystemStatus.ACTIVE.value
    )
    statement = (
        update(credentials)
        .where(
            credentials.c.id == credential.id,
            credentials.c.secret_hmac.is_not_distinct_from(credential.secret_hmac),
            is_good(now),
            active.exists(),
        )
        .values(first_used_at=func.coalesce(credentials.c.first_used_at, now), last_used_at=now)
    )
    return (await connection.execute(statement)).rowcount == 1


async def replace_secret(connection: AsyncConnection, credential_id: UUID, secret_hmac: bytes) -> bool:
    """
    Give a credential another secret, unless it has got a token already.
    """
    statement = (
        update(credentials)
        .where(credentials.c.id == credential_id, credentials.c.first_used_at.is_(None))
        .values(secret_hmac=secret_hmac)
    )
    return (await connection.execute(statement)).rowcount == 1


async def let_end(connection: AsyncConnection, ids: Collection[UUID], ends_at: datetime) -> None:
    """
    Let credentials end at a moment, or earlier where they do so already.
    """
    statement = (
        update(credentials)
        .where(credentials.c.id.in_(ids))
        .values(ends_at=func.least(func.coalesce(credentials.c.ends_at, ends_at), ends_at))
    )
    await connection.execute(statement)


async def end_due(connection: AsyncConnection, now: datetime) -> tuple[str, ...]:
    """
    Mark the credentials whose time has come as ended.

    Returns:
        The systems they belonged to.
    """
    statement = (
        update(credentials)
        .where(credentials.c.ended_at.is_(None), credentials.c.ends_at <= now)
        .values(ended_at=now)
        .returning(credentials.c.system_id)
    )
    return tuple(sorted(set((await connection.execute(statement)).scalars())))


async def is_assertion_used(connection: AsyncConnection, system_id: str, jti: str) -> bool:
    """
    Tell whether an assertion's id was taken.
    """
    statement = select(used_assertions.c.jti).where(
        used_assertions.c.system_id == system_id, used_assertions.c.jti == jti
    )
    return (await connection.execute(statement)).first() is not None


async def take_assertion(connection: AsyncConnection, system_id: str, jti: str, expires_at: datetime) -> bool:
    """
    Take an assertion's id; False if it was taken before.
    """
    statement = insert_or_skip(used_assertions).values(system_id=system_id, jti=jti, expires_at=expires_at)
    return (await connection.execute(statement.on_conflict_do_nothing())).rowcount == 1


async def sweep_assertions(connection: AsyncConnection, now: datetime) -> None:
    """
    Forget the ids of assertions that have expired.
    """
    await connection.execute(delete(used_assertions).where(used_assertions.c.expires_at <= now))


def _to_credential(row: Row[Any]) -> StoredCredential:
    return StoredCredential(
        id=row.id,
        system_id=row.system_id,
        secret_hmac=row.secret_hmac,
        scopes=tuple(row.scopes),
        in_use=row.first_used_at is not None,
        sealed_secret=row.sealed_secret,
    )
