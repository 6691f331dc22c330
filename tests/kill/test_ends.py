"""
What must be so once everything has arrived, and a database in which it is not so.
"""

from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pytest

from shared.testing.invariants import check_ends, look_for_what_has_not_arrived
from shared.testing.postgres import SampleDatabase

EVENT = UUID("0190a000-0000-7000-8000-000000000001")
OTHER = UUID("0190a000-0000-7000-8000-000000000002")


@pytest.fixture
async def connection(database: SampleDatabase) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database.admin_dsn())
    yield connection
    await connection.close()


async def publish(connection: asyncpg.Connection, *, sent: bool) -> None:
    await connection.execute(
        """
        INSERT INTO registry.outbox (id, topic, lane, data, correlation_id, created_at, due_at, sent_at)
        VALUES ($1, 'registry.agencies_changed.v1', 0, '{}', '', now(), now(), CASE WHEN $2 THEN now() END)
        """,
        EVENT,
        sent,
    )


async def append(connection: asyncpg.Connection, index: int, event: UUID) -> None:
    await connection.execute(
        "INSERT INTO audit.leaves (leaf_index, event_id, leaf, appended_at) VALUES ($1, $2, '{}', now())", index, event
    )


async def test_an_event_that_was_sent_and_has_its_leaf_has_arrived(connection: asyncpg.Connection) -> None:
    await publish(connection, sent=True)
    await append(connection, 0, EVENT)
    assert await check_ends(connection) == []


async def test_an_event_in_an_outbox_has_not_arrived(connection: asyncpg.Connection) -> None:
    await publish(connection, sent=False)
    await append(connection, 0, EVENT)
    (said,) = await look_for_what_has_not_arrived(connection)
    assert said.startswith("an event waits in an outbox")


async def test_an_event_without_a_leaf_has_not_arrived(connection: asyncpg.Connection) -> None:
    await publish(connection, sent=True)
    (said,) = await look_for_what_has_not_arrived(connection)
    assert said.startswith("an event has no leaf in the journal")


async def test_a_leaf_of_no_event_and_a_gap_are_found(connection: asyncpg.Connection) -> None:
    await publish(connection, sent=True)
    await append(connection, 0, EVENT)
    await append(connection, 2, OTHER)
    said = await check_ends(connection)
    assert [one.partition(":")[0] for one in said] == [
        "a leaf of the journal is of no event",
        "the journal has a gap",
    ]


async def test_a_message_that_was_set_aside_is_found(connection: asyncpg.Connection) -> None:
    await connection.execute(
        """
        INSERT INTO audit.dead_messages (consumer, message_id, topic, source, lane, data, correlation_id, created_at,
                                         attempts, error, died_at)
        VALUES ('everything', $1, 'registry.agencies_changed.v1', 'registry', 0, '{}', '', now(), 5, 'poison', now())
        """,
        EVENT,
    )
    (said,) = await check_ends(connection)
    assert said.startswith("a message was set aside")
