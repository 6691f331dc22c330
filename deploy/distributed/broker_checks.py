"""The broker, before a process uses it: reachable, with these rights, set up, and for this node and no other."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import unquote, urlsplit

import aiormq
from aiormq.abc import AbstractChannel, AbstractConnection
from aiormq.exceptions import (
    AMQPError,
    AuthenticationError,
    ChannelLockedResource,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
    ConnectionNotAllowed,
    InvalidFrameError,
    ProbableAuthenticationError,
)
from yarl import URL

from deploy.distributed.database import Identity
from deploy.embedded.errors import NodeError

CLAIM: Final = "node"
"""An exchange nobody publishes to. It can be declared only with the argument it has, so the first node keeps it."""

_CONNECT_SECONDS: Final = 10.0
_WAIT_FOR_BROKER_SECONDS: Final = 45.0
"""RabbitMQ needs ten seconds and more; a machine that has just booted starts everything at once."""


async def claim_broker(admin_url: str, identity: Identity) -> None:
    """
    Mark a broker as this node's; doing it again changes nothing.

    Args:
        admin_url: A user that may declare what it likes.
        identity: Of the node and its database.

    Raises:
        NodeError: The broker belongs to another node, or to this node with another database.
    """
    async with connected(admin_url, "the administrator") as connection:
        channel = await connection.channel()
        try:
            await channel.exchange_declare(
                CLAIM, exchange_type="fanout", durable=True, arguments={"alternate-exchange": _of(identity)}
            )
        except ChannelPreconditionFailed as error:
            raise NodeError(
                f"The broker at {_where(admin_url)} serves another node, or this one with another database: {error}.",
                remedy="Two nodes never share a virtual host: make another, and name it in the …BROKER_URL.",
            ) from error
        channel = await connection.channel()
        for name in (_of(identity), _of_node(identity.node_id)):
            await channel.exchange_declare(name, exchange_type="fanout", durable=True)


async def check_broker(process: str, url: str, *, node_id: str, identity: Identity | None) -> None:
    """
    Look whether a process can work with its broker.

    Args:
        process: Which one.
        url: With its own user.
        node_id: Of the node it is a process of.
        identity: What its database says; None for the gateway, which has none.

    Raises:
        NodeError: It cannot, with the remedy.
    """
    async with connected_patiently(url, process) as connection:
        channel = await connection.channel()
        name = _of_node(node_id) if identity is None else _of(identity)
        try:
            await channel.exchange_declare(name, passive=True)
        except ChannelNotFoundEntity as error:
            raise NodeError(
                f"The broker at {_where(url)} was not set up for this node {node_id} and its database.",
                remedy="Run `axis broker setup`; if it says that another node is there, name another virtual host.",
            ) from error


class Place:
    """
    The place on the broker of a process that may run once only, held by a connection of its own.

    Args:
        process: Which one; it may declare queues below `answers.<process>.`.
        url: With its own user.
    """

    def __init__(self, process: str, url: str) -> None:
        self._process = process
        self._url = url
        self._connection: AbstractConnection | None = None

    async def take(self, patience_seconds: float) -> None:
        """
        Take it; wait a while for a former holder whose death the broker has not noticed yet.

        Raises:
            NodeError: Another copy runs.
        """
        deadline = asyncio.get_running_loop().time() + patience_seconds
        while not await self._try():
            if asyncio.get_running_loop().time() > deadline:
                raise NodeError(
                    f"Another {self._process} works on this broker, and only one may.",
                    remedy=f"A copy of this node runs elsewhere? Stop it: a node has exactly one {self._process}.",
                )
            await asyncio.sleep(0.5)

    async def holds(self) -> bool:
        """
        Tell whether the place is still ours, and take it again after the broker was away.

        Raises:
            NodeError: The broker does not answer.
        """
        if self._connection is not None and not self._connection.is_closed:
            return True
        return await self._try()

    async def leave(self) -> None:
        """
        Give it up.
        """
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def _try(self) -> bool:
        # The broker gives up a holder who is silent for twice this long.
        connection = await _connect(self._url, self._process, heartbeat=10)
        channel: AbstractChannel = await connection.channel()
        try:
            await channel.queue_declare(f"answers.{self._process}.only", exclusive=True, auto_delete=True)
        except ChannelLockedResource:
            await connection.close()
            return False
        self._connection = connection
        return True


@asynccontextmanager
async def connected_patiently(url: str, who: str) -> AsyncIterator[AbstractConnection]:
    """
    Connect for a moment, and wait for a broker that is only just starting.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _WAIT_FOR_BROKER_SECONDS
    while True:
        try:
            connection = await _connect(url, who)
            break
        except NodeError as error:
            if not isinstance(error, _Unreachable) or loop.time() > deadline:
                raise
        await asyncio.sleep(0.5)
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def connected(url: str, who: str) -> AsyncIterator[AbstractConnection]:
    """
    Connect for a moment.
    """
    connection = await _connect(url, who)
    try:
        yield connection
    finally:
        await connection.close()


class _Unreachable(NodeError):
    """Nobody answers; waiting may help."""


async def _connect(urls: str, who: str, *, heartbeat: int = 30) -> AbstractConnection:
    """Connect to the first broker that answers; a cluster has several, separated by commas."""
    *others, last = urls.split(",")
    for url in others:
        with contextlib.suppress(_Unreachable):
            return await _connect_to(url, who, heartbeat)
    return await _connect_to(last, who, heartbeat)


async def _connect_to(url: str, who: str, heartbeat: int) -> AbstractConnection:
    where = _where(url)
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            return await aiormq.connect(URL(url).update_query(heartbeat=heartbeat))
    except (AuthenticationError, ProbableAuthenticationError) as error:
        raise NodeError(
            f"The broker at {where} refuses the name or password of {who}.",
            remedy="Mend the …BROKER_URL; `axis broker setup` gives the users the passwords named there.",
        ) from error
    except (ConnectionNotAllowed, InvalidFrameError) as error:
        # The library takes a virtual host that is refused for a frame it did not expect.
        raise NodeError(
            f"The broker at {where} does not let {who} into this virtual host.",
            remedy="Mend the virtual host in the …BROKER_URL, or make it with `axis broker setup`.",
        ) from error
    except (OSError, TimeoutError, AMQPError, ValueError) as error:
        raise _Unreachable(
            f"The broker at {where} cannot be reached: {str(error) or type(error).__name__}.",
            remedy="Start RabbitMQ, or mend host and port in the …BROKER_URL.",
        ) from error


def _of(identity: Identity) -> str:
    return f"{CLAIM}.{identity.node_id}.{identity.installation}"


def _of_node(node_id: str) -> str:
    return f"{CLAIM}.{node_id}"


def _where(urls: str) -> str:
    parts = urlsplit(urls.partition(",")[0])
    return f"{parts.hostname}:{parts.port or 5672}, virtual host {unquote(parts.path[1:]) or '/'}"
