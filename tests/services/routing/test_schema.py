"""The database itself: tables as defined, and a trigger that refuses every step the table of states does not have."""

import uuid
from itertools import product

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from services.routing import tables
from services.routing.domain.states import BEGINNINGS, NEXT_SERIES, STEPS
from services.routing.tables.trigger import FUNCTION, function_body
from shared.contracts.routing import DeliveryState
from shared.testing.postgres import SampleDatabase

ALLOWED = {(step.from_state, step.to_state) for step in STEPS}


async def test_the_migrations_make_the_tables_that_are_defined(database: SampleDatabase) -> None:
    def differences(connection: Connection) -> list[object]:
        def wanted(name: str | None, kind: str, _: object) -> bool:
            return name == tables.SCHEMA if kind == "schema" else name != "schema_version"

        options = {"include_schemas": True, "include_name": wanted}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), tables.metadata))

    engine = create_async_engine(database.admin_dsn().replace("postgresql:", "postgresql+asyncpg:", 1))
    try:
        async with engine.connect() as connection:
            assert await connection.run_sync(differences) == []
    finally:
        await engine.dispose()


async def test_the_installed_trigger_is_the_one_generated_from_the_table_of_states(database: SampleDatabase) -> None:
    connection = await asyncpg.connect(database.admin_dsn())
    try:
        installed = await connection.fetchval("SELECT prosrc FROM pg_proc WHERE proname = $1", FUNCTION)
    finally:
        await connection.close()
    assert installed == function_body()


async def test_the_database_allows_exactly_the_steps_of_the_table(database: SampleDatabase) -> None:
    connection = await asyncpg.connect(database.admin_dsn())
    try:
        await connection.execute("ALTER TABLE routing.deliveries DROP CONSTRAINT deliveries_document_id_fkey")
        await connection.execute("ALTER TABLE routing.deliveries DROP CONSTRAINT deliveries_dispatch_id_fkey")
        outcomes = {}
        for from_state, to_state in product(DeliveryState, DeliveryState):
            if from_state is not to_state:
                series = 2 if (from_state, to_state) in NEXT_SERIES else 1
                outcomes[from_state, to_state] = await _passes(connection, from_state, to_state, series)
    finally:
        await connection.close()
    assert {pair for pair, passed in outcomes.items() if passed} == ALLOWED


@pytest.mark.parametrize("pair", sorted(ALLOWED))
async def test_a_step_in_a_wrong_series_is_refused(
    module_database: SampleDatabase, pair: tuple[DeliveryState, DeliveryState]
) -> None:
    connection = await asyncpg.connect(module_database.admin_dsn())
    try:
        await connection.execute("SET session_replication_role = 'origin'")
        await connection.execute("ALTER TABLE routing.deliveries DROP CONSTRAINT IF EXISTS deliveries_document_id_fkey")
        await connection.execute("ALTER TABLE routing.deliveries DROP CONSTRAINT IF EXISTS deliveries_dispatch_id_fkey")
        assert not await _passes(connection, *pair, 1 if pair in NEXT_SERIES else 2)
    finally:
        await connection.close()


async def test_a_delivery_begins_only_where_it_may(database: SampleDatabase) -> None:
    connection = await asyncpg.connect(database.admin_dsn())
    try:
        await connection.execute("ALTER TABLE routing.deliveries DROP CONSTRAINT deliveries_document_id_fkey")
        await connection.execute("ALTER TABLE routing.deliveries DROP CONSTRAINT deliveries_dispatch_id_fkey")
        begun = set()
        for state in DeliveryState:
            try:
                await _insert(connection, state)
            except asyncpg.CheckViolationError:
                continue
            begun.add(state)
    finally:
        await connection.close()
    assert begun == set(BEGINNINGS)


async def _passes(
    connection: asyncpg.Connection, from_state: DeliveryState, to_state: DeliveryState, series: int
) -> bool:
    # Put there behind the trigger's back, then moved under its eyes.
    await connection.execute("ALTER TABLE routing.deliveries DISABLE TRIGGER deliveries_step")
    delivery = await _insert(connection, from_state)
    await connection.execute("ALTER TABLE routing.deliveries ENABLE TRIGGER deliveries_step")
    try:
        await connection.execute(
            "UPDATE routing.deliveries SET state = $2, series = $3 WHERE id = $1", delivery, to_state.value, series
        )
    except asyncpg.CheckViolationError:
        return False
    return True


async def _insert(connection: asyncpg.Connection, state: DeliveryState) -> uuid.UUID:
    delivery = uuid.uuid4()
    await connection.execute(
        """
        INSERT INTO routing.deliveries (id, document_id, dispatch_id, addressee_key, mailbox_key, sender_key, lane,
                                        accepted_at, state, series, changed_at)
        VALUES ($1, $1, $1, $1, $1, $1, 0, now(), $2, 1, now())
        """,
        delivery,
        state.value,
    )
    return delivery
