"""The servers of a deployment on one machine: found by settings, or private ones in its folder."""

import asyncio
import os
from collections.abc import Mapping
from typing import Final

from deploy.composition import PROCESSES, SERVICES
from deploy.distributed.broker import ADMIN, PrivateRabbit
from deploy.distributed.broker_checks import claim_broker
from deploy.distributed.database import Identity, read_identity, upgrade_all
from deploy.distributed.folder import Folder, ProcessNote
from deploy.distributed.settings import administration, broker_urls, database_urls
from deploy.embedded.errors import NodeError
from deploy.embedded.postgres import PrivatePostgres

_SUPERUSER: Final = "postgres"


class Servers:
    """
    PostgreSQL and RabbitMQ.

    Args:
        folder: Of the deployment.
        passing: True for a deployment that is thrown away: private servers end with this process.
    """

    def __init__(self, folder: Folder, *, passing: bool = False) -> None:
        self._folder = folder
        self._passing = passing
        self._postgres = (
            None if _are_named(SERVICES, "DATABASE_URL") else PrivatePostgres(folder.home.postgres, tied=passing)
        )
        self._rabbit = None if _are_named(PROCESSES, "BROKER_URL") else PrivateRabbit(folder.rabbitmq, tied=passing)
        self._restarts = {"postgresql": 0, "rabbitmq": 0}

    @property
    def notes(self) -> list[ProcessNote]:
        """
        How the private ones are.
        """
        notes = []
        if self._postgres is not None:
            notes.append(self._note("postgresql", self._postgres.pid))
        if self._rabbit is not None:
            notes.append(self._note("rabbitmq", self._rabbit.pid))
        return notes

    async def start_database(self) -> None:
        """
        Start the private PostgreSQL, if that is what is used.
        """
        if self._postgres is not None:
            await self._postgres.start()

    async def start_broker(self) -> None:
        """
        Start the private RabbitMQ, if that is what is used.
        """
        if self._rabbit is not None:
            await self._rabbit.start()

    async def set_up(self) -> Identity:
        """
        Bring the schemas to this release and claim the broker for this node.

        Raises:
            NodeError: One of them belongs to another node, or cannot be set up.
        """
        config = self._folder.home.config()
        urls, admin_url = await asyncio.to_thread(self._database_urls)
        identity = (
            await read_identity(urls[SERVICES[0]])
            if admin_url is None
            else await upgrade_all(admin_url, urls, node_id=config.node_id, public_url=config.public_url)
        )
        if identity is None:
            raise NodeError(
                "The database was never set up.",
                remedy="Run `axis db upgrade` with AXIS_DATABASE_ADMIN_URL, or give it to `axis up` too.",
            )
        if self._rabbit is not None:
            await claim_broker(self._rabbit.url(ADMIN), identity)
        return identity

    def variables_for(self, process: str) -> Mapping[str, str]:
        """
        Give a process the addresses of its own users, and nobody else's.
        """
        prefix = process.upper()
        found = {}
        if self._rabbit is not None:
            found[f"{prefix}_BROKER_URL"] = self._rabbit.url(process)
        if self._postgres is not None and process in SERVICES:
            found[f"{prefix}_DATABASE_URL"] = self._postgres.dsn(process)
        return found

    async def look_after_database(self) -> None:
        """
        Start the private database again if it has died.

        Raises:
            NodeError: It does not come back.
        """
        if self._postgres is not None and self._postgres.pid is None:
            self._restarts["postgresql"] += 1
            await self._postgres.stop()
            await self._postgres.start()

    async def look_after_broker(self) -> None:
        """
        Start the private broker again if it has died; that takes its time.

        Raises:
            NodeError: It does not come back.
        """
        if self._rabbit is not None and self._rabbit.pid is None:
            self._restarts["rabbitmq"] += 1
            await self._rabbit.start()

    async def stop(self) -> None:
        """
        Stop the private ones; their data stay, unless they are to be thrown away.
        """
        if self._rabbit is not None:
            await (self._rabbit.remove() if self._passing else self._rabbit.stop())
        if self._postgres is not None:
            await (self._postgres.remove() if self._passing else self._postgres.stop())

    async def end_leftovers(self) -> bool:
        """
        End private servers whose owner was killed; true where there were any.
        """
        found = False
        if self._rabbit is not None:
            found = await self._rabbit.end_leftovers()
        if self._postgres is not None and self._postgres.pid is not None:
            await self._postgres.start()
            await self._postgres.stop()
            found = True
        return found

    def _database_urls(self) -> tuple[Mapping[str, str], str | None]:
        if self._postgres is not None:
            urls = {service: self._postgres.dsn(service) for service in SERVICES}
            return urls, self._postgres.dsn(_SUPERUSER, _SUPERUSER, driver="postgresql")
        admin = administration().database_admin_url
        return database_urls(self._folder.home), None if admin is None else admin.get_secret_value()

    def _note(self, name: str, pid: int | None) -> ProcessNote:
        return ProcessNote(name=name, pid=pid, ready=pid is not None, restarts=self._restarts[name])


def secrets_of_others(process: str) -> frozenset[str]:
    """
    Tell which variables another process is given, and this one must not see.
    """
    return frozenset(
        name
        for name in os.environ
        if name.upper().startswith(tuple(f"{other.upper()}_" for other in PROCESSES if other != process))
        or name.upper() in {"AXIS_DATABASE_ADMIN_URL", "AXIS_BROKER_ADMIN_URL", "AXIS_BROKER_API_URL"}
    )


def _are_named(processes: tuple[str, ...], what: str) -> bool:
    """Tell whether settings name a server for all of them; half of them is a mistake."""
    given = broker_urls(None) if what == "BROKER_URL" else _given_database_urls()
    if given and set(given) != set(processes):
        missing = ", ".join(f"{name.upper()}_{what}" for name in processes if name not in given)
        raise NodeError(f"Missing beside those that are set: {missing}.", remedy="Set all of them, or none.")
    return bool(given)


def _given_database_urls() -> Mapping[str, str]:
    try:
        return database_urls(None)
    except NodeError:
        names = {f"{service}_database_url".upper(): service for service in SERVICES}
        return {names[name.upper()]: value for name, value in os.environ.items() if name.upper() in names}
