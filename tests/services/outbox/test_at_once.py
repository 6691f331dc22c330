"""
A transaction that is one statement comes to pass as a whole or not at all: on a real PostgreSQL.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import ClassVar
from uuid import UUID

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Text, Uuid, select, text

from shared.clock import SystemClock
from shared.contracts.base import Event
from shared.database import Change, Database, inserting
from shared.identifiers import Uuid7Source
from shared.outbox import Store, WorkAtOnce, messaging_ddl, messaging_tables

NEW_ID = Uuid7Source(SystemClock())
METADATA = MetaData(schema="sample")
TABLES = messaging_tables(METADATA)
LAMPS = Table("lamps", METADATA, Column("id", Uuid, primary_key=True), Column("state", Text, nullable=False))
TURNS = Table("turns", METADATA, Column("lamp_id", Uuid, primary_key=True), Column("number", Integer, primary_key=True))
ADD_TURNS = inserting(TURNS, "lamp_id", "number")
SWITCH = Change(
    columns="id uuid, from_state text, state text",
    table="sample.lamps",
    same="t.id = r.id AND t.state = r.from_state",
    values="state = r.state",
)


class Switched(Event):
    topic: ClassVar[str] = "sample.switched.v1"
    lamp_id: UUID


@pytest.fixture
async def store(database_url: Callable[[str], str]) -> AsyncIterator[Store]:
    database = Database(database_url("sample"), service="sample")
    async with database.begin() as transaction:
        for statement in messaging_ddl("sample"):
            await transaction.connection.execute(text(statement))
        await transaction.connection.execute(
            text("CREATE TABLE sample.lamps (id uuid PRIMARY KEY, state text NOT NULL)")
        )
        await transaction.connection.execute(
            text(
                "CREATE TABLE sample.turns (lamp_id uuid REFERENCES sample.lamps, number int, UNIQUE (lamp_id, number))"
            )
        )
        await transaction.commit()
    yield Store(database, TABLES, clock=SystemClock(), new_id=NEW_ID)
    await database.close()


async def hang(store: Store, *states: str) -> list[UUID]:
    lamps = [{"id": NEW_ID(), "state": state} for state in states]
    work = WorkAtOnce(store)
    work.add(inserting(LAMPS, "id", "state"), lamps)
    assert await work.commit()
    return [UUID(str(lamp["id"])) for lamp in lamps]


def switching(store: Store, lamps: list[UUID], *, number: int = 1) -> WorkAtOnce:
    work = WorkAtOnce(store, SWITCH, [{"id": lamp, "from_state": "off", "state": "on"} for lamp in lamps])
    work.add(ADD_TURNS, [{"lamp_id": lamp, "number": number} for lamp in lamps])
    for lamp in lamps:
        work.outbox.add(Switched(lamp_id=lamp))
    return work


async def seen(store: Store) -> tuple[list[str], int, int]:
    """
    States of the lamps, turns and events.
    """
    async with store.read() as connection:
        states = list((await connection.execute(select(LAMPS.c.state).order_by(LAMPS.c.id))).scalars())
        turns = len((await connection.execute(select(TURNS))).all())
        events = len((await connection.execute(select(TABLES.outbox.c.id))).all())
    return states, turns, events


async def test_change_rows_and_events_come_to_pass_together(store: Store) -> None:
    lamps = await hang(store, "off", "off")
    told = []
    work = switching(store, lamps)
    work.after_commit(lambda: told.append(True))
    assert await work.commit()
    assert await seen(store) == (["on", "on"], 2, 2)
    assert told == [True]


async def test_one_row_that_is_not_as_it_was_read_keeps_all_of_it_from_happening(store: Store) -> None:
    lamps = await hang(store, "off", "on")
    told = []
    work = switching(store, lamps)
    work.after_commit(lambda: told.append(True))
    assert not await work.commit()
    assert await seen(store) == (["off", "on"], 0, 0)
    assert told == []


async def test_a_row_that_is_not_there_keeps_it_from_happening(store: Store) -> None:
    lamps = await hang(store, "off")
    assert not await switching(store, [*lamps, NEW_ID()]).commit()
    assert await seen(store) == (["off"], 0, 0)


async def test_a_row_that_was_written_before_keeps_it_from_happening(store: Store) -> None:
    first, second = await hang(store, "off", "off")
    assert await switching(store, [first], number=7).commit()
    work = switching(store, [second], number=7)
    work.add(ADD_TURNS, [{"lamp_id": first, "number": 7}])
    assert not await work.commit()
    assert await seen(store) == (["on", "off"], 1, 1)


async def test_of_many_at_the_same_time_one_comes_to_pass(store: Store) -> None:
    lamps = await hang(store, *["off"] * 5)
    works = [switching(store, lamps, number=number) for number in range(20)]
    done = await asyncio.gather(*(work.commit() for work in works))
    assert sorted(done) == [False] * 19 + [True]
    assert await seen(store) == (["on"] * 5, 5, 5)


async def test_it_waits_for_who_holds_the_row_and_looks_again(store: Store) -> None:
    (lamp,) = await hang(store, "off")
    async with store.begin() as uow:
        await uow.connection.execute(text("UPDATE sample.lamps SET state = 'broken'"))
        waiting = asyncio.create_task(switching(store, [lamp]).commit())
        await asyncio.sleep(0.2)
        assert not waiting.done()
        await uow.commit()
    assert not await waiting
    assert await seen(store) == (["broken"], 0, 0)
