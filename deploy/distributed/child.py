"""One process that is kept running: started, watched, started again with growing pauses, drained and ended."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import httpx

from deploy.distributed.folder import ProcessNote

FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 30.0
STEADY_SECONDS: Final = 30.0
"""Whoever has lived this long begins with the shortest pause again."""

_KILL_SECONDS: Final = 10.0
_TAIL_BYTES: Final = 4_096


class Child:
    """
    One copy of a process.

    Args:
        name: Which process.
        copy_number: Which of its copies.
        command: Program and arguments.
        environment: All variables it gets.
        log: Where its output is added to.
        port: Where its health is told.
    """

    def __init__(
        self,
        name: str,
        copy_number: int,
        *,
        command: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        port: int,
    ) -> None:
        self.name = name
        self.copy_number = copy_number
        self._port = port
        self._command = tuple(command)
        self._environment = dict(environment)
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._since: datetime | None = None
        self._ready = False
        self._stopping = False
        self._keeping: asyncio.Task[None] | None = None
        self.restarts = 0
        self.said = ""

    @property
    def note(self) -> ProcessNote:
        """
        How it is.
        """
        return ProcessNote(
            name=self.name,
            copy_number=self.copy_number,
            pid=self._pid,
            since=self._since,
            ready=self._ready and self._pid is not None,
            restarts=self.restarts,
            port=self._port,
            said=self.said,
        )

    @property
    def _pid(self) -> int | None:
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    def start(self) -> None:
        """
        Start it, and keep it running.
        """
        self._keeping = asyncio.create_task(self._keep())

    async def look(self, http: httpx.AsyncClient) -> None:
        """
        Ask it whether it is ready.
        """
        try:
            answer = await http.get(f"http://127.0.0.1:{self._port}/health/ready")
            self._ready = answer.status_code == httpx.codes.OK
        except httpx.HTTPError:
            self._ready = False

    async def stop(self, drain_seconds: float) -> None:
        """
        Tell it to finish what is in hand; end it when that takes too long.
        """
        self._stopping = True
        if self._keeping is None:
            return
        for number, seconds in ((signal.SIGTERM, drain_seconds), (signal.SIGKILL, _KILL_SECONDS)):
            process = self._process
            if process is not None and process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(number)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await process.wait()
        self._keeping.cancel()
        await asyncio.gather(self._keeping, return_exceptions=True)

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        pause = FIRST_PAUSE_SECONDS
        while not self._stopping:
            begun = loop.time()
            code = await self._run()
            if self._stopping:
                return
            self.restarts += 1
            self.said = self._last_words(code)
            if loop.time() - begun > STEADY_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def _run(self) -> int:
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,  # out of reach of the terminal's Ctrl-C
            )
        self._since, self._ready = datetime.now(UTC), False
        return await self._process.wait()

    def _last_words(self, code: int) -> str:
        """Say why it ended: what the command line said of a problem, else the last line of the log."""
        if code < 0:
            return f"ended by {signal.Signals(-code).name}"
        with self._log.open("rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - _TAIL_BYTES))
            lines = log.read().decode("utf-8", "replace").splitlines()
        spoken = [line.strip() for line in lines if line.strip() and not _is_json(line)]
        marked = max((number for number, line in enumerate(spoken) if line.startswith("✗")), default=None)
        if marked is not None:
            return " ".join(spoken[marked + 1 :])
        return f"exit code {code}: {spoken[-1] if spoken else 'nothing was said'}"


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True
