"""Mailboxes: what addressees see."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, TextClause, Uuid, bindparam, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.routing.repository import AnyRow
from services.routing.repository.documents import BUSINESS_TYPE
from services.routing.tables import deliveries, dispatches, documents

_LIST = """
SELECT d.id AS delivery_id, d.document_id, d.mailbox_key, d.lane, d.state, d.series, d.accepted_at, d.available_at,
       doc.sender_code, doc.sender_document_id, doc.subject, doc.code, doc.packet_sha256, doc.packet_bytes,
       doc.attachment_count, CAST(doc.header #>> '{{trace,business,type}}' AS integer) AS business_type
FROM (
    SELECT page.*
    FROM unnest(CAST(:keys AS uuid[])) AS mailbox (key)
    CROSS JOIN LATERAL (
        SELECT * FROM routing.deliveries
        WHERE mailbox_key = mailbox.key AND state IN ('available', 'fetched') {filters}
        ORDER BY (- lane), accepted_at, id
        LIMIT :limit
    ) page
    ORDER BY (- page.lane), page.accepted_at, page.id
    LIMIT :limit
) d
JOIN routing.documents doc ON doc.id = d.document_id
ORDER BY (- d.lane), d.accepted_at, d.id
"""

_FOR_ADDRESSEE = (
    select(
        deliveries.c.id.label("delivery_id"),
        deliveries.c.document_id,
        deliveries.c.mailbox_key,
        deliveries.c.sender_key,
        deliveries.c.lane,
        deliveries.c.state,
        deliveries.c.series,
        deliveries.c.accepted_at,
        deliveries.c.available_at,
        documents.c.sender_code,
        documents.c.sender_document_id,
        documents.c.subject,
        documents.c.code,
        documents.c.packet_sha256,
        documents.c.packet_bytes,
        documents.c.attachment_count,
        BUSINESS_TYPE,
        documents.c.header,
        documents.c.attachments,
        documents.c.report,
        dispatches.c.warnings,
    )
    .join(documents, documents.c.id == deliveries.c.document_id)
    .join(dispatches, dispatches.c.id == deliveries.c.dispatch_id)
    .where(deliveries.c.id == bindparam("its_id"))
)


@cache
def _list_statement(filters: str) -> TextClause:
    """One for each combination of filters: SQLAlchemy reads the text of a statement once."""
    return text(_LIST.format(filters=filters)).bindparams(bindparam("keys", type_=ARRAY(Uuid)))


async def list_inbox(
    connection: AsyncConnection,
    mailbox_keys: Sequence[UUID],
    *,
    state: str | None,
    shard: tuple[int, int] | None,
    after: tuple[int, datetime, UUID] | None,
    limit: int,
) -> Sequence[AnyRow]:
    """
    What mailboxes hold unacknowledged, most urgent first, then oldest.

    Each mailbox is read by its index up to the limit and the heads are merged: a full mailbox costs what a page costs.

    With `shard` (worker i of n) a delivery always falls to the same worker. `after` is lane, moment of acceptance and
    id of the last row of the page before.
    """
    filters, values = "", dict[str, Any]()
    if state is not None:
        filters += " AND state = :state"
        values["state"] = state
    if shard is not None:
        filters += " AND mod(abs(CAST(uuid_hash(id) AS bigint)), :shards) = :shard"
        values["shard"], values["shards"] = shard
    if after is not None:
        filters += " AND ((- lane), accepted_at, id) > (CAST(:rank AS smallint), :accepted_at, :id)"
        values["rank"], values["accepted_at"], values["id"] = -after[0], after[1], after[2]
    values |= {"keys": list(mailbox_keys), "limit": limit}
    return (await connection.execute(_list_statement(filters), values)).all()


async def read_for_addressee(connection: AsyncConnection, delivery_id: UUID) -> AnyRow | None:
    """
    A delivery with its document's header, attachments, report and warnings.
    """
    return (await connection.execute(_FOR_ADDRESSEE, {"its_id": delivery_id})).one_or_none()
