"""Business statuses: an append-only history, and the items its receivers acknowledge."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.dialects.postgresql import insert as insert_or_skip
from sqlalchemy.ext.asyncio import AsyncConnection

from services.routing.repository import AnyRow
from services.routing.tables import status_items, status_reports

_VIEW = (
    status_reports.c.id,
    status_reports.c.delivery_id,
    status_reports.c.reporter_key,
    status_reports.c.code,
    status_reports.c.description,
    status_reports.c.staff,
    status_reports.c.happened_at,
    status_reports.c.reported_at,
)


async def add_status(connection: AsyncConnection, values: dict[str, Any]) -> bool:
    """
    Write a status; False when the same content was reported before.
    """
    statement = (
        insert_or_skip(status_reports).values(**values).on_conflict_do_nothing(constraint="status_reports_content")
    )
    return (await connection.execute(statement)).rowcount == 1


async def add_item(connection: AsyncConnection, values: dict[str, Any]) -> None:
    """
    Make a status wait for the one it is meant for.
    """
    await connection.execute(insert(status_items).values(**values))


async def find_status(connection: AsyncConnection, delivery_id: UUID, code: str, content_sha256: str) -> AnyRow | None:
    """
    Find a status by what it says.
    """
    statement = select(*_VIEW).where(
        status_reports.c.delivery_id == delivery_id,
        status_reports.c.code == code,
        status_reports.c.content_sha256 == content_sha256,
    )
    return (await connection.execute(statement)).one_or_none()


async def read_status(connection: AsyncConnection, status_id: UUID) -> AnyRow | None:
    """
    Read one status.
    """
    return (await connection.execute(select(*_VIEW).where(status_reports.c.id == status_id))).one_or_none()


async def list_statuses(connection: AsyncConnection, delivery_id: UUID) -> Sequence[AnyRow]:
    """
    All statuses of a delivery, oldest first.
    """
    statement = (
        select(*_VIEW)
        .where(status_reports.c.delivery_id == delivery_id)
        .order_by(status_reports.c.reported_at, status_reports.c.id)
    )
    return (await connection.execute(statement)).all()


async def codes_by_delivery(connection: AsyncConnection, delivery_ids: Sequence[UUID]) -> dict[UUID, tuple[str, ...]]:
    """
    Status codes of deliveries so far, oldest first.
    """
    statement = (
        select(status_reports.c.delivery_id, status_reports.c.code)
        .where(status_reports.c.delivery_id.in_(delivery_ids))
        .order_by(status_reports.c.reported_at, status_reports.c.id)
    )
    codes: dict[UUID, tuple[str, ...]] = {}
    for delivery_id, code in await connection.execute(statement):
        codes[delivery_id] = (*codes.get(delivery_id, ()), code)
    return codes
