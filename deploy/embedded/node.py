"""The whole system in one process: private PostgreSQL, in-process bus, every service, the gateway on two listeners."""

import asyncio
from contextlib import AsyncExitStack
from typing import Final, Self

from pydantic import SecretStr

import gateway.app
import gateway.settings
import services.audit.app
import services.audit.settings
import services.delivery.app
import services.delivery.settings
import services.registry.app
import services.registry.settings
import services.routing.app
import services.routing.settings
import services.signing.app
import services.signing.settings
from deploy.embedded.home import Home, NodeConfig
from deploy.embedded.listeners import Door, Listeners
from deploy.embedded.postgres import PrivatePostgres
from shared.blobs import FolderBlobStore
from shared.client.credential import Credential
from shared.clock import SystemClock
from shared.database import Database, upgrade
from shared.identifiers import Uuid7Source
from shared.messaging.inprocess import InProcessBus
from shared.runtime import Service
from shared.sandbox import Sandbox

SERVICES: Final = ("signing", "registry", "routing", "delivery", "audit")
"""In the order they start: whoever is asked first stands first."""


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
        sandbox = await self._stack.enter_async_context(Sandbox(services.routing.app.SANDBOX_JOBS))
        bus = InProcessBus(clock=clock, new_id=new_id)
        settings = _Settings(self.home, self.config, self._postgres)
        await asyncio.to_thread(services.signing.app.create_keys, settings.signing(), clock=clock)
        parts: list[Service] = [
            services.signing.app.create_app(settings.signing(), bus=bus.party("signing"), clock=clock, new_id=new_id),
            services.registry.app.create_app(
                settings.registry(), bus=bus.party("registry"), clock=clock, new_id=new_id, blobs=blobs
            ),
            services.routing.app.create_app(
                settings.routing(), bus=bus.party("routing"), clock=clock, new_id=new_id, blobs=blobs, sandbox=sandbox
            ),
            services.delivery.app.create_app(
                settings.delivery(), bus=bus.party("delivery"), clock=clock, new_id=new_id
            ),
            services.audit.app.create_app(settings.audit(), bus=bus.party("audit"), clock=clock, new_id=new_id),
        ]
        await bus.start()
        *others, audit = parts
        for part in others:
            await self._stack.enter_async_context(part)
        # Closed before the services, so that nothing is handed to one whose database is gone; but after audit, which
        # has its last tree head signed when it stops.
        self._stack.push_async_callback(bus.close)
        await self._stack.enter_async_context(audit)
        await self._ensure_administrator(settings, clock, new_id)
        doors = gateway.app.create_app(
            settings.gateway(), bus=bus.party("gateway"), blobs=blobs, clock=clock, new_id=new_id
        )
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

    async def _ensure_administrator(self, settings: "_Settings", clock: SystemClock, new_id: Uuid7Source) -> None:
        """Make the first administrative credential, or a new one where its file is gone."""
        if self.home.admin_credential.exists():
            return
        credential = await services.registry.app.bootstrap(settings.registry(), clock=clock, new_id=new_id)
        Credential(
            url=f"http://127.0.0.1:{self.config.admin_port}",
            issuer=self.config.public_url,
            system_id=credential.system_id,
            credential_id=credential.credential_id,
            secret=SecretStr(credential.secret),
        ).write(self.home.admin_credential)


class _Settings:
    """What each service must be told, taken from the node's folder."""

    def __init__(self, home: Home, config: NodeConfig, postgres: PrivatePostgres) -> None:
        self._home = home
        self._config = config
        self._postgres = postgres

    def signing(self) -> services.signing.settings.Settings:
        return services.signing.settings.Settings(
            database_url=SecretStr(self._postgres.dsn("signing")),
            node_id=self._config.node_id,
            public_url=self._config.public_url,
            key_file=self._home.key_file,
            passphrase_file=self._home.secret_file("passphrase"),
        )

    def registry(self) -> services.registry.settings.Settings:
        return services.registry.settings.Settings(
            database_url=self._postgres.dsn("registry"),
            node_id=self._config.node_id,
            public_url=self._config.public_url,
            pepper=SecretStr(self._home.secret("pepper")),
            webhook_key=SecretStr(self._home.secret("webhook-key")),
        )

    def routing(self) -> services.routing.settings.Settings:
        return services.routing.settings.Settings(
            database_url=self._postgres.dsn("routing"),
            node_id=self._config.node_id,
            public_url=self._config.public_url,
        )

    def delivery(self) -> services.delivery.settings.Settings:
        return services.delivery.settings.Settings(
            database_url=SecretStr(self._postgres.dsn("delivery")),
            node_id=self._config.node_id,
            public_url=self._config.public_url,
        )

    def audit(self) -> services.audit.settings.Settings:
        return services.audit.settings.Settings(
            database_url=self._postgres.dsn("audit"),
            node_id=self._config.node_id,
            public_url=self._config.public_url,
        )

    def gateway(self) -> gateway.settings.Settings:
        return gateway.settings.Settings(
            node_id=self._config.node_id,
            node_name=f"Trục {self._config.node_id}",
            public_url=self._config.public_url,
        )


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
