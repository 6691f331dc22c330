"""The node's two doors: one for agencies, one on loopback for the command line."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import uvicorn

from deploy.embedded.errors import NodeError
from deploy.embedded.http import Protocol

GRACE_SECONDS = 5
"""Open requests may take this long to end when the node stops; a long poll ends by itself at once."""

KEEP_ALIVE_SECONDS = 30
"""An idle connection is kept longer than clients keep theirs, or a request meets a door that is just being closed."""

_BACKLOG = 2_048


class _Server(uvicorn.Server):
    """A server that leaves the signals to the node."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@dataclass(frozen=True)
class Door:
    """
    One listening address and the application behind it.
    """

    name: str
    app: Any
    host: str
    port: int


@dataclass
class Listeners:
    """
    Opens the doors and closes them.

    Attributes:
        doors: In this order.
        grace_seconds: How long open requests may take to end.
    """

    doors: Sequence[Door]
    grace_seconds: int = GRACE_SECONDS
    _servers: list[_Server] = field(default_factory=list)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def open(self) -> None:
        """
        Listen on every door.

        Raises:
            NodeError: Somebody else listens there already.
        """
        sockets = [_bind(door) for door in self.doors]
        for door, listening in zip(self.doors, sockets, strict=True):
            config = server_config(door.app, self.grace_seconds)
            server = _Server(config)
            self._servers.append(server)
            self._tasks.append(asyncio.create_task(server.serve(sockets=[listening])))
        while not all(server.started for server in self._servers):
            for task in self._tasks:
                if task.done():
                    task.result()
            await asyncio.sleep(0.01)

    async def close(self) -> None:
        """
        Take no more requests, let the open ones end, and stop.
        """
        for server in self._servers:
            server.should_exit = True
        await asyncio.gather(*self._tasks, return_exceptions=True)


def server_config(app: Any, grace_seconds: int = GRACE_SECONDS) -> uvicorn.Config:
    """
    Say how a door is served.

    Args:
        app: What answers.
        grace_seconds: How long open requests may take to end.
    """
    return uvicorn.Config(
        app,
        http=Protocol,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        proxy_headers=False,  # whom to believe about callers is the gateway's own setting
        date_header=True,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=grace_seconds,
        backlog=_BACKLOG,
    )


def _bind(door: Door) -> socket.socket:
    listening = socket.socket(socket.AF_INET6 if ":" in door.host else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((door.host, door.port))
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise NodeError(
            f"{door.host}:{door.port} ({door.name}) cannot be listened on: {error.strerror}.",
            remedy="Stop what listens there, or choose another port.",
        ) from error
    return listening
