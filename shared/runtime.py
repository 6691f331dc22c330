"""What runs: a service with its background loops, started and stopped in order."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from typing import Self

from shared.errors import Unavailable
from shared.telemetry import get_logger

RESTART_SECONDS = 1.0
TIDY_AFTER_SECONDS = 60.0
"""Tidying up begins so long after the start."""

_logger = get_logger(__name__)

Loop = Callable[[], Awaitable[None]]


@dataclass
class Service:
    """
    One service, composed and connected.

    Attributes:
        name: As on the bus.
        loops: Work that goes on for ever; one that raises is started again after a second.
        on_start: Awaited in order before the loops begin.
        on_stop: Awaited in order once the loops have ended.
    """

    name: str
    loops: Sequence[Loop] = ()
    on_start: Sequence[Loop] = ()
    on_stop: Sequence[Loop] = ()
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def start(self) -> None:
        """
        Begin to work.
        """
        for step in self.on_start:
            await step()
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._keep(work), context=Context()) for work in self.loops]

    async def stop(self) -> None:
        """
        End the loops, then what they used.
        """
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        for step in self.on_stop:
            await step()

    async def _keep(self, work: Loop) -> None:
        while True:
            try:
                await work()
            except Unavailable as error:
                _logger.warning("loop waits", service=self.name, loop=_name(work), error=error.detail)
            except Exception:
                _logger.exception("loop failed", service=self.name, loop=_name(work))
            else:
                return
            await asyncio.sleep(RESTART_SECONDS)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


def every(seconds: float, work: Loop, *, first_after: float = 0.0) -> Loop:
    """
    Make a loop that does something, waits, and does it again.

    Args:
        seconds: Between the end of one time and the next.
        work: What to do.
        first_after: Seconds until the first time; tidying up can wait until a process has started.
    """

    async def loop() -> None:
        await asyncio.sleep(first_after)
        while True:
            await work()
            await asyncio.sleep(seconds)

    loop.__qualname__ = _name(work)
    return loop


async def ring_or_pass(bell: asyncio.Event, seconds: float) -> None:
    """
    Wait until a bell rings, no longer than so many seconds.

    Not `asyncio.wait_for`: before Python 3.12 it swallows a cancellation that arrives together with the ring, and a
    loop that missed its cancellation never ends.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await bell.wait()


def _name(work: Loop) -> str:
    return getattr(work, "__qualname__", type(work).__name__)
