"""A bus whose broker, or the way to it, goes and comes back."""

import asyncio
import gc
from collections.abc import AsyncIterator

import pytest

from shared.errors import Unavailable
from shared.messaging.rabbitmq.session import Session
from tests.contract.carriers import DOUBLE, TOPOLOGY, Answer, Question, RabbitCarrier, SomethingHappened, an_item
from tests.contract.parties import LONG, Collector, double, publish_until_confirmed, until, until_answered
from tests.contract.severable import SeverableWire


@pytest.fixture
async def wire(rabbit_carrier: RabbitCarrier) -> AsyncIterator[SeverableWire]:
    async with SeverableWire(rabbit_carrier.rabbit.port) as wire:
        yield wire


def ignore(_: object) -> None:
    pass


async def test_a_connection_cut_during_an_ask_fails_it_at_once_and_is_restored(
    rabbit_carrier: RabbitCarrier, wire: SeverableWire
) -> None:
    begun, gate = asyncio.Event(), asyncio.Event()

    async def slow(question: Question) -> Answer:
        begun.set()
        await gate.wait()
        return await double(question)

    rabbit_carrier.party("alpha").answer(DOUBLE, slow)
    await rabbit_carrier.start()
    asker = rabbit_carrier.another("beta", port=wire.port)
    await asker.start()
    asking = asyncio.ensure_future(asker.ask(DOUBLE, Question(number=1), within=LONG))
    await asyncio.wait_for(begun.wait(), 10)
    await wire.cut()
    with pytest.raises(Unavailable):
        await asyncio.wait_for(asking, 10)  # long before its deadline
    gate.set()
    await until_answered(asker)
    assert asker.ready
    await asker.close()


async def test_an_answerer_that_is_cut_off_leaves_its_asks_to_another_copy(
    rabbit_carrier: RabbitCarrier, wire: SeverableWire
) -> None:
    begun, never = asyncio.Event(), asyncio.Event()

    async def hang(question: Question) -> Answer:
        begun.set()
        await never.wait()
        return await double(question)

    first = rabbit_carrier.another("alpha", port=wire.port)
    first.answer(DOUBLE, hang)
    await first.start()
    asker = rabbit_carrier.party("beta")
    await rabbit_carrier.start()
    asking = asyncio.ensure_future(asker.ask(DOUBLE, Question(number=4), within=LONG))
    await asyncio.wait_for(begun.wait(), 10)
    second = rabbit_carrier.another("alpha")
    second.answer(DOUBLE, double)
    await second.start()
    await wire.cut(for_good=True)
    assert (await asyncio.wait_for(asking, 20)).number == 8
    await first.close()
    await second.close()


async def test_an_ask_that_was_lost_twice_is_not_handed_to_a_third_copy(rabbit_carrier: RabbitCarrier) -> None:
    handled = 0
    asker = rabbit_carrier.party("beta")
    await rabbit_carrier.start()
    asking: asyncio.Future[Answer] | None = None
    for copy in range(3):
        begun = asyncio.Event()

        async def hang_on_13(question: Question, begun: asyncio.Event = begun) -> Answer:
            nonlocal handled
            if question.number == 13:
                handled += 1
                begun.set()
                await asyncio.Event().wait()
            return await double(question)

        async with SeverableWire(rabbit_carrier.rabbit.port) as wire:
            answerer = rabbit_carrier.another("alpha", port=wire.port)
            answerer.answer(DOUBLE, hang_on_13)
            await answerer.start()
            if asking is None:
                asking = asyncio.ensure_future(asker.ask(DOUBLE, Question(number=13), within=LONG))
            if copy < 2:
                await asyncio.wait_for(begun.wait(), 15)
            else:
                await until_answered(asker)  # what waited in the queue would have come first
            await wire.cut(for_good=True)
            await answerer.close()
    assert handled == 2
    assert asking is not None
    asking.cancel()


async def test_a_connection_cut_while_publishing_loses_nothing(
    rabbit_carrier: RabbitCarrier, wire: SeverableWire
) -> None:
    collector = Collector()
    rabbit_carrier.party("beta").subscribe(SomethingHappened.topic, collector)
    await rabbit_carrier.start()
    publisher = rabbit_carrier.another("alpha", port=wire.port)
    await publisher.start()
    items = [an_item(number) for number in range(2_000)]
    publishing = asyncio.ensure_future(publish_until_confirmed(publisher, items))
    for _ in range(3):
        seen = len(collector.numbers)
        await until(lambda seen=seen: len(collector.numbers) > seen or publishing.done())
        await wire.cut()
    await publishing
    await until(lambda: len(collector.numbers) == 2_000)
    await publisher.close()


