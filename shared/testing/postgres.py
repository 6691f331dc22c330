"""
Databases for tests: each test gets a copy of one that was migrated once.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import asyncpg

TEMPLATE = "axis_template"
_SUPERUSER = "postgres"
_T = TypeVar("_T")


class Server(Protocol):
    """
    What is needed of a running PostgreSQL server whose sockets need no password.
    """

    def dsn(self, role: str, database: str, *, driver: str = "postgresql+asyncpg") -> str: ...

    async def create_roles_and_schemas(self, names: list[str], database: str) -> None: ...


@dataclass(frozen=True)
class SampleDatabase:
    """
    One database of one test or module.

    Attributes:
        name: Name on the server.
        server: Where it is.
        broken: Why the schema of a service could not be made, for those where it could not.
    """

    name: str
    server: Server
    broken: Mapping[str, Exception]

    def url(self, service: str) -> str:
        """
        Where a service finds its schema, for SQLAlchemy.
        """
        if service in self.broken:
            raise RuntimeError(f"the migrations of {service} failed") from self.broken[service]
        return self.server.dsn(service, self.name)

    def admin_dsn(self) -> str:
        """
        The superuser's way in, for asyncpg: to look into every schema, or to cut connections.
        """
        return self.server.dsn(_SUPERUSER, self.name, driver="postgresql")


class SampleDatabases:
    """
    Makes a migrated database once, and copies of it in a few milliseconds each.

    Args:
        server: Where they are made.
        services: Every service that gets a role and a schema.
        migrate: Brings the schema of one service up to date, given its name and address.
    """

    def __init__(self, server: Server, services: list[str], migrate: Callable[[str, str], Awaitable[None]]) -> None:
        self._server = server
        self._numbers = itertools.count(1)
        self._broken: dict[str, Exception] = {}
        run_apart(lambda: self._make_template(services, migrate))

    @contextmanager
    def fresh(self) -> Iterator[SampleDatabase]:
        """
        Lend a database in the state just after migration; connections left open do not outlive it.
        """
        name = f"axis_{next(self._numbers)}"
        run_apart(lambda: self._execute(f'CREATE DATABASE "{name}" TEMPLATE "{TEMPLATE}"'))
        try:
            yield SampleDatabase(name, self._server, self._broken)
        finally:
            run_apart(lambda: self._execute(f'DROP DATABASE "{name}" WITH (FORCE)'))

    async def _make_template(self, services: list[str], migrate: Callable[[str, str], Awaitable[None]]) -> None:
        await self._server.create_roles_and_schemas(services, TEMPLATE)
        for service in services:
            try:
                await migrate(service, self._server.dsn(service, TEMPLATE))
            except Exception as error:  # noqa: BLE001 - kept for the tests of that service: the others may go on
                self._broken[service] = error

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self._server.dsn(_SUPERUSER, "postgres", driver="postgresql"))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


def run_apart(work: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
    """
    Run a coroutine to its end on a loop of its own, whatever the calling thread's loop is doing.
    """
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(lambda: asyncio.run(work())).result()
