"""What the routing service answers, publishes and hints."""

from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

from pydantic import Field

from shared.contracts.base import MAX_ITEMS, Contract, Event, Health, Hint, Lane, Moment, Nothing, Operation
from shared.contracts.signing import VerificationReport
from shared.errors import FieldError


class DeliveryState(StrEnum):
    """
    States of a delivery; what follows what is routing's own table.
    """

    SCHEDULED = "scheduled"
    QUEUED = "queued"
    AVAILABLE = "available"
    FETCHED = "fetched"
    RELAYED = "relayed"
    DELIVERED = "delivered"
    FAILED = "failed"
    CANCELLED = "cancelled"
    RECALLED = "recalled"
    EXPIRED = "expired"


# --- sending ---------------------------------------------------------------------------------------------------------


class SubmitDocument(Contract):
    """
    A packet that lies in the blob store is to be accepted.

    Attributes:
        token: Access token of the caller.
        packet_sha256: Hex digest of the packet.
        packet_bytes: Its size.
        priority: The request header `Axis-Priority`, if there was one.
        idempotency_key: The request header `Idempotency-Key`, if there was one; scoped by system.
        addressees: Some of the packet's addressees, by the codes it names, where a dialect sends one packet in parts;
            empty: all of them.
    """

    token: str
    packet_sha256: str
    packet_bytes: int
    priority: Lane | None = None
    addressees: tuple[str, ...] = ()
    idempotency_key: str | None = Field(default=None, max_length=255)


class Submitted(Contract):
    """
    The document is accepted and nothing may be lost from here on.

    Attributes:
        created: False where the same was accepted before.
        document_id: The axis' own identifier.
        body: JSON text of the answer, byte for byte what every repeat gets.
    """

    created: bool
    document_id: UUID
    body: str


class CheckPacket(Contract):
    """
    A packet in the blob store to be checked without sending.
    """

    token: str
    packet_sha256: str
    packet_bytes: int


class PacketFindings(Contract):
    """
    What a submission would have met.

    Attributes:
        accepted: Whether it would be accepted.
        problem_code: Code of the refusal, if any.
        errors: What must be changed.
        warnings: What would be noted in the receipt.
        report: Verification of the signature, where the packet could be read.
    """

    accepted: bool
    problem_code: str | None = None
    detail: str = ""
    errors: tuple[FieldError, ...] = ()
    warnings: tuple[FieldError, ...] = ()
    report: VerificationReport | None = None


class ListDocuments(Contract):
    """
    What the caller's agencies sent, newest first.
    """

    token: str
    agency: str | None = None
    limit: int = Field(default=50, ge=1, le=200)
    cursor: str | None = None


class AddresseeView(Contract):
    """
    One addressee's share, as the sender sees it.

    Attributes:
        delivery_id: None while it has not been opened.
        statuses: Business status codes so far, oldest first.
    """

    agency: str
    delivery_id: UUID | None = None
    state: DeliveryState | None = None
    series: int = 1
    held: str | None = None
    reason: str | None = None
    reason_code: str | None = None
    requeue_possible: bool | None = None
    changed_at: Moment | None = None
    statuses: tuple[str, ...] = ()


class DocumentView(Contract):
    """
    A document as its sender sees it; the list leaves `addressees` empty and gives the counts.
    """

    document_id: UUID
    sender: str
    sender_document_id: str
    subject: str
    lane: Lane
    packet_sha256: str
    packet_bytes: int
    accepted_at: Moment
    counts: dict[str, int]
    addressees: tuple[AddresseeView, ...] = ()
    next_cursor: str | None = None


class DocumentPage(Contract):
    """
    A page of documents.
    """

    items: tuple[DocumentView, ...]
    next_cursor: str | None = None


class ReadDocument(Contract):
    """
    One document; `cursor` and `limit` page through its addressees.
    """

    token: str
    document_id: UUID
    limit: int = Field(default=500, ge=1, le=500)
    cursor: str | None = None


class ReadReceipt(Contract):
    """
    The receipt of one dispatch of a document; the first when none is named.
    """

    token: str
    document_id: UUID
    dispatch_id: UUID | None = None


class Receipt(Contract):
    """
    A receipt as it was stored.
    """

    dispatch_id: UUID
    receipt: str


