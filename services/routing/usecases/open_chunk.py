"""Opening: a chunk of a dispatch becomes deliveries in mailboxes, all in one transaction."""

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

AXIS = "axis"
"""Who causes a step that nobody outside has asked for."""


async def open_chunk(context: Context, event: ChunkReady, item: Item) -> None:
    """
    Open the deliveries of a chunk, each addressee resolved again at this moment.

    A message that comes twice, or a chunk that was offered twice, does nothing the second time.

    Raises:
        Unavailable: The register or the database is out of reach; the message comes again.
    """
    register = await context.register.current()
    now = context.clock.now()
    async with context.store.begin() as uow:
        if not await uow.first_time(type(event).topic, item.id):
            return
        chunk = await chunks_repository.lock_chunk(uow.connection, event.chunk_id)
        if chunk is not None and chunk.state == "offered":
            if chunk.lane in await chunks_repository.paused_lanes(uow.connection, now):
                await chunks_repository.put_back(uow.connection, chunk.id)
            else:
                await _open(context, uow, chunk, register, now)
                uow.after_commit(context.bells.lanes.set)
        await uow.commit()


async def _open(context: Context, uow: UnitOfWork, chunk: Chunk, register: Register, now: datetime) -> None:
    if chunk.requeued_delivery_id is None:
        await _open_new(context, uow, chunk, register, now)
    else:
        await _open_again(context, uow, chunk.requeued_delivery_id, register, now)
    await chunks_repository.mark_opened(uow.connection, chunk, now)


async def _open_new(context: Context, uow: UnitOfWork, chunk: Chunk, register: Register, now: datetime) -> None:
    paused = await chunks_repository.paused_agencies(uow.connection, now, chunk.addressee_keys)
    node_id = context.settings.node_id
    openings = [
        Opening(
            context.new_id(),
            key,
            why_held(register.agencies.get(key), paused=key in paused, node_id=node_id, at=now),
        )
        for key in chunk.addressee_keys
    ]
    opened = await repository.open_deliveries(uow.connection, chunk, openings, now)
    await note_steps(context, uow, [_first_step(chunk, opening, now) for opening in openings if opening.id in opened])


def _first_step(chunk: Chunk, opening: Opening, now: datetime) -> Step:
    delivery = _as_delivery(chunk, opening, now)
    details = StepDetails(at=now, by=AXIS, held=opening.held)
    return Step(delivery, delivery.state, Cause.RELEASED, details, opened=True)


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


def _as_delivery(chunk: Chunk, opening: Opening, now: datetime) -> Delivery:
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
