"""Deliveries, the steps they took, and the evidence of the final ones."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, insert, select, text, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.routing.repository import AnyRow
from services.routing.repository.chunks import Chunk
from services.routing.tables import acknowledgements, deliveries, delivery_steps, dispatches, documents, evidence
from shared.contracts.routing import DeliveryState


@dataclass(frozen=True)
class Delivery:
    """
    One addressee's share of a document.
    """

    id: UUID
    document_id: UUID
    dispatch_id: UUID
    addressee_key: UUID
    mailbox_key: UUID
    sender_key: UUID
    lane: int
    accepted_at: datetime
    state: DeliveryState
    series: int
    held: str | None
    reason_code: str | None
    reason: str | None
    requeue_possible: bool | None
    available_at: datetime | None
    changed_at: datetime


@dataclass(frozen=True)
class Opening:
    """
    A delivery to be opened.

    Attributes:
        held: Why it is queued and not available.
    """

    id: UUID
    addressee_key: UUID
    held: str | None


@dataclass(frozen=True)
class Acknowledgement:
    """
    What a receiving system said, with the evidence made of it.
    """

    series: int
    result: str
    acknowledged_at: datetime
    evidence: str


_COLUMNS = [deliveries.c[name] for name in Delivery.__dataclass_fields__]

_OPEN = text("""
INSERT INTO routing.deliveries
    (id, document_id, dispatch_id, addressee_key, mailbox_key, sender_key, lane, accepted_at, state, series, held,
     available_at, changed_at)
SELECT o.id, :document_id, :dispatch_id, o.addressee_key, o.addressee_key, :sender_key, :lane, :accepted_at,
       CASE WHEN o.held IS NULL THEN 'available' ELSE 'queued' END, 1, o.held,
       CASE WHEN o.held IS NULL THEN CAST(:now AS timestamptz) END, :now
