"""Rules of a delivery on its way: why one is held, what an acknowledgement does, what evidence says."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from services.routing.domain.states import STATES
from services.routing.errors import AcknowledgementConflict, IllegalStep, NotFetched
from shared.contracts.registry import AgencyEntry
from shared.contracts.routing import DeliveryState

OPENABLE: Final = frozenset({DeliveryState.AVAILABLE, DeliveryState.FETCHED, DeliveryState.DELIVERED})
"""States in which packet and attachments may leave; after `done` they may still be fetched again."""

CANCELLABLE: Final = frozenset({DeliveryState.SCHEDULED, DeliveryState.QUEUED, DeliveryState.FAILED})

REFUSED_BY_ADDRESSEE: Final = "refused-by-addressee"
CANCELLED_BY_OPERATOR: Final = "cancelled-by-operator"

EVIDENCE_EVENTS: Final = {
    DeliveryState.DELIVERED: "ContentConsignment",
    DeliveryState.FAILED: "ContentConsignmentFailure",
    DeliveryState.CANCELLED: "DeliveryCancelled",
    DeliveryState.RECALLED: "DeliveryRecalled",
    DeliveryState.EXPIRED: "DeliveryExpired",
}
"""Names of ETSI EN 319 522-1 where it has one; cancelling, recalling and expiring are ours."""


class Hold(StrEnum):
    """
    Why an opened delivery waits; a mark on the state `queued`, not a state.
    """

    ADDRESSEE_PAUSED = "addressee-paused"
    SUCCESSOR_UNDECIDED = "successor-undecided"
    NO_LINK = "no-link"


class Result(StrEnum):
    """
    What a receiving system says about a packet.
    """

    DONE = "done"
    FAIL = "fail"


RESULT_STATES: Final = {Result.DONE: DeliveryState.DELIVERED, Result.FAIL: DeliveryState.FAILED}


def why_held(entry: AgencyEntry | None, *, paused: bool, node_id: str, at: datetime) -> Hold | None:
    """
    Tell what keeps a delivery from an agency's mailbox at a moment; None when nothing does.
    """
    if entry is None or not entry.is_open_at(at):
        return Hold.SUCCESSOR_UNDECIDED
    if entry.serving_node != node_id:
        return Hold.NO_LINK
    return Hold.ADDRESSEE_PAUSED if paused else None


def check_acknowledgement(state: DeliveryState, earlier: str | None, result: Result) -> bool:
    """
    Decide about an acknowledgement in the current series.

    Args:
        state: Where the delivery stands.
        earlier: Result of the acknowledgement this series has already.
        result: Result that comes now.

    Returns:
        True when it is to be recorded, False when the same is recorded already.

    Raises:
        AcknowledgementConflict: The series has the other result.
        NotFetched: `done` before anything was fetched.
        IllegalStep: The delivery is not in the mailbox.
    """
    if earlier is not None:
        if earlier != result:
            raise AcknowledgementConflict(
                f"Lần gửi này đã được xác nhận «{earlier}». / This series was acknowledged as {earlier}."
            )
        return False
    if state is DeliveryState.AVAILABLE and result is Result.DONE:
        raise NotFetched(
            "Chưa tải gói tin về nên chưa thể xác nhận. / Nothing was fetched yet; fetch the packet first."
        )
    if state not in {DeliveryState.AVAILABLE, DeliveryState.FETCHED}:
        raise illegal_step(state)
    return True


def illegal_step(state: DeliveryState) -> IllegalStep:
    """
    The refusal of a step that a state does not allow.
    """
    info = STATES[state]
    return IllegalStep(f"Trạng thái hiện tại không cho phép: {info.vi} / Not possible now: {info.en}")


@dataclass(frozen=True)
class EvidenceFacts:
    """
    What evidence of a final step vouches for.
    """

    evidence_id: UUID
    at: datetime
    state: DeliveryState
    document_id: UUID
    dispatch_id: UUID
    delivery_id: UUID
    series: int
    sender: str
    addressee: str
    packet_sha256: str
    sender_document_id: str
    reason_code: str | None = None
    requeue_possible: bool | None = None

    def claims(self, issuer: str) -> dict[str, Any]:
        """
        Payload of the evidence; members without a value are left out.
        """
        claims = {
            "iss": issuer,
            "jti": str(self.evidence_id),
            "iat": int(self.at.timestamp()),
            "event": EVIDENCE_EVENTS[self.state],
            "document_id": str(self.document_id),
            "dispatch_id": str(self.dispatch_id),
            "delivery_id": str(self.delivery_id),
            "series": self.series,
            "sender": self.sender,
            "addressee": self.addressee,
            "packet_sha256": self.packet_sha256,
            "sender_document_id": self.sender_document_id,
            "reason_code": self.reason_code,
            "requeue_possible": self.requeue_possible,
        }
        return {name: value for name, value in claims.items() if value is not None}