class JourneyEntry(Contract):
    """
    One thing that happened.

    Attributes:
        kind: `accepted`, `dispatched`, `delivery` (a step of its state), `acknowledgement`, `status`, `held` or
            `warning`.
        evidence_id: Reference of the signed evidence, where there is one.
        evidence: The compact JWS itself.
        delivery_id, agency: The addressee's share concerned; None where the whole document is.
    """

    at: Moment
    kind: str
    agency: str | None = None
    delivery_id: UUID | None = None
    from_state: str | None = None
    to_state: str | None = None
    series: int | None = None
    code: str | None = None
    detail: str | None = None
    by: str | None = None
    evidence_id: UUID | None = None
    evidence: str | None = None


class Journey(Contract):
    """
    Everything that happened to a document, in order.
    """

    document_id: UUID
    sender_document_id: str
    items: tuple[JourneyEntry, ...]
    next_cursor: str | None = None


# --- receiving -------------------------------------------------------------------------------------------------------


class ListInbox(Contract):
    """
    What the caller's agencies have not acknowledged, most urgent and oldest first.

    Attributes:
        shard, shards: Workers 0 … shards-1 share the list.
    """

    token: str
    agency: str | None = None
    state: DeliveryState | None = None
    shard: int = Field(default=0, ge=0)
    shards: int = Field(default=1, ge=1, le=64)
    limit: int = Field(default=50, ge=1, le=200)
    cursor: str | None = None


class InboxItem(Contract):
    """
    One delivery in a mailbox.
    """

    delivery_id: UUID
    document_id: UUID
    agency: str
    sender: str
    sender_document_id: str
    subject: str
    code: str
    lane: Lane
    state: DeliveryState
    series: int
    packet_sha256: str
    packet_bytes: int
    attachments: int
    accepted_at: Moment
    available_at: Moment | None = None


class InboxPage(Contract):
    """
    A page of a mailbox.

    Attributes:
        agency_keys: Agencies the list was made for, so that whoever waits knows which hints concern it.
    """

    items: tuple[InboxItem, ...]
    next_cursor: str | None = None
    agency_keys: tuple[UUID, ...] = ()


class ChooseDelivery(Contract):
    """
    One delivery.
    """

    token: str
    delivery_id: UUID


class AttachmentView(Contract):
    """
    One attachment; `n` counts from 0 in the order of the packet.

    Attributes:
        transfer_sha256: Digest of the bytes after base64.
        content_sha256: Digest of the file itself, after unzipping where the sender had zipped it.
    """

    n: int
    name: str
    content_type: str
    bytes: int
    transfer_sha256: str
    content_sha256: str


class DeliveryView(Contract):
    """
    A delivery with the packet's header and the verification report made at acceptance.
    """

    item: InboxItem
    header: dict[str, Any]
    attachments: tuple[AttachmentView, ...]
    report: VerificationReport
    warnings: tuple[FieldError, ...] = ()


class OpenAttachment(Contract):
    """
    One attachment of a delivery, counted from 0.
    """

    token: str
    delivery_id: UUID
    n: int = Field(ge=0)


class OpenBlob(Contract):
    """
    Bytes that may leave now: `fetched` is committed.
    """

    sha256: str
    bytes: int
    content_type: str
    file_name: str


class Acknowledge(Contract):
    """
    The receiving system took the packet, or could not.

    Attributes:
        idempotency_key: Scoped by system. Without one, a copy of `fail` that arrives after the delivery was requeued is
            taken for an answer to the new series.
    """

    token: str
    delivery_id: UUID
    result: str = Field(pattern=r"^(done|fail)$")
    reason: str = Field(default="", max_length=2_000)
    idempotency_key: str | None = Field(default=None, max_length=255)


class Acknowledged(Contract):
    """
    The acknowledgement as it stands; `created` is False for a repeat.
    """

    created: bool
    delivery_id: UUID
    series: int
    result: str
    state: DeliveryState
    acknowledged_at: Moment
    evidence: str


class StaffInfo(Contract):
    """
    Who handled the document at the addressee (edXML StaffInfo).
    """

    department: str = Field(default="", max_length=200)
    staff: str = Field(default="", max_length=200)
    mobile: str = Field(default="", max_length=50)
    email: str = Field(default="", max_length=254)


class ReportStatus(Contract):
    """
    What the addressee does with the document.

    Attributes:
        code: `01` to `06`, `15`, `16`.
        description: Required with `02` and `16`: the reason.
        at: When it happened at the addressee; None: now.
    """

    token: str
    delivery_id: UUID
    code: str = Field(pattern=r"^(01|02|03|04|05|06|15|16)$")
    description: str = Field(default="", max_length=2_000)
    staff: StaffInfo | None = None
    at: Moment | None = None
    idempotency_key: str | None = Field(default=None, max_length=255)


