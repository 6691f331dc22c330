"""States of a delivery: the one table. The database refuses every other step by a trigger generated from it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from shared.contracts.routing import DeliveryState

S = DeliveryState


class Cause(StrEnum):
    """
    What makes a delivery take a step.
    """

    TIME_REACHED = "time-reached"
    """`not_before` has come."""
    RELEASED = "released"
    """Opened, or no longer held, and served here."""
    FETCHED = "fetched"
    """The first byte of packet or attachment was about to leave."""
    ACKNOWLEDGED_DONE = "acknowledged-done"
    ACKNOWLEDGED_FAIL = "acknowledged-fail"
    RELAY_RECEIPT = "relay-receipt"
    """The next axis has taken it over."""
    ADDRESSEE_EVIDENCE = "addressee-evidence"
    """The addressee's own evidence came back over the link."""
    GIVEN_UP = "given-up"
    """Attempts spent, or refused by a neighbour."""
    REQUEUED = "requeued"
    CANCELLED = "cancelled"
    WITHDRAWN = "withdrawn"
    """Recalled before anybody fetched it."""
    RECALL_AGREED = "recall-agreed"
    """The addressee answered a recall with 15."""
    EXPIRED_BY_ACT = "expired-by-act"
    """An operator's or a retention act; never a clock."""


@dataclass(frozen=True)
class Step:
    """
    One allowed step.
    """

    from_state: DeliveryState
    to_state: DeliveryState
    cause: Cause


BEGINNINGS: Final = (S.SCHEDULED, S.QUEUED, S.AVAILABLE)
"""States a delivery may be opened in."""

STEPS: Final = (
    Step(S.SCHEDULED, S.QUEUED, Cause.TIME_REACHED),
    Step(S.QUEUED, S.AVAILABLE, Cause.RELEASED),
    Step(S.AVAILABLE, S.FETCHED, Cause.FETCHED),
    Step(S.FETCHED, S.DELIVERED, Cause.ACKNOWLEDGED_DONE),
    Step(S.QUEUED, S.RELAYED, Cause.RELAY_RECEIPT),
    Step(S.RELAYED, S.DELIVERED, Cause.ADDRESSEE_EVIDENCE),
    Step(S.AVAILABLE, S.FAILED, Cause.ACKNOWLEDGED_FAIL),
    Step(S.FETCHED, S.FAILED, Cause.ACKNOWLEDGED_FAIL),
    Step(S.QUEUED, S.FAILED, Cause.GIVEN_UP),
    Step(S.RELAYED, S.FAILED, Cause.GIVEN_UP),
    Step(S.FAILED, S.QUEUED, Cause.REQUEUED),
    Step(S.SCHEDULED, S.CANCELLED, Cause.CANCELLED),
    Step(S.QUEUED, S.CANCELLED, Cause.CANCELLED),
    Step(S.FAILED, S.CANCELLED, Cause.CANCELLED),
    Step(S.QUEUED, S.RECALLED, Cause.WITHDRAWN),
    Step(S.AVAILABLE, S.RECALLED, Cause.WITHDRAWN),
    Step(S.FETCHED, S.RECALLED, Cause.RECALL_AGREED),
    Step(S.DELIVERED, S.RECALLED, Cause.RECALL_AGREED),
    Step(S.QUEUED, S.EXPIRED, Cause.EXPIRED_BY_ACT),
    Step(S.AVAILABLE, S.EXPIRED, Cause.EXPIRED_BY_ACT),
    Step(S.FAILED, S.EXPIRED, Cause.EXPIRED_BY_ACT),
)

NEXT_SERIES: Final = frozenset({(S.FAILED, S.QUEUED)})
"""Steps that begin the next series of attempts; every other step stays in its series."""

_ALLOWED: Final = frozenset((step.from_state, step.to_state, step.cause) for step in STEPS)


@dataclass(frozen=True)
class StateInfo:
    """
    What a state means.

    Attributes:
        vi, en: One sentence for people.
        is_final: No ordinary step leads out of it; `delivered` alone may still be recalled.
        has_evidence: Every step into it stores signed evidence in the same transaction.
    """

    vi: str
    en: str
    is_final: bool = False
    has_evidence: bool = False


STATES: Final = {
    S.SCHEDULED: StateInfo("Chờ đến thời điểm gửi đã hẹn.", "Waits for the moment it was asked to leave."),
    S.QUEUED: StateInfo("Đang chờ gửi, hoặc đang bị giữ lại.", "Waits its turn, or is held for the reason shown."),
    S.AVAILABLE: StateInfo("Đã có trong hộp thư nơi nhận.", "Lies in the addressee's mailbox."),
    S.FETCHED: StateInfo(
        "Nơi nhận đã tải về, chưa xác nhận.", "The addressee has fetched it and not acknowledged yet."
    ),
    S.RELAYED: StateInfo("Trục kế tiếp đã tiếp nhận.", "The next axis has taken it over."),
    S.DELIVERED: StateInfo(
        "Nơi nhận đã xác nhận.", "The addressee has acknowledged it.", is_final=True, has_evidence=True
    ),
    S.FAILED: StateInfo("Gửi lỗi, có thể gửi lại.", "Was given up; it may be queued again.", has_evidence=True),
    S.CANCELLED: StateInfo("Đã hủy gửi.", "Was cancelled by an operator.", is_final=True, has_evidence=True),
    S.RECALLED: StateInfo("Đã thu hồi.", "Was recalled.", is_final=True, has_evidence=True),
    S.EXPIRED: StateInfo(
        "Đã hết hạn lưu.", "Was ended by an operator's or retention act.", is_final=True, has_evidence=True
    ),
}


def is_allowed(from_state: DeliveryState, to_state: DeliveryState, cause: Cause) -> bool:
    """
    Tell whether a delivery may take a step for a cause.
    """
    return (from_state, to_state, cause) in _ALLOWED