FROM unnest(CAST(:ids AS uuid[]), CAST(:keys AS uuid[]), CAST(:held AS text[])) AS o (id, addressee_key, held)
ON CONFLICT ON CONSTRAINT deliveries_addressee DO NOTHING
RETURNING id
""")

_HELD_MAILBOXES = text("""
WITH RECURSIVE held AS (
    (SELECT mailbox_key FROM routing.deliveries WHERE state = 'queued' AND held IS NOT NULL
     ORDER BY mailbox_key LIMIT 1)
    UNION ALL
    SELECT (SELECT d.mailbox_key FROM routing.deliveries d
            WHERE d.state = 'queued' AND d.held IS NOT NULL AND d.mailbox_key > h.mailbox_key
            ORDER BY d.mailbox_key LIMIT 1)
    FROM held h WHERE h.mailbox_key IS NOT NULL
)
SELECT mailbox_key FROM held WHERE mailbox_key IS NOT NULL
""")


def _delivery(row: AnyRow) -> Delivery:
    mapping = row._mapping  # noqa: SLF001 - SQLAlchemy's public name
    return Delivery(**{**mapping, "state": DeliveryState(mapping["state"])})


async def open_deliveries(
    connection: AsyncConnection, chunk: Chunk, openings: Sequence[Opening], now: datetime
) -> set[UUID]:
    """
    Open deliveries for addressees that have none, in one statement.

    Returns:
        Ids of those that were opened.
    """
    rows = await connection.execute(
        _OPEN,
        {
            "document_id": chunk.document_id,
            "dispatch_id": chunk.dispatch_id,
            "sender_key": chunk.sender_key,
            "lane": chunk.lane,
            "accepted_at": chunk.accepted_at,
            "now": now,
            "ids": [opening.id for opening in openings],
            "keys": [opening.addressee_key for opening in openings],
            "held": [opening.held for opening in openings],
        },
    )
    return set(rows.scalars())


async def read_deliveries(
    connection: AsyncConnection, ids: Collection[UUID], *, lock: bool = False
) -> dict[UUID, Delivery]:
    """
    Read deliveries by id; with `lock` nobody else steps them until the transaction ends, taken in the order of ids.
    """
    statement = select(*_COLUMNS).where(deliveries.c.id.in_(ids)).order_by(deliveries.c.id)
    rows = await connection.execute(statement.with_for_update() if lock else statement)
    return {row.id: _delivery(row) for row in rows}


async def lock_queued(
    connection: AsyncConnection, mailbox_key: UUID, *, not_in_lanes: Collection[int], limit: int
) -> list[Delivery]:
    """
    Take held deliveries of a mailbox that no other copy is releasing.
    """
    rows = await connection.execute(
        select(*_COLUMNS)
        .where(
            deliveries.c.state == "queued",
            deliveries.c.held.is_not(None),
            deliveries.c.mailbox_key == mailbox_key,
            deliveries.c.lane.not_in(not_in_lanes),
        )
        .order_by(deliveries.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return [_delivery(row) for row in rows]


async def held_mailboxes(connection: AsyncConnection) -> list[UUID]:
    """
    Mailboxes with held deliveries, found by skipping through the index.
    """
    return list((await connection.execute(_HELD_MAILBOXES)).scalars())


async def move(
    connection: AsyncConnection, ids: Collection[UUID], values: Mapping[str, Any], *, next_series: bool
) -> None:
    """
    Write the new state of deliveries that the transaction has locked.
    """
    statement = update(deliveries).where(deliveries.c.id.in_(ids)).values(**values)
    if next_series:
        statement = statement.values(series=deliveries.c.series + 1)
    await connection.execute(statement)


async def mark_held(connection: AsyncConnection, ids: Collection[UUID], held: str) -> None:
    """
    Note why queued deliveries wait; not a step.
    """
    await connection.execute(update(deliveries).where(deliveries.c.id.in_(ids)).values(held=held))


async def add_steps(connection: AsyncConnection, rows: Sequence[dict[str, Any]]) -> None:
    """
    Append to the history.
    """
    if rows:
        await connection.execute(insert(delivery_steps), rows)


async def add_evidence(connection: AsyncConnection, rows: Sequence[dict[str, Any]]) -> None:
    """
    Store the evidence of steps.
    """
    if rows:
        await connection.execute(insert(evidence), rows)


async def facts_for_evidence(connection: AsyncConnection, document_ids: Collection[UUID]) -> dict[UUID, AnyRow]:
    """
    What evidence says about documents: `sender_code`, `sender_document_id`, `packet_sha256`.
    """
    rows = await connection.execute(
        select(
            documents.c.id, documents.c.sender_code, documents.c.sender_document_id, documents.c.packet_sha256
        ).where(documents.c.id.in_(document_ids))
    )
    return {row.id: row for row in rows}


async def read_acknowledgement(connection: AsyncConnection, delivery_id: UUID, series: int) -> Acknowledgement | None:
    """
    Read what was said in a series, if anything was.
    """
    statement = _acknowledgements().where(
        acknowledgements.c.delivery_id == delivery_id, acknowledgements.c.series == series
    )
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else Acknowledgement(*row)


async def read_acknowledgement_by_id(connection: AsyncConnection, acknowledgement_id: UUID) -> Acknowledgement:
    """
    Read one that is known to be there.
    """
    statement = _acknowledgements().where(acknowledgements.c.id == acknowledgement_id)
    return Acknowledgement(*(await connection.execute(statement)).one())


def _acknowledgements() -> Select[Any]:
    return select(
        acknowledgements.c.series, acknowledgements.c.result, acknowledgements.c.acknowledged_at, evidence.c.statement
    ).join(evidence, evidence.c.id == acknowledgements.c.evidence_id)


async def add_acknowledgement(connection: AsyncConnection, values: dict[str, Any]) -> None:
    """
    Store the one acknowledgement of a series.
    """
    await connection.execute(insert(acknowledgements).values(**values))


async def list_failed(
    connection: AsyncConnection, mailbox_key: UUID | None, after: tuple[datetime, UUID] | None, limit: int
) -> Sequence[AnyRow]:
    """
    A page of failed deliveries, those that failed first first.
    """
    statement = (
        select(*_COLUMNS, documents.c.sender_code)
        .join(documents, documents.c.id == deliveries.c.document_id)
        .where(deliveries.c.state == "failed")
        .order_by(deliveries.c.changed_at, deliveries.c.id)
        .limit(limit)
    )
    if mailbox_key is not None:
        statement = statement.where(deliveries.c.mailbox_key == mailbox_key)
    if after is not None:
        statement = statement.where(tuple_(deliveries.c.changed_at, deliveries.c.id) > tuple_(*after))
    return (await connection.execute(statement)).all()


async def count_all(connection: AsyncConnection) -> tuple[dict[str, int], int]:
    """
    All deliveries by state, and the addressees that are not opened yet.
    """
    by_state = await connection.execute(select(deliveries.c.state, func.count()).group_by(deliveries.c.state))
    unopened = select(func.coalesce(func.sum(dispatches.c.unopened_count), 0)).where(dispatches.c.unopened_count > 0)
    counts = {row[0]: int(row[1]) for row in by_state}
    return counts, int((await connection.execute(unopened)).scalar_one())
