"""Statuses on their way: what waits for agencies, and what became of it."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.routing.repository import AnyRow

# Each agency's items are read by their index up to the limit and the heads are merged; ids are in the order of time.
# The inner limit is hidden from the planner for the reason given in `sent`.
_LIST = text("""
SELECT i.status_id, i.addressee_key, i.state, i.changed_at, r.delivery_id, r.document_id, r.reporter_key, r.code,
       r.reported_at, d.sender_document_id
FROM (
    SELECT page.*
    FROM unnest(CAST(:keys AS uuid[])) AS agency (key)
    CROSS JOIN LATERAL (
        SELECT * FROM routing.status_items
        WHERE addressee_key = agency.key AND state IN ('available', 'fetched')
          AND status_id > CAST(:after AS uuid)
        ORDER BY status_id
        LIMIT (SELECT CAST(:limit AS bigint))
    ) page
    ORDER BY page.status_id
    LIMIT :limit
) i
JOIN routing.status_reports r ON r.id = i.status_id
JOIN routing.documents d ON d.id = r.document_id
ORDER BY i.status_id
""").bindparams(bindparam("keys", type_=ARRAY(Uuid)))

_COUNT = text("""
SELECT (SELECT count(*) FROM routing.deliveries
        WHERE mailbox_key = ANY(:mailboxes) AND state IN ('available', 'fetched')) AS documents,
       (SELECT count(*) FROM routing.status_items
        WHERE addressee_key = ANY(:agencies) AND state IN ('available', 'fetched')) AS statuses
""").bindparams(bindparam("mailboxes", type_=ARRAY(Uuid)), bindparam("agencies", type_=ARRAY(Uuid)))

_READ = """
SELECT i.addressee_key, i.state, i.changed_at, i.bytes_sha256, i.bytes_size, r.reporter_key, r.code, r.description,
       r.staff, r.happened_at, d.header, d.code AS document_code
FROM routing.status_items i
JOIN routing.status_reports r ON r.id = i.status_id
JOIN routing.documents d ON d.id = r.document_id
WHERE i.status_id = :status_id AND i.addressee_key = ANY(:keys)
"""
_READ_ONE = text(_READ).bindparams(bindparam("keys", type_=ARRAY(Uuid)))
_LOCK_ONE = text(_READ + " FOR UPDATE OF i").bindparams(bindparam("keys", type_=ARRAY(Uuid)))

_FETCHED = text("""
UPDATE routing.status_items SET
    bytes_size = CASE WHEN bytes_sha256 IS NULL THEN :bytes_size ELSE bytes_size END,
    bytes_sha256 = coalesce(bytes_sha256, :bytes_sha256),
    changed_at = CASE state WHEN 'available' THEN CAST(:at AS timestamptz) ELSE changed_at END,
    state = CASE state WHEN 'available' THEN 'fetched' ELSE state END
WHERE status_id = :status_id AND addressee_key = :addressee_key
RETURNING bytes_sha256, bytes_size
""")
_MOVE = text("""
UPDATE routing.status_items SET state = :state, changed_at = :at
WHERE status_id = :status_id AND addressee_key = :addressee_key
""")
_REFERENCED = text("""
SELECT bytes_sha256 FROM routing.status_items WHERE bytes_sha256 = ANY(CAST(:digests AS text[]))
""")

_FIRST = UUID(int=0)


async def list_items(
    connection: AsyncConnection, agency_keys: Sequence[UUID], after: UUID | None, limit: int
) -> Sequence[AnyRow]:
    """
    A page of what waits for agencies, oldest first.
    """
    values = {"keys": list(agency_keys), "after": after or _FIRST, "limit": limit}
    return (await connection.execute(_LIST, values)).all()


async def count_waiting(
    connection: AsyncConnection, mailbox_keys: Sequence[UUID], agency_keys: Sequence[UUID]
) -> tuple[int, int]:
    """
    How many documents lie unacknowledged in mailboxes, and how many statuses wait for agencies.
    """
    values = {"mailboxes": list(mailbox_keys), "agencies": list(agency_keys)}
    row = (await connection.execute(_COUNT, values)).one()
    return row.documents, row.statuses


async def read_item(
    connection: AsyncConnection, status_id: UUID, agency_keys: Sequence[UUID], *, lock: bool = False
) -> AnyRow | None:
    """
    The item of a status that is addressed to one of some agencies, with all that a package of it says.
    """
    values = {"status_id": status_id, "keys": list(agency_keys)}
    return (await connection.execute(_LOCK_ONE if lock else _READ_ONE, values)).first()


async def note_fetched(
    connection: AsyncConnection,
    status_id: UUID,
    addressee_key: UUID,
    *,
    bytes_sha256: str,
    bytes_size: int,
    at: datetime,
) -> AnyRow:
    """
    Note that an item was fetched, and its bytes where it had none.

    Returns:
        `bytes_sha256` and `bytes_size` as they stand: those noted first.
    """
    values = {
        "status_id": status_id,
        "addressee_key": addressee_key,
        "bytes_sha256": bytes_sha256,
        "bytes_size": bytes_size,
        "at": at,
    }
    return (await connection.execute(_FETCHED, values)).one()


async def move_item(
    connection: AsyncConnection, status_id: UUID, addressee_key: UUID, *, state: str, at: datetime
) -> None:
    """
    Bring an item into another state.
    """
    values = {"status_id": status_id, "addressee_key": addressee_key, "state": state, "at": at}
    await connection.execute(_MOVE, values)


async def referenced_bytes(connection: AsyncConnection, digests: Sequence[str]) -> set[str]:
    """
    Which of some blobs are the bytes of items.
    """
    return set((await connection.execute(_REFERENCED, {"digests": list(digests)})).scalars())
