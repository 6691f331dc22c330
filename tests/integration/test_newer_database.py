"""
A release goes on with the database of the next one, and with no other.
"""

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from shared.database import MigrationMismatch, check_migrations, upgrade
from shared.testing.postgres import SampleDatabase


async def run(database: SampleDatabase, *statements: str) -> None:
    connection = await asyncpg.connect(database.admin_dsn())
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def check(database: SampleDatabase) -> None:
    engine: AsyncEngine = create_async_engine(database.url("audit"))
    try:
        await check_migrations(engine, "audit")
        await upgrade(engine, "audit")
    finally:
        await engine.dispose()


async def revision(database: SampleDatabase) -> str:
    connection = await asyncpg.connect(database.admin_dsn())
    try:
        return str(await connection.fetchval("SELECT version_num FROM audit.schema_version"))
    finally:
        await connection.close()


async def test_a_database_of_this_release_is_taken(database: SampleDatabase) -> None:
    await check(database)


async def test_an_older_database_is_refused_with_the_remedy(database: SampleDatabase) -> None:
    await run(database, "DELETE FROM audit.schema_version")
    with pytest.raises(MigrationMismatch, match="axis db upgrade"):
        await check(database)


async def test_a_newer_database_that_suits_this_release_is_taken_and_left_alone(database: SampleDatabase) -> None:
    ours = await revision(database)
    await run(
        database,
        "UPDATE audit.schema_version SET version_num = '9999'",
        f"COMMENT ON TABLE audit.schema_version IS 'oldest reader: {ours}'",
    )
    await check(database)
    assert await revision(database) == "9999"


@pytest.mark.parametrize("said", ["'oldest reader: 9998'", "NULL"])
async def test_a_newer_database_that_does_not_suit_is_refused(database: SampleDatabase, said: str) -> None:
    await run(
        database,
        "UPDATE audit.schema_version SET version_num = '9999'",
        f"COMMENT ON TABLE audit.schema_version IS {said}",
    )
    with pytest.raises(MigrationMismatch, match="start the matching release"):
        await check(database)
