"""What the delivery service answers and publishes."""

from typing import ClassVar
from uuid import UUID

from shared.contracts.base import Contract, Event, Health, Moment, Nothing, Operation


class TestWebhook(Contract):
    """
    Send a test notification to one endpoint of the caller's system, now.
    """

    __test__ = False
    token: str
    id: UUID


class WebhookTried(Contract):
    """
    What the endpoint answered.

    Attributes:
        status: HTTP status, None when there was no answer.
        detail: What went wrong, in words; empty when it went well.
    """

    delivered: bool
    status: int | None
    detail: str
    tried_at: Moment


class NotificationFact(Contract):
    """
    The outcome of one notification.
    """

    notification_id: UUID
    webhook_id: UUID
    attempts: int
    outcome: str


class NotificationsEnded(Event):
    """
    Notifications were delivered or given up; a mailbox never depends on them.
    """

    topic: ClassVar[str] = "delivery.notifications_ended.v1"
    items: tuple[NotificationFact, ...]


TEST_WEBHOOK = Operation("delivery.test_webhook", TestWebhook, WebhookTried)
READ_HEALTH = Operation("delivery.read_health", Nothing, Health)