async def test_a_consumer_that_is_cut_off_consumes_again_by_itself(
    rabbit_carrier: RabbitCarrier, wire: SeverableWire
) -> None:
    collector = Collector()
    consumer = rabbit_carrier.another("beta", port=wire.port)
    consumer.subscribe(SomethingHappened.topic, collector)
    await consumer.start()
    publisher = rabbit_carrier.party("alpha")
    await rabbit_carrier.start()
    await publish_until_confirmed(publisher, [an_item(1)])
    await until(lambda: collector.numbers == {1})
    await wire.cut()
    await publish_until_confirmed(publisher, [an_item(2)])
    await until(lambda: collector.numbers == {1, 2})
    await consumer.close()


async def test_a_broker_that_is_missing_at_start_is_found_later(rabbit_carrier: RabbitCarrier) -> None:
    async with SeverableWire(rabbit_carrier.rabbit.port) as wire:
        await wire.cut(for_good=True)
        collector = Collector()
        alpha, beta = (rabbit_carrier.another(name, port=wire.port) for name in ("alpha", "beta"))
        alpha.answer(DOUBLE, double)
        beta.subscribe(SomethingHappened.topic, collector)
        for bus in (alpha, beta):
            await bus.start()
            assert not bus.ready
            assert "cannot be reached" in bus.missing
        with pytest.raises(Unavailable):
            await beta.ask(DOUBLE, Question(number=1))
        assert list(await alpha.publish([an_item()])) == [False]
        await wire.mend()
        await until(lambda: alpha.ready and beta.ready)
        await until_answered(beta)
        await publish_until_confirmed(alpha, [an_item(5)])
        await until(lambda: collector.numbers == {5})
        for bus in (alpha, beta):
            await bus.close()


@pytest.mark.parametrize("how", ["restart", "kill"])
async def test_a_broker_that_goes_down_in_the_middle_loses_nothing(rabbit_carrier: RabbitCarrier, how: str) -> None:
    collector = Collector()
    alpha, beta = rabbit_carrier.party("alpha"), rabbit_carrier.party("beta")
    alpha.answer(DOUBLE, double)
    beta.subscribe(SomethingHappened.topic, collector)
    await rabbit_carrier.start()
    await until_answered(beta)
    stop, published = asyncio.Event(), 0

    async def keep_publishing() -> None:
        nonlocal published
        while not stop.is_set():
            await publish_until_confirmed(alpha, [an_item(published + n) for n in range(50)])
            published += 50
            await asyncio.sleep(0.02)

    publishing = asyncio.ensure_future(keep_publishing())
    await until(lambda: published >= 200)
    broker = rabbit_carrier.rabbit
    if how == "kill":
        await broker.control("eval", "[dets:sync(Table) || Table <- dets:all()].")  # its queues are seconds old
        await broker.kill()
    else:
        await broker.stop()
    await until(lambda: not alpha.ready and not beta.ready)
    with pytest.raises(Unavailable):
        await beta.ask(DOUBLE, Question(number=1), within=LONG)
    await broker.start()
    await until(lambda: alpha.ready and beta.ready, 60)
    before = published
    await until(lambda: published > before, 60)
    stop.set()
    await publishing
    await until(lambda: len(collector.numbers) == published)
    await until_answered(beta)


async def test_no_connection_is_left_for_the_collector_to_close(rabbit_carrier: RabbitCarrier) -> None:
    await rabbit_carrier.start()
    beta, port = TOPOLOGY.parties["beta"], rabbit_carrier.rabbit.port
    url = rabbit_carrier.rabbit.url("beta", rabbit_carrier.vhost)
    async with SeverableWire(port) as wire:
        clogged = Session(url.replace(f":{port}/", f":{wire.port}/"), beta, TOPOLOGY)
        await clogged.open(ignore, ignore)
        wire.clog()
        await clogged.close()
    tasks = asyncio.all_tasks()
    with pytest.raises(Unavailable):
        async with Session(url.replace(f":{port}/", f":{wire.port}/"), beta, TOPOLOGY) as refused:
            await refused.open(ignore, ignore)
    del clogged, refused
    gc.collect()
    assert asyncio.all_tasks() == tasks
