"""
The product's own topology: every party can do all of its part, and the table agrees with the contracts.
"""

import asyncio
import re
from collections.abc import Callable
from uuid import UUID

from deploy.distributed.broker import PrivateRabbit
from shared.clock import SystemClock
from shared.contracts.base import Hint, Nothing, Operation
from shared.contracts.registry import RegistryBeat
from shared.contracts.routing import MailboxChanged
from shared.identifiers import Uuid7Source
from shared.messaging import Item
from shared.messaging.port import EventHandler
from shared.messaging.rabbitmq import AXIS, RabbitBus

NEW_ID = Uuid7Source(SystemClock())
HINTS: dict[str, Hint] = {
    "registry": RegistryBeat(version=1, at=SystemClock().now()),
    "routing": MailboxChanged(agency_keys=(NEW_ID(),)),
}


def _ping(service: str) -> Operation[Nothing, Nothing]:
    return Operation(f"{service}.ping", Nothing, Nothing)


async def _answer(_: Nothing) -> Nothing:
    return Nothing()


class Product:
    """
    All parties of the product at once, and what reached them.
    """

    def __init__(self, rabbit: PrivateRabbit, vhost: str) -> None:
        self.received: set[tuple[str, str]] = set()
        self.journal: set[UUID] = set()
        self.heard: set[tuple[str, str]] = set()
        self.buses: dict[str, RabbitBus] = {}
        for name, party in AXIS.parties.items():
            bus = RabbitBus(rabbit.url(name, vhost), party=name, clock=SystemClock(), new_id=NEW_ID)
            if party.answers:
                bus.answer(_ping(name), _answer)
            for topic in party.consumes:
                bus.subscribe(topic, self._taking(name, topic))
            for publisher in party.hears:
                bus.on_hint(type(HINTS[publisher]), self._hearing(name, publisher))
            self.buses[name] = bus

    def _taking(self, name: str, topic: str) -> EventHandler:
        async def take(item: Item) -> None:
            self.received.add((name, topic))
            if topic == "*":
                self.journal.add(item.id)

        return take

    def _hearing(self, name: str, publisher: str) -> Callable[[Hint], None]:
        return lambda _: self.heard.add((name, publisher))


async def test_every_party_of_the_product_can_do_its_part(rabbit: PrivateRabbit, vhost: str) -> None:
    product = Product(rabbit, vhost)
    for bus in product.buses.values():
        await bus.start()
        assert bus.ready, bus.missing
    for name, party in AXIS.parties.items():
        for service in party.asks:
            await product.buses[name].ask(_ping(service), Nothing())
    for name, hint in HINTS.items():
        product.buses[name].hint(hint)
    topics = {topic for party in AXIS.parties.values() for topic in party.consumes if topic != "*"}
    topics |= {f"{name}.something.v1" for name, party in AXIS.parties.items() if party.publishes}
    for topic in topics:
        source = topic.partition(".")[0]
        item = Item(id=NEW_ID(), type=topic, source=source, time=SystemClock().now(), data="{}")
        assert list(await product.buses[source].publish([item])) == [True], topic

    consumers = {(name, topic) for name, party in AXIS.parties.items() for topic in party.consumes}
    listeners = {(name, other) for name, party in AXIS.parties.items() for other in party.hears}
    async with asyncio.timeout(20):
        while product.received != consumers or product.heard != listeners or len(product.journal) < len(topics):
            await asyncio.sleep(0.05)
    for bus in product.buses.values():
        await bus.close()


def test_nobody_has_a_right_over_the_default_exchange_or_over_everything() -> None:
    for name in AXIS.parties:
        rights = AXIS.rights(name)
        for right in (rights.configure, rights.write, rights.read):
            assert not re.match(right, "amq.default")
            assert not re.match(right, "anything")


def test_a_party_may_remove_no_exchange_and_no_queue_of_another() -> None:
    for name in AXIS.parties:
        own = re.compile(AXIS.rights(name).configure)
        assert not [exchange.name for exchange in AXIS.exchanges() if own.match(exchange.name)]
        for other in set(AXIS.parties) - {name}:
            assert not [queue.name for queue in AXIS.event_queues(other) if own.match(queue.name)]
