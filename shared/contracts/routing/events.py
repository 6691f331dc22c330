"""What routing publishes and hints."""

from typing import ClassVar
from uuid import UUID

from shared.contracts.base import Contract, Event, Hint, Lane, Moment
from shared.contracts.routing.states import DeliveryState


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

    Attributes:
        addressee_key: Whom it is meant for; None: the document's sender.
    """

    status_id: UUID
    delivery_id: UUID
    document_id: UUID
    reporter_key: UUID
    sender_key: UUID
    addressee_key: UUID | None = None
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
