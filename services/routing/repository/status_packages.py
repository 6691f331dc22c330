"""Status packages: the deliveries they are about, and what they write."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Text, Uuid, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.routing.domain.status_packages import Clue
from services.routing.repository import AnyRow
from services.routing.repository.deliveries import Delivery, read_deliveries
from services.routing.tables import status_items, status_reports
from shared.database import as_rows, inserting

CANDIDATES = 20
"""Documents of one sender with the same number and notation that are looked at: numbering begins anew each year."""

_DOCUMENTS = """
SELECT id, sender_key, sender_document_id FROM routing.documents
WHERE sender_key = ANY(:senders) AND {condition}
ORDER BY accepted_at DESC, id DESC
LIMIT :limit
"""
_BY_DOCUMENT_ID = text(_DOCUMENTS.format(condition="sender_document_id = :document_id")).bindparams(
    bindparam("senders", type_=ARRAY(Uuid)), bindparam("document_id", type_=Text)
)
_BY_CODE = text(
    _DOCUMENTS.format(
        condition="code = :code AND (CAST(:day AS text) IS NULL OR header #>> '{promulgation,on}' = :day)"
    )
).bindparams(bindparam("senders", type_=ARRAY(Uuid)), bindparam("code", type_=Text), bindparam("day", type_=Text))
_DELIVERIES = text("""
SELECT id, document_id FROM routing.deliveries
WHERE document_id = ANY(:documents) AND (CAST(:mailboxes AS uuid[]) IS NULL OR mailbox_key = ANY(:mailboxes))
""").bindparams(bindparam("documents", type_=ARRAY(Uuid)), bindparam("mailboxes", type_=ARRAY(Uuid)))
_ADD_REPORTS = inserting(
    status_reports,
    *status_reports.columns.keys(),
    more="ON CONFLICT ON CONSTRAINT status_reports_content DO NOTHING RETURNING id",
)
_ADD_ITEMS = inserting(status_items, *status_items.columns.keys())
_SAME = text("""
SELECT id FROM routing.status_reports
WHERE delivery_id = ANY(:deliveries) AND code = :code AND content_sha256 = :content_sha256
ORDER BY id LIMIT 1
""").bindparams(bindparam("deliveries", type_=ARRAY(Uuid)))


async def find_documents(connection: AsyncConnection, sender_keys: Sequence[UUID], clue: Clue) -> Sequence[AnyRow]:
    """
    Documents a clue leads to, the newest first.
    """
    values: dict[str, Any] = {"senders": list(sender_keys), "limit": CANDIDATES}
    if clue.document_id:
        return (await connection.execute(_BY_DOCUMENT_ID, values | {"document_id": clue.document_id})).all()
    day = None if clue.on is None else clue.on.isoformat()
    return (await connection.execute(_BY_CODE, values | {"code": clue.code, "day": day})).all()


async def deliveries_of(
    connection: AsyncConnection, document_ids: Sequence[UUID], mailbox_keys: Sequence[UUID] | None
) -> list[Delivery]:
    """
    Deliveries of documents, those in some mailboxes or all, in the order of their documents.
    """
    values = {
        "documents": list(document_ids),
        "mailboxes": None if mailbox_keys is None else list(mailbox_keys),
    }
    ids = [row.id for row in await connection.execute(_DELIVERIES, values)]
    found = await read_deliveries(connection, ids)
    order = {document_id: number for number, document_id in enumerate(document_ids)}
    return sorted(found.values(), key=lambda one: (order[one.document_id], one.id))


async def add_reports(connection: AsyncConnection, rows: Sequence[dict[str, Any]]) -> set[UUID]:
    """
    Write statuses; the ids of those whose content was not reported before.
    """
    return set((await connection.execute(_ADD_REPORTS.alone, as_rows(rows))).scalars())


async def add_items(connection: AsyncConnection, rows: Sequence[dict[str, Any]]) -> None:
    """
    Make statuses wait for those they are meant for.
    """
    if rows:
        await connection.execute(_ADD_ITEMS.alone, as_rows(rows))


async def first_report(
    connection: AsyncConnection, delivery_ids: Sequence[UUID], code: str, content_sha256: str
) -> UUID:
    """
    The first of the statuses that say the same about deliveries; one is known to be there.
    """
    values = {"deliveries": list(delivery_ids), "code": code, "content_sha256": content_sha256}
    return UUID(str((await connection.execute(_SAME, values)).scalar_one()))
