"""What operators ask of routing."""

from uuid import UUID

from pydantic import Field

from shared.contracts.base import MAX_ITEMS, Contract, Health, Lane, Moment, Nothing, Operation
from shared.contracts.routing.states import DeliveryState

COUNTED_UP_TO = 10_000
"""Depths are counted so far and no farther; a count that reaches it means "at least"."""


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
    All lanes, paused addressees, and what waits.

    Attributes:
        deliveries: Counts of what is not settled, by state; what is settled for good is not counted.
        unopened: Addressees whose delivery does not exist yet.
        outbox: Rows waiting in routing's outbox.
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


READ_QUEUES = Operation("routing.read_queues", ReadQueues, Queues)
SET_PAUSE = Operation("routing.set_pause", SetPause, Queues)
LIST_FAILED = Operation("routing.list_failed", ListFailed, FailedPage)
REQUEUE = Operation("routing.requeue_deliveries", ActOnDeliveries, ActResults)
CANCEL = Operation("routing.cancel_deliveries", ActOnDeliveries, ActResults)
READ_HEALTH = Operation("routing.read_health", Nothing, Health)
