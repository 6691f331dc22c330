"""What was sent, by addressee."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, TextClause, Uuid, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.routing.domain.status_packages import TAKE_BACK
from services.routing.repository import AnyRow


@dataclass(frozen=True)
class Place:
    """
    Where a page ended: the sort key of its last row.
    """

    accepted_at: datetime
    document_id: UUID
    addressee_key: UUID


@dataclass(frozen=True)
class Span:
    """
    Which documents are asked for.

    Attributes:
        document_id: One only.
        since, until: Accepted from the one moment on, before the other.
    """

    document_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None


# Each sender's newest are read by the index and merged. The planner takes every sender for one of the average and would
# rather sort what it has sent; of a limit it cannot see it expects a tenth of the rows, and keeps to the index's order.
# How many addressees each document has is known without looking at them, so that of one sent to thousands no more is
# read than the page needs.
_DOCUMENTS = """
SELECT page.*, (SELECT sum(opening_count) FROM routing.dispatches x WHERE x.document_id = page.id) AS addressees
FROM (
    SELECT newest.*
    FROM unnest(CAST(:keys AS uuid[])) AS sender (key)
    CROSS JOIN LATERAL (
        SELECT id, sender_code, sender_document_id, subject, code, accepted_at,
               CAST(header #>> '{{trace,business,type}}' AS integer) AS business_type
        FROM routing.documents
        WHERE sender_key = sender.key {filters}
        ORDER BY accepted_at DESC, id DESC
        LIMIT (SELECT CAST(:limit AS bigint))
    ) newest
    ORDER BY newest.accepted_at DESC, newest.id DESC
    LIMIT :limit
) page
ORDER BY page.accepted_at DESC, page.id DESC
"""

_ADDRESSEES = text("""
SELECT page.document_id, page.key, d.id AS delivery_id, d.state, d.reason_code, d.available_at, d.changed_at,
       a.acknowledged_at, s.code AS status, s.reported_at AS status_at
FROM (
    SELECT asked.document_id, asked.number, addressee.key
    FROM unnest(CAST(:ids AS uuid[])) WITH ORDINALITY AS asked (document_id, number)
    JOIN routing.dispatch_chunks c ON c.document_id = asked.document_id AND c.requeued_delivery_id IS NULL
    CROSS JOIN LATERAL unnest(c.addressee_keys) AS addressee (key)
    WHERE asked.document_id <> CAST(:after_id AS uuid) OR addressee.key > CAST(:after_key AS uuid)
    ORDER BY asked.number, addressee.key
    LIMIT :limit
) page
LEFT JOIN routing.deliveries d ON d.document_id = page.document_id AND d.addressee_key = page.key
LEFT JOIN routing.acknowledgements a ON a.delivery_id = d.id AND a.series = d.series
LEFT JOIN LATERAL (
    SELECT r.code, r.reported_at FROM routing.status_reports r
    WHERE r.delivery_id = d.id AND r.code <> :take_back
    ORDER BY r.reported_at DESC, r.id DESC
    LIMIT 1
) s ON true
ORDER BY page.number, page.key
""").bindparams(bindparam("ids", type_=ARRAY(Uuid)))

_NOWHERE = UUID(int=0)


@cache
def _documents_statement(filters: str) -> TextClause:
    """One for each combination of filters: SQLAlchemy reads the text of a statement once."""
    return text(_DOCUMENTS.format(filters=filters)).bindparams(bindparam("keys", type_=ARRAY(Uuid)))


async def list_sent_documents(
    connection: AsyncConnection, sender_keys: Sequence[UUID], span: Span, after: Place | None, limit: int
) -> Sequence[AnyRow]:
    """
    Documents of a page, newest first, each with the number of its addressees; the one the page before ended in too.
    """
    filters, values = "", dict[str, Any](keys=list(sender_keys), limit=limit)
    if span.document_id is not None:
        filters += " AND id = CAST(:document_id AS uuid)"
        values["document_id"] = span.document_id
    if span.since is not None:
        filters += " AND accepted_at >= :since"
        values["since"] = span.since
    if span.until is not None:
        filters += " AND accepted_at < :until"
        values["until"] = span.until
    if after is not None:
        filters += " AND (accepted_at, id) <= (CAST(:after_at AS timestamptz), CAST(:after_id AS uuid))"
        values["after_at"], values["after_id"] = after.accepted_at, after.document_id
    return (await connection.execute(_documents_statement(filters), values)).all()


async def list_shares(
    connection: AsyncConnection, document_ids: Sequence[UUID], after: Place | None, limit: int
) -> Sequence[AnyRow]:
    """
    Addressees of documents in the order given, each with its delivery, its acknowledgement and its last status.
    """
    values: dict[str, Any] = {
        "ids": list(document_ids),
        "after_id": _NOWHERE if after is None else after.document_id,
        "after_key": _NOWHERE if after is None else after.addressee_key,
        "limit": limit,
        "take_back": TAKE_BACK,
    }
    return (await connection.execute(_ADDRESSEES, values)).all()
