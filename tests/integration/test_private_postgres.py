import asyncio
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from deploy.embedded.errors import NodeError
from deploy.embedded.postgres import PrivatePostgres
from deploy.embedded.postgres.process import PidFile, becomes, failure, read_pid_file, serves
from deploy.embedded.postgres.seat import Seat, find_seat

ROOT = Path(__file__).parents[2]
SHORT = timedelta(seconds=2)
# A node that starts its database and is killed at once.
KILLED_NODE = """
import asyncio, os, signal, sys
from pathlib import Path
from deploy.embedded.postgres import PrivatePostgres

async def main():
    server = PrivatePostgres(Path(sys.argv[1]), durable=False, tied=sys.argv[2] == "tied")
    await server.start()
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root hands the server to another account")


@pytest.fixture
def home() -> Iterator[Path]:
    """
    A node's home that any account may pass through; whatever server is left in it is killed.
    """
    home = Path(tempfile.mkdtemp(prefix="axis-home-"))
    home.chmod(0o755)
    yield home
    for folder in home.rglob("postgres"):
        kill_server(folder)
        shutil.rmtree(seat_of(folder).root, ignore_errors=True)
    shutil.rmtree(home)


@pytest.fixture
def folder(home: Path) -> Path:
    return home / "postgres"


def a_server(folder: Path, *, durable: bool = False, binaries: Path | None = None) -> PrivatePostgres:
    return PrivatePostgres(folder, durable=durable, binaries=binaries)


def seat_of(folder: Path) -> Seat:
    try:
        return find_seat(folder) or Seat(folder)
    except NodeError:
        return Seat(folder)


def kill_server(folder: Path) -> int | None:
    data = seat_of(folder).data
    note = read_pid_file(data)
    if note is None or not serves(note.pid, data):
        return None
    os.kill(note.pid, signal.SIGKILL)
    return note.pid


def note_of(folder: Path) -> PidFile:
    note = read_pid_file(seat_of(folder).data)
    assert note is not None
    return note


def start_and_be_killed(folder: Path, *, tied: bool = False) -> None:
    command = [sys.executable, "-c", KILLED_NODE, folder, "tied" if tied else "free"]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


async def query(server: PrivatePostgres, statement: str, role: str = "postgres", database: str = "postgres") -> object:
    connection = await asyncpg.connect(server.dsn(role, database, driver="postgresql"))
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def test_data_outlive_a_restart_and_everything_is_idempotent(folder: Path) -> None:
    server = a_server(folder, durable=True)
    await server.stop()
    for _ in range(2):
        await server.start()
        await server.start()
        await server.create_roles_and_schemas(["routing", "registry"])
        await query(server, "CREATE TABLE IF NOT EXISTS kept (a int)", role="routing", database="axis")
        await query(server, "INSERT INTO kept VALUES (1)", role="routing", database="axis")
        pid = note_of(folder).pid
        await server.stop()
        await server.stop()
        assert not serves(pid, seat_of(folder).data)
    await server.start()
    assert await query(server, "SELECT sum(a) FROM routing.kept", role="routing", database="axis") == 2
    assert await query(server, "SHOW fsync") == "on"
    await server.remove()
    with pytest.raises(NodeError, match="no database"):
        server.dsn("routing")


async def test_the_server_speaks_utf8_orders_by_code_points_and_stays_off_the_network(folder: Path) -> None:
    async with a_server(folder) as server:
        await server.create_roles_and_schemas(["registry"])
        assert await query(server, "SHOW listen_addresses") == ""
        assert await query(server, "SHOW server_encoding") == "UTF8"
        assert await query(server, "SELECT datcollate FROM pg_database WHERE datname = 'axis'") == "C"
        assert await query(server, "SELECT 'a' > 'Z'", database="axis") is True
        # Trigrams of Vietnamese letters exist: with the character type C they would be skipped.
        assert await query(server, "SELECT cardinality(show_trgm('ĐỖ'))", role="registry", database="axis") == 3
        assert await query(server, "SELECT unaccent('Thuận')", role="registry", database="axis") == "Thuan"
        assert stat.S_IMODE(seat_of(folder).socket.stat().st_mode) == 0o700


async def test_a_role_keeps_to_its_own_schema(folder: Path) -> None:
    async with a_server(folder) as server:
        await server.create_roles_and_schemas(["routing", "registry"])
        await query(server, "CREATE TABLE secret (a int)", role="registry", database="axis")
        assert await query(server, "SELECT current_schema()", role="routing", database="axis") == "routing"
        for statement in (
            "SELECT a FROM registry.secret",
            "CREATE TABLE registry.mine (a int)",
            "CREATE TABLE public.mine (a int)",
            "CREATE SCHEMA mine",
            "CREATE ROLE mine",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await query(server, statement, role="routing", database="axis")


async def test_a_server_left_by_a_killed_node_is_used_again(folder: Path) -> None:
    start_and_be_killed(folder)
    left = note_of(folder).pid
    async with a_server(folder) as server:
        assert note_of(folder).pid == left
        assert await query(server, "SELECT 1") == 1
    assert not serves(left, seat_of(folder).data)


async def test_a_server_left_with_other_settings_is_started_afresh(folder: Path) -> None:
    start_and_be_killed(folder)
    left = note_of(folder).pid
    async with a_server(folder, durable=True) as server:
        assert note_of(folder).pid != left
        assert await query(server, "SHOW fsync") == "on"


async def test_a_server_that_does_not_answer_is_replaced(folder: Path) -> None:
    start_and_be_killed(folder)
    left = note_of(folder).pid
    (seat_of(folder).socket / ".s.PGSQL.5432").unlink()
    async with PrivatePostgres(folder, durable=False, start_limit=SHORT) as server:
        assert note_of(folder).pid != left
        assert await query(server, "SELECT 1") == 1


async def test_a_server_killed_with_its_node_recovers(folder: Path) -> None:
    async with a_server(folder) as server:
        await server.create_roles_and_schemas(["routing"])
        await query(server, "CREATE TABLE kept AS SELECT 1 AS a", role="routing", database="axis")
    start_and_be_killed(folder)
    assert kill_server(folder) is not None
    async with a_server(folder) as server:
        assert await query(server, "SELECT a FROM kept", role="routing", database="axis") == 1


async def test_a_note_whose_number_went_to_a_stranger_is_no_server(folder: Path) -> None:
    async with a_server(folder):
        place = seat_of(folder).data / "postmaster.pid"
        lines = place.read_text().splitlines()
    place.write_text("\n".join([str(os.getpid()), *lines[1:], ""]))
    async with a_server(folder) as server:
        assert await query(server, "SELECT 1") == 1


async def test_a_tied_server_ends_with_its_killed_owner(folder: Path) -> None:
    start_and_be_killed(folder, tied=True)
    data = seat_of(folder).data
    assert await becomes(lambda: read_pid_file(data) is None, 30)


async def test_a_deep_folder_still_gets_a_short_socket(home: Path) -> None:
    deep = home / ("sâu" * 20) / ("và dài, " * 10) / "postgres"
    deep.mkdir(parents=True)
    server = a_server(deep)
    await server.start()
    first = seat_of(deep).socket
    assert len(os.fsencode(first / ".s.PGSQL.5432")) < 100
    assert await query(server, "SELECT 1") == 1
    await server.stop()
    await server.start()
    assert seat_of(deep).socket == first
    await server.remove()
    assert not first.exists()


async def test_a_short_socket_that_was_cleaned_away_is_made_again(home: Path) -> None:
    deep = home / ("deep" * 25) / "postgres"
    async with a_server(deep):
        first = seat_of(deep).socket
    shutil.rmtree(first)
    async with a_server(deep) as server:
        assert await query(server, "SELECT 1") == 1
    shutil.rmtree(seat_of(deep).socket)


async def test_two_nodes_cannot_share_a_folder(folder: Path) -> None:
    async with a_server(folder) as server:
        with pytest.raises(NodeError, match="Another process is using"):
            await a_server(folder).start()
        assert await query(server, "SELECT 1") == 1


async def test_a_missing_program_is_named_and_nothing_is_held(folder: Path, home: Path) -> None:
    with pytest.raises(NodeError, match="initdb is missing"):
        await a_server(folder, binaries=home / "nowhere").start()
    async with a_server(folder):
        pass


async def test_data_of_another_release_are_refused_with_a_remedy(folder: Path) -> None:
    async with a_server(folder):
        pass
    version = seat_of(folder).data / "PG_VERSION"
    version.write_text("15\n")
    with pytest.raises(NodeError, match="incompatible") as refusal:
        await a_server(folder).start()
    assert "release that made the data" in refusal.value.remedy
    assert kill_server(folder) is None


async def test_a_home_that_cannot_be_made_is_said_clearly() -> None:
    with pytest.raises(NodeError, match="cannot be used"):
        await a_server(Path("/dev/null/postgres")).start()


def test_a_full_disk_has_its_remedy() -> None:
    log = (
        '2026-11-23 05:56:45.144 UTC [11] @ ERROR:  could not write file "pg_wal": No space left on device\n'
        "2026-11-23 05:56:45.145 UTC [11] @ PANIC:  cannot abort transaction 1, it was already committed\n"
    )
    error = failure("It did not start", log)
    assert error.problem == 'It did not start: ERROR:  could not write file "pg_wal": No space left on device.'
    assert error.remedy.startswith("Free some room")


async def test_a_start_that_is_cancelled_leaves_nothing_running(folder: Path) -> None:
    async with a_server(folder):
        data = seat_of(folder).data
    server = a_server(folder)
    task = asyncio.create_task(server.start())
    assert await becomes(lambda: read_pid_file(data) is not None, 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert kill_server(folder) is None
    assert not server.is_started


async def test_a_cut_initdb_is_made_again(folder: Path) -> None:
    server = a_server(folder)
    task = asyncio.create_task(server.start())
    assert await becomes(lambda: (seat_of(folder).root / "data.new" / "PG_VERSION").exists() or task.done(), 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with server:
        assert await query(server, "SELECT 1") == 1


async def test_a_moved_home_keeps_its_database(home: Path) -> None:
    async with a_server(home / "before" / "postgres") as server:
        await query(server, "CREATE TABLE kept AS SELECT 1 AS a")
    (home / "before").rename(home / "after")
    async with a_server(home / "after" / "postgres") as server:
        assert await query(server, "SELECT a FROM kept") == 1


@only_root
async def test_a_closed_home_gets_a_seat_elsewhere_and_keeps_its_modes(home: Path) -> None:
    closed = home / "closed"
    closed.mkdir(mode=0o700)
    folder = closed / "postgres"
    server = a_server(folder)
    await server.start()
    await query(server, "CREATE TABLE kept AS SELECT 1 AS a")
    assert not seat_of(folder).root.is_relative_to(home)
    assert stat.S_IMODE(seat_of(folder).root.stat().st_mode) == 0o700
    await server.stop()
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    assert closed.stat().st_uid == 0
    async with a_server(folder) as server:
        assert await query(server, "SELECT a FROM kept") == 1
    copy = home / "copy" / "postgres"
    shutil.copytree(folder, copy)
    with pytest.raises(NodeError, match="looks like a copy"):
        await a_server(copy).start()
    shutil.rmtree(copy)
    shutil.rmtree(seat_of(folder).root)
    with pytest.raises(NodeError, match="which is gone"):
        await a_server(folder).start()
