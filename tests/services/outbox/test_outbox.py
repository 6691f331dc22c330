"""
Events leave with their facts, are consumed once, and poison is set aside: on a real PostgreSQL.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import ClassVar

import pytest
from pydantic import ValidationError
from sqlalchemy import MetaData, func, select, text
from sqlalchemy.exc import DBAPIError

from shared.clock import SystemClock
from shared.contracts.base import Event, Lane
from shared.contracts.dead import ActOnDead, ListDead, dead_operations
from shared.database import Database
from shared.errors import Rejected, Unavailable
from shared.identifiers import Uuid7Source
from shared.messaging import Item
from shared.messaging.inprocess import InProcessBus
from shared.outbox import Consumer, Relay, Store, answer_dead_messages, messaging_ddl, messaging_tables

NEW_ID = Uuid7Source(SystemClock())
TABLES = messaging_tables(MetaData(schema="sample"))


class Counted(Event):
    topic: ClassVar[str] = "sample.counted.v1"
    number: int


@pytest.fixture
async def store(database_url: Callable[[str], str]) -> AsyncIterator[Store]:
    database = Database(database_url("sample"), service="sample")
    async with database.begin() as transaction:
        for statement in messaging_ddl("sample"):
            await transaction.connection.execute(text(statement))
        await transaction.commit()
    yield Store(database, TABLES, clock=SystemClock(), new_id=NEW_ID)
    await database.close()


@pytest.fixture
async def bus() -> AsyncIterator[InProcessBus]:
    bus = InProcessBus(clock=SystemClock(), new_id=NEW_ID)
    await bus.start()
    yield bus
    await bus.close()


async def publish(store: Store, *numbers: int, lane: Lane = Lane.ORDINARY) -> None:
    async with store.begin() as uow:
        for number in numbers:
            uow.outbox.add(Counted(number=number), lane=lane)
        await uow.commit()


async def unsent(store: Store) -> int:
    async with store.begin() as uow:
        outbox = TABLES.outbox
        return (
            await uow.connection.execute(select(func.count()).select_from(outbox).where(outbox.c.sent_at.is_(None)))
        ).scalar_one()


async def test_events_of_a_transaction_that_was_not_committed_never_leave(store: Store, bus: InProcessBus) -> None:
    async with store.begin() as uow:
        uow.outbox.add(Counted(number=1))
    assert await unsent(store) == 0


async def test_committed_events_leave_urgent_ones_first(store: Store, bus: InProcessBus) -> None:
    seen: list[int] = []

    async def note(event: Counted, _: Item) -> None:
        seen.append(event.number)

    Consumer(bus.party("sample"), store).on(Counted, note, concurrency=1)
    await publish(store, 1, 2)
    await publish(store, 3, lane=Lane.EXPRESS)
    assert await Relay(store, bus.party("sample")).run_once() == 3
    assert seen == [3, 1, 2]
    assert await unsent(store) == 0


async def test_a_redelivered_event_is_consumed_once(store: Store, bus: InProcessBus) -> None:
    effects = 0
    item_ids = []

    async def act(_: Counted, item: Item) -> None:
        nonlocal effects
        item_ids.append(item.id)
        async with store.begin() as uow:
            if not await uow.first_time("test", item.id):
                return
            await uow.commit()
        effects += 1

    consumer = Consumer(bus.party("sample"), store)
    consumer.on(Counted, act)
    await publish(store, 1)
    await Relay(store, bus.party("sample")).run_once()
    async with store.begin() as uow:  # the mark "sent" was lost in a crash
        await uow.connection.execute(text("UPDATE sample.outbox SET sent_at = NULL"))
        await uow.commit()
    second_life = Relay(store, bus.party("sample"))
    await second_life.release()
    await second_life.run_once()
    assert len(item_ids) == 2
    assert effects == 1


async def test_poison_is_set_aside_after_five_attempts_and_can_be_tried_again(store: Store, bus: InProcessBus) -> None:
    healthy = False

    async def choke(_: Counted, __: Item) -> None:
        if not healthy:
            raise ValueError("defect")

    async def allow(_: str) -> None: ...

    consumer = Consumer(bus.party("sample"), store)
    consumer.on(Counted, choke)
    answer_dead_messages(bus.party("sample"), store, consumer, allow)
    await publish(store, 1)
    assert await Relay(store, bus.party("sample")).run_once() == 1
    assert await unsent(store) == 0
    operations, operator = dead_operations("sample"), bus.party("gateway")
    (dead,) = (await operator.ask(operations.list, ListDead(token="-"))).items
    assert (dead.attempts, dead.error) == (5, "builtins.ValueError")
    with pytest.raises(Unavailable):
        await operator.ask(operations.retry, ActOnDead(token="-", message_ids=(dead.message_id,)))
    healthy = True
    result = await operator.ask(operations.retry, ActOnDead(token="-", message_ids=(dead.message_id,)))
    assert result.found == 1
    assert (await operator.ask(operations.list, ListDead(token="-"))).items == ()


async def test_a_refusal_goes_to_the_dead_messages_at_once(store: Store, bus: InProcessBus) -> None:
    attempts = 0

    async def refuse(_: Counted, __: Item) -> None:
        nonlocal attempts
        attempts += 1
        raise Rejected("never")

    Consumer(bus.party("sample"), store).on(Counted, refuse)
    await publish(store, 1)
    await Relay(store, bus.party("sample")).run_once()
    assert attempts == 1
    assert await unsent(store) == 0


async def test_two_relays_never_take_the_same_row(store: Store, bus: InProcessBus) -> None:
    seen: list[int] = []

    async def note(event: Counted, _: Item) -> None:
        seen.append(event.number)

    Consumer(bus.party("sample"), store).on(Counted, note)
    await publish(store, *range(100))
    relays = [Relay(store, bus.party("sample")) for _ in range(3)]
    await asyncio.gather(*(relay.run_once() for relay in relays))
    await asyncio.gather(*(relay.run_once() for relay in relays))
    assert sorted(seen) == list(range(100))


async def test_a_broken_connection_is_said_to_be_out_of_reach(store: Store) -> None:
    with pytest.raises(Unavailable):
        async with store.begin() as uow:
            await uow.connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))


async def test_an_error_of_the_database_does_not_quote_what_was_to_be_written(store: Store) -> None:
    with pytest.raises(DBAPIError) as error:
        async with store.read() as connection:
            await connection.execute(text("SELECT 1 / (length(:name) - length(:name))"), {"name": "Nguyễn Văn A"})
    assert "Nguyễn" not in str(error.value)


def test_an_event_that_does_not_fit_is_not_quoted() -> None:
    with pytest.raises(ValidationError) as error:
        Counted.model_validate_json('{"number": "Nguyễn Văn A"}')
    assert "Nguyễn" not in str(error.value)
