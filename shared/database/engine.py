"""One engine per service, and the transaction every write goes through."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Executable, Row
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from shared.errors import Unavailable
from shared.faults import NO_FAULTS, Faults
from shared.messaging import in_transaction
from shared.telemetry.traces import span

POOL_SIZE = 8
POOL_WAIT_SECONDS = 5.0
_NOT_THERE = ("57P", "08")
"""SQLSTATE: the server shuts down, has crashed, takes no connections yet, or broke one off that was being opened."""

_SHORT_OF_RESOURCES = "53"
"""PostgreSQL's class of errors: disk full, out of memory, too many connections."""


class DatabaseBusy(Unavailable):
    """
    The database is out of reach, or every connection to it is in use.
    """


@dataclass
class Transaction:
    """
    One open transaction. Nothing is kept unless `commit` is awaited.

    Attributes:
        connection: Runs the statements.
    """

    connection: AsyncConnection
    _faults: Faults
    _service: str
    _after_commit: list[Callable[[], None]] = field(default_factory=list)

    def after_commit(self, callback: Callable[[], None]) -> None:
        """
        Call something once the commit has succeeded; it must not block.
        """
        self._after_commit.append(callback)

    async def commit(self) -> None:
        """
        Make everything durable.
        """
        await self._faults.at("commit", self._service)
        with span(f"commit {self._service}"):
            await self.connection.commit()
        for callback in self._after_commit:
            callback()
        await self._faults.at("committed", self._service)


class Database:
    """
    A service's own schema in PostgreSQL.

    Args:
        url: `postgresql+asyncpg://…`; its role has the service's schema as search path.
        service: Name of the service, which is the name of its schema too.
        faults: What goes wrong at which point.
        pool_size: Connections kept.
    """

    def __init__(self, url: str, *, service: str, faults: Faults = NO_FAULTS, pool_size: int = POOL_SIZE) -> None:
        self.service = service
        self.faults = faults
        self.engine: AsyncEngine = create_async_engine(
            url,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=POOL_WAIT_SECONDS,
            hide_parameters=True,  # an error is logged, and what was to be written may name people
        )
        self._reader = self.engine.execution_options(isolation_level="AUTOCOMMIT")

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Transaction]:
        """
        Open a transaction; it is rolled back unless it was committed.

        Raises:
            DatabaseBusy: No connection could be had, or it broke.
        """
        async with self._connect(self.engine) as connection:
            yield Transaction(connection, self.faults, self.service)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """
        Only look: every statement sees what is committed when it begins, as inside a transaction of PostgreSQL's
        default level, without the two round trips that opening and ending one takes.

        Raises:
            DatabaseBusy: No connection could be had, or it broke.
        """
        async with self._connect(self._reader) as connection:
            yield connection

    async def run_alone(self, statement: Executable, values: Mapping[str, Any]) -> Sequence[Row[Any]]:
        """
        Run one statement that is a whole transaction, without the two round trips that opening and ending one takes.

        Returns:
            What it returned; its effect is durable by then.

        Raises:
            DatabaseBusy: No connection could be had, or it broke.
        """
        async with self._connect(self._reader) as connection:
            await self.faults.at("commit", self.service)
            with span(f"commit {self.service}"):
                result = await connection.execute(statement, values)
            rows = result.all() if result.returns_rows else []
            await self.faults.at("committed", self.service)
        return rows

    @asynccontextmanager
    async def _connect(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        await self.faults.at("begin", self.service)
        mark = in_transaction.set(True)
        try:
            async with engine.connect() as connection:
                yield connection
        except (PoolTimeoutError, InterfaceError, OperationalError, ConnectionError, OSError) as error:
            raise DatabaseBusy(f"the database of {self.service} is out of reach") from error
        except DBAPIError as error:
            state = str(getattr(error.orig, "sqlstate", None) or "")
            if error.connection_invalidated or state.startswith(_NOT_THERE):
                raise DatabaseBusy(f"the database of {self.service} is out of reach") from error
            # A full disk, above all: nothing of the transaction stays, and it is no defect of ours.
            if state.startswith(_SHORT_OF_RESOURCES):
                raise DatabaseBusy(f"the database of {self.service} has no room", retry_after=60) from error
            raise
        finally:
            in_transaction.reset(mark)
            self.faults.left(self.service)

    async def close(self) -> None:
        """
        Give all connections back.
        """
        await self.engine.dispose()
