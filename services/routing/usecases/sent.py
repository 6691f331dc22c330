"""What was sent, one row for each document and addressee."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from services.routing.domain.register import Register
from services.routing.repository import AnyRow
from services.routing.repository import sent as repository
from services.routing.repository.cursors import read_cursor, write_cursor
from services.routing.repository.sent import Place, Span
from services.routing.usecases.access import authorize
from services.routing.usecases.context import Context
from shared.contracts.registry import Role
from shared.contracts.routing import DeliveryState, ListSent, SentItem, SentPage


async def list_sent(context: Context, request: ListSent) -> SentPage:
    """
    List what the caller's agencies sent, newest first, by addressee: in two statements, however many there are.

    Raises:
        RequestInvalid: The cursor is not one of ours.
    """
    mandate = await authorize(context, request.token, "send")
    keys = mandate.agencies(Role.SENDER)
    cursor = read_cursor(request.cursor, datetime, UUID, UUID)
    after = None if cursor is None else Place(*cursor)
    span = Span(request.document_id, request.since, request.until)
    wanted = request.limit + 1
    async with context.store.read() as connection:
        # One more than wanted: the first may be the one in which the page before ended, with nothing left of it.
        found = await repository.list_sent_documents(connection, keys, span, after, wanted + 1)
        documents = {row.id: row for row in _enough(found, after, wanted)}
        rows = await repository.list_shares(connection, list(documents), after, wanted)
    page = rows[: request.limit]
    next_cursor = None
    if len(rows) > request.limit:
        last = page[-1]
        next_cursor = write_cursor(documents[last.document_id].accepted_at, last.document_id, last.key)
    items = tuple(_item(mandate.register, documents[row.document_id], row) for row in page)
    return SentPage(items=items, next_cursor=next_cursor)


def _enough(found: Sequence[AnyRow], after: Place | None, wanted: int) -> list[AnyRow]:
    """The first documents that have together as many addressees as are wanted."""
    taken, addressees = [], 0
    for row in found:
        if addressees >= wanted:
            break
        taken.append(row)
        # How many are left of the one the page before ended in is not known; counting none never takes too few.
        if after is None or row.id != after.document_id:
            addressees += row.addressees
    return taken


def _item(register: Register, document: AnyRow, row: AnyRow) -> SentItem:
    return SentItem(
        document_id=document.id,
        delivery_id=row.delivery_id,
        sender=document.sender_code,
        sender_document_id=document.sender_document_id,
        addressee=register.code_of(row.key),
        subject=document.subject,
        notation=document.code,
        business_type=document.business_type or 0,
        accepted_at=document.accepted_at,
        available_at=row.available_at,
        changed_at=row.changed_at,
        acknowledged_at=row.acknowledged_at,
        state=None if row.state is None else DeliveryState(row.state),
        reason_code=row.reason_code,
        status=row.status,
        status_at=row.status_at,
    )