class StatusView(Contract):
    """
    One entry of the status history.
    """

    status_id: UUID
    delivery_id: UUID
    agency: str
    code: str
    description: str
    staff: StaffInfo | None
    happened_at: Moment
    reported_at: Moment


class StatusReported(Contract):
    """
    The entry; `created` is False for a repeat.
    """

    created: bool
    status: StatusView


class StatusHistory(Contract):
    """
    All statuses of a delivery, oldest first.
    """

    items: tuple[StatusView, ...]


# --- operating -------------------------------------------------------------------------------------------------------


class ReadQueues(Contract):
    """
    The state of the lanes.
    """

    token: str


class LaneView(Contract):
    """
    One lane.

    Attributes:
        waiting: Chunks in the backlog; `waiting_addressees` the addressees in them.
        outstanding: Chunks in the window on the bus.
        oldest_seconds: Age of the oldest waiting chunk.
    """

    lane: Lane
    waiting: int
    waiting_addressees: int
    outstanding: int
    oldest_at: Moment | None = None
    oldest_seconds: float = 0.0
    paused: bool = False
    pause_reason: str | None = None
    paused_until: Moment | None = None


class PausedAgency(Contract):
    """
    An addressee whose deliveries are held.
    """

    agency: str
    reason: str
    paused_until: Moment | None = None


class Queues(Contract):
    """
    All lanes, paused addressees, counts of deliveries by state, and rows waiting in routing's outbox.
    """

    lanes: tuple[LaneView, ...]
    paused_agencies: tuple[PausedAgency, ...]
    deliveries: dict[str, int]
    unopened: int
    outbox: int


class SetPause(Contract):
    """
    Pause or resume a lane or one addressee; a reason is required to pause.
    """

    token: str
    lane: Lane | None = None
    agency: str | None = None
    paused: bool
    reason: str = Field(default="", max_length=500)
    until: Moment | None = None


class ListFailed(Contract):
    """
    Failed deliveries, oldest first.
    """

    token: str
    agency: str | None = None
    limit: int = Field(default=100, ge=1, le=500)
    cursor: str | None = None


class FailedDelivery(Contract):
    """
    A delivery that was given up.
    """

    delivery_id: UUID
    document_id: UUID
    sender: str
    agency: str
    series: int
    reason_code: str
    reason: str
    failed_at: Moment
    lane: Lane


class FailedPage(Contract):
    """
    A page of failed deliveries.
    """

    items: tuple[FailedDelivery, ...]
    next_cursor: str | None = None


class ActOnDeliveries(Contract):
    """
    Requeue or cancel deliveries; each is answered for itself.
    """

    token: str
    delivery_ids: tuple[UUID, ...] = Field(min_length=1, max_length=MAX_ITEMS)
    reason: str = Field(min_length=1, max_length=500)


class ActResult(Contract):
    """
    What became of one delivery; `code` is empty when it worked, else the problem code.
    """

    delivery_id: UUID
    state: DeliveryState | None = None
    code: str = ""
    detail: str = ""


class ActResults(Contract):
    """
    One result per delivery, in the order asked.
    """

    items: tuple[ActResult, ...]


# --- events and hints ------------------------------------------------------------------------------------------------


class DocumentAccepted(Event):
    """
    A dispatch of a document is accepted; its receipt is durable.
    """

    topic: ClassVar[str] = "routing.document_accepted.v1"
    document_id: UUID
    dispatch_id: UUID
    first_dispatch: bool
    sender_key: UUID
    sender: str
    sender_document_id: str
    packet_sha256: str
    receipt_sha256: str
    lane: Lane
    addressee_count: int
    system_id: str
    credential_id: str
    registry_version: int
    accepted_at: Moment


class DocumentRefused(Event):
    """
    A packet was refused; nothing of it was kept.
    """

    topic: ClassVar[str] = "routing.document_refused.v1"
    packet_sha256: str
    code: str
    system_id: str


class ChunkReady(Event):
    """
    A chunk of a dispatch may be opened; its topic names the lane.
    """

    topic: ClassVar[str] = "routing.chunk_ready.v1"
    chunk_id: UUID


class ChunkReadyOrdinary(ChunkReady):
    """A chunk of lane 0."""

    topic: ClassVar[str] = "routing.chunk_ready_0.v1"


class ChunkReadyUrgent(ChunkReady):
    """A chunk of lane 1."""

    topic: ClassVar[str] = "routing.chunk_ready_1.v1"


class ChunkReadyVeryUrgent(ChunkReady):
    """A chunk of lane 2."""

    topic: ClassVar[str] = "routing.chunk_ready_2.v1"


