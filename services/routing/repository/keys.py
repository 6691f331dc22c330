"""Idempotency keys: what each was used for, and where the answer is."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.routing.tables import idempotency_keys
from shared.database import as_rows, inserting


@dataclass(frozen=True)
class StoredKey:
    """
    What an idempotency key was used for.
    """

    operation: str
    request_sha256: str
    result_id: UUID


@dataclass(frozen=True)
class NewKey:
    """
    An idempotency key to be noted.
    """

    system_id: str
    key: str
    operation: str
    request_sha256: str
    result_id: UUID
    made_at: datetime


async def find_key(connection: AsyncConnection, system_id: str, key: str) -> StoredKey | None:
    """
    Find what an idempotency key of a system was used for.
    """
    row = (await connection.execute(_FIND, {"its_system": system_id, "its_key": key})).one_or_none()
    return None if row is None else StoredKey(*row)


async def add_keys(connection: AsyncConnection, rows: Sequence[NewKey]) -> bool:
    """
    Note what idempotency keys were used for; False when one of them was used before.
    """
    if not rows:
        return True
    # In one order everywhere, so that two transactions that note the same keys wait and do not lock each other out.
    ordered = sorted(rows, key=lambda row: (row.system_id, row.key))
    added = (await connection.execute(_ADD, as_rows([asdict(row) for row in ordered]))).scalars().all()
    return len(added) == len(rows)


_FIND = select(idempotency_keys.c.operation, idempotency_keys.c.request_sha256, idempotency_keys.c.result_id).where(
    idempotency_keys.c.system_id == bindparam("its_system"), idempotency_keys.c.key == bindparam("its_key")
)
_ADD = inserting(
    idempotency_keys,
    *("system_id", "key", "operation", "request_sha256", "result_id", "made_at"),
    more="ON CONFLICT DO NOTHING RETURNING key",
)
