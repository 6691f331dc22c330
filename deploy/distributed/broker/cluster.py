import asyncio
import secrets
from pathlib import Path
from typing import Self
from urllib.parse import quote

from deploy.distributed.broker.node import BrokerNode
from deploy.distributed.broker.ports import free_port
from deploy.distributed.broker.private import ADMIN
from shared.messaging.rabbitmq.topology import AXIS, VHOST, Topology, hash_password


class PrivateCluster:
    """
    Three brokers on this machine that are one: for tests that kill one of them.

    Args:
        folder: Where they may keep things.
        topology: What is declared once they are together.
        tied: True ends them when this process dies.
    """

    def __init__(self, folder: Path, *, topology: Topology = AXIS, tied: bool = False) -> None:
        names = ("axis1", "axis2", "axis3")
        cookie = secrets.token_hex(16)
        self._topology = topology
        names_port = free_port()
        self.nodes = [
            BrokerNode(folder.absolute() / name, name, tied=tied, peers=names, cookie=cookie, names_port=names_port)
            for name in names
        ]

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def urls(self, user: str, vhost: str = VHOST) -> list[str]:
        """
        Addresses for a user, one per broker.
        """
        password = quote(self.nodes[0].password(user), safe="")
        return [
            f"amqp://{quote(user)}:{password}@127.0.0.1:{node.ports.amqp}/{quote(vhost, safe='')}"
            for node in self.nodes
        ]

    async def start(self) -> None:
        """
        Start all three, and declare the topology once they are together, so that its queues have three copies.

        Raises:
            NodeError: One cannot run; none is left running.
        """
        first, *others = self.nodes
        hashes = {name: hash_password(first.password(name)) for name in [*self._topology.parties, ADMIN]}
        definitions = self._topology.definitions(hashes)
        try:
            # The first alone makes the cluster; the others join it.
            await first.start({"users": definitions["users"], "vhosts": definitions["vhosts"]})
            await asyncio.gather(*(node.start({}) for node in others))
            await first.control("await_online_nodes", "3")
            await first.load(definitions)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """
        Stop all three.
        """
        for node in reversed(self.nodes):
            await node.stop()

    async def remove(self) -> None:
        """
        Stop all three and delete their data.
        """
        await self.stop()
        for node in self.nodes:
            await asyncio.to_thread(node.remove)
