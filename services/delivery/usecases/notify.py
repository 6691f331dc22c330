"""Turn what happened into notifications."""

import base64
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from services.delivery.clients.listeners import Listeners, Webhooks
from services.delivery.domain.notifications import HANDSHAKE, Notification, State, write_event
from services.delivery.repository.notifications import Repository
from services.delivery.usecases.finish import end_all
from shared.contracts.base import Lane
from shared.contracts.registry import WebhooksChanged
from shared.contracts.routing import DeliveriesChanged, DeliveryState, DeliveryStep, StatusesReported
from shared.messaging import Item
from shared.outbox import Store

CHALLENGE_BYTES = 32

_SENDER_HEARS = frozenset(
    {
        DeliveryState.DELIVERED,
        DeliveryState.FAILED,
        DeliveryState.CANCELLED,
        DeliveryState.RECALLED,
        DeliveryState.EXPIRED,
    }
)


@dataclass(frozen=True)
class News:
    """
    Something one agency wants to hear about.

    Attributes:
        data: Identifiers and codes only.
    """

    agency_key: UUID
    type: str
    subject: str
    lane: Lane
    at: datetime
    data: dict[str, Any]


class Notifier:
    """
    Writes notifications for the endpoints of whom something concerns.

    Args:
        store: The service's database.
        listeners: Knows the endpoints of agencies.
        source: Written into every notification: the node's URL.
        wake: Called once new notifications are there.
        entropy: Makes challenges.
    """

    def __init__(
        self,
        store: Store,
        listeners: Listeners,
        *,
        source: str,
        wake: Callable[[], None],
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._store = store
        self._listeners = listeners
        self._source = source
        self._wake = wake
        self._entropy = entropy

    async def on_deliveries_changed(self, event: DeliveriesChanged, item: Item) -> None:
        """
        Tell addressees what has come, and senders what became of theirs.
        """
        concerned = [(key, step) for step in event.items if (key := _concerned(step)) is not None]
        listeners = await self._listeners.of(key for key, _ in concerned)
        news = [_news_of(step, key) for key, step in concerned if listeners[key]]
        await self._notify("deliveries", news, listeners, item)

    async def on_statuses_reported(self, event: StatusesReported, item: Item) -> None:
        """
        Tell senders that addressees reported, and addressees that a sender asks its document back.
        """
        concerned = [(fact.addressee_key or fact.sender_key, fact) for fact in event.items]
        listeners = await self._listeners.of(key for key, _ in concerned)
        news = [
            News(
                agency_key=key,
                type="status.reported",
                subject=str(fact.status_id),
                lane=item.lane,
                at=fact.happened_at,
                data={
                    "status_id": str(fact.status_id),
                    "delivery_id": str(fact.delivery_id),
                    "document_id": str(fact.document_id),
                    "agency_key": str(key),
                    "code": fact.code,
                },
            )
            for key, fact in concerned
            if listeners[key]
        ]
        await self._notify("statuses", news, listeners, item)

    async def on_webhooks_changed(self, event: WebhooksChanged, item: Item) -> None:
        """
        Shake hands with an endpoint that was added; forget one that was removed or switched off.
        """
        if event.change == "added":
            challenge = base64.urlsafe_b64encode(self._entropy(CHALLENGE_BYTES)).rstrip(b"=").decode()
            news = News(
                agency_key=event.webhook_id,  # of no agency: it goes to the one endpoint by its own id
                type=HANDSHAKE,
                subject=str(event.webhook_id),
                lane=Lane.VERY_URGENT,  # someone is waiting at a terminal
                at=item.time,
                data={"webhook_id": str(event.webhook_id), "challenge": challenge},
            )
            await self._write("webhooks", [self._write_notification(event.webhook_id, news, item)], item)
        elif event.change in {"removed", "disabled"}:
            await end_all(self._store, event.webhook_id, State.ENDPOINT_OFF, forget=event.change == "removed")

    async def _notify(self, consumer: str, news: list[News], listeners: Mapping[UUID, Webhooks], item: Item) -> None:
        await self._write(
            consumer,
            [
                self._write_notification(webhook_id, one, item)
                for one in news
                for webhook_id in listeners[one.agency_key]
            ],
            item,
        )

    async def _write(self, consumer: str, new: Iterable[Notification], item: Item) -> None:
        notifications = list(new)
        if not notifications:
            return
        async with self._store.begin() as uow:
            if not await uow.first_time(consumer, item.id):
                return
            await Repository(uow.connection).add(notifications)
            uow.after_commit(self._wake)
            await uow.commit()

    def _write_notification(self, webhook_id: UUID, news: News, item: Item) -> Notification:
        notification_id = self._store.new_id()
        body = write_event(notification_id, news.type, news.subject, source=self._source, time=news.at, data=news.data)
        return Notification(
            id=notification_id,
            webhook_id=webhook_id,
            event_id=item.id,
            type=news.type,
            subject=news.subject,
            lane=news.lane,
            body=body,
            attempts=0,
            created_at=self._store.clock.now(),
        )


def _concerned(step: DeliveryStep) -> UUID | None:
    if step.to_state is DeliveryState.AVAILABLE:
        return step.mailbox_key
    return step.sender_key if step.to_state in _SENDER_HEARS else None


def _news_of(step: DeliveryStep, agency_key: UUID) -> News:
    return News(
        agency_key=agency_key,
        type=f"delivery.{step.to_state}",
        subject=str(step.delivery_id),
        lane=step.lane,
        at=step.at,
        data={
            "delivery_id": str(step.delivery_id),
            "document_id": str(step.document_id),
            "agency_key": str(agency_key),
            "series": step.series,
            "lane": int(step.lane),
        },
    )
