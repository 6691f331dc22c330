"""Group commit: what is asked for while one group is at work is done together in the next."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from shared.errors import Unavailable

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


class EachAlone(Exception):
    """
    Raised by the work of a group: one of its items cannot be done with the others, so each is to be done alone.

    An item that raises it alone is `Unavailable` for now.
    """


@dataclass
class _Waiting(Generic[ItemT, ResultT]):
    item: ItemT
    done: asyncio.Future[ResultT]


class Group(Generic[ItemT, ResultT]):
    """
    Does the work of concurrent callers in one go, usually in one transaction.

    Whoever gets the turn takes along everything that has come meanwhile; no timer, no task of its own: a single caller
    waits for nobody, and the cost of each falls as the load rises.

    Args:
        work: Does several items; one result for each, in their order, where an exception is that item's own refusal.
            When it raises, each item is tried alone, so that one culprit takes no other along.
        most: Items done in one go.
    """

    def __init__(
        self, work: Callable[[Sequence[ItemT]], Awaitable[Sequence[ResultT | Exception]]], *, most: int = 64
    ) -> None:
        self._work = work
        self._most = most
        self._turn = asyncio.Lock()
        self._pending: list[_Waiting[ItemT, ResultT]] = []

    async def do(self, item: ItemT) -> ResultT:
        """
        Do one item, together with those that come at the same time.

        Raises:
            Unavailable: It is not known to be done.
            Exception: What `work` gave for this item.
        """
        waiting = _Waiting[ItemT, ResultT](item, asyncio.get_running_loop().create_future())
        self._pending.append(waiting)
        async with self._turn:
            while not waiting.done.done():
                batch, self._pending = self._pending[: self._most], self._pending[self._most :]
                await self._do(batch)
        return await waiting.done

    async def _do(self, batch: list[_Waiting[ItemT, ResultT]]) -> None:
        try:
            results = await self._work([waiting.item for waiting in batch])
        except Exception as error:  # noqa: BLE001 - each of them hears it
            if len(batch) == 1 or isinstance(error, Unavailable):
                known = Unavailable(str(error)) if isinstance(error, EachAlone) else error
                for waiting in batch:
                    _settle(waiting, known)
            else:
                for waiting in batch:
                    await self._do([waiting])
        except BaseException:
            # Whose turn it was dies here; the others must not wait for ever.
            for waiting in batch:
                _settle(waiting, Unavailable("the group was cut off"))
            raise
        else:
            for waiting, result in zip(batch, results, strict=True):
                _settle(waiting, result)


def _settle(waiting: _Waiting[ItemT, ResultT], result: ResultT | Exception) -> None:
    if waiting.done.done():
        return
    if isinstance(result, Exception):
        waiting.done.set_exception(result)
        waiting.done.exception()  # whoever was cancelled meanwhile does not come to hear it
    else:
        waiting.done.set_result(result)
