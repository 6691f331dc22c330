"""The pool of worker processes."""

import asyncio
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, Self

from shared.edxml.findings import refuse
from shared.errors import Unavailable
from shared.sandbox.process import WorkerDiedError, WorkerProcess
from shared.sandbox.protocol import rebuild_error
from shared.sandbox.registry import Function, load_functions

_ATTEMPTS: Final = 2
"""A worker may die of something else than its input (an operator, another process's hunger): the input gets a second
chance before it is blamed."""


URGENT_WORKERS: Final = 1
"""Kept for what is urgent, so that large ordinary packets never make it wait."""


class SandboxDefectError(Exception):
    """
    A function in the sandbox raised what it should not have; the text is its traceback.
    """


class Sandbox:
    """
    Runs functions of JSON to JSON on hostile input, each job in a worker process.

    Args:
        functions: What may be run: name → `package.module:function`. Nothing else can be.
        workers: Processes at most, and one more for what is urgent; they start when first needed.
        jobs_per_worker: Jobs after which a process is replaced, so that leaks stay small.
        memory_bytes: Address space of a process.
        timeout: Time one job may take.
        in_process: Run everything in this process instead, without limits, one after another: for tests that must be
            deterministic, never for strangers' input.
    """

    def __init__(
        self,
        functions: Mapping[str, str],
        *,
        workers: int = 2,
        jobs_per_worker: int = 500,
        memory_bytes: int = 1024 * 1024 * 1024,
        timeout: timedelta = timedelta(seconds=120),
        in_process: bool = False,
    ) -> None:
        self._paths = dict(functions)
        self._jobs_per_worker = jobs_per_worker
        self._memory_bytes = memory_bytes
        self._timeout = timeout
        self._in_process = in_process
        self._loaded: dict[str, Function] | None = None
        self._workers = workers
        self._slots = asyncio.Semaphore(workers)
        self._urgent_slots = asyncio.Semaphore(URGENT_WORKERS)
        self._idle: list[WorkerProcess] = []
        self._all: set[WorkerProcess] = set()
        self._leaving: set[asyncio.Task[None]] = set()
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def worker_pids(self) -> tuple[int, ...]:
        """
        Process ids of the workers that run.
        """
        return tuple(worker.pid for worker in self._all)

    async def run(self, name: str, arguments: Mapping[str, Any], *, urgent: bool = False) -> dict[str, Any]:
        """
        Run a function.

        Args:
            name: One of the functions given to the sandbox.
            arguments: What it takes; JSON values only.
            urgent: Run it in the place kept for what is urgent.

        Raises:
            Rejected: What the function raised; `packet-malformed` if the job took too long or killed its worker.
            Unavailable: No worker can be started, or the sandbox is closed.
            SandboxDefectError: The function has a defect.
            KeyError: There is no such function.
        """
        if name not in self._paths:
            raise KeyError(name)
        if self._closed:
            raise Unavailable("the sandbox is closed")
        if self._in_process:
            return self._run_here(name, arguments)
        async with self._urgent_slots if urgent else self._slots:
            answer = await self._ask_some_worker(name, arguments)
        return self._unpack(answer)

    async def close(self) -> None:
        """
        End every worker and wait until all are gone. Jobs under way become unavailable.
        """
        self._closed = True
        self._idle.clear()
        for worker in list(self._all):
            self._dismiss(worker)
        # A job that is just starting a worker notices afterwards; its slot is free once it has.
        for slots, count in ((self._slots, self._workers), (self._urgent_slots, URGENT_WORKERS)):
            for _ in range(count):
                await slots.acquire()
            for _ in range(count):
                slots.release()
        await asyncio.gather(*self._leaving)

    def _run_here(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        function = self._functions()[name]
        # Through JSON like the real thing, so that a test never depends on what a process could not pass.
        result: dict[str, Any] = json.loads(json.dumps(function(json.loads(json.dumps(dict(arguments))))))
        return result

    def _functions(self) -> dict[str, Function]:
        if self._loaded is None:
            try:
                self._loaded = load_functions(self._paths)
            except (ImportError, AttributeError, ValueError) as error:
                raise Unavailable(f"the sandbox has no such function: {error}") from error
        return self._loaded

    async def _ask_some_worker(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        for _ in range(_ATTEMPTS):
            worker = await self._take_worker()
            try:
                async with asyncio.timeout(self._timeout.total_seconds()):
                    answer = await worker.ask(name, arguments)
            except WorkerDiedError:
                self._dismiss(worker)
            except TimeoutError:
                self._dismiss(worker)
                refuse("took-too-long", seconds=self._timeout.total_seconds())
            except BaseException:
                self._dismiss(worker)
                raise
            else:
                self._give_back(worker)
                return answer
        return refuse("reader-crashed")

    async def _take_worker(self) -> WorkerProcess:
        while self._idle:
            worker = self._idle.pop()
            if worker.is_alive:
                return worker
            self._dismiss(worker)
        if self._closed:
            raise Unavailable("the sandbox is closed")
        worker = await WorkerProcess.start(self._paths, self._memory_bytes)
        self._all.add(worker)
        if self._closed:
            self._dismiss(worker)
            raise Unavailable("the sandbox is closed")
        return worker

    def _give_back(self, worker: WorkerProcess) -> None:
        if self._closed or worker.jobs_done >= self._jobs_per_worker:
            self._dismiss(worker)
        else:
            self._idle.append(worker)

    def _dismiss(self, worker: WorkerProcess) -> None:
        if worker not in self._all:
            return
        self._all.discard(worker)
        worker.kill()
        leaving = asyncio.create_task(worker.stop())
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    def _unpack(self, answer: dict[str, Any]) -> dict[str, Any]:
        if "result" in answer:
            result: dict[str, Any] = answer["result"]
            return result
        if "rejected" in answer:
            # The classes of a function's errors are those of its module.
            self._functions()
            raise rebuild_error(answer["rejected"])
        if "unavailable" in answer:
            raise Unavailable(str(answer["unavailable"]))
        raise SandboxDefectError(str(answer.get("defect")))
