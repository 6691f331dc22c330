"""End notifications that no attempt will be made for, and clear away old ones."""

from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from services.delivery.domain.notifications import GIVE_UP_AFTER, Notification, State
from services.delivery.repository.notifications import PACK, Repository
from shared.contracts.delivery import NotificationFact, NotificationsEnded
from shared.outbox import Store

KEEP_ENDED = timedelta(days=7)


def ended_event(ended: Iterable[tuple[Notification, int, State]]) -> NotificationsEnded:
    """
    Say which notifications ended, after how many attempts and how.
    """
    return NotificationsEnded(
        items=tuple(
            NotificationFact(
                notification_id=notification.id,
                webhook_id=notification.webhook_id,
                attempts=attempts,
                outcome=state.value,
            )
            for notification, attempts, state in ended
        )
    )


async def end_all(store: Store, webhook_id: UUID, state: State, *, forget: bool = False) -> None:
    """
    End everything that waits for an endpoint, 500 at a time.

    Args:
        store: The service's database.
        webhook_id: The endpoint.
        state: How its notifications end.
        forget: Forget its health too: it is gone for good.
    """
    more = True
    while more:
        async with store.begin() as uow:
            repository = Repository(uow.connection)
            ended = await repository.end_pending(state, store.clock.now(), webhook_id=webhook_id)
            if ended:
                uow.outbox.add(ended_event((one, one.attempts, state) for one in ended))
            more = len(ended) == PACK
            if forget and not more:
                await repository.forget_endpoint(webhook_id)
            await uow.commit()


async def sweep(store: Store) -> None:
    """
    Give up what is too old, and delete what ended a week ago, 500 at a time.
    """
    now = store.clock.now()
    ended: list[Notification] | None = None
    while ended is None or len(ended) == PACK:
        async with store.begin() as uow:
            repository = Repository(uow.connection)
            ended = await repository.end_pending(State.GIVEN_UP, now, created_before=now - GIVE_UP_AFTER)
            if ended:
                uow.outbox.add(ended_event((one, one.attempts, State.GIVEN_UP) for one in ended))
            await uow.commit()
    deleted = PACK
    while deleted == PACK:
        async with store.begin() as uow:
            deleted = await Repository(uow.connection).delete_ended(now - KEEP_ENDED)
            await uow.commit()
