"""What senders ask of routing."""

from uuid import UUID

from pydantic import Field

from shared.contracts.base import Contract, Lane, Moment, Operation
from shared.contracts.routing.states import DeliveryState
from shared.contracts.signing import PartDigest, VerificationReport
from shared.errors import FieldError


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
        sender: A dialect's word for `From`; another agency than the packet's is refused.
    """

    token: str
    packet_sha256: str
    packet_bytes: int
    priority: Lane | None = None
    addressees: tuple[str, ...] = ()
    sender: str | None = Field(default=None, max_length=200)
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
        parts: What a seal of the packet must cover, in order, where the packet could be read.
    """

    accepted: bool
    problem_code: str | None = None
    detail: str = ""
    errors: tuple[FieldError, ...] = ()
    warnings: tuple[FieldError, ...] = ()
    report: VerificationReport | None = None
    parts: tuple[PartDigest, ...] = ()


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

    Attributes:
        business_type: 0 a new document, 1 a recall, 2 an update, 3 a replacement.
    """

    document_id: UUID
    sender: str
    sender_document_id: str
    subject: str
    lane: Lane
    packet_sha256: str
    packet_bytes: int
    business_type: int = 0
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


SUBMIT_DOCUMENT = Operation("routing.submit_document", SubmitDocument, Submitted)
VALIDATE_PACKET = Operation("routing.validate_packet", CheckPacket, PacketFindings)
VERIFY_PACKET = Operation("routing.verify_packet", CheckPacket, VerificationReport)
LIST_DOCUMENTS = Operation("routing.list_documents", ListDocuments, DocumentPage)
READ_DOCUMENT = Operation("routing.read_document", ReadDocument, DocumentView)
READ_RECEIPT = Operation("routing.read_receipt", ReadReceipt, Receipt)
READ_JOURNEY = Operation("routing.read_journey", ReadDocument, Journey)
