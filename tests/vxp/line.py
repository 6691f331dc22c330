"""
Requests as the two HTTP stacks of the Java client write them, byte by byte, over a socket of their own each time.

`sendEdoc` goes out by the JDK's own client, everything else by Apache HttpClient 4.5. They differ in what becomes of
letters beyond ASCII, of headers that are alike but for their capitals, in `Accept-Encoding`, and in who waits for
`100 Continue`.
"""

import asyncio
import contextlib
import gzip
import ssl
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

PATIENCE_SECONDS: Final = 3.0
"""How long Apache HttpClient waits for `100 Continue` before it sends the body anyway."""

Lines = list[tuple[str, str]]


@dataclass(frozen=True)
class Answer:
    """
    An answer as it came.

    Attributes:
        body: With the transfer coding taken off, and whatever content coding it has.
        continued: Whether `100 Continue` came before it.
        closed: Whether the server closed the connection after it.
        whole: Whether it came to its announced end.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    continued: bool = False
    closed: bool = False
    whole: bool = True

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def decoded(self) -> bytes:
        """
        The body as Apache HttpClient gives it out.
        """
        return gzip.decompress(self.body) if self.header("content-encoding") == "gzip" else self.body


@dataclass
class Socket:
    """
    Where requests go.

    Attributes:
        url: The base address, to which a slash and the operation are added whatever it ends in.
        tls: For HTTPS.
        sent: Every request's bytes, in order.
        lingers: Connections stay open until `collect`, as the real client's do until its garbage is collected.
        piece_bytes: A request's head is written in pieces of so many bytes; None: at once.
    """

    url: str
    tls: ssl.SSLContext | None = None
    sent: list[bytes] = field(default_factory=list)
    lingers: bool = False
    piece_bytes: int | None = None
    _left_open: list[asyncio.StreamWriter] = field(default_factory=list)

    async def by_apache(self, method: str, operation: str, lines: Lines, body: bytes | None) -> Answer:
        """
        Ask as Apache HttpClient does.
        """
        head = [f"{method} {self._path(operation)} HTTP/1.1", *(f"{name}: {value}" for name, value in lines)]
        agents = [line for line in head if line.startswith("User-Agent: ")]
        head = [line for line in head if line not in agents]
        if body is not None:
            head.append(f"Content-Length: {len(body)}")
        head += [f"Host: {self._host}", "Connection: Keep-Alive", *agents]
        if body:
            head.append("Expect: 100-continue")
        head.append("Accept-Encoding: gzip,deflate")
        # Only the low byte of each UTF-16 unit is written.
        units = "\r\n".join([*head, "", ""]).encode("utf-16-le")
        return await self._exchange(units[::2], body or b"", waits=bool(body))

    async def by_jdk(self, operation: str, lines: Lines, body: bytes, *, file_encoding: str = "utf-8") -> Answer:
        """
        Ask as the JDK's client does: of headers alike but for capitals only the last value goes out.
        """
        names: dict[str, str] = {}
        values: dict[str, str] = {}
        for name, value in lines:
            names.setdefault(name.lower(), name)
            values[name.lower()] = value
        head = [f"POST {self._path(operation)} HTTP/1.1"]
        head += [f"{names[key]}: {value}" for key, value in values.items()]
        head += [
            f"Host: {self._host}",
            "Accept: text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2",
            "Connection: keep-alive",
            f"Content-Length: {len(body)}",
        ]
        written = "\r\n".join([*head, "", ""]).encode(file_encoding, "replace")
        return await self._exchange(written, body, waits=False)

    async def collect(self) -> None:
        """
        Close what was left open, as a garbage collection would some day.
        """
        for writer in self._left_open:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
        self._left_open.clear()

    @property
    def _host(self) -> str:
        return urlsplit(self.url).netloc

    def _path(self, operation: str) -> str:
        return f"{urlsplit(self.url).path}/{operation}"

    async def _exchange(self, head: bytes, body: bytes, *, waits: bool) -> Answer:
        parts = urlsplit(self.url)
        port = parts.port or (443 if self.tls else 80)
        reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=self.tls, limit=1 << 24)
        try:
            return await self._talk(reader, writer, head, body, waits=waits)
        finally:
            if self.lingers:
                self._left_open.append(writer)
            else:
                writer.close()
                with contextlib.suppress(ConnectionError):
                    await writer.wait_closed()

    async def _talk(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes, body: bytes, *, waits: bool
    ) -> Answer:
        self.sent.append(head + body)
        size = self.piece_bytes or len(head)
        for start in range(0, len(head), size):
            writer.write(head[start : start + size])
            await writer.drain()
            if self.piece_bytes:
                await asyncio.sleep(0)
        continued = False
        first: bytes | None = None
        if waits:
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    first = await reader.readuntil(b"\r\n\r\n")
            except TimeoutError:
                first = None
            if first is not None and first.startswith(b"HTTP/1.1 100"):
                continued, first = True, None
        if first is None:
            writer.write(body)
            await writer.drain()
            first = await reader.readuntil(b"\r\n\r\n")
        if first.startswith(b"HTTP/1.1 100"):
            continued, first = True, await reader.readuntil(b"\r\n\r\n")
        return await _read_answer(first, reader, continued=continued)


async def _read_answer(head: bytes, reader: asyncio.StreamReader, *, continued: bool) -> Answer:
    status_line, *lines = head.decode("latin-1").split("\r\n")
    headers = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines if line))
    found = {name.lower(): value for name, value in headers}
    whole = True
    body = b""
    try:
        if found.get("transfer-encoding", "").lower() == "chunked":
            body = await _read_chunks(reader)
        elif "content-length" in found:
            body = await reader.readexactly(int(found["content-length"]))
        else:
            body = await reader.read()
    except asyncio.IncompleteReadError as error:
        body, whole = error.partial, False
    closed = found.get("connection", "").lower() == "close"
    return Answer(int(status_line.split()[1]), headers, body, continued, closed, whole)


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while True:
        try:
            size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
            body += await reader.readexactly(size)
            await reader.readexactly(2)
        except asyncio.IncompleteReadError as error:
            raise asyncio.IncompleteReadError(bytes(body), None) from error
        if not size:
            return bytes(body)
