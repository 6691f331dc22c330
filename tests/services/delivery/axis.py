"""A national axis that says what a test wants, byte for byte, and keeps what it was told."""

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

PACKAGE = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<edXML xmlns="http://www.mic.gov.vn/TBT/QCVN_102_2016">'
    b'<edXML:edXMLEnvelope xmlns:edXML="http://www.mic.gov.vn/TBT/QCVN_102_2016"></edXML:edXMLEnvelope></edXML>'
)
OK = {"status": "OK", "ErrorCode": "0", "ErrorDesc": "Thanh cong"}


@dataclass(frozen=True)
class Heard:
    """
    A call as it arrived.
    """

    method: str
    path: str
    lines: tuple[bytes, ...]
    body: bytes

    @property
    def operation(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def parameters(self) -> dict[str, str]:
        """
        What was signed, without the prefix.
        """
        text = self.header("XroadVnpt-sign-header")
        return {name.removeprefix("XroadVnpt-"): value for name, value in json.loads(text).items()}

    def header(self, name: str) -> str:
        """
        A header by its exact name.
        """
        values = [line.partition(b": ")[2] for line in self.lines if line.startswith(name.encode() + b": ")]
        assert len(values) == 1, f"{name}: {values}"
        return values[0].decode()


Answer = bytes | None
"""Every byte of the answer; None: the line goes dead without one."""


def answer(members: object, status: str = "200 OK", *, content_type: str = "application/json") -> bytes:
    body = members if isinstance(members, bytes) else json.dumps(members).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@dataclass
class StandInAxis:
    """
    Keeps an inbox as the protocol says; `says` may answer in its place.

    Attributes:
        heard: Every call.
        inbox: What lies there, by id: message type and package.
        states: What was reported, by id.
        says: Answers an operation in the axis' place.
        loses: Operations that are carried out and whose answers are lost, each once.
        sent: Ids given to what came in, by digest of the package.
    """

    heard: list[Heard] = field(default_factory=list)
    inbox: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    says: dict[str, Callable[[Heard], Answer]] = field(default_factory=dict)
    loses: set[str] = field(default_factory=set)
    sent: dict[str, str] = field(default_factory=dict)
    url: str = ""

    def calls(self, operation: str) -> list[Heard]:
        return [one for one in self.heard if one.operation == operation]

    def _answer(self, heard: Heard) -> Answer:
        if heard.operation in self.says:
            return self.says[heard.operation](heard)
        carried_out = answer({**OK, **self._act(heard)}) if heard.operation != "downloadEdoc" else self._raw(heard)
        if heard.operation in self.loses:
            self.loses.remove(heard.operation)
            return None
        return carried_out

    def _raw(self, heard: Heard) -> bytes:
        return answer(self.inbox[heard.parameters["docId"]][1], content_type="application/octet-stream")

    def _act(self, heard: Heard) -> dict[str, Any]:
        parameters = heard.parameters
        if heard.operation == "sendEdoc":
            digest = hashlib.sha256(heard.body.removesuffix(b"\r\n")).hexdigest()
            return {"DocId": self.sent.setdefault(digest, f"doc-{len(self.sent)}")}
        if heard.operation == "getReceivedEdocList":
            kind = parameters["messagetype"]
            return {
                "data": [
                    {"docId": doc_id, "messageType": kind, "from": "000.00.00.X01", "status": "initial"}
                    for doc_id, (message_type, _) in self.inbox.items()
                    if message_type == kind and self.states.get(doc_id) not in {"done", "fail"}
                ]
            }
        if heard.operation == "getEdoc":
            return {"data": base64.b64encode(self.inbox[parameters["docId"]][1]).decode()}
        if heard.operation == "updateStatus":
            self.states[parameters["docid"]] = parameters["status"]
            return {}
        raise AssertionError(heard.operation)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            first, *lines = head[:-4].split(b"\r\n")
            method, path, _ = first.decode().split(" ")
            length = next((line for line in lines if line.lower().startswith(b"content-length:")), b"x: 0")
            body = await reader.readexactly(int(length.partition(b":")[2]))
            heard = Heard(method, path, tuple(lines), body)
            self.heard.append(heard)
            said = self._answer(heard)
            if said is not None:
                writer.write(said)
                await writer.drain()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


@asynccontextmanager
async def standing_in() -> AsyncIterator[StandInAxis]:
    """
    Run an axis on loopback.
    """
    axis = StandInAxis()
    server = await asyncio.start_server(axis._serve, "127.0.0.1", 0, limit=1 << 20)
    axis.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/XrdAdapter/adapter"
    try:
        yield axis
    finally:
        server.close()
        await server.wait_closed()
