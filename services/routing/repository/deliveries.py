"""Deliveries, the steps they took, and the evidence of the final ones."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, any_, bindparam, select, text, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.routing.repository import AnyRow
from services.routing.repository.chunks import Chunk
from services.routing.tables import acknowledgements, deliveries, delivery_steps, documents, evidence
from shared.contracts.routing import DeliveryState
from shared.database import Change, as_rows, inserting


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

    chunk: Chunk
    id: UUID
    addressee_key: UUID
    held: str | None


@dataclass(frozen=True)
class Move:
    """
    What a step writes into deliveries.
    """

    to_state: DeliveryState
    at: datetime
    reason_code: str | None
    reason: str | None
    requeue_possible: bool | None
    held: str | None
    next_series: bool


@dataclass(frozen=True)
class Acknowledgement:
    """
    What a receiving system said, with the evidence made of it.
    """

    series: int
    result: str
    acknowledged_at: datetime
    evidence: str


@dataclass(frozen=True)
class Found:
    """
    A delivery with what its document says.
    """

    delivery: Delivery
    sender_code: str
    sender_document_id: str
    packet_sha256: str
    packet_bytes: int


_COLUMNS = [deliveries.c[name] for name in Delivery.__dataclass_fields__]
_STATE = list(Delivery.__dataclass_fields__).index("state")

_OPEN = text("""
INSERT INTO routing.deliveries
    (id, document_id, dispatch_id, addressee_key, mailbox_key, sender_key, lane, accepted_at, state, series, held,
     available_at, changed_at)
SELECT o.id, c.document_id, c.dispatch_id, o.addressee_key, o.addressee_key, c.sender_key, c.lane, c.accepted_at,
       CASE WHEN o.held IS NULL THEN 'available' ELSE 'queued' END, 1, o.held,
       CASE WHEN o.held IS NULL THEN CAST(:now AS timestamptz) END, :now
FROM unnest(CAST(:ids AS uuid[]), CAST(:chunks AS uuid[]), CAST(:keys AS uuid[]), CAST(:held AS text[]))
    AS o (id, chunk_id, addressee_key, held)
JOIN routing.dispatch_chunks c ON c.id = o.chunk_id
ON CONFLICT ON CONSTRAINT deliveries_addressee DO NOTHING
RETURNING id
""")

_MOVE = text("""
UPDATE routing.deliveries SET
    state = :state, changed_at = :at, reason_code = :reason_code, reason = :reason, held = :held,
    requeue_possible = :requeue_possible, series = series + :next_series,
    available_at = CASE WHEN :available THEN CAST(:at AS timestamptz) ELSE available_at END
