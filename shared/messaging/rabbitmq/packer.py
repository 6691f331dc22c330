"""Natural packing: what is put while a message waits for its confirm leaves together in the next."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Any

from shared.errors import Unavailable
from shared.messaging.item import MAX_PACK_BYTES, MAX_PACK_ITEMS, Item

Send = Callable[[Sequence[Item]], Awaitable[None]]
"""Sends one message and returns once it is confirmed; raises `Unavailable` when it was not."""


class Packer:
    """
    Carries items to one destination: at most 64 items or 256 KiB a message, one message at a time, no timer.

    Args:
        name: Destination, for words to the operator.
        send: Sends one message.
        limit: Items that may wait; beyond it they are refused, which is the back-pressure callers see as 503.
        confirming: Tell whoever waits that the item is confirmed; else only that it failed.
    """

    def __init__(self, name: str, send: Send, *, limit: int, confirming: bool = False) -> None:
        self._name = name
        self._send = send
        self._limit = limit
        self._confirming = confirming
        self._waiting: deque[tuple[Item, asyncio.Future[Any] | None]] = deque()
        self._under_way: list[tuple[Item, asyncio.Future[Any] | None]] = []
        self._carrying: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def idle(self) -> bool:
        """
        Nothing waits and nothing is under way.
        """
        return self._carrying is None

    async def settle(self) -> None:
        """
        Wait until nothing waits and nothing is under way.
        """
        while self._carrying is not None:
            await asyncio.wait([self._carrying])

    def put(self, item: Item, fate: asyncio.Future[Any] | None = None) -> None:
        """
        Take an item.

        Args:
            item: Leaves with the next message, unless whoever waits for it has given up by then.
            fate: Hears of its failure, and of its confirm where this packer confirms.

        Raises:
            Unavailable: Too many wait.
        """
        if len(self._waiting) >= self._limit:
            raise Unavailable(f"{self._name} has too much to do", retry_after=2)
        self._waiting.append((item, fate))
        if self._carrying is None:
            # As a task of its own it begins with the loop's next turn: what this turn still puts goes with it.
            self._carrying = asyncio.get_running_loop().create_task(self._carry(), context=Context())

    def fail(self, error: Unavailable) -> None:
        """
        Tell everyone who waits that it has failed; what is under way may arrive all the same.
        """
        for _, fate in (*self._under_way, *self._waiting):
            _fail(fate, error)
        self._under_way = []
        self._waiting.clear()

    def stop(self, error: Unavailable) -> None:
        """
        Fail everything and send no more.
        """
        self.fail(error)
        if self._carrying is not None:
            self._carrying.cancel()

    async def _carry(self) -> None:
        try:
            while self._waiting:
                self._under_way = self._take()
                if not self._under_way:
                    continue
                try:
                    await self._send([item for item, _ in self._under_way])
                except Unavailable as error:
                    self._fail_under_way(error)
                except BaseException:
                    self._fail_under_way(Unavailable("the connection to the broker broke"))
                    raise
                else:
                    if self._confirming:
                        for _, fate in self._under_way:
                            if fate is not None and not fate.done():
                                fate.set_result(True)
                finally:
                    self._under_way = []
        finally:
            self._carrying = None

    def _fail_under_way(self, error: Unavailable) -> None:
        for _, fate in self._under_way:
            _fail(fate, error)

    def _take(self) -> list[tuple[Item, asyncio.Future[Any] | None]]:
        batch: list[tuple[Item, asyncio.Future[Any] | None]] = []
        size = 0
        while self._waiting and len(batch) < MAX_PACK_ITEMS:
            item, fate = self._waiting[0]
            size += len(item.data)
            if batch and size > MAX_PACK_BYTES:
                break
            self._waiting.popleft()
            if fate is None or not fate.done():
                batch.append((item, fate))
        return batch


def _fail(fate: asyncio.Future[Any] | None, error: Unavailable) -> None:
    if fate is not None and not fate.done():
        fate.set_exception(error)
