"""The one table of states."""

import pytest

from services.routing.domain.deliveries import EVIDENCE_EVENTS
from services.routing.domain.states import BEGINNINGS, NEXT_SERIES, STATES, STEPS, Cause, is_allowed
from shared.contracts.routing import DeliveryState

S = DeliveryState

ARCHITECTURE = {
    S.SCHEDULED: {S.QUEUED, S.CANCELLED},
    S.QUEUED: {S.AVAILABLE, S.RELAYED, S.FAILED, S.CANCELLED, S.RECALLED, S.EXPIRED},
    S.AVAILABLE: {S.FETCHED, S.FAILED, S.RECALLED, S.EXPIRED},
    S.FETCHED: {S.DELIVERED, S.FAILED, S.RECALLED},
    S.RELAYED: {S.DELIVERED, S.FAILED},
    S.DELIVERED: {S.RECALLED},
    S.FAILED: {S.QUEUED, S.CANCELLED, S.EXPIRED},
    S.CANCELLED: set(),
    S.RECALLED: set(),
    S.EXPIRED: set(),
}
"""Written out once more by hand, so that a slip in the table does not go unseen."""


@pytest.mark.parametrize("state", DeliveryState)
def test_a_state_leads_exactly_where_the_architecture_says(state: DeliveryState) -> None:
    assert {step.to_state for step in STEPS if step.from_state is state} == ARCHITECTURE[state]


@pytest.mark.parametrize("state", DeliveryState)
def test_every_state_has_a_sentence_in_both_languages(state: DeliveryState) -> None:
    assert STATES[state].vi.endswith(".")
    assert STATES[state].en.endswith(".")


def test_recalled_cancelled_expired_and_delivered_are_final() -> None:
    assert {state for state, info in STATES.items() if info.is_final} == {
        S.RECALLED,
        S.CANCELLED,
        S.EXPIRED,
        S.DELIVERED,
    }


def test_every_final_state_and_failed_have_evidence_with_a_name() -> None:
    with_evidence = {state for state, info in STATES.items() if info.has_evidence}
    assert with_evidence == set(EVIDENCE_EVENTS)
    assert with_evidence == {state for state, info in STATES.items() if info.is_final} | {S.FAILED}


def test_only_a_requeue_begins_the_next_series() -> None:
    assert {(S.FAILED, S.QUEUED)} == NEXT_SERIES


def test_a_delivery_begins_scheduled_queued_or_available() -> None:
    assert set(BEGINNINGS) == {S.SCHEDULED, S.QUEUED, S.AVAILABLE}


def test_a_step_is_allowed_only_for_its_cause() -> None:
    assert is_allowed(S.FETCHED, S.RECALLED, Cause.RECALL_AGREED)
    assert not is_allowed(S.FETCHED, S.RECALLED, Cause.WITHDRAWN)
    assert not is_allowed(S.AVAILABLE, S.DELIVERED, Cause.ACKNOWLEDGED_DONE)
