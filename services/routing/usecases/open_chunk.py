"""Opening: a chunk of a dispatch becomes deliveries in mailboxes, all in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.routing.domain.deliveries import why_held
from services.routing.domain.register import Register
from services.routing.domain.states import Cause
from services.routing.repository import chunks as chunks_repository
from services.routing.repository import deliveries as repository
from services.routing.repository.chunks import Chunk
from services.routing.repository.deliveries import Delivery, Opening
from services.routing.usecases.context import Context
from services.routing.usecases.steps import Step, StepDetails, note_steps, take_steps
from shared.contracts.routing import ChunkReady, DeliveryState
from shared.messaging import Item
from shared.outbox import UnitOfWork

CHUNKS_AT_ONCE = 16
"""A chunk has up to 500 addressees, and what one transaction opens is locked until it ends."""

AXIS = "axis"
"""Who causes a step that nobody outside has asked for."""


@dataclass(frozen=True)
class _Ready:
    """
    A chunk to be opened, and the message that said so.
    """

    topic: str
    message_id: UUID
    chunk_id: UUID
    correlation: str


async def open_chunk(context: Context, event: ChunkReady, item: Item) -> None:
    """
    Open the deliveries of a chunk, each addressee resolved again at this moment.

    A message that comes twice, or a chunk that was offered twice, does nothing the second time.

    Raises:
        Unavailable: The register or the database is out of reach; the message comes again.
    """
    ready = _Ready(type(event).topic, item.id, event.chunk_id, item.correlation_id)
    await context.group(_open_together, apart=item.lane, most=CHUNKS_AT_ONCE).do(ready)


async def _open_together(context: Context, group: Sequence[_Ready]) -> list[Exception | None]:
    register = await context.register.current()
    now = context.clock.now()
    async with context.store.begin() as uow:
        fresh = await uow.first_times(group[0].topic, [ready.message_id for ready in group])
        correlations = {ready.chunk_id: ready.correlation for ready in group if ready.message_id in fresh}
        chunks = [
            chunk
            for chunk in await chunks_repository.lock_chunks(uow.connection, correlations.keys())
            if chunk.state == "offered"
        ]
        paused = await chunks_repository.paused_lanes(uow.connection, now)
        await chunks_repository.put_back(uow.connection, [chunk.id for chunk in chunks if chunk.lane in paused])
        to_open = [chunk for chunk in chunks if chunk.lane not in paused]
        if to_open:
            await _open_new(context, uow, to_open, correlations, register, now)
            for chunk in to_open:
                if chunk.requeued_delivery_id is not None:
                    await _open_again(context, uow, chunk.requeued_delivery_id, register, now)
            await chunks_repository.mark_opened(uow.connection, to_open, now)
            uow.after_commit(context.bells.lanes.set)
        await uow.commit()
    return [None] * len(group)


async def _open_new(
    context: Context,
    uow: UnitOfWork,
    chunks: Sequence[Chunk],
    correlations: Mapping[UUID, str],
    register: Register,
    now: datetime,
) -> None:
    wanted = [(chunk, key) for chunk in chunks if chunk.requeued_delivery_id is None for key in chunk.addressee_keys]
    if not wanted:
        return
    paused = await chunks_repository.paused_agencies(uow.connection, now, {key for _, key in wanted})
    node_id = context.settings.node_id
    openings = [
        Opening(
            chunk,
            context.new_id(),
            key,
            why_held(register.agencies.get(key), paused=key in paused, node_id=node_id, at=now),
        )
        for chunk, key in wanted
    ]
    opened = await repository.open_deliveries(uow.connection, openings, now)
    steps = [_first_step(opening, now, correlations[opening.chunk.id]) for opening in openings if opening.id in opened]
    await note_steps(context, uow, steps)


def _first_step(opening: Opening, now: datetime, correlation: str) -> Step:
    delivery = _as_delivery(opening, now)
    details = StepDetails(at=now, by=AXIS, held=opening.held)
    return Step(delivery, delivery.state, Cause.RELEASED, details, opened=True, correlation=correlation)


async def _open_again(context: Context, uow: UnitOfWork, delivery_id: UUID, register: Register, now: datetime) -> None:
    """Open a requeued delivery, unless it was cancelled or stepped on while its chunk waited."""
    delivery = (await repository.read_deliveries(uow.connection, [delivery_id], lock=True))[delivery_id]
    if delivery.state is not DeliveryState.QUEUED or delivery.held is not None:
        return
    key = delivery.mailbox_key
    paused = await chunks_repository.paused_agencies(uow.connection, now, [key])
    held = why_held(register.agencies.get(key), paused=key in paused, node_id=context.settings.node_id, at=now)
    if held is not None:
        await repository.mark_held(uow.connection, [delivery.id], held)
        return
    details = StepDetails(at=now, by=AXIS)
    await take_steps(context, uow, [Step(delivery, DeliveryState.AVAILABLE, Cause.RELEASED, details)])


def _as_delivery(opening: Opening, now: datetime) -> Delivery:
    chunk = opening.chunk
    state = DeliveryState.AVAILABLE if opening.held is None else DeliveryState.QUEUED
    return Delivery(
        id=opening.id,
        document_id=chunk.document_id,
        dispatch_id=chunk.dispatch_id,
        addressee_key=opening.addressee_key,
        mailbox_key=opening.addressee_key,
        sender_key=chunk.sender_key,
        lane=chunk.lane,
        accepted_at=chunk.accepted_at,
        state=state,
        series=1,
        held=opening.held,
        reason_code=None,
        reason=None,
        requeue_possible=None,
        available_at=None if opening.held else now,
        changed_at=now,
    )
