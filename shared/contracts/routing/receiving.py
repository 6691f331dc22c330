"""What addressees ask of routing."""

from typing import Any
from uuid import UUID

from pydantic import Field

from shared.contracts.base import Contract, Lane, Moment, Operation
from shared.contracts.routing.states import DeliveryState
from shared.contracts.signing import VerificationReport
from shared.errors import FieldError


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

    Attributes:
        business_type: 0 a new document, 1 a recall, 2 an update, 3 a replacement.
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
    business_type: int = 0
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
