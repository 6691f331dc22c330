"""Idempotency keys: what each was used for, and where the answer is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
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


async def find_keys(connection: AsyncConnection, keys: Sequence[tuple[str, str]]) -> list[StoredKey | None]:
    """
    Find what idempotency keys, each of a system, were used for; in their order.
    """
    values = {"systems": [system_id for system_id, _ in keys], "keys": [key for _, key in keys]}
    found = {(row.system_id, row.key): row for row in await connection.execute(_FIND, values)}
    return [
        None if (row := found.get(one)) is None else StoredKey(row.operation, row.request_sha256, row.result_id)
        for one in keys
    ]


async def add_keys(connection: AsyncConnection, rows: Sequence[NewKey]) -> bool:
    """
    Note what idempotency keys were used for; False when one of them was used before.
    """
    if not rows:
        return True
    added = (await connection.execute(ADD_KEYS.alone, as_rows(key_rows(rows)))).scalars().all()
    return len(added) == len(rows)


def key_rows(rows: Sequence[NewKey]) -> list[dict[str, Any]]:
    """
    Rows in one order everywhere, so that two transactions that note the same keys wait and do not lock each other out.
    """
    return [vars(row) for row in sorted(rows, key=lambda row: (row.system_id, row.key))]


_FIND = text("""
SELECT system_id, key, operation, request_sha256, result_id FROM routing.idempotency_keys
JOIN unnest(CAST(:systems AS text[]), CAST(:keys AS text[])) AS asked (system_id, key) USING (system_id, key)
""")
ADD_KEYS = inserting(
    idempotency_keys,
    *("system_id", "key", "operation", "request_sha256", "result_id", "made_at"),
    more="ON CONFLICT DO NOTHING RETURNING key",
)
