"""A whole node as a process of its own, to be used, killed and started again as its owner's machine would."""

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import Final

import httpx

START_SECONDS: Final = 90.0
STOP_SECONDS: Final = 30.0


class NodeProcess:
    """
    `axis run` in a folder.

    Args:
        home: The node's folder, made by `axis init`.
        url: Its public address.
        arguments: Further words for `axis run`.
    """

    def __init__(self, home: Path, url: str, *arguments: str) -> None:
        self._home = home
        self._url = url
        self._arguments = arguments
        self._process: asyncio.subprocess.Process | None = None
        self.log = home.parent / f"{home.name}.log"

    @property
    def pid(self) -> int:
        """
        Its process id.
        """
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """
        Start it and wait until it is ready.
        """
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "deploy.cli",
                "--home",
                str(self._home),
                "run",
                *self._arguments,
                stdout=log,
                stderr=log,
                stdin=asyncio.subprocess.DEVNULL,
            )
        async with asyncio.timeout(START_SECONDS), httpx.AsyncClient() as http:
            while True:
                if self._process.returncode is not None:
                    raise AssertionError(f"the node ended: {self.tail()}")
                with contextlib.suppress(httpx.HTTPError):
                    if (await http.get(f"{self._url}/health/ready")).status_code == httpx.codes.OK:
                        return
                await asyncio.sleep(0.05)

    async def kill(self) -> None:
        """
        End it as a power cut would: kill -9.
        """
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGKILL)
        await self._process.wait()

    async def stop(self) -> int:
        """
        End it as its owner would.

        Returns:
            Its exit code.
        """
        assert self._process is not None
        if self._process.returncode is None:
            self._process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                return await self._process.wait()
        except TimeoutError:
            await self.kill()
            raise AssertionError(f"the node did not stop in time: {self.tail()}") from None

    def tail(self) -> str:
        """
        The end of its log.
        """
        return self.log.read_text(encoding="utf-8", errors="replace")[-4_000:]
