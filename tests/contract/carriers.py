"""
The adapters of the bus, behind one face for the contract suite.
"""

import itertools
from typing import ClassVar, Protocol

from deploy.distributed.broker import PrivateRabbit
from shared.clock import SystemClock
from shared.contracts.base import Contract, Event, Hint, Lane, Operation
from shared.errors import Rejected
from shared.identifiers import Uuid7Source
from shared.messaging import Bus, Item
from shared.messaging.inprocess import InProcessBus
from shared.messaging.rabbitmq import Party, RabbitBus, Topology

NEW_ID = Uuid7Source(SystemClock())
_numbers = itertools.count(1)


class Question(Contract):
    number: int


class Answer(Contract):
    number: int


class SomethingHappened(Event):
    topic: ClassVar[str] = "alpha.something_happened.v1"
    number: int


class SomethingChanged(Hint):
    topic: ClassVar[str] = "alpha.something_changed"
    number: int


class TooOdd(Rejected):
    code = "too-odd"


DOUBLE = Operation("alpha.double_number", Question, Answer)
HALVE = Operation("beta.halve_number", Question, Answer)

TOPOLOGY = Topology.of(
    [
        Party("alpha", hints=True),
        Party("beta", asks=("alpha",), consumes=(SomethingHappened.topic,), hears=("alpha",)),
        Party("gamma", asks=("alpha", "beta"), consumes=("*",), hears=("alpha",), answers=False, publishes=False),
    ]
)


def an_item(number: int = 1, *, lane: Lane = Lane.ORDINARY) -> Item:
    event = SomethingHappened(number=number)
    return Item(
        id=NEW_ID(),
        type=SomethingHappened.topic,
        source="alpha",
        time=SystemClock().now(),
        data=event.model_dump_json(),
        lane=lane,
    )


def number_of(item: Item) -> int:
    return SomethingHappened.model_validate_json(item.data).number


class Carrier(Protocol):
    """
    One bus with several parties; handlers are given before it starts.
    """

    def party(self, name: str) -> Bus: ...

    async def start(self) -> None: ...

    async def close(self) -> None: ...


class InProcessCarrier:
    def __init__(self) -> None:
        self._bus = InProcessBus(clock=SystemClock(), new_id=NEW_ID)

    def party(self, name: str) -> Bus:
        return self._bus.party(name)

    async def start(self) -> None:
        await self._bus.start()

    async def close(self) -> None:
        await self._bus.close()


class RabbitCarrier:
    """
    Every party with a connection of its own to one virtual host.

    Args:
        rabbit: The broker.
        vhost: Made with `TOPOLOGY`.
        port: Another way in than the broker's own.
    """

    def __init__(self, rabbit: PrivateRabbit, vhost: str, *, port: int | None = None) -> None:
        self.rabbit = rabbit
        self.vhost = vhost
        self._port = port
        self._parties: dict[str, RabbitBus] = {}

    def party(self, name: str) -> RabbitBus:
        if name not in self._parties:
            self._parties[name] = self.another(name)
        return self._parties[name]

    def another(self, name: str, *, port: int | None = None) -> RabbitBus:
        """
        A further process of a party; whoever takes it closes it.
        """
        url = self.rabbit.url(name, self.vhost, port=port or self._port)
        return RabbitBus(url, party=name, clock=SystemClock(), new_id=NEW_ID, topology=TOPOLOGY)

    async def start(self) -> None:
        for party in self._parties.values():
            await party.start()

    async def close(self) -> None:
        for party in self._parties.values():
            await party.close()


def new_vhost_name() -> str:
    return f"contract-{next(_numbers)}"
