"""
What only a broker can do to the bus: break, fill up, refuse, and come back.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import aio_pika
import pytest
from aio_pika.exceptions import AMQPError
from sqlalchemy import MetaData, select, text

from deploy.distributed.broker import ADMIN, PrivateRabbit
from shared.clock import SystemClock
from shared.contracts.base import Lane
from shared.database import Database
from shared.errors import Unavailable
from shared.messaging import Bus, Item
from shared.messaging.item import pack, unpack
from shared.messaging.rabbitmq import BrokerRefused, RabbitBus, Topology
from shared.messaging.rabbitmq.names import event_queue
from shared.outbox import Consumer, Store, messaging_ddl, messaging_tables
from tests.contract.carriers import (
    DOUBLE,
    HALVE,
    NEW_ID,
    TOPOLOGY,
    Answer,
    Question,
    RabbitCarrier,
    SomethingHappened,
    an_item,
    new_vhost_name,
    number_of,
)
from tests.contract.severable import SeverableWire

ROOT = Path(__file__).parents[2]
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


@pytest.fixture
async def wire(rabbit_carrier: RabbitCarrier) -> AsyncIterator[SeverableWire]:
    async with SeverableWire(rabbit_carrier.rabbit.port) as wire:
        yield wire


# --- connections ------------------------------------------------------------------------------------------------------


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


# --- consumers --------------------------------------------------------------------------------------------------------


async def test_a_pack_that_killed_its_consumer_comes_again_as_singles(
    rabbit_carrier: RabbitCarrier, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    notes.touch()
    publisher = rabbit_carrier.party("alpha")
    await rabbit_carrier.start()
    assert all(await publisher.publish([an_item(number) for number in range(64)]))
    url = rabbit_carrier.rabbit.url("beta", rabbit_carrier.vhost)
    for _ in range(2):  # the second finds the pack redelivered, and dies by the single that is poison
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.contract.dying_consumer", url, str(notes), cwd=ROOT, env=dict(os.environ)
        )
        async with asyncio.timeout(40):
            assert await process.wait() == -signal.SIGKILL
    left = await _bodies(rabbit_carrier, BETAS_QUEUE)
    assert all(len(unpack(body)) == 1 for body in left)
    remaining = {number_of(item) for body in left for item in unpack(body)}
    handled = {int(line) for line in notes.read_text().split()}
    assert 13 in remaining
    assert remaining | handled == set(range(64))


async def test_a_poison_item_dies_alone_after_five_attempts(
    rabbit_carrier: RabbitCarrier, database_url: Callable[[str], str]
) -> None:
    tables = messaging_tables(MetaData(schema="sample"))
    database = Database(database_url("sample"), service="sample")
    async with database.begin() as transaction:
        for statement in messaging_ddl("sample"):
            await transaction.connection.execute(text(statement))
        await transaction.commit()
    store = Store(database, tables, clock=SystemClock(), new_id=NEW_ID)
    consumer = Consumer(rabbit_carrier.party("beta"), store)
    attempts = 0

    async def note(event: SomethingHappened, item: Item) -> None:
        nonlocal attempts
        async with store.begin() as uow:
            if not await uow.first_time("note", item.id):
                return
            if event.number == 13:
                attempts += 1
                raise ValueError("poison")
            await uow.commit()

    consumer.on(SomethingHappened, note)
    publisher = rabbit_carrier.party("alpha")
    await rabbit_carrier.start()
    items = [an_item(number) for number in range(64)]
    await publish_until_confirmed(publisher, items)

    async def rows(table: object, column: str) -> set[object]:
        async with store.read() as connection:
            return set((await connection.execute(select(table.c[column]))).scalars())  # type: ignore[attr-defined]

    async with asyncio.timeout(30):
        while not await rows(tables.dead_messages, "message_id"):
            await asyncio.sleep(0.1)
    poison = items[13].id
    assert await rows(tables.dead_messages, "message_id") == {poison}
    assert await rows(tables.inbox, "message_id") == {item.id for item in items} - {poison}
    assert attempts == 5
    await rabbit_carrier.close()  # what was not acknowledged would go back to the queue
    assert await _bodies(rabbit_carrier, BETAS_QUEUE) == []
    await database.close()


async def test_draining_finishes_what_is_in_hand_and_takes_no_more(rabbit_carrier: RabbitCarrier) -> None:
    begun, gate = asyncio.Event(), asyncio.Event()

    async def slow(question: Question) -> Answer:
        begun.set()
        await gate.wait()
        return await double(question)

    alpha, asker = rabbit_carrier.party("alpha"), rabbit_carrier.party("beta")
    alpha.answer(DOUBLE, slow)
    await rabbit_carrier.start()
    asking = asyncio.ensure_future(asker.ask(DOUBLE, Question(number=1), within=LONG))
    await asyncio.wait_for(begun.wait(), 10)
    draining = asyncio.ensure_future(alpha.drain(20))
    await asyncio.sleep(0)
    gate.set()
    assert (await asyncio.wait_for(asking, 10)).number == 2
    await draining
    with pytest.raises(Unavailable):
        await asker.ask(DOUBLE, Question(number=1), within=timedelta(seconds=1))


# --- the broker refuses -----------------------------------------------------------------------------------------------


async def test_a_full_queue_refuses_and_nothing_confirmed_is_lost(rabbit_carrier: RabbitCarrier) -> None:
    policy = json.dumps({"max-length": 2})
    await rabbit_carrier.rabbit.control(
        "set_policy", "--vhost", rabbit_carrier.vhost, "small", f"^{BETAS_QUEUE}$", policy, "--apply-to", "queues"
    )
    publisher = rabbit_carrier.party("alpha")
    await rabbit_carrier.start()
    confirmed: set[int] = set()
    for number in range(50):
        if not (await publisher.publish([an_item(number)]))[0]:
            break
        confirmed.add(number)
    assert 0 < len(confirmed) < 50
    collector = Collector()
    consumer = rabbit_carrier.another("beta")
    consumer.subscribe(SomethingHappened.topic, collector)
    await consumer.start()
    await publish_until_confirmed(publisher, [an_item(1_000)])
    await until(lambda: collector.numbers >= confirmed | {1_000})
    await consumer.close()


async def test_an_event_that_no_queue_takes_is_not_confirmed(rabbit_carrier: RabbitCarrier) -> None:
    publisher = rabbit_carrier.party("alpha")
    await rabbit_carrier.start()
    for queue in (BETAS_QUEUE, event_queue("gamma", "*")):
        await _as(rabbit_carrier, ADMIN, lambda channel, queue=queue: channel.queue_delete(queue))
    assert list(await asyncio.wait_for(publisher.publish([an_item(n) for n in range(3)]), 10)) == [False] * 3
    assert publisher.ready


async def test_an_ask_without_a_queue_fails_long_before_its_deadline(rabbit_carrier: RabbitCarrier) -> None:
    asker = rabbit_carrier.party("beta")
    await rabbit_carrier.start()
    with pytest.raises(Unavailable, match="nobody takes"):
        await asyncio.wait_for(asker.ask(DOUBLE, Question(number=1), within=LONG), 10)


async def test_a_broker_short_of_memory_is_noticed_early_and_used_again_afterwards(
    rabbit_carrier: RabbitCarrier,
) -> None:
    collector = Collector()
    alpha, beta = rabbit_carrier.party("alpha"), rabbit_carrier.party("beta")
    alpha.answer(DOUBLE, double)
    beta.subscribe(SomethingHappened.topic, collector)
    await rabbit_carrier.start()
    await until_answered(beta)
    broker = rabbit_carrier.rabbit
    await broker.control("set_vm_memory_high_watermark", "0.000001")
    try:
        with pytest.raises(Unavailable):
            await asyncio.wait_for(ask_until_refused(beta), 30)  # the alarm takes a moment to reach every connection
        assert "takes nothing" in beta.missing
        with pytest.raises(Unavailable):  # from now on nobody waits at all
            await asyncio.wait_for(beta.ask(DOUBLE, Question(number=1), within=LONG), 1)
        publishing = asyncio.ensure_future(alpha.publish([an_item(1)]))
        await until(lambda: not alpha.ready)
        assert list(await asyncio.wait_for(alpha.publish([an_item(2)]), 1)) == [False]
    finally:
        await broker.control("set_vm_memory_high_watermark", "0.4")
    assert list(await asyncio.wait_for(publishing, 30)) == [True]
    await until(lambda: collector.numbers == {1})
    await until(lambda: alpha.ready and beta.ready)
    await until_answered(beta)


# --- deadlines and lanes ----------------------------------------------------------------------------------------------


async def test_an_ask_that_has_expired_reaches_nobody(rabbit_carrier: RabbitCarrier) -> None:
    asked: list[int] = []

    async def note(question: Question) -> Answer:
        asked.append(question.number)
        return await double(question)

    first, asker = rabbit_carrier.another("alpha"), rabbit_carrier.party("beta")
    first.answer(DOUBLE, note)
    await first.start()  # makes the queues
    await first.close()
    await rabbit_carrier.start()
    with pytest.raises(Unavailable):
        await asker.ask(DOUBLE, Question(number=1), within=timedelta(milliseconds=100))
    second = rabbit_carrier.another("alpha")
    second.answer(DOUBLE, note)
    await second.start()
    await until_answered(asker, 2)
    assert asked == [2]
    await second.close()


async def test_an_ask_may_take_no_longer_than_the_one_it_is_made_for(rabbit_carrier: RabbitCarrier) -> None:
    ended = asyncio.Event()
    beta, gamma = rabbit_carrier.party("beta"), rabbit_carrier.party("gamma")

    async def hang(_: Question) -> Answer:
        await asyncio.Event().wait()
        raise AssertionError

    async def ask_on(question: Question) -> Answer:
        try:
            return await beta.ask(DOUBLE, question, within=LONG)
        except Unavailable:
            ended.set()
            raise

    rabbit_carrier.party("alpha").answer(DOUBLE, hang)
    beta.answer(HALVE, ask_on)
    await rabbit_carrier.start()
    with pytest.raises(Unavailable):
        await gamma.ask(HALVE, Question(number=1), within=timedelta(milliseconds=300))
    await asyncio.wait_for(ended.wait(), 10)


async def test_urgent_asks_overtake_a_flood_of_ordinary_ones(rabbit_carrier: RabbitCarrier) -> None:
    gate = asyncio.Event()

    async def slow_unless_urgent(question: Question) -> Answer:
        if question.number != 99:
            await gate.wait()
        return await double(question)

    rabbit_carrier.party("alpha").answer(DOUBLE, slow_unless_urgent)
    asker = rabbit_carrier.party("beta")
    await rabbit_carrier.start()
    flood = [asyncio.ensure_future(asker.ask(DOUBLE, Question(number=1), within=LONG)) for _ in range(500)]
    await asyncio.sleep(0.2)
    urgent = await asker.ask(DOUBLE, Question(number=99), lane=Lane.EXPRESS, within=LONG)
    assert urgent.number == 198
    assert not any(ask.done() for ask in flood)
    gate.set()
    assert {answer.number for answer in await asyncio.gather(*flood)} == {2}


async def test_a_pack_that_does_not_name_its_true_sender_is_not_answered(rabbit_carrier: RabbitCarrier) -> None:
    rabbit_carrier.party("alpha").answer(DOUBLE, double)
    await rabbit_carrier.start()
    forged = aio_pika.Message(pack([an_item()]), user_id="gamma")
    with pytest.raises(AMQPError, match="user_id"):
        await _as(rabbit_carrier, "beta", lambda channel: _publish(channel, "ask.alpha", "ordinary", forged))


# --- rights -----------------------------------------------------------------------------------------------------------


async def _publish(
    channel: aio_pika.abc.AbstractChannel, exchange: str, key: str, message: aio_pika.Message | None = None
) -> None:
    place = await channel.get_exchange(exchange, ensure=False)
    await place.publish(message or aio_pika.Message(b"{}"), key, timeout=10)


async def _bind(channel: aio_pika.abc.AbstractChannel, exchange: str) -> None:
    queue = await channel.declare_queue("answers.beta.probe", exclusive=True, auto_delete=True)
    await queue.bind(exchange, "#")


async def _as(
    carrier: RabbitCarrier, user: str, act: Callable[[aio_pika.abc.AbstractChannel], Awaitable[object]]
) -> None:
    connection = await aio_pika.connect(carrier.rabbit.url(user, carrier.vhost))
    async with connection:
        channel = await connection.channel(on_return_raises=True)
        await act(channel)


async def _bodies(carrier: RabbitCarrier, queue: str) -> list[bytes]:
    bodies: list[bytes] = []
    async with await aio_pika.connect(carrier.rabbit.url(ADMIN, carrier.vhost)) as connection:
        channel = await connection.channel()
        place = await channel.get_queue(queue)
        while message := await place.get(fail=False, timeout=20):
            bodies.append(message.body)
    return bodies


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(lambda channel: _publish(channel, "event.alpha", SomethingHappened.topic), id="publish as alpha"),
        pytest.param(lambda channel: _publish(channel, "", BETAS_QUEUE), id="publish to a queue past its exchange"),
        pytest.param(lambda channel: _publish(channel, "answer.beta", "key"), id="answer itself"),
        pytest.param(lambda channel: _bind(channel, "answer.gamma"), id="read another's answers"),
        pytest.param(lambda channel: _bind(channel, "ask.alpha"), id="read another's asks"),
        pytest.param(lambda channel: channel.declare_queue("events.gamma.everything", durable=True), id="declare"),
        pytest.param(lambda channel: channel.queue_delete("events.gamma.everything"), id="delete another's queue"),
        pytest.param(lambda channel: channel.exchange_delete("event.alpha"), id="delete an exchange"),
        pytest.param(lambda channel: channel.declare_queue("anything"), id="declare anything"),
    ],
)
async def test_a_party_may_do_no_more_than_its_part(
    rabbit_carrier: RabbitCarrier, act: Callable[[aio_pika.abc.AbstractChannel], Awaitable[object]]
) -> None:
    with pytest.raises(AMQPError, match="ACCESS_REFUSED"):
        await _as(rabbit_carrier, "beta", act)


# --- refusals at start ------------------------------------------------------------------------------------------------


async def _start(url: str) -> None:
    bus = RabbitBus(url, party="beta", clock=SystemClock(), new_id=NEW_ID, topology=TOPOLOGY)
    bus.subscribe(SomethingHappened.topic, Collector())
    try:
        await bus.start()
    finally:
        await bus.close()


async def test_a_wrong_password_is_said_at_start(rabbit_carrier: RabbitCarrier) -> None:
    url = rabbit_carrier.rabbit.url("beta", rabbit_carrier.vhost)
    password = rabbit_carrier.rabbit.password("beta")
    with pytest.raises(BrokerRefused, match="từ chối tên hoặc mật khẩu") as refusal:
        await _start(url.replace(password, "wrong"))
    assert password not in str(refusal.value)


async def test_a_missing_virtual_host_is_said_at_start(rabbit: PrivateRabbit, rabbit_carrier: RabbitCarrier) -> None:
    with pytest.raises(BrokerRefused, match="không có virtual host"):
        await _start(rabbit.url("beta", "nowhere"))


async def test_a_broker_that_was_not_set_up_is_said_at_start(rabbit_carrier: RabbitCarrier) -> None:
    async def forget(channel: aio_pika.abc.AbstractChannel) -> None:
        await channel.exchange_delete("ask.alpha")

    await _as(rabbit_carrier, ADMIN, forget)
    with pytest.raises(BrokerRefused, match="chưa được khai báo") as refusal:
        await _start(rabbit_carrier.rabbit.url("beta", rabbit_carrier.vhost))
    assert "axis broker setup" in refusal.value.remedy


async def test_a_queue_of_another_kind_is_said_at_start(rabbit_carrier: RabbitCarrier) -> None:
    async def make_another(channel: aio_pika.abc.AbstractChannel) -> None:
        await channel.queue_delete(BETAS_QUEUE)
        await channel.declare_queue(BETAS_QUEUE, durable=True)

    await _as(rabbit_carrier, ADMIN, make_another)
    with pytest.raises(BrokerRefused, match="khác loại"):
        await _start(rabbit_carrier.rabbit.url("beta", rabbit_carrier.vhost))


async def test_missing_rights_are_said_at_start(rabbit: PrivateRabbit) -> None:
    vhost = new_vhost_name()
    parties = TOPOLOGY.parties
    less = Topology.of([parties["alpha"], parties["gamma"], type(parties["beta"])("beta", asks=("alpha",))])
    await rabbit.add_vhosts([vhost], less)
    with pytest.raises(BrokerRefused) as refusal:
        await _start(rabbit.url("beta", vhost))
    assert "axis broker setup" in refusal.value.remedy


# --- what the others do not pay for -----------------------------------------------------------------------------------


async def test_a_node_of_one_process_does_not_load_the_client() -> None:
    program = "import deploy.embedded.node, sys; sys.exit(bool({'aio_pika', 'aiormq'} & set(sys.modules)))"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, cwd=ROOT)
    assert await process.wait() == 0