WHERE id = ANY(CAST(:ids AS uuid[]))
""")
MOVE_AT_ONCE = Change(
    columns="id uuid, from_state text, from_series integer, state text, series integer, at timestamptz, "
    "reason_code text, reason text, requeue_possible boolean, held text, available boolean",
    table=deliveries.fullname,
    same="t.id = r.id AND t.state = r.from_state AND t.series = r.from_series",
    values="state = r.state, series = r.series, changed_at = r.at, reason_code = r.reason_code, reason = r.reason, "
    "requeue_possible = r.requeue_possible, held = r.held, "
    "available_at = CASE WHEN r.available THEN r.at ELSE t.available_at END",
)
"""A step of deliveries that are still as they were read."""

ADD_STEPS = inserting(
    delivery_steps,
    *("id", "delivery_id", "document_id", "from_state", "to_state", "series", "held", "reason_code", "by"),
    *("evidence_id", "at"),
)
ADD_EVIDENCE = inserting(evidence, "id", "delivery_id", "document_id", "series", "state", "statement", "made_at")
ADD_ACKNOWLEDGEMENTS = inserting(
    acknowledgements,
    *("id", "delivery_id", "document_id", "series", "result", "reason", "system_id", "credential_id"),
    *("evidence_id", "acknowledged_at"),
)
_FACTS = select(
    documents.c.id, documents.c.sender_code, documents.c.sender_document_id, documents.c.packet_sha256
).where(documents.c.id == any_(bindparam("ids", type_=ARRAY(Uuid))))
_ACKNOWLEDGEMENTS = select(
    acknowledgements.c.delivery_id,
    acknowledgements.c.series,
    acknowledgements.c.result,
    acknowledgements.c.acknowledged_at,
    evidence.c.statement,
).join(evidence, evidence.c.id == acknowledgements.c.evidence_id)
_ACKNOWLEDGED = _ACKNOWLEDGEMENTS.where(acknowledgements.c.delivery_id == any_(bindparam("ids", type_=ARRAY(Uuid))))
_READ = select(*_COLUMNS).where(deliveries.c.id == any_(bindparam("ids", type_=ARRAY(Uuid)))).order_by(deliveries.c.id)
_LOCK = _READ.with_for_update()
_FACT_COLUMNS = [documents.c[name] for name in Found.__dataclass_fields__ if name != "delivery"]
_FIND = (
    select(*_COLUMNS, *_FACT_COLUMNS)
    .join(documents, documents.c.id == deliveries.c.document_id)
    .where(deliveries.c.id == any_(bindparam("ids", type_=ARRAY(Uuid))))
)

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
    values: list[Any] = list(row[: len(_COLUMNS)])
    values[_STATE] = DeliveryState(values[_STATE])
    return Delivery(*values)


async def open_deliveries(connection: AsyncConnection, openings: Sequence[Opening], now: datetime) -> set[UUID]:
    """
    Open deliveries for addressees that have none, in one statement.

    Returns:
        Ids of those that were opened.
    """
    values = {
        "now": now,
        "ids": [opening.id for opening in openings],
        "chunks": [opening.chunk.id for opening in openings],
        "keys": [opening.addressee_key for opening in openings],
        "held": [opening.held for opening in openings],
    }
    return set((await connection.execute(_OPEN, values)).scalars())


async def read_deliveries(
    connection: AsyncConnection, ids: Collection[UUID], *, lock: bool = False
) -> dict[UUID, Delivery]:
    """
    Read deliveries by id; with `lock` nobody else steps them until the transaction ends, taken in the order of ids.
    """
    rows = await connection.execute(_LOCK if lock else _READ, {"ids": list(ids)})
    return {row.id: _delivery(row) for row in rows}


async def find_deliveries(connection: AsyncConnection, ids: Collection[UUID]) -> dict[UUID, Found]:
    """
    Read deliveries and what their documents say, by id.
    """
    rows = await connection.execute(_FIND, {"ids": list(ids)})
    return {row.id: Found(_delivery(row), *row[len(_COLUMNS) :]) for row in rows}


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


async def move(connection: AsyncConnection, ids: Collection[UUID], move: Move) -> None:
    """
    Write the new state of deliveries that the transaction has locked.
    """
    values = {
        "ids": list(ids),
        "state": move.to_state.value,
        "at": move.at,
        "reason_code": move.reason_code,
        "reason": move.reason,
        "requeue_possible": move.requeue_possible,
        "held": move.held,
        "available": move.to_state is DeliveryState.AVAILABLE,
        "next_series": int(move.next_series),
    }
    await connection.execute(_MOVE, values)


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
        await connection.execute(ADD_STEPS.alone, as_rows(rows))


async def add_evidence(connection: AsyncConnection, rows: Sequence[dict[str, Any]]) -> None:
    """
    Store the evidence of steps.
    """
    if rows:
        await connection.execute(ADD_EVIDENCE.alone, as_rows(rows))


async def facts_for_evidence(connection: AsyncConnection, document_ids: Collection[UUID]) -> dict[UUID, AnyRow]:
    """
    What evidence says about documents: `sender_code`, `sender_document_id`, `packet_sha256`.
    """
    rows = await connection.execute(_FACTS, {"ids": list(document_ids)})
    return {row.id: row for row in rows}


async def read_acknowledgements(
    connection: AsyncConnection, delivery_ids: Collection[UUID]
) -> dict[tuple[UUID, int], Acknowledgement]:
    """
    Read what was said about deliveries, by delivery and series.
    """
    rows = await connection.execute(_ACKNOWLEDGED, {"ids": list(delivery_ids)})
    return {(row[0], row[1]): Acknowledgement(*row[1:]) for row in rows}


async def read_acknowledgement_by_id(connection: AsyncConnection, acknowledgement_id: UUID) -> Acknowledgement:
    """
    Read one that is known to be there.
    """
    statement = _ACKNOWLEDGEMENTS.where(acknowledgements.c.id == acknowledgement_id)
    return Acknowledgement(*(await connection.execute(statement)).one()[1:])


async def add_acknowledgements(connection: AsyncConnection, rows: Sequence[dict[str, Any]]) -> None:
    """
    Store acknowledgements, each the one of its series.
    """
    await connection.execute(ADD_ACKNOWLEDGEMENTS.alone, as_rows(rows))


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
