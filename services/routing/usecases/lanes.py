"""The lanes: from the backlog into a short window on the bus, fairly by sender, urgent lanes apart from the rest."""

from datetime import timedelta
from math import ceil
from uuid import UUID

from services.routing.repository import chunks as repository
from services.routing.usecases.context import Context
from shared.contracts.base import Lane
from shared.contracts.routing import CHUNK_READY
from shared.outbox import UnitOfWork
from shared.runtime import ring_or_pass

IDLE_SECONDS = 5.0
"""What another copy left behind is found this often; what happens in this one rings the bell at once."""
OFFER_LASTS = timedelta(seconds=60)
"""A chunk that was offered this long ago and is not opened is offered again; opening it twice does nothing."""

CHUNKS_A_TURN = 32
"""At most this many chunks of each sender are looked at when the window is filled; filling goes on until it is full."""


async def fill_window(context: Context, lane: Lane) -> int:
    """
    Offer waiting chunks of a lane until its window is full.

    Returns:
        How many were offered.
    """
    now = context.clock.now()
    async with context.store.begin() as uow:
        if not await repository.lock_lane(uow.connection, lane):
            return 0
        if lane in await repository.paused_lanes(uow.connection, now):
            return 0
        late = await repository.offer_again(uow.connection, lane, before=now - OFFER_LASTS, now=now)
        room = context.settings.lane_window - await repository.count_outstanding(uow.connection, lane)
        fresh = await repository.offer_fairly(uow.connection, lane, room=max(room, 0), per_sender=_share(room), now=now)
        _announce(uow, lane, [*late, *fresh])
        if late or fresh:
            await uow.commit()
    return len(fresh)


async def fill_windows(context: Context) -> bool:
    """
    Fill every lane's window, the most urgent first; a lane with much to do gives way after each turn.

    Returns:
        True when there is more: the lanes are to be looked at again.
    """
    now = context.clock.now()
    async with context.store.read() as connection:
        lanes = await repository.lanes_with_work(connection, now=now, before=now - OFFER_LASTS)
    for lane in lanes:
        # Fewer than are looked at of one sender: nobody left any behind, or the window is full and opening rings.
        if await fill_window(context, lane) >= CHUNKS_A_TURN:
            return True
    return False


async def feed_lanes(context: Context) -> None:
    """
    Keep every lane's window filled for ever.
    """
    bell = context.bells.lanes
    while True:
        bell.clear()
        while await fill_windows(context):
            pass
        await ring_or_pass(bell, IDLE_SECONDS)


def _share(room: int) -> int:
    return max(1, min(CHUNKS_A_TURN, ceil(room / 2)))


def _announce(uow: UnitOfWork, lane: Lane, chunk_ids: list[UUID]) -> None:
    for chunk_id in chunk_ids:
        uow.outbox.add(CHUNK_READY[lane](chunk_id=chunk_id), lane=lane)
