"""One worker process, seen from the pool."""

import asyncio
import contextlib
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from shared.errors import Unavailable
from shared.sandbox.protocol import LENGTH_BYTES, FrameTooLargeError, frame, length_of, parse

_START_SECONDS: Final = 60
"""Importing the parsers takes half a second; a machine under load may need many times that."""

_PASSED_ON: Final = ("PATH", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT")
"""The rest of the environment may hold secrets."""


class WorkerDiedError(Exception):
    """
    The process ended or spoke nonsense in the middle of a job.
    """


class WorkerProcess:
    """
    A started worker; does one job at a time.
    """

    def __init__(self, process: Process) -> None:
        self._process = process
        self.jobs_done = 0

    @classmethod
    async def start(cls, functions: Mapping[str, str], memory_bytes: int) -> "WorkerProcess":
        """
        Start a process and wait until it is ready.

        Raises:
            Unavailable: It does not start.
        """
        settings = {"functions": dict(functions), "memory_bytes": memory_bytes, "parent": os.getpid()}
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        environment["PYTHONPATH"] = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
        command = (sys.executable, "-m", "shared.sandbox.worker", json.dumps(settings))
        try:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=PIPE, stdout=PIPE, env=environment, start_new_session=True
            )
        except OSError as error:
            raise Unavailable(f"no worker process can be started: {error}") from error
        worker = cls(process)
        try:
            async with asyncio.timeout(_START_SECONDS):
                greeting = await worker._receive()
        except (TimeoutError, WorkerDiedError) as error:
            await worker.stop()
            raise Unavailable("a worker process did not start") from error
        except BaseException:
            await worker.stop()  # not only killed: its end must be heard of before the loop is gone
            raise
        if "ready" not in greeting:
            await worker.stop()
            raise Unavailable(f"a worker process did not start: {greeting.get('failed')}")
        return worker

    @property
    def pid(self) -> int:
        """
        Process id.
        """
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """
        False once its end was noticed.
        """
        return self._process.returncode is None

    async def ask(self, function: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """
        Have a job done.

        Raises:
            WorkerDiedError: The process did not survive it.
        """
        if self._process.stdin is None:
            raise WorkerDiedError("no channel")
        try:
            self._process.stdin.write(frame({"function": function, "arguments": dict(arguments)}))
            await self._process.stdin.drain()
        except (ConnectionError, RuntimeError) as error:
            raise WorkerDiedError("the channel is closed") from error
        answer = await self._receive()
        self.jobs_done += 1
        return answer

    def kill(self) -> None:
        """
        End the process at once.
        """
        if self._process.stdin is not None:
            self._process.stdin.close()
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def stop(self) -> None:
        """
        End the process and wait until it is gone.
        """
        self.kill()
        await self._process.wait()
        if self._process.stdout is not None:
            # Reading to the end lets the pipe's transport close before the loop does.
            with contextlib.suppress(ConnectionError):
                await self._process.stdout.read()

    async def _receive(self) -> dict[str, Any]:
        stream = self._process.stdout
        if stream is None:
            raise WorkerDiedError("no channel")
        try:
            length = length_of(await stream.readexactly(LENGTH_BYTES))
            return parse(await stream.readexactly(length))
        except (asyncio.IncompleteReadError, ConnectionError, FrameTooLargeError, ValueError) as error:
            raise WorkerDiedError(repr(error)) from error
