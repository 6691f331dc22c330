"""When to try again, what an answer means, how it is signed."""

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from services.delivery.domain.notifications import (
    BREAKER_THRESHOLD,
    HANDSHAKE,
    LONGEST_REST,
    LONGEST_RETRY_AFTER,
    SCHEDULE,
    URGENT_SCHEDULE,
    Answer,
    Health,
    Notification,
    Verdict,
    judge,
    next_attempt,
    read_pause,
    sign,
    write_event,
)
from shared.contracts.base import Lane

NOW = datetime(2025, 1, 1, tzinfo=UTC)
MIDDLE = 0.5
"""The chance that leaves a pause as it stands in the schedule."""


def a_notification(
    *, kind: str = "delivery.available", lane: Lane = Lane.ORDINARY, attempts: int = 0, challenge: str = "x"
) -> Notification:
    body = write_event(UUID(int=1), kind, "s", source="http://axis", time=NOW, data={"challenge": challenge})
    return Notification(UUID(int=1), UUID(int=2), UUID(int=3), kind, "s", lane, body, attempts, NOW)


def pauses(lane: Lane, kind: str = "delivery.available") -> list[timedelta]:
    found = []
    for attempts in range(100):
        notification = a_notification(kind=kind, lane=lane, attempts=attempts)
        due = next_attempt(notification, NOW, pause=None, chance=MIDDLE)
        if due is None:
            break
        found.append(due - NOW)
    return found


def test_attempts_follow_the_schedule_and_end() -> None:
    hours = [timedelta(hours=h) for h in (2, 5, 10, 14, 20, 24)]
    assert pauses(Lane.ORDINARY) == [timedelta(seconds=5), timedelta(minutes=5), timedelta(minutes=30), *hours]


def test_urgent_lanes_are_tried_more_often_over_the_same_span() -> None:
    assert pauses(Lane.URGENT) == pauses(Lane.ORDINARY)
    for lane in (Lane.VERY_URGENT, Lane.EXPRESS, Lane.EXPRESS_TIMED):
        assert len(pauses(lane)) > len(pauses(Lane.ORDINARY))
    within_the_hour = [sum(URGENT_SCHEDULE[: n + 1], timedelta()) for n in range(len(URGENT_SCHEDULE))]
    assert sum(moment <= timedelta(hours=1) for moment in within_the_hour) == 8
    assert abs(sum(URGENT_SCHEDULE, timedelta()) - sum(SCHEDULE, timedelta())) < timedelta(hours=2)


def test_a_handshake_is_given_up_within_the_hour() -> None:
    assert pauses(Lane.VERY_URGENT, HANDSHAKE) == [
        timedelta(seconds=5),
        timedelta(minutes=5),
        timedelta(minutes=30),
    ]


@pytest.mark.parametrize(("chance", "share"), [(0.0, 0.9), (0.25, 0.95), (1.0, 1.1)])
def test_jitter_spreads_attempts_by_a_tenth(chance: float, share: float) -> None:
    assert next_attempt(a_notification(attempts=2), NOW, pause=None, chance=chance) == NOW + SCHEDULE[3] * share


def test_the_endpoint_may_ask_for_a_longer_pause_but_not_for_a_shorter_one() -> None:
    first = a_notification()
    assert next_attempt(first, NOW, pause=timedelta(minutes=7), chance=MIDDLE) == NOW + timedelta(minutes=7)
    assert next_attempt(first, NOW, pause=timedelta(0), chance=MIDDLE) == NOW + timedelta(seconds=5)


