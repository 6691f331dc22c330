"""What senders see of what they sent: lists, states of every addressee, receipts, journeys."""

import json
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.routing.domain.register import Mandate, Register
from services.routing.repository import AnyRow
from services.routing.repository import documents as repository
from services.routing.repository import journey as journey_repository
from services.routing.repository import statuses as statuses_repository
from services.routing.repository.cursors import read_cursor, write_cursor
from services.routing.usecases.access import authorize, choose_agency, not_found
from services.routing.usecases.context import Context
from shared.contracts.base import Lane
from shared.contracts.registry import Role
from shared.contracts.routing import (
    AddresseeView,
    DeliveryState,
    DocumentPage,
    DocumentView,
    Journey,
    JourneyEntry,
    ListDocuments,
    ReadDocument,
    ReadReceipt,
    Receipt,
)


async def list_documents(context: Context, request: ListDocuments) -> DocumentPage:
    """
    List what the caller's agencies sent, newest first, with counts and without addressees.

    Raises:
        AgencyNotYours: The agency named is not one the caller sends for.
        RequestInvalid: The cursor is not one of ours.
    """
    mandate = await authorize(context, request.token, "send")
    if request.agency is None:
        keys = mandate.agencies(Role.SENDER)
    else:
        keys = (choose_agency(mandate, request.agency, Role.SENDER).key,)
    if not keys:
        return DocumentPage(items=())
    after = read_cursor(request.cursor, datetime, UUID)
    async with context.store.read() as connection:
        rows = await repository.list_documents(connection, keys, after, request.limit + 1)
        page = rows[: request.limit]
        counts = await repository.count_states(connection, [row.id for row in page])
    cursor = write_cursor(page[-1].accepted_at, page[-1].id) if len(rows) > request.limit else None
    return DocumentPage(items=tuple(_view(row, counts[row.id]) for row in page), next_cursor=cursor)


async def read_document(context: Context, request: ReadDocument) -> DocumentView:
    """
    Read one document with a page of its addressees.

    Raises:
        NotFound: The caller does not send for its sender.
    """
    mandate = await authorize(context, request.token, "send")
    after = read_cursor(request.cursor, UUID)
    async with context.store.read() as connection:
        document = await _find(connection, mandate, request.document_id)
        counts = await repository.count_states(connection, [document.id])
        rows = await repository.list_addressees(
            connection, document.id, None if after is None else after[0], request.limit + 1
        )
        page = rows[: request.limit]
        opened = [row.id for row in page if row.id is not None]
        statuses = await statuses_repository.codes_by_delivery(connection, opened)
    cursor = write_cursor(page[-1].key) if len(rows) > request.limit else None
    addressees = tuple(_addressee(mandate.register, row, statuses) for row in page)
    return _view(document, counts[document.id]).model_copy(update={"addressees": addressees, "next_cursor": cursor})


async def read_receipt(context: Context, request: ReadReceipt) -> Receipt:
    """
    Read the receipt of one dispatch, the first where none is named.

    Raises:
        NotFound: The caller does not send for its sender, or there is no such dispatch.
    """
    mandate = await authorize(context, request.token, "send")
    async with context.store.read() as connection:
        document = await _find(connection, mandate, request.document_id)
        found = await repository.find_document(connection, document.sender_key, document.sender_document_id)
    for dispatch in () if found is None else found.dispatches:
        if request.dispatch_id in {None, dispatch.id}:
            return Receipt(dispatch_id=dispatch.id, receipt=json.loads(dispatch.body)["receipt"])
    raise not_found("lần gửi")


async def read_journey(context: Context, request: ReadDocument) -> Journey:
    """
    Read everything that happened to a document, in order; each entry names its evidence where there is one.

    Raises:
        NotFound: The caller does not send for its sender.
    """
    mandate = await authorize(context, request.token, "send")
    after = read_cursor(request.cursor, datetime, UUID)
    async with context.store.read() as connection:
        document = await _find(connection, mandate, request.document_id)
        rows = await journey_repository.read_journey(connection, document.id, after, request.limit + 1)
    page = rows[: request.limit]
    entries = [entry for row in page for entry in _entries(mandate.register, row)]
    if after is None:
        entries.insert(0, _accepted(document, page))
    cursor = write_cursor(page[-1].at, page[-1].id) if len(rows) > request.limit else None
    return Journey(
        document_id=document.id,
        sender_document_id=document.sender_document_id,
        items=tuple(entries),
        next_cursor=cursor,
    )


async def _find(connection: AsyncConnection, mandate: Mandate, document_id: UUID) -> AnyRow:
    document = await repository.read_document(connection, document_id)
    if document is None or not mandate.may(document.sender_key, Role.SENDER):
        raise not_found("văn bản")
    return document


def _view(row: AnyRow, counts: dict[str, int]) -> DocumentView:
    return DocumentView(
        document_id=row.id,
        sender=row.sender_code,
        sender_document_id=row.sender_document_id,
        subject=row.subject,
        lane=Lane(row.lane),
        packet_sha256=row.packet_sha256,
        packet_bytes=row.packet_bytes,
        business_type=row.business_type or 0,
        accepted_at=row.accepted_at,
        counts=counts,
    )


def _addressee(register: Register, row: AnyRow, statuses: dict[UUID, tuple[str, ...]]) -> AddresseeView:
    if row.id is None:
        return AddresseeView(agency=register.code_of(row.key))
    return AddresseeView(
        agency=register.code_of(row.key),
        delivery_id=row.id,
        state=DeliveryState(row.state),
        series=row.series,
        held=row.held,
        reason=row.reason,
        reason_code=row.reason_code,
        requeue_possible=row.requeue_possible,
        changed_at=row.changed_at,
        statuses=statuses.get(row.id, ()),
    )


def _accepted(document: AnyRow, page: Sequence[AnyRow]) -> JourneyEntry:
    first = next((row for row in page if row.kind == "dispatched"), None)
    return JourneyEntry(
        at=document.accepted_at,
        kind="accepted",
        agency=document.sender_code,
        detail=document.sender_document_id,
        by=None if first is None else first.by,
    )


def _entries(register: Register, row: AnyRow) -> list[JourneyEntry]:
    """A row as entries: a dispatch brings its warnings along, a step that was held is called so."""
    if row.kind == "dispatched":
        warnings = [
            JourneyEntry(at=row.at, kind="warning", code=warning["code"], detail=warning["detail"])
            for warning in row.warnings
        ]
        dispatched = JourneyEntry(
            at=row.at,
            kind="dispatched",
            detail=row.detail,
            by=row.by,
            evidence_id=row.id,
            evidence=json.loads(row.evidence)["receipt"],
        )
        return [dispatched, *warnings]
    return [
        JourneyEntry(
            at=row.at,
            kind="held" if row.held else row.kind,
            agency=register.code_of(row.agency_key),
            delivery_id=row.delivery_id,
            from_state=row.from_state,
            to_state=row.to_state,
            series=row.series,
            code=row.code,
            detail=row.held or row.detail,
            by=row.by,
            evidence_id=row.evidence_id,
            evidence=row.evidence,
        )
    ]
