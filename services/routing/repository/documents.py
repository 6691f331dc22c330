"""Documents, dispatches and receipts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Integer, Uuid, any_, bindparam, cast, func, literal, select, text, true, tuple_
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from services.routing.repository import AnyRow
from services.routing.tables import deliveries, dispatch_chunks, dispatches, documents
from shared.database import as_rows, inserting

_FIND = text("""
SELECT d.id, d.packet_sha256, d.sender_key, d.sender_document_id FROM routing.documents d
JOIN unnest(CAST(:senders AS uuid[]), CAST(:document_ids AS text[])) AS asked (sender_key, sender_document_id)
  USING (sender_key, sender_document_id)
""")
_LOCK = (
    select(documents.c.id)
    .where(
        documents.c.sender_key == bindparam("its_sender"),
        documents.c.sender_document_id == bindparam("its_document_id"),
    )
    .with_for_update()
)
_DISPATCHES = select(
    dispatches.c.id,
    dispatches.c.document_id,
    dispatches.c.asked_sha256,
    dispatches.c.addressees_sha256,
    dispatches.c.body,
)
_DISPATCHES_OF = _DISPATCHES.where(dispatches.c.document_id == any_(bindparam("ids", type_=ARRAY(Uuid)))).order_by(
    dispatches.c.accepted_at, dispatches.c.id
)
ADD_DOCUMENTS = inserting(documents, *documents.columns.keys(), more="ON CONFLICT DO NOTHING RETURNING id")
ADD_DISPATCHES = inserting(
    dispatches,
    *dispatches.columns.keys(),
    more="ON CONFLICT ON CONSTRAINT dispatches_addressees DO NOTHING RETURNING id",
)
ADD_CHUNKS = inserting(
    dispatch_chunks,
    *("id", "dispatch_id", "document_id", "number", "lane", "sender_key", "accepted_at"),
    *("addressee_keys", "addressee_count", "requeued_delivery_id", "state"),
)


@dataclass(frozen=True)
class StoredDispatch:
    """
    A dispatch with the answer its sender got.

    Attributes:
        body: JSON text, byte for byte.
    """

    id: UUID
    document_id: UUID
    asked_sha256: str
    addressees_sha256: str
    body: str


@dataclass(frozen=True)
class EarlierDocument:
    """
    A document the sender has sent under a DocumentId before.
    """

    id: UUID
    packet_sha256: str
    dispatches: tuple[StoredDispatch, ...]

    def dispatch(
        self, *, asked_sha256: str | None = None, addressees_sha256: str | None = None
    ) -> StoredDispatch | None:
        """
        Find a dispatch by what was asked for, or by whom it went to.
        """
        for one in self.dispatches:
            if asked_sha256 == one.asked_sha256 or addressees_sha256 == one.addressees_sha256:
                return one
        return None


async def find_documents(
    connection: AsyncConnection, asked: Sequence[tuple[UUID, str]]
) -> list[EarlierDocument | None]:
    """
    Find documents by sender and DocumentId, each with all its dispatches, oldest first; in the order asked.
    """
    values = {"senders": [sender for sender, _ in asked], "document_ids": [document_id for _, document_id in asked]}
    found = {(row.sender_key, row.sender_document_id): row for row in await connection.execute(_FIND, values)}
    of_document: dict[UUID, list[StoredDispatch]] = {row.id: [] for row in found.values()}
    if of_document:
        for one in await connection.execute(_DISPATCHES_OF, {"ids": list(of_document)}):
            of_document[one.document_id].append(StoredDispatch(*one))
    return [
        None
        if (row := found.get(one)) is None
        else EarlierDocument(row.id, row.packet_sha256, tuple(of_document[row.id]))
        for one in asked
    ]


async def find_document(
    connection: AsyncConnection, sender_key: UUID, sender_document_id: str
) -> EarlierDocument | None:
    """
    Find one document; see `find_documents`.
    """
    return (await find_documents(connection, [(sender_key, sender_document_id)]))[0]


async def lock_document(connection: AsyncConnection, sender_key: UUID, sender_document_id: str) -> UUID | None:
    """
    Find a document's id and keep others from adding a dispatch to it until the transaction ends.
    """
    values = {"its_sender": sender_key, "its_document_id": sender_document_id}
    row = (await connection.execute(_LOCK, values)).one_or_none()
    return None if row is None else row.id


async def read_dispatch(connection: AsyncConnection, dispatch_id: UUID) -> StoredDispatch | None:
    """
    Read one dispatch with the answer its sender got.
    """
    row = (await connection.execute(_DISPATCHES.where(dispatches.c.id == dispatch_id))).one_or_none()
    return None if row is None else StoredDispatch(*row)


async def add_documents(connection: AsyncConnection, rows: Sequence[dict[str, Any]]) -> set[UUID]:
    """
    Write documents; the ids of those whose DocumentId the sender had not used before.
    """
    return set((await connection.execute(ADD_DOCUMENTS.alone, as_rows(in_order(rows)))).scalars())


def in_order(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """
    Documents in one order everywhere, so that two transactions with the same ones wait and do not lock each other out.
    """
    return sorted(rows, key=lambda row: (row["sender_key"], row["sender_document_id"]))


async def add_dispatches(connection: AsyncConnection, rows: Sequence[dict[str, Any]]) -> set[UUID]:
    """
    Write dispatches; the ids of those whose set of addressees was not dispatched before.
    """
    return set((await connection.execute(ADD_DISPATCHES.alone, as_rows(rows))).scalars())


async def add_chunks(connection: AsyncConnection, rows: Sequence[dict[str, Any]]) -> None:
    """
    Put chunks into the backlog.
    """
    if rows:
        await connection.execute(ADD_CHUNKS.alone, as_rows(rows))


async def addressees_so_far(connection: AsyncConnection, document_id: UUID) -> set[UUID]:
    """
    Keys of everybody a document was accepted for, opened or not.
    """
    statement = select(func.unnest(dispatch_chunks.c.addressee_keys)).where(
        dispatch_chunks.c.document_id == document_id, dispatch_chunks.c.requeued_delivery_id.is_(None)
    )
    return set((await connection.execute(statement)).scalars())


async def read_document(connection: AsyncConnection, document_id: UUID) -> AnyRow | None:
    """
    Read a document as its sender sees it.
    """
    return (await connection.execute(select(*_VIEW).where(documents.c.id == document_id))).one_or_none()


BUSINESS_TYPE: Final = cast(documents.c.header["trace", "business", "type"].astext, Integer).label("business_type")
"""What the packet is for; null where it does not say."""

_VIEW = (
    documents.c.id,
    documents.c.sender_key,
    documents.c.sender_code,
    documents.c.sender_document_id,
    documents.c.subject,
    documents.c.lane,
    documents.c.packet_sha256,
    documents.c.packet_bytes,
    BUSINESS_TYPE,
    documents.c.accepted_at,
)


async def list_documents(
    connection: AsyncConnection, sender_keys: Sequence[UUID], after: tuple[datetime, UUID] | None, limit: int
) -> Sequence[AnyRow]:
    """
    A page of what agencies sent, newest first. Each sender's newest are read by the index and merged.
    """
    keys = func.unnest(literal(list(sender_keys), ARRAY(Uuid))).table_valued("key").render_derived()
    page = select(*_VIEW).where(documents.c.sender_key == keys.c.key)
    if after is not None:
        page = page.where(tuple_(documents.c.accepted_at, documents.c.id) < tuple_(*after))
    newest = page.order_by(documents.c.accepted_at.desc(), documents.c.id.desc()).limit(limit).lateral("page")
    statement = (
        select(newest)
        .select_from(keys)
        .join(newest, onclause=true())
        .order_by(newest.c.accepted_at.desc(), newest.c.id.desc())
        .limit(limit)
    )
    return (await connection.execute(statement)).all()


async def count_states(connection: AsyncConnection, document_ids: Sequence[UUID]) -> dict[UUID, dict[str, int]]:
    """
    Deliveries of documents by state, and under `unopened` the addressees whose delivery is not opened yet.
    """
    counts: dict[UUID, dict[str, int]] = {document_id: {} for document_id in document_ids}
    by_state = (
        select(deliveries.c.document_id, deliveries.c.state, func.count())
        .where(deliveries.c.document_id.in_(document_ids))
        .group_by(deliveries.c.document_id, deliveries.c.state)
    )
    for document_id, state, count in await connection.execute(by_state):
        counts[document_id][state] = count
    unopened = (
        select(dispatches.c.document_id, func.sum(dispatches.c.unopened_count))
        .where(dispatches.c.document_id.in_(document_ids))
        .group_by(dispatches.c.document_id)
    )
    for document_id, count in await connection.execute(unopened):
        if count:
            counts[document_id]["unopened"] = count
    return counts


async def list_addressees(
    connection: AsyncConnection, document_id: UUID, after: UUID | None, limit: int
) -> Sequence[AnyRow]:
    """
    A page of a document's addressees by key, each with its delivery where it is opened.
    """
    asked = (
        select(func.unnest(dispatch_chunks.c.addressee_keys).label("key"))
        .where(dispatch_chunks.c.document_id == document_id, dispatch_chunks.c.requeued_delivery_id.is_(None))
        .subquery("asked")
    )
    statement = (
        select(
            asked.c.key,
            deliveries.c.id,
            deliveries.c.state,
            deliveries.c.series,
            deliveries.c.held,
            deliveries.c.reason,
            deliveries.c.reason_code,
            deliveries.c.requeue_possible,
            deliveries.c.changed_at,
        )
        .select_from(
            asked.outerjoin(
                deliveries, (deliveries.c.document_id == document_id) & (deliveries.c.addressee_key == asked.c.key)
            )
        )
        .order_by(asked.c.key)
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(asked.c.key > after)
    return (await connection.execute(statement)).all()


async def referenced_packets(connection: AsyncConnection, digests: Sequence[str]) -> set[str]:
    """
    Which of some blobs are packets of documents.
    """
    statement = select(documents.c.packet_sha256).where(documents.c.packet_sha256.in_(digests))
    return set((await connection.execute(statement)).scalars())
