"""
A wire that can be cut: a forwarder of TCP connections in the test's own process.
"""

import asyncio
import contextlib
from typing import Self


class SeverableWire:
    """
    Forwards connections to a port on loopback until it is cut.

    Args:
        target: Port to forward to.
        port: Where to listen; 0 chooses one.
    """

    def __init__(self, target: int, *, port: int = 0) -> None:
        self._target = target
        self.port = port
        self._server: asyncio.Server | None = None
        self._ends: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()

    async def __aenter__(self) -> Self:
        await self.mend()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.cut(for_good=True)

    async def mend(self) -> None:
        """
        Let connections through from now on.
        """
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self, *, for_good: bool = False) -> None:
        """
        Reset every connection at once; new ones get through unless it is for good.
        """
        if for_good and self._server is not None:
            self._server.close()
            self._server = None
        for end in self._ends:
            end.transport.abort()
        self._ends.clear()
        self._flowing.set()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    def clog(self) -> None:
        """
        Take what is sent and pass nothing on, as a broker does that is alive and never answers.
        """
        self._flowing.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._ends |= {writer, far_writer}
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            pump = asyncio.ensure_future(self._pump(source, sink))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65_536):
                await self._flowing.wait()
                sink.write(data)
                await sink.drain()
        sink.transport.abort()
