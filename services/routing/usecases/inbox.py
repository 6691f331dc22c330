"""The mailbox: listing, reading, fetching. Only fetching bytes changes anything, and nothing is hidden by it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from services.routing.domain.deliveries import OPENABLE, illegal_step
from services.routing.domain.register import READING_ROLES, Mandate
from services.routing.domain.states import Cause
from services.routing.repository import AnyRow
from services.routing.repository import deliveries as deliveries_repository
from services.routing.repository import inbox as repository
from services.routing.repository.cursors import read_cursor, write_cursor
from services.routing.repository.deliveries import Delivery, Found
from services.routing.usecases.access import authorize, choose_agency, not_found
from services.routing.usecases.context import Context
from services.routing.usecases.found import find_delivery
from services.routing.usecases.steps import Step, StepDetails, steps_at_once, take_steps
from shared.contracts.base import Lane
from shared.contracts.routing import (
    AttachmentView,
    ChooseDelivery,
    DeliveryState,
    DeliveryView,
    InboxItem,
    InboxPage,
    ListInbox,
    OpenAttachment,
    OpenBlob,
)
from shared.contracts.signing import VerificationReport
from shared.edxml import Attachment
from shared.errors import FieldError
from shared.telemetry import correlation_id

PACKET_TYPE = "application/edxml+xml"

RowT = TypeVar("RowT", Delivery, AnyRow)


async def list_inbox(context: Context, request: ListInbox) -> InboxPage:
    """
    List what the caller's agencies have not acknowledged.

    Raises:
        AgencyNotYours: The agency named is not one the caller may read for.
        RequestInvalid: The cursor is not one of ours.
    """
    mandate = await authorize(context, request.token, "inbox")
    if request.agency is None:
        keys = mandate.agencies(*READING_ROLES)
    else:
        keys = (choose_agency(mandate, request.agency, *READING_ROLES).key,)
    if not keys:
        return InboxPage(items=())
    shard = (request.shard, request.shards) if request.shards > 1 else None
    after = read_cursor(request.cursor, int, datetime, UUID)
    async with context.store.read() as connection:
        rows = await repository.list_inbox(
            connection,
            keys,
            state=None if request.state is None else request.state.value,
            shard=shard,
            after=after,
            limit=request.limit + 1,
        )
    page = rows[: request.limit]
    cursor = None
    if len(rows) > request.limit:
        cursor = write_cursor(page[-1].lane, page[-1].accepted_at, page[-1].delivery_id)
    return InboxPage(items=tuple(_item(mandate, row) for row in page), next_cursor=cursor, agency_keys=keys)


async def read_delivery(context: Context, request: ChooseDelivery) -> DeliveryView:
    """
    Read the header of one delivery; does not count as fetching.

    Raises:
        NotFound: It is not in a mailbox the caller may read.
    """
    mandate = await authorize(context, request.token, "inbox")
    row = await _find(context, mandate, request.delivery_id)
    attachments = [Attachment.model_validate(attachment) for attachment in row.attachments]
    return DeliveryView(
        item=_item(mandate, row),
        header=row.header,
        attachments=tuple(
            AttachmentView(
                n=n,
                name=attachment.name,
                content_type=attachment.content_type,
                bytes=attachment.content_size,
                transfer_sha256=attachment.transfer_sha256,
                content_sha256=attachment.content_sha256,
            )
            for n, attachment in enumerate(attachments)
        ),
        report=VerificationReport.model_validate(row.report),
        warnings=tuple(FieldError.model_validate(warning) for warning in row.warnings),
    )


async def describe_packet(context: Context, request: ChooseDelivery) -> OpenBlob:
    """
    Say what `open_packet` would open; does not count as fetching.

    Raises:
        NotFound: It is not in a mailbox the caller may read.
        IllegalStep: It was given up or recalled.
    """
    mandate = await authorize(context, request.token, "inbox")
    return _packet(await _find_packet(context, mandate, request.delivery_id))


async def open_packet(context: Context, request: ChooseDelivery) -> OpenBlob:
    """
    Let the packet's bytes leave: `fetched` is committed before this answers.

    Raises:
        NotFound: It is not in a mailbox the caller may read.
        IllegalStep: It was given up or recalled.
    """
    mandate = await authorize(context, request.token, "inbox")
    found = await _find_packet(context, mandate, request.delivery_id)
    await context.packets.keep(found.packet_sha256)
    delivery = found.delivery
    if delivery.state is DeliveryState.AVAILABLE:
        details = StepDetails(at=context.clock.now(), by=mandate.system.id)
        step = Step(delivery, DeliveryState.FETCHED, Cause.FETCHED, details)
        if not await context.group(_note_at_once).do(step):
            await _note_fetched(context, mandate, delivery.id)
    return _packet(found)


async def describe_attachment(context: Context, request: OpenAttachment) -> OpenBlob:
    """
    Say what `open_attachment` would open; does not count as fetching.

    Raises:
        NotFound: There is no such attachment in a mailbox the caller may read.
        IllegalStep: The delivery was given up or recalled.
    """
    mandate = await authorize(context, request.token, "inbox")
    row = await _find_openable(context, mandate, request.delivery_id)
    return _file(_choose_attachment(row, request.n))


async def open_attachment(context: Context, request: OpenAttachment) -> OpenBlob:
    """
    Let the bytes of one file leave: they are decoded if the cache has lost them, then `fetched` is committed.

    Raises:
        NotFound: There is no such attachment in a mailbox the caller may read.
        IllegalStep: The delivery was given up or recalled.
        Unavailable: The packet or a worker is out of reach.
    """
    mandate = await authorize(context, request.token, "inbox")
    row = await _find_openable(context, mandate, request.delivery_id)
    attachment = _choose_attachment(row, request.n)
    await context.packets.provide_attachment(row.packet_sha256, request.n, attachment)
    await _note_fetched(context, mandate, request.delivery_id)
    return _file(attachment)


async def _find(context: Context, mandate: Mandate, delivery_id: UUID) -> AnyRow:
    async with context.store.read() as connection:
        row = await repository.read_for_addressee(connection, delivery_id)
    return _check_reader(mandate, row)


async def _find_openable(context: Context, mandate: Mandate, delivery_id: UUID) -> AnyRow:
    return _check_openable(await _find(context, mandate, delivery_id))


async def _find_packet(context: Context, mandate: Mandate, delivery_id: UUID) -> Found:
    found = await find_delivery(context, delivery_id)
    _check_openable(_check_reader(mandate, None if found is None else found.delivery))
    assert found is not None
    return found


def _check_reader(mandate: Mandate, row: RowT | None) -> RowT:
    # What never reached the mailbox is none of the addressee's business yet.
    if row is None or row.available_at is None or not mandate.may(row.mailbox_key, *READING_ROLES):
        raise not_found("văn bản trong hộp thư")
    return row


def _check_openable(row: RowT) -> RowT:
    if DeliveryState(row.state) not in OPENABLE:
        raise illegal_step(DeliveryState(row.state))
    return row


@dataclass(frozen=True)
class _Fetching:
    """
    Whose fetching is to be noted.
    """

    delivery_id: UUID
    by: str
    correlation: str = field(default_factory=correlation_id)


async def _note_fetched(context: Context, mandate: Mandate, delivery_id: UUID) -> None:
    await context.group(_note_all_fetched).do(_Fetching(delivery_id, mandate.system.id))


async def _note_at_once(context: Context, group: Sequence[Step]) -> list[bool | Exception]:
    """Note it in one statement if nobody has stepped these deliveries since they were read."""
    first = {step.delivery.id: step for step in reversed(group)}
    return [await steps_at_once(context, list(first.values())).commit()] * len(group)


async def _note_all_fetched(context: Context, group: Sequence[_Fetching]) -> list[Exception | None]:
    now = context.clock.now()
    async with context.store.begin() as uow:
        found = await deliveries_repository.read_deliveries(
            uow.connection, {one.delivery_id for one in group}, lock=True
        )
        first = {one.delivery_id: one for one in reversed(group)}
        steps = [
            Step(
                found[one.delivery_id],
                DeliveryState.FETCHED,
                Cause.FETCHED,
                StepDetails(at=now, by=one.by),
                correlation=one.correlation,
            )
            for one in first.values()
            if found[one.delivery_id].state is DeliveryState.AVAILABLE
        ]
        if steps:
            await take_steps(context, uow, steps)
            await uow.commit()
    # Recalled or expired a moment ago.
    return [None if (state := found[one.delivery_id].state) in OPENABLE else illegal_step(state) for one in group]


def _choose_attachment(row: AnyRow, n: int) -> Attachment:
    if n >= len(row.attachments):
        raise not_found("tệp đính kèm")
    return Attachment.model_validate(row.attachments[n])


def _packet(found: Found) -> OpenBlob:
    return OpenBlob(
        sha256=found.packet_sha256,
        bytes=found.packet_bytes,
        content_type=PACKET_TYPE,
        file_name=f"{found.delivery.id}.edxml",
    )


def _file(attachment: Attachment) -> OpenBlob:
    return OpenBlob(
        sha256=attachment.content_sha256,
        bytes=attachment.content_size,
        content_type=attachment.content_type,
        file_name=attachment.name,
    )


def _item(mandate: Mandate, row: AnyRow) -> InboxItem:
    return InboxItem(
        delivery_id=row.delivery_id,
        document_id=row.document_id,
        agency=mandate.register.code_of(row.mailbox_key),
        sender=row.sender_code,
        sender_document_id=row.sender_document_id,
        subject=row.subject,
        code=row.code,
        lane=Lane(row.lane),
        state=DeliveryState(row.state),
        series=row.series,
        packet_sha256=row.packet_sha256,
        packet_bytes=row.packet_bytes,
        attachments=row.attachment_count,
        business_type=row.business_type or 0,
        accepted_at=row.accepted_at,
        available_at=row.available_at,
    )
