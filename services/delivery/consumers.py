"""Events and asks in."""

from collections.abc import Awaitable, Callable

from services.delivery.usecases.notify import Notifier
from shared.contracts.base import Health, Nothing
from shared.contracts.delivery import READ_HEALTH, TEST_WEBHOOK, TestWebhook, WebhookTried
from shared.contracts.registry import WebhooksChanged
from shared.contracts.routing import DeliveriesChanged, StatusesReported
from shared.errors import Unavailable
from shared.messaging import Bus
from shared.outbox import Consumer, Store


def connect(
    bus: Bus,
    store: Store,
    consumer: Consumer,
    notifier: Notifier,
    try_webhook: Callable[[TestWebhook], Awaitable[WebhookTried]],
) -> None:
    """
    Subscribe and answer.
    """

    async def read_health(_: Nothing) -> Health:
        try:
            async with store.read() as connection:
                await connection.exec_driver_sql("SELECT 1")
        except Unavailable as error:
            return Health(ready=False, detail=error.detail)
        return Health(ready=True)

    consumer.on(DeliveriesChanged, notifier.on_deliveries_changed)
    consumer.on(StatusesReported, notifier.on_statuses_reported)
    consumer.on(WebhooksChanged, notifier.on_webhooks_changed)
    bus.answer(TEST_WEBHOOK, try_webhook)
    bus.answer(READ_HEALTH, read_health)
