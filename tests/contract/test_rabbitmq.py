"""What only a broker can do to the bus: hand out again, fill up, refuse, and keep lanes."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import MetaData, select, text

from deploy.distributed.broker import ADMIN
from shared.clock import SystemClock
from shared.contracts.base import Lane
from shared.database import Database
from shared.errors import Unavailable
from shared.messaging import Item
from shared.messaging.item import unpack
from shared.messaging.rabbitmq.names import event_queue
from shared.outbox import Consumer, Store, messaging_ddl, messaging_tables
from tests.contract.carriers import (
    DOUBLE,
    HALVE,
    NEW_ID,
    Answer,
    Question,
    RabbitCarrier,
    SomethingHappened,
    an_item,
    number_of,
)
from tests.contract.parties import (
    BETAS_QUEUE,
    LONG,
    Collector,
    act_as,
    ask_until_refused,
    bodies_in,
    double,
    publish_until_confirmed,
    until,
    until_answered,
)

ROOT = Path(__file__).parents[2]

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
    left = await bodies_in(rabbit_carrier, BETAS_QUEUE)
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
    assert await bodies_in(rabbit_carrier, BETAS_QUEUE) == []
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
        await act_as(rabbit_carrier, ADMIN, lambda channel, queue=queue: channel.queue_delete(queue))
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


# --- what the others do not pay for -----------------------------------------------------------------------------------


async def test_a_node_of_one_process_does_not_load_the_client() -> None:
    program = "import deploy.embedded.node, sys; sys.exit(bool({'aio_pika', 'aiormq'} & set(sys.modules)))"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, cwd=ROOT)
    assert await process.wait() == 0
