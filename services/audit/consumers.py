"""Events and asks in."""

from services.audit.domain import write_leaf
from services.audit.repository import Repository
from services.audit.usecases import Notary, Sequencer
from shared.contracts.audit import (
    READ_CONSISTENCY,
    READ_HEALTH,
    READ_INCLUSION,
    READ_TREE_HEAD,
    Consistency,
    Inclusion,
    ReadConsistency,
    ReadInclusion,
    ReadTreeHead,
    TreeHead,
)
from shared.contracts.base import Health, Nothing
from shared.errors import Unavailable
from shared.messaging import Bus, Item
from shared.outbox import Consumer, Store


def connect(bus: Bus, store: Store, consumer: Consumer, sequencer: Sequencer, notary: Notary) -> None:
    """
    Subscribe to everything and answer.
    """

    async def append_event(item: Item) -> None:
        # Written before it joins a batch: an event without a canonical form takes no other along.
        await sequencer.append(write_leaf(item.id, item.type, item.source, item.time, item.data))

    async def read_tree_head(request: ReadTreeHead) -> TreeHead:
        return await notary.read_head(request.tree_size)

    async def read_inclusion(request: ReadInclusion) -> Inclusion:
        return await notary.prove_inclusion(
            event_id=request.event_id, leaf_index=request.leaf_index, tree_size=request.tree_size
        )

    async def read_consistency(request: ReadConsistency) -> Consistency:
        return await notary.prove_consistency(request.first, request.second)

    async def read_health(_: Nothing) -> Health:
        try:
            async with store.read() as connection:
                await Repository(connection).read_log_id()
        except Unavailable as error:
            return Health(ready=False, detail=error.detail)
        return Health(ready=True)

    consumer.on_everything(append_event)
    bus.answer(READ_TREE_HEAD, read_tree_head)
    bus.answer(READ_INCLUSION, read_inclusion)
    bus.answer(READ_CONSISTENCY, read_consistency)
    bus.answer(READ_HEALTH, read_health)
