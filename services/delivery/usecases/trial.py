"""Send a test notification, now and once."""

from uuid import UUID

from services.delivery.clients.outside import Outside
from services.delivery.clients.registry import Registry
from services.delivery.domain.notifications import TEST, Notification, Verdict, judge, sign, write_event
from services.delivery.errors import NotFound, WebhookNotActive
from shared.contracts.base import Lane
from shared.contracts.delivery import WebhookTried
from shared.contracts.registry import WebhookState
from shared.outbox import Store
from shared.tokens import Caller


async def try_webhook(
    store: Store, registry: Registry, outside: Outside, caller: Caller, webhook_id: UUID, *, source: str
) -> WebhookTried:
    """
    Send a test notification to an endpoint of the caller's system and tell what it answered.

    Args:
        store: For clock and identities.
        registry: Knows the endpoint.
        outside: The way out.
        caller: Whose endpoint it must be.
        webhook_id: The endpoint.
        source: The node's URL.

    Raises:
        NotFound: The caller's system has no such endpoint.
        WebhookNotActive: It has not agreed to be called, or was switched off.
    """
    endpoint = (await registry.endpoints_named([webhook_id])).get(webhook_id)
    if endpoint is None or endpoint.system_id != caller.system_id:
        raise NotFound("there is no such webhook")
    if endpoint.state is not WebhookState.ACTIVE:
        raise WebhookNotActive(f"the webhook is {endpoint.state}")
    now, notification_id, subject = store.clock.now(), store.new_id(), str(webhook_id)
    body = write_event(notification_id, TEST, subject, source=source, time=now, data={"webhook_id": subject})
    notification = Notification(
        id=notification_id,
        webhook_id=webhook_id,
        event_id=notification_id,
        type=TEST,
        subject=subject,
        lane=Lane.ORDINARY,
        body=body,
        attempts=0,
        created_at=now,
    )
    answer = await outside.post(endpoint.url, body, sign(endpoint.secret, str(notification_id), body, now))
    verdict, detail = judge(notification, answer)
    return WebhookTried(delivered=verdict is Verdict.DONE, status=answer.status, detail=detail, tried_at=now)
