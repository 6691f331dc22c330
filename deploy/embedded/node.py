"""The whole system in one process: private PostgreSQL, in-process bus, every service, the gateway on two listeners."""

from contextlib import AsyncExitStack
from typing import Any, Self

from deploy.composition import (
    SERVICES,
    Means,
    compose,
    compose_gateway,
    create_keys,
    ensure_administrator,
    make_sandbox,
)
from deploy.embedded.home import Home, NodeConfig
from deploy.embedded.listeners import Door, Listeners
from deploy.embedded.postgres import PrivatePostgres
from shared.blobs import FolderBlobStore
from shared.clock import SystemClock
from shared.database import Database, upgrade
from shared.identifiers import Uuid7Source
from shared.messaging.inprocess import InProcessBus
from shared.telemetry.figures import Figures


class Node:
    """
    An embedded node.

    Args:
        home: Its folder, made by `axis init`.
        passing: True for a node that is thrown away: its database ends with this process and is deleted at the stop.
    """

    def __init__(self, home: Home, *, passing: bool = False) -> None:
        self.home = home
        self.config: NodeConfig = home.config()
        self._postgres = PrivatePostgres(home.postgres, tied=passing)
        self._passing = passing
        self._stack = AsyncExitStack()

    async def start(self) -> None:
        """
        Start everything, in order; what had started is stopped again where something cannot.

        Raises:
            NodeError: It cannot run, with the remedy.
        """
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """
        Stop everything in the opposite order; nothing accepted is lost.
        """
        await self._stack.aclose()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _start(self) -> None:
        clock = SystemClock()
        new_id = Uuid7Source(clock)
        await self._postgres.start()
        self._stack.push_async_callback(self._postgres.remove if self._passing else self._postgres.stop)
        await prepare_databases(self._postgres)
        blobs = FolderBlobStore(self.home.blobs, clock)
        await blobs.start()
        sandbox = await self._stack.enter_async_context(make_sandbox())
        figures = Figures()
        bus = InProcessBus(clock=clock, new_id=new_id)
        figures.watch_queues(bus.depths)

        def means(process: str) -> Means:
            return Means(bus.party(process), clock, new_id, blobs, sandbox, figures)

        await create_keys(self._values("signing"), clock)
        parts = [compose(name, self._values(name), means(name)) for name in SERVICES]
        await bus.start()
        *others, audit = parts
        for part in others:
            await self._stack.enter_async_context(part)
        # Closed before the services, so that nothing is handed to one whose database is gone; but after audit, which
        # has its last tree head signed when it stops.
        self._stack.push_async_callback(bus.close)
        await self._stack.enter_async_context(audit)
        await ensure_administrator(
            self._values("registry"),
            file=self.home.admin_credential,
            url=f"http://127.0.0.1:{self.config.admin_port}",
            clock=clock,
            new_id=new_id,
        )
        doors = compose_gateway(self._values("gateway"), means("gateway"))
        listeners = Listeners(
            [
                Door("agencies", doors.public, self.config.host, self.config.port),
                Door("command line", doors.admin, "127.0.0.1", self.config.admin_port),
            ]
        )
        self._stack.push_async_callback(listeners.close)
        await listeners.open()
        # Called before the listeners close, which wait for open requests: a long poll answers now.
        self._stack.push_async_callback(doors.stop)

    def _values(self, process: str) -> dict[str, Any]:
        found = self.home.values_for(process)
        if process in SERVICES:
            found["database_url"] = self._postgres.dsn(process)
        return found


async def prepare_databases(postgres: PrivatePostgres) -> None:
    """
    Make every service's role and schema and bring it to this release; does nothing where that is done.
    """
    await postgres.create_roles_and_schemas(SERVICES)
    for service in SERVICES:
        database = Database(postgres.dsn(service), service=service, pool_size=1)
        try:
            await upgrade(database.engine, service)
        finally:
            await database.close()


async def upgrade_databases(home: Home) -> None:
    """
    Bring the schemas of a node that is not running to this release.

    Raises:
        NodeError: The folder is no node's, or its database cannot be started.
    """
    home.config()
    async with PrivatePostgres(home.postgres) as postgres:
        await prepare_databases(postgres)
