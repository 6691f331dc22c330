"""Idempotency keys: what each was used for, and where the answer is."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as insert_or_skip
from sqlalchemy.ext.asyncio import AsyncConnection

from services.routing.tables import idempotency_keys


@dataclass(frozen=True)
class StoredKey:
    """
    What an idempotency key was used for.
    """

    operation: str
    request_sha256: str
    result_id: UUID


async def find_key(connection: AsyncConnection, system_id: str, key: str) -> StoredKey | None:
    """
    Find what an idempotency key of a system was used for.
    """
    row = (
        await connection.execute(
            select(idempotency_keys.c.operation, idempotency_keys.c.request_sha256, idempotency_keys.c.result_id).where(
                idempotency_keys.c.system_id == system_id, idempotency_keys.c.key == key
            )
        )
    ).one_or_none()
    return None if row is None else StoredKey(*row)


async def add_key(connection: AsyncConnection, system_id: str, key: str, stored: StoredKey, at: datetime) -> bool:
    """
    Note what an idempotency key was used for; False when it was used before.
    """
    statement = (
        insert_or_skip(idempotency_keys)
        .values(
            system_id=system_id,
            key=key,
            operation=stored.operation,
            request_sha256=stored.request_sha256,
            result_id=stored.result_id,
            made_at=at,
        )
        .on_conflict_do_nothing()
    )
    return (await connection.execute(statement)).rowcount == 1
