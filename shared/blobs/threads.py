import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from shared.blobs.files import storage_errors

_T = TypeVar("_T")


async def in_thread(work: Callable[[], _T]) -> _T:
    """
    Do work on the disk where it stops nobody, and say what the disk says in our words.
    """

    def guarded() -> _T:
        with storage_errors():
            return work()

    return await asyncio.to_thread(guarded)


class OneAtATime:
    """
    Work in threads on one file: a caller that is cancelled leaves its thread at work, and closing must wait for it.
    """

    def __init__(self) -> None:
        self._work: asyncio.Future[Any] | None = None

    async def run(self, work: Callable[[], _T]) -> _T:
        task = asyncio.ensure_future(in_thread(work))
        self._work = task
        return await asyncio.shield(task)

    @property
    def at_work(self) -> bool:
        """
        Whether a thread whose caller was cancelled may still be at it.
        """
        return self._work is not None and not self._work.done()

    async def finish(self, work: Callable[[], None]) -> None:
        """
        Do the last piece of work, even if the caller is cancelled meanwhile.
        """
        await asyncio.shield(asyncio.ensure_future(self._finish(work)))

    async def _finish(self, work: Callable[[], None]) -> None:
        if self._work is not None:
            await asyncio.gather(self._work, return_exceptions=True)
        await in_thread(work)
