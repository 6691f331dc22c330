"""Rules of notifications: what is sent, how it is signed, what an answer means, when to try again."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Any
from uuid import UUID

from shared.contracts.base import Lane, write_moment

HANDSHAKE = "axis.webhook.handshake"
TEST = "axis.webhook.test"
"""About the endpoint itself; every other type is news about a document."""

SECRET_PREFIX = "whsec_"  # noqa: S105 - how a secret begins, by Standard Webhooks

SCHEDULE = (
    timedelta(0),
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""Pause before each attempt; three days and three hours in all."""

URGENT_SCHEDULE = (
    timedelta(0),
    timedelta(seconds=1),
    timedelta(seconds=5),
    timedelta(seconds=15),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=15),
    timedelta(minutes=30),
    timedelta(hours=1),
    timedelta(hours=2),
    timedelta(hours=4),
    timedelta(hours=8),
    timedelta(hours=12),
    timedelta(hours=24),
    timedelta(hours=24),
)
"""The same span, tried more often: an agency that comes back learns of what is urgent within minutes."""

HANDSHAKE_TRIES = 4
"""A handshake that fails through the first half hour is no outage but a mistake, which its owner must hear of."""

GIVE_UP_AFTER = timedelta(days=4)
"""No notification is older: with the breaker open attempts are rare, and the schedule alone would never end."""

BREAKER_THRESHOLD = 5
FIRST_REST = timedelta(seconds=30)
LONGEST_REST = timedelta(minutes=15)
LONGEST_RETRY_AFTER = timedelta(hours=24)
AT_ONCE = 4
"""Notifications under way to one endpoint; while it is failing, one that probes."""

JITTER = 0.1


class State(StrEnum):
    """
    States of a notification; every state but the first is final.
    """

    PENDING = "pending"
    """Waits for its next attempt."""
    DELIVERED = "delivered"
    """The endpoint answered 2xx."""
    GIVEN_UP = "given-up"
    """Every attempt failed."""
    ENDPOINT_OFF = "endpoint-off"
    """The endpoint was removed or switched off meanwhile."""

    @property
    def is_final(self) -> bool:
        return self is not State.PENDING


class Verdict(StrEnum):
    """
    What an answer means for the attempt.
    """

    DONE = "done"
    FAILED = "failed"
    GONE = "gone"
    """The endpoint wants to hear nothing any more (410)."""


@dataclass(frozen=True)
class Answer:
    """
    What came back from an endpoint.

    Attributes:
        status: HTTP status; None when there was no answer.
        detail: What went wrong, in words that hold nothing of the answer itself.
        retry_after: The header, as it came.
        body: First 64 KiB, where they were asked for.
        refused: We did not even connect: the address is not one we may call.
    """

    status: int | None
    detail: str = ""
    retry_after: str | None = None
    body: bytes = b""
    refused: bool = False


@dataclass(frozen=True)
class Notification:
    """
    One thin message to one endpoint.

    Attributes:
        id: Also `webhook-id` and the event's `id`; every repeat has the same.
        body: The CloudEvent as it is sent.
        attempts: Attempts that have come to an end.
    """

    id: UUID
    webhook_id: UUID
    event_id: UUID
    type: str
    subject: str
    lane: Lane
    body: str
    attempts: int
    created_at: datetime

    @property
    def is_handshake(self) -> bool:
        return self.type == HANDSHAKE


@dataclass(frozen=True)
class Health:
    """
    What we know about an endpoint.

    Attributes:
        failures: Attempts that failed since the last that succeeded.
        failing_since: First of them.
        rests_until: It is left alone until then: the breaker is open, or it asked for it.
    """

    failures: int = 0
    failing_since: datetime | None = None
    rests_until: datetime | None = None

    @property
    def is_failing(self) -> bool:
        """
        Tell whether the breaker has opened; it closes with the first success.
        """
        return self.failures >= BREAKER_THRESHOLD

    def at_once(self) -> int:
        """
        Say how many notifications may be under way: a single probe while it is failing.
        """
        return 1 if self.is_failing else AT_ONCE

    def after(self, verdicts: Sequence[Verdict], pause: timedelta | None, now: datetime) -> "Health":
        """
        Judge the endpoint by attempts that ended together.

        Args:
            verdicts: One for each attempt.
            pause: What the endpoint asked for by `Retry-After`.
            now: When they ended.
        """
        if Verdict.DONE in verdicts:
            health = Health()
        else:
            failures = self.failures + len(verdicts)
            health = Health(failures, self.failing_since or now)
            if health.is_failing:
                doublings = min(failures - BREAKER_THRESHOLD, 10)
                health = replace(health, rests_until=now + min(LONGEST_REST, FIRST_REST * 2**doublings))
        if pause is not None and (health.rests_until is None or health.rests_until < now + pause):
            health = replace(health, rests_until=now + pause)
        return health


