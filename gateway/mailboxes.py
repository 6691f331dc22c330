"""Long polls: who waits for which mailboxes, and what wakes them."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from shared.contracts.routing import MailboxChanged
from shared.messaging import Bus


class Waiter:
    """
    One long poll. Until it says which mailboxes concern it, every hint does, so that none is lost between the first
    look and the wait.
    """

    def __init__(self) -> None:
        self._agencies: frozenset[UUID] | None = None
        self._woken = asyncio.Event()

    def hear(self, agencies: frozenset[UUID]) -> None:
        """
        Take a hint.
        """
        if self._agencies is None or not self._agencies.isdisjoint(agencies):
            self._woken.set()

    @property
    def is_woken(self) -> bool:
        """
        Whether a hint has come since `forget`.
        """
        return self._woken.is_set()

    def wake(self) -> None:
        """
        End the wait whatever it is for.
        """
        self._woken.set()

    def forget(self) -> None:
        """
        Begin to listen anew; to be called before each look, never after it.
        """
        self._woken.clear()

    def narrow(self, agencies: frozenset[UUID]) -> None:
        """
        Say which mailboxes the last look was made for.
        """
        self._agencies = agencies

    async def wait(self) -> None:
        """
        Wait for a hint since `forget`.
        """
        await self._woken.wait()


class Mailboxes:
    """
    Hears routing's hints for every long poll of this process.

    Args:
        bus: To hear the hints.
        max_waiting: Long polls held open; beyond that, and once closed, none is.
    """

    def __init__(self, bus: Bus, *, max_waiting: int) -> None:
        self._waiters: set[Waiter] = set()
        self._max_waiting = max_waiting
        self._closed = False
        bus.on_hint(MailboxChanged, self._hear)

    @property
    def open(self) -> bool:
        """
        Whether waiting still makes sense.
        """
        return not self._closed

    @property
    def waiting(self) -> int:
        """
        How many long polls are open.
        """
        return len(self._waiters)

    @contextmanager
    def waiter(self) -> Iterator[Waiter | None]:
        """
        Listen for the length of a block; None when no more can wait.
        """
        if self._closed or len(self._waiters) >= self._max_waiting:
            yield None
            return
        waiter = Waiter()
        self._waiters.add(waiter)
        try:
            yield waiter
        finally:
            self._waiters.discard(waiter)

    def close(self) -> None:
        """
        Have every long poll answer now.
        """
        self._closed = True
        for waiter in self._waiters:
            waiter.wake()

    def _hear(self, hint: MailboxChanged) -> None:
        agencies = frozenset(hint.agency_keys)
        for waiter in self._waiters:
            waiter.hear(agencies)