class ChunkReadyExpress(ChunkReady):
    """A chunk of lane 3."""

    topic: ClassVar[str] = "routing.chunk_ready_3.v1"


class ChunkReadyExpressTimed(ChunkReady):
    """A chunk of lane 4."""

    topic: ClassVar[str] = "routing.chunk_ready_4.v1"


CHUNK_READY: dict[Lane, type[ChunkReady]] = {
    Lane.ORDINARY: ChunkReadyOrdinary,
    Lane.URGENT: ChunkReadyUrgent,
    Lane.VERY_URGENT: ChunkReadyVeryUrgent,
    Lane.EXPRESS: ChunkReadyExpress,
    Lane.EXPRESS_TIMED: ChunkReadyExpressTimed,
}


class DeliveryStep(Contract):
    """
    One step of one delivery.
    """

    delivery_id: UUID
    document_id: UUID
    sender_key: UUID
    addressee_key: UUID
    mailbox_key: UUID
    from_state: DeliveryState | None
    to_state: DeliveryState
    series: int
    reason_code: str | None = None
    evidence_sha256: str | None = None
    lane: Lane = Lane.ORDINARY
    at: Moment


class DeliveriesChanged(Event):
    """
    Deliveries took a step; the first step of each has no `from_state`.
    """

    topic: ClassVar[str] = "routing.deliveries_changed.v1"
    items: tuple[DeliveryStep, ...]


class StatusFact(Contract):
    """
    One business status.
    """

    status_id: UUID
    delivery_id: UUID
    document_id: UUID
    reporter_key: UUID
    sender_key: UUID
    code: str
    happened_at: Moment


class StatusesReported(Event):
    """
    Addressees reported what they do with documents.
    """

    topic: ClassVar[str] = "routing.statuses_reported.v1"
    items: tuple[StatusFact, ...]


class ControlsChanged(Event):
    """
    An operator paused or resumed a lane or an addressee.
    """

    topic: ClassVar[str] = "routing.controls_changed.v1"
    lane: Lane | None = None
    agency_key: UUID | None = None
    paused: bool
    by: str


class MailboxChanged(Hint):
    """
    Something changed in the mailboxes, or among the sent documents, of these agencies.
    """

    topic: ClassVar[str] = "routing.mailbox_changed"
    agency_keys: tuple[UUID, ...]


SUBMIT_DOCUMENT = Operation("routing.submit_document", SubmitDocument, Submitted)
VALIDATE_PACKET = Operation("routing.validate_packet", CheckPacket, PacketFindings)
VERIFY_PACKET = Operation("routing.verify_packet", CheckPacket, VerificationReport)
LIST_DOCUMENTS = Operation("routing.list_documents", ListDocuments, DocumentPage)
READ_DOCUMENT = Operation("routing.read_document", ReadDocument, DocumentView)
READ_RECEIPT = Operation("routing.read_receipt", ReadReceipt, Receipt)
READ_JOURNEY = Operation("routing.read_journey", ReadDocument, Journey)
LIST_INBOX = Operation("routing.list_inbox", ListInbox, InboxPage)
READ_DELIVERY = Operation("routing.read_delivery", ChooseDelivery, DeliveryView)
OPEN_PACKET = Operation("routing.open_packet", ChooseDelivery, OpenBlob)
DESCRIBE_PACKET = Operation("routing.describe_packet", ChooseDelivery, OpenBlob)
"""For HEAD: the same answer, but `fetched` is not set."""
OPEN_ATTACHMENT = Operation("routing.open_attachment", OpenAttachment, OpenBlob)
DESCRIBE_ATTACHMENT = Operation("routing.describe_attachment", OpenAttachment, OpenBlob)
ACKNOWLEDGE = Operation("routing.acknowledge_delivery", Acknowledge, Acknowledged)
REPORT_STATUS = Operation("routing.report_status", ReportStatus, StatusReported)
LIST_STATUSES = Operation("routing.list_statuses", ChooseDelivery, StatusHistory)
READ_QUEUES = Operation("routing.read_queues", ReadQueues, Queues)
SET_PAUSE = Operation("routing.set_pause", SetPause, Queues)
LIST_FAILED = Operation("routing.list_failed", ListFailed, FailedPage)
REQUEUE = Operation("routing.requeue_deliveries", ActOnDeliveries, ActResults)
CANCEL = Operation("routing.cancel_deliveries", ActOnDeliveries, ActResults)
READ_HEALTH = Operation("routing.read_health", Nothing, Health)
