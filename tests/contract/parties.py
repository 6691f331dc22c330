"""What parties on the bus do in many tests."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import aio_pika

from deploy.distributed.broker import ADMIN
from shared.errors import Unavailable
from shared.messaging import Bus, Item
from shared.messaging.rabbitmq.names import event_queue
from tests.contract.carriers import DOUBLE, Answer, Question, RabbitCarrier, SomethingHappened, number_of

BETAS_QUEUE = event_queue("beta", SomethingHappened.topic)
LONG = timedelta(seconds=60)


async def double(question: Question) -> Answer:
    return Answer(number=question.number * 2)


async def until(condition: Callable[[], object], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


async def until_answered(asker: Bus, number: int = 21) -> None:
    async with asyncio.timeout(40):
        while True:
            try:
                answer = await asker.ask(DOUBLE, Question(number=number), within=timedelta(seconds=2))
            except Unavailable:
                await asyncio.sleep(0.05)
            else:
                assert answer.number == number * 2
                return


async def ask_until_refused(asker: Bus) -> None:
    while True:
        await asker.ask(DOUBLE, Question(number=1), within=LONG)


async def publish_until_confirmed(publisher: Bus, items: list[Item]) -> None:
    """As the outbox does: what was not confirmed goes again."""
    async with asyncio.timeout(60):
        while items:
            confirmed = await publisher.publish(items)
            items = [item for item, sent in zip(items, confirmed, strict=True) if not sent]
            await asyncio.sleep(0.05)


class Collector:
    """A handler that remembers what it got."""

    def __init__(self) -> None:
        self.numbers: set[int] = set()

    async def __call__(self, item: Item) -> None:
        self.numbers.add(number_of(item))


async def act_as(
    carrier: RabbitCarrier, user: str, act: Callable[[aio_pika.abc.AbstractChannel], Awaitable[object]]
) -> None:
    connection = await aio_pika.connect(carrier.rabbit.url(user, carrier.vhost))
    async with connection:
        channel = await connection.channel(on_return_raises=True)
        await act(channel)


async def bodies_in(carrier: RabbitCarrier, queue: str) -> list[bytes]:
    bodies: list[bytes] = []
    async with await aio_pika.connect(carrier.rabbit.url(ADMIN, carrier.vhost)) as connection:
        channel = await connection.channel()
        place = await channel.get_queue(queue)
        while message := await place.get(fail=False, timeout=20):
            bodies.append(message.body)
    return bodies