# --- what is sent ----------------------------------------------------------------------------------------------------


def write_event(
    notification_id: UUID, kind: str, subject: str, *, source: str, time: datetime, data: Mapping[str, Any]
) -> str:
    """
    Write a CloudEvent 1.0 in JSON; identifiers and codes only, so that reading the content is an access we record.
    """
    event = {
        "specversion": "1.0",
        "id": str(notification_id),
        "source": source,
        "type": kind,
        "subject": subject,
        "time": write_moment(time),
        "datacontenttype": "application/json",
        "data": dict(data),
    }
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"))


def sign(secret: str, notification_id: str, body: str, at: datetime) -> dict[str, str]:
    """
    Make the three headers of Standard Webhooks for an attempt.

    Args:
        secret: `whsec_` and base64.
        notification_id: The same for every attempt.
        body: Exactly what is sent.
        at: Moment of the attempt.

    Raises:
        ValueError: The secret is not base64.
    """
    stamp = str(int(at.timestamp()))
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except ValueError as malformed:
        raise ValueError("the secret is not base64") from malformed
    digest = hmac.new(key, f"{notification_id}.{stamp}.{body}".encode(), hashlib.sha256).digest()
    return {
        "webhook-id": notification_id,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


# --- what an answer means --------------------------------------------------------------------------------------------


def judge(notification: Notification, answer: Answer) -> tuple[Verdict, str]:
    """
    Say what an answer means, and why, in words for the owner of the endpoint.
    """
    if answer.status is None:
        return Verdict.FAILED, answer.detail
    if answer.status == HTTPStatus.GONE:
        return Verdict.GONE, "the endpoint answered 410: it wants no more notifications"
    if 300 <= answer.status < 400:
        return Verdict.FAILED, f"the endpoint answered {answer.status}; redirects are not followed"
    if not 200 <= answer.status < 300:
        return Verdict.FAILED, f"the endpoint answered {answer.status}"
    if notification.is_handshake and not _returns_challenge(notification, answer.body):
        return Verdict.FAILED, "the endpoint did not return the challenge of the handshake"
    return Verdict.DONE, ""


def _returns_challenge(notification: Notification, body: bytes) -> bool:
    try:
        returned = json.loads(body)
    except (ValueError, RecursionError):
        return False
    expected = json.loads(notification.body)["data"]["challenge"]
    return isinstance(returned, dict) and returned.get("challenge") == expected


def read_pause(answer: Answer, now: datetime) -> timedelta | None:
    """
    Read how long the endpoint wants to be left alone: `Retry-After` of a 429 or 503, seconds or a date.
    """
    if answer.status not in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE} or not answer.retry_after:
        return None
    value = answer.retry_after.strip()
    if value.isascii() and value.isdigit():
        # Nine digits are thirty years; more would not fit a timedelta.
        pause = timedelta(seconds=int(value[:9]))
    else:
        try:
            until = parsedate_to_datetime(value)
        except ValueError:
            return None
        pause = (until if until.tzinfo else until.replace(tzinfo=UTC)) - now
    return min(max(pause, timedelta(0)), LONGEST_RETRY_AFTER)


# --- when to try again -----------------------------------------------------------------------------------------------


def schedule_of(notification: Notification) -> Sequence[timedelta]:
    """
    Give the pauses before each attempt of a notification.
    """
    if notification.is_handshake:
        return SCHEDULE[:HANDSHAKE_TRIES]
    return URGENT_SCHEDULE if notification.lane >= Lane.VERY_URGENT else SCHEDULE


def is_last_attempt(notification: Notification) -> bool:
    """
    Tell whether none follows should the coming attempt fail.
    """
    return notification.attempts + 1 >= len(schedule_of(notification))


def next_attempt(
    notification: Notification, now: datetime, *, pause: timedelta | None, chance: float
) -> datetime | None:
    """
    Say when to try again after an attempt failed.

    Args:
        notification: As it was before the attempt.
        now: When the attempt ended.
        pause: What the endpoint asked for.
        chance: From 0 to 1; spreads the attempts of many by a tenth to either side.

    Returns:
        None when that was the last attempt.
    """
    if is_last_attempt(notification):
        return None
    delay = schedule_of(notification)[notification.attempts + 1] * (1 - JITTER + 2 * JITTER * chance)
    return now + max(delay, pause or timedelta(0))
