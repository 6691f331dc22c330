"""
A database for many processes: set up by an administrator, looked at by every service before it starts.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy import text

from deploy.composition import SERVICES
from deploy.distributed.database import Line, check_database, upgrade_all
from deploy.embedded.errors import NodeError
from deploy.embedded.postgres import PrivatePostgres
from shared.database import Database, DatabaseBusy

URL = "https://truc.example.vn"


@dataclass(frozen=True)
class Place:
    """A database of its own on the server of this run."""

    admin: str
    name: str
    urls: Mapping[str, str]


@pytest.fixture
async def place(postgres: PrivatePostgres) -> AsyncIterator[Place]:
    name = f"distributed_{uuid4().hex[:8]}"
    admin = postgres.dsn("postgres", "postgres", driver="postgresql")
    yield Place(admin, name, {service: postgres.dsn(service, name) for service in SERVICES})
    connection = await asyncpg.connect(admin)
    await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    await connection.close()


async def set_up(place: Place, node_id: str = "H43") -> None:
    await upgrade_all(place.admin, place.urls, node_id=node_id, public_url=URL)


async def test_every_service_can_work_once_the_administrator_was_there(place: Place) -> None:
    await set_up(place)
    found = {await check_database(service, url, node_id="H43") for service, url in place.urls.items()}
    assert len(found) == 1


async def test_doing_it_again_changes_nothing(place: Place) -> None:
    first = await upgrade_all(place.admin, place.urls, node_id="H43", public_url=URL)
    second = await upgrade_all(place.admin, place.urls, node_id="H43", public_url=URL)
    assert first == second


async def test_no_service_sees_into_the_schema_of_another(place: Place) -> None:
    await set_up(place)
    connection = await asyncpg.connect(place.urls["delivery"].replace("+asyncpg", ""))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.fetch("SELECT * FROM registry.credentials")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute("UPDATE public.node SET node_id = 'H44'")
    await connection.close()


async def test_a_database_of_another_node_is_refused(place: Place) -> None:
    await set_up(place)
    with pytest.raises(NodeError, match="belongs to node H43"):
        await set_up(place, "H44")
    with pytest.raises(NodeError, match="belongs to node H43"):
        await check_database("routing", place.urls["routing"], node_id="H44")


async def test_a_database_that_nobody_set_up_is_refused_with_the_remedy(place: Place) -> None:
    with pytest.raises(NodeError) as caught:
        await check_database("routing", place.urls["routing"], node_id="H43")
    assert "no such database" in caught.value.problem
    assert "axis db upgrade" in caught.value.remedy


async def test_a_schema_behind_this_release_is_refused_with_the_remedy(place: Place) -> None:
    await set_up(place)
    connection = await asyncpg.connect(place.urls["routing"].replace("+asyncpg", ""))
    await connection.execute("DELETE FROM routing.schema_version")
    await connection.close()
    with pytest.raises(NodeError) as caught:
        await check_database("routing", place.urls["routing"], node_id="H43")
    assert "nothing" in caught.value.problem
    assert "axis db upgrade" in caught.value.remedy


async def test_a_role_nobody_made_is_refused_with_words(place: Place) -> None:
    await set_up(place)
    with pytest.raises(NodeError, match="refuses the name or password"):
        await check_database("routing", place.urls["routing"].replace("routing@", "nobody_knows@"), node_id="H43")


async def test_a_role_that_is_not_the_services_own_is_refused(place: Place) -> None:
    await set_up(place)
    with pytest.raises(NodeError, match="no schema routing that the role audit may use"):
        await check_database("routing", place.urls["audit"], node_id="H43")


async def test_of_two_sequencers_one_is_refused_until_the_other_has_gone(place: Place) -> None:
    await set_up(place)
    first = Line("audit", place.urls["audit"], alone=True)
    second = Line("audit", place.urls["audit"], alone=True)
    await first.open(0)
    assert await first.holds()
    with pytest.raises(NodeError, match="Another audit"):
        await second.open(0)
    await first.close()
    await second.open(5)
    assert await second.holds()
    await second.close()


async def test_a_sequencer_that_was_cut_off_takes_its_place_again(place: Place) -> None:
    await set_up(place)
    line = Line("audit", place.urls["audit"], alone=True)
    await line.open(0)
    administrator = await asyncpg.connect(place.admin)
    await administrator.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", place.name)
    await administrator.close()
    async with asyncio.timeout(30):
        # The first look may still meet the broken connection; the one after that makes another.
        while not await looks(line):
            await asyncio.sleep(0.05)
    rival = Line("audit", place.urls["audit"], alone=True)
    with pytest.raises(NodeError, match="Another audit"):
        await rival.open(0)
    await rival.close()
    await line.close()


async def looks(line: Line) -> bool:
    try:
        return await line.holds()
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False


@pytest.mark.parametrize("state", ["57P01", "57P02", "57P03"])
async def test_a_server_that_starts_or_stops_is_to_be_tried_again(place: Place, state: str) -> None:
    await set_up(place)
    database = Database(place.urls["routing"], service="routing", pool_size=1)
    with pytest.raises(DatabaseBusy):
        async with database.begin() as transaction:
            await transaction.connection.execute(
                text(f"DO $$ BEGIN RAISE EXCEPTION 'not now' USING ERRCODE = '{state}'; END $$")
            )
    await database.close()


async def test_a_connection_broken_off_while_it_opens_is_to_be_tried_again() -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as dying:
        port = dying.sockets[0].getsockname()[1]
        database = Database(f"postgresql+asyncpg://routing@127.0.0.1:{port}/axis?ssl=disable", service="routing")
        with pytest.raises(DatabaseBusy):
            async with database.begin():
                pass
        await database.close()


async def test_a_database_that_once_answered_too_late_is_asked_again(place: Place) -> None:
    await set_up(place)
    line = Line("routing", place.urls["routing"], alone=False)
    await line.open(1.0)
    assert line._connection is not None
    backend = line._connection.get_server_pid()
    os.kill(backend, signal.SIGSTOP)
    try:
        with pytest.raises(TimeoutError):
            await line.holds()
        assert await line.holds()
    finally:
        os.kill(backend, signal.SIGCONT)
    await line.close()
