import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote

from deploy.distributed.broker.node import BrokerNode
from shared.messaging.rabbitmq.topology import AXIS, VHOST, Topology, hash_password

ADMIN: Final = "admin"


class PrivateRabbit:
    """
    One broker with its data, logs, accounts and ports of its own.

    As root it runs as the user `rabbitmq`. Its topology and its users, with passwords made here, are loaded at each
    start. What a killed owner left running is ended first.

    Args:
        folder: Where it may keep things; made if missing, and kept for the next start.
        topology: What is declared, and for whom.
        tied: True ends the broker when this process dies, even by kill -9.
    """

    def __init__(self, folder: Path, *, topology: Topology = AXIS, tied: bool = False) -> None:
        self._folder = folder.absolute()
        self._topology = topology
        self._tied = tied
        self._node = BrokerNode(self._folder, "axis", tied=tied)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def port(self) -> int:
        return self._node.ports.amqp

    @property
    def pid(self) -> int | None:
        """
        Number of the broker's process; None while it does not run.
        """
        return self._node.pid

    @property
    def log(self) -> Path:
        return self._node.log

    def url(self, user: str, vhost: str = VHOST, *, port: int | None = None) -> str:
        """
        Address for a user.

        Args:
            user: A party, or `admin`.
            vhost: Virtual host.
            port: Another way in, such as a proxy's.
        """
        password = quote(self.password(user), safe="")
        return f"amqp://{quote(user)}:{password}@127.0.0.1:{port or self.port}/{quote(vhost, safe='')}"

    def password(self, user: str) -> str:
        """
        The password of a user; made when first asked for.
        """
        return self._node.password(user)

    async def start(self) -> None:
        """
        Start it and wait until it takes connections; nothing happens when it runs.

        Raises:
            NodeError: It cannot run, with the remedy; nothing of this attempt is left running.
        """
        names = [*self._topology.parties, ADMIN]
        hashes = {name: hash_password(self.password(name)) for name in names}
        await self._node.start(self._topology.definitions(hashes))

    async def stop(self) -> None:
        """
        Stop it in an orderly way; its data stay.
        """
        await self._node.stop()

    async def kill(self) -> None:
        """
        End it at once, as a power cut would.
        """
        await self._node.kill()

    async def end_leftovers(self) -> bool:
        """
        End a broker whose owner was killed, without starting another; true where there was one.
        """
        return await self._node.end_leftovers()

    async def restart(self) -> None:
        """
        Stop and start it on the same ports.
        """
        await self.stop()
        await self.start()

    async def remove(self) -> None:
        """
        Stop it and delete all its data.
        """
        await self.stop()
        await asyncio.to_thread(self._node.remove)

    async def control(self, *arguments: str) -> str:
        """
        Run `rabbitmqctl` and give what it printed.

        Raises:
            NodeError: It failed.
        """
        return await self._node.control(*arguments)

    async def add_vhosts(self, vhosts: Sequence[str], topology: Topology) -> None:
        """
        Make virtual hosts with a topology of their own; its users are made where they are missing.
        """
        hashes = {name: hash_password(self.password(name)) for name in [*topology.parties, ADMIN]}
        merged: dict[str, list[Any]] = {}
        for vhost in vhosts:
            for kind, entries in topology.definitions(hashes, vhost=vhost).items():
                merged.setdefault(kind, []).extend(entries)
        await self._node.load(merged)

    async def remove_vhost(self, vhost: str) -> None:
        """
        Delete a virtual host with all that is in it; its connections are closed.
        """
        await self.control("delete_vhost", vhost)
