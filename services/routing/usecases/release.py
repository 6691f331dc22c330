"""Releasing: held deliveries reach their mailboxes once nothing holds them any more."""

from uuid import UUID

from services.routing.domain.deliveries import why_held
from services.routing.domain.states import Cause
from services.routing.repository import chunks as chunks_repository
from services.routing.repository import deliveries as repository
from services.routing.usecases.context import Context
from services.routing.usecases.open_chunk import AXIS
from services.routing.usecases.steps import Step, StepDetails, take_steps
from shared.contracts.base import MAX_ITEMS
from shared.contracts.routing import DeliveryState
from shared.runtime import ring_or_pass

IDLE_SECONDS = 5.0
"""What another copy left behind is found this often; what happens in this one rings the bell at once."""


async def release_held(context: Context) -> int:
    """
    Release what was held for an addressee that is open, served here and not paused now; 500 a transaction.

    Returns:
        How many deliveries were released.

    Raises:
        Unavailable: The register or the database is out of reach.
    """
    register = await context.register.current()
    now = context.clock.now()
    async with context.store.read() as connection:
        mailboxes = await repository.held_mailboxes(connection)
        paused = await chunks_repository.paused_agencies(connection, now)
    released = 0
    for mailbox in mailboxes:
        # Most stay held for long, so that no transaction is opened for each of them.
        entry = register.agencies.get(mailbox)
        if why_held(entry, paused=mailbox in paused, node_id=context.settings.node_id, at=now) is None:
            while batch := await _release_some(context, mailbox):
                released += batch
    return released


async def _release_some(context: Context, mailbox_key: UUID) -> int:
    now = context.clock.now()
    async with context.store.begin() as uow:
        if await chunks_repository.paused_agencies(uow.connection, now, [mailbox_key]):
            return 0
        lanes = await chunks_repository.paused_lanes(uow.connection, now)
        batch = await repository.lock_queued(uow.connection, mailbox_key, not_in_lanes=lanes.keys(), limit=MAX_ITEMS)
        details = StepDetails(at=now, by=AXIS)
        await take_steps(context, uow, [Step(one, DeliveryState.AVAILABLE, Cause.RELEASED, details) for one in batch])
        await uow.commit()
    return len(batch)


async def keep_releasing(context: Context) -> None:
    """
    Release for ever: at once when somebody resumes an addressee, else every few seconds.
    """
    bell = context.bells.release
    while True:
        bell.clear()
        await release_held(context)
        await ring_or_pass(bell, IDLE_SECONDS)
