"""
An endpoint that listens for webhooks, on loopback, and says whatever a test wants.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes 123").decode()


@dataclass(frozen=True)
class Call:
    """
    One request as it arrived.

    Attributes:
        target: Path and query.
        headers: Names in lower case.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        """
        The CloudEvent it carries.
        """
        event: dict[str, Any] = json.loads(self.body)
        return event

    def is_signed_with(self, secret: str) -> bool:
        """
        Check the signature as a receiver does, by the text of Standard Webhooks and nothing of ours.
        """
        key = base64.b64decode(secret.split("_", 1)[1])
        message = b".".join(
            (self.headers["webhook-id"].encode(), self.headers["webhook-timestamp"].encode(), self.body)
        )
        version, _, signature = self.headers["webhook-signature"].partition(",")
        expected = base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode()
        return version == "v1" and hmac.compare_digest(signature, expected)


@dataclass(frozen=True)
class Reply:
    """
    What the endpoint says.
    """

    status: int = 204
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


def agree(call: Call) -> Reply:
    """
    Return the challenge of a handshake, and take everything else.
    """
    challenge = call.event["data"].get("challenge")
    if challenge is None:
        return Reply()
    return Reply(200, {"Content-Type": "application/json"}, json.dumps({"challenge": challenge}).encode())


@dataclass
class Listener:
    """
    A running endpoint.

    Attributes:
        port: On 127.0.0.1.
        answer: Decides the reply; None: the call hangs until the caller gives up.
        calls: What has arrived so far.
    """

    answer: Callable[[Call], Reply | None] = agree
    calls: list[Call] = field(default_factory=list)
    port: int = 0
    _arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def url(self) -> str:
        """
        Where it listens.
        """
        return f"http://127.0.0.1:{self.port}/hook?x=1"

    async def wait_for(self, count: int) -> None:
        """
        Wait until so many calls have arrived.
        """
        async with self._arrived:
            await self._arrived.wait_for(lambda: len(self.calls) >= count)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            call = await _read_call(reader)
            self.calls.append(call)
            async with self._arrived:
                self._arrived.notify_all()
            reply = self.answer(call)
            if reply is None:
                await reader.read()
                return
            lines = [f"HTTP/1.1 {reply.status} So", f"Content-Length: {len(reply.body)}"]
            lines += [f"{name}: {value}" for name, value in reply.headers.items()]
            writer.write("\r\n".join([*lines, "", ""]).encode() + reply.body)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()


async def _read_call(reader: asyncio.StreamReader) -> Call:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Call(method, target, headers, body)


@asynccontextmanager
async def listening(
    answer: Callable[[Call], Reply | None] = agree, *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Listener]:
    """
    Run an endpoint on a free port of 127.0.0.1.
    """
    listener = Listener(answer)
    server = await asyncio.start_server(listener.serve, "127.0.0.1", 0, ssl=tls)
    listener.port = server.sockets[0].getsockname()[1]
    try:
        yield listener
    finally:
        server.close()
        await server.wait_closed()
