"""What stands behind the proxy in tests that look at bytes: it notes what comes and answers as it is told."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nok"


@dataclass
class Seen:
    """
    One request, as its bytes came.
    """

    head: str
    body: bytearray = field(default_factory=bytearray)

    @property
    def line(self) -> str:
        return self.head.splitlines()[0]

    def headers(self, name: str) -> list[str]:
        """
        Every value of a header, however it was written.
        """
        lines = (line.partition(": ") for line in self.head.splitlines()[1:])
        return [value for key, _, value in lines if key.lower() == name.lower()]


Talk = Callable[["Upstream", Seen, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def answer_ok(
    upstream: "Upstream", seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """
    Take the whole body and say ok.
    """
    await read_body(seen, reader)
    writer.write(ANSWER)
    await writer.drain()


async def hang_up(upstream: "Upstream", seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """
    Take the whole body and die.
    """
    await read_body(seen, reader)
    writer.transport.abort()


async def hang_up_inside(
    upstream: "Upstream", seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """
    Die as soon as a part of the body is there.
    """
    seen.body += await reader.read(1)
    writer.transport.abort()


async def read_body(seen: Seen, reader: asyncio.StreamReader) -> None:
    """
    Take as much as was announced.
    """
    length = int((seen.headers("content-length") or ["0"])[0])
    while len(seen.body) < length:
        part = await reader.read(65536)
        if not part:
            return
        seen.body += part


@dataclass
class Upstream:
    """
    A server on loopback.

    Attributes:
        talk: What it does with a request whose head has come.
        requests: Every request so far.
        connections: How many connections were opened.
        turn: For talks that wait for the test, and tests that wait for a talk.
    """

    talk: Talk = answer_ok
    requests: list[Seen] = field(default_factory=list)
    connections: int = 0
    turn: asyncio.Event = field(default_factory=asyncio.Event)
    address: str = ""

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator["Upstream"]:
        """
        Listen for the length of a block.
        """
        tasks: set[asyncio.Task[None]] = set()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections += 1
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
                while True:
                    seen = Seen((await reader.readuntil(b"\r\n\r\n")).decode("latin-1"))
                    self.requests.append(seen)
                    await self.talk(self, seen, reader, writer)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=4 * 1024 * 1024)
        host, port = server.sockets[0].getsockname()[:2]
        self.address = f"{host}:{port}"
        try:
            yield self
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
