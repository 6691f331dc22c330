"""What one caller may take of this door: requests per second, and packets at the same time."""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import ceil

from gateway.errors import Busy, TooMany
from shared.contracts.base import Lane

MAX_CALLERS = 10_000
"""Callers remembered at once; the one unheard of for longest is forgotten, which only gives it a full bucket again."""


class RateLimit:
    """
    One token bucket per caller.

    Args:
        per_second: How fast a bucket fills; 0 switches the limit off.
        burst: What a full bucket holds.
        monotonic: Seconds that never go back.
    """

    def __init__(self, *, per_second: float, burst: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._burst = float(burst)
        self._monotonic = monotonic
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str) -> None:
        """
        Count one request.

        Raises:
            TooMany: The bucket is empty.
        """
        if not self._per_second:
            return
        now = self._monotonic()
        level, filled_at = self._buckets.get(caller, (self._burst, now))
        level = min(self._burst, level + (now - filled_at) * self._per_second)
        if level < 1:
            self._keep(caller, level, now)
            raise TooMany("wait before the next request", retry_after=ceil((1 - level) / self._per_second))
        self._keep(caller, level - 1, now)

    def _keep(self, caller: str, level: float, now: float) -> None:
        self._buckets[caller] = (level, now)
        self._buckets.move_to_end(caller)
        if len(self._buckets) > MAX_CALLERS:
            self._buckets.popitem(last=False)


class Uploads:
    """
    Packets being received; some places are kept for urgent ones.

    Args:
        ordinary: Places for all.
        urgent: Further places for lanes from 2 on.
    """

    def __init__(self, *, ordinary: int, urgent: int) -> None:
        self._ordinary = ordinary
        self._urgent = urgent
        self._taken = 0

    @property
    def taken(self) -> int:
        """
        How many packets are being received.
        """
        return self._taken

    @contextmanager
    def place(self, lane: Lane) -> Iterator[None]:
        """
        Take a place for the length of a block.

        Raises:
            Busy: None is free.
        """
        if self._taken >= self._ordinary + (self._urgent if lane >= Lane.VERY_URGENT else 0):
            raise Busy("as many packets as possible are being received", retry_after=1)
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1