@pytest.mark.parametrize(
    ("status", "header", "seconds"),
    [
        (429, "120", 120),
        (503, " 7 ", 7),
        (503, "Wed, 01 Jan 2025 00:10:00 GMT", 600),
        (503, "Tue, 31 Dec 2024 00:00:00 GMT", 0),
        (429, "99999999999999999999", LONGEST_RETRY_AFTER.total_seconds()),
        (429, "soon", None),
        (429, "-5", None),
        (429, "٣", None),
        (429, None, None),
        (500, "120", None),
    ],
)
def test_retry_after_is_read_from_those_who_may_ask(status: int, header: str | None, seconds: float | None) -> None:
    pause = read_pause(Answer(status, retry_after=header), NOW)
    assert (None if pause is None else pause.total_seconds()) == seconds


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, Verdict.DONE),
        (204, Verdict.DONE),
        (301, Verdict.FAILED),
        (304, Verdict.FAILED),
        (307, Verdict.FAILED),
        (400, Verdict.FAILED),
        (404, Verdict.FAILED),
        (410, Verdict.GONE),
        (429, Verdict.FAILED),
        (500, Verdict.FAILED),
        (None, Verdict.FAILED),
    ],
)
def test_what_a_status_means(status: int | None, verdict: Verdict) -> None:
    assert judge(a_notification(), Answer(status, "no answer"))[0] is verdict


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        (b'{"challenge":"abc"}', Verdict.DONE),
        (b'{"challenge":"abc","more":1}', Verdict.DONE),
        (b'{"challenge":"abd"}', Verdict.FAILED),
        (b'"abc"', Verdict.FAILED),
        (b"abc", Verdict.FAILED),
        (b"\xff", Verdict.FAILED),
        (b"[" * 60_000, Verdict.FAILED),
        (b"", Verdict.FAILED),
    ],
)
def test_a_handshake_must_return_the_challenge(body: bytes, verdict: Verdict) -> None:
    handshake = a_notification(kind=HANDSHAKE, challenge="abc")
    assert judge(handshake, Answer(200, body=body))[0] is verdict


def test_the_signature_is_that_of_the_published_example() -> None:
    headers = sign(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        '{"test": 2432232314}',
        datetime.fromtimestamp(1614265330, UTC),
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_a_secret_that_is_no_base64_is_refused() -> None:
    with pytest.raises(ValueError, match="base64"):
        sign("whsec_đ", "x", "{}", NOW)


def test_an_event_is_a_cloud_event() -> None:
    event = json.loads(a_notification().body)
    assert event == {
        "specversion": "1.0",
        "id": str(UUID(int=1)),
        "source": "http://axis",
        "type": "delivery.available",
        "subject": "s",
        "time": "2025-01-01T00:00:00.000000Z",
        "datacontenttype": "application/json",
        "data": {"challenge": "x"},
    }


def test_the_breaker_opens_after_five_failures_and_rests_ever_longer() -> None:
    health = Health().after([Verdict.FAILED] * (BREAKER_THRESHOLD - 1), None, NOW)
    assert not health.is_failing
    assert health.rests_until is None
    assert health.at_once() > 1
    rests = []
    for _ in range(8):
        health = health.after([Verdict.FAILED], None, NOW)
        assert health.is_failing
        assert health.at_once() == 1
        assert health.rests_until is not None
        rests.append(health.rests_until - NOW)
    assert rests[:3] == [timedelta(seconds=30), timedelta(minutes=1), timedelta(minutes=2)]
    assert rests[-1] == LONGEST_REST
    assert health.failing_since == NOW


def test_a_success_closes_the_breaker() -> None:
    failing = Health(20, NOW, NOW + LONGEST_REST)
    assert failing.after([Verdict.DONE], None, NOW) == Health()
    assert failing.after([Verdict.FAILED, Verdict.DONE], None, NOW) == Health()


def test_failing_since_is_the_first_failure_of_the_row() -> None:
    first = Health().after([Verdict.FAILED], None, NOW)
    assert first.after([Verdict.FAILED], None, NOW + timedelta(days=1)).failing_since == NOW


def test_an_endpoint_that_asks_for_a_pause_is_left_alone_as_a_whole() -> None:
    assert Health().after([Verdict.FAILED], timedelta(minutes=3), NOW).rests_until == NOW + timedelta(minutes=3)
