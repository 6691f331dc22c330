"""A client as light as can be: one keep-alive HTTP/1.1 connection, one request at a time, bodies counted not kept."""

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import httptools

_KEPT_BYTES: Final = 1024 * 1024
"""Longer bodies are counted only; they are packets."""


@dataclass(frozen=True)
class Answer:
    """
    A response.

    Attributes:
        body: What was sent, if it was short.
        size: Bytes of the body.
        location: Header `Location`, where there is one.
    """

    status: int
    body: bytes
    size: int
    location: str = ""


class Address:
    """
    Where to connect to.

    Args:
        url: Root of the node.
        ca_file: Certificate that signs the server's, where that is none of the system's.
    """

    def __init__(self, url: str, ca_file: str | None = None) -> None:
        parts = urlsplit(url)
        self.host = parts.hostname or "127.0.0.1"
        self.secure = parts.scheme == "https"
        self.port = parts.port or (443 if self.secure else 80)
        self.name = parts.netloc
        self._tls = ssl.create_default_context(cafile=ca_file) if self.secure else None

    async def connect(self) -> "Connection":
        """
        Open a connection.
        """
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(Connection, self.host, self.port, ssl=self._tls)
        return connection


class Connection(asyncio.Protocol):
    """
    One connection; made by `Address.connect`.
    """

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[Answer] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._pieces: list[bytes] = []
        self._size = 0
        self._location = ""

    @property
    def is_open(self) -> bool:
        """
        Whether another request may be sent.
        """
        return self._transport is not None and not self._transport.is_closing()

    async def request(self, *pieces: bytes) -> Answer:
        """
        Send a whole request and give the answer.

        Raises:
            ConnectionError: The server closed before it answered.
        """
        transport = self._transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the server closed the connection")
        waiting: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting = waiting
        transport.writelines(pieces)
        return await waiting

    def close(self) -> None:
        """
        Hang up.
        """
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # a stream's transport both reads and writes

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(ConnectionResetError(f"the server closed the connection: {exc}"))

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            if self._waiting is not None and not self._waiting.done():
                self._waiting.set_exception(ConnectionResetError(f"no HTTP: {error}"))
            self.close()

    def on_message_begin(self) -> None:
        self._pieces, self._size, self._location = [], 0, ""

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"location":
            self._location = value.decode("ascii")

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._size <= _KEPT_BYTES:
            self._pieces.append(body)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        keeps = self._parser.should_keep_alive()
        # A parser serves one message when the server may close after it; a new one costs less than finding out.
        self._parser = httptools.HttpResponseParser(self)
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_result(Answer(status, b"".join(self._pieces), self._size, self._location))
        if not keeps:
            self.close()


class Pool:
    """
    Connections of one system, opened as they are needed.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._idle: deque[Connection] = deque()
        self._all: list[Connection] = []

    @asynccontextmanager
    async def take(self) -> AsyncIterator[Connection]:
        """
        Have a connection to oneself for the length of a block.
        """
        connection = next(self._open_ones(), None)
        if connection is None:
            connection = await self._address.connect()
            self._all.append(connection)
        try:
            yield connection
        except BaseException:
            # An answer may still be under way on it.
            connection.close()
            raise
        self._idle.append(connection)

    def close(self) -> None:
        """
        Close all of them.
        """
        for connection in self._all:
            connection.close()

    def _open_ones(self) -> Iterator[Connection]:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                yield connection
