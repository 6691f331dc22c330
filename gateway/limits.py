"""What one caller may take of this door: requests per second, packets at the same time, and how long each takes."""

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil

from gateway.errors import Busy, TooMany, TooManyUploads, UploadTooSlow
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
    Packets being received. Some places are kept for urgent ones, and no system can take all of either kind.

    Args:
        ordinary: Places for all.
        urgent: Further places for lanes from 2 on.
        ordinary_share: Places that one system may take.
        urgent_share: Further places that one system may take for lanes from 2 on.
    """

    def __init__(self, *, ordinary: int, urgent: int, ordinary_share: int, urgent_share: int) -> None:
        self._ordinary = ordinary
        self._urgent = urgent
        self._ordinary_share = ordinary_share
        self._urgent_share = urgent_share
        self._taken: Counter[str] = Counter()

    @property
    def taken(self) -> int:
        """
        How many packets are being received.
        """
        return self._taken.total()

    @contextmanager
    def place(self, lane: Lane, system_id: str) -> Iterator[None]:
        """
        Take a place for the length of a block.

        Raises:
            Busy: None is free.
            TooManyUploads: This system has its share already.
        """
        urgent = lane >= Lane.VERY_URGENT
        if self._taken[system_id] >= self._ordinary_share + (self._urgent_share if urgent else 0):
            words = f"this system is sending {self._taken[system_id]} packets already"
            raise TooManyUploads(words, retry_after=1)
        if self.taken >= self._ordinary + (self._urgent if urgent else 0):
            raise Busy("as many packets as possible are being received", retry_after=1)
        self._taken[system_id] += 1
        try:
            yield
        finally:
            self._taken[system_id] -= 1
            if not self._taken[system_id]:
                del self._taken[system_id]


@dataclass(frozen=True)
class Pace:
    """
    How slowly a packet may come; only the time spent waiting for its sender counts.

    Attributes:
        bytes_per_second: The least speed; 0: none.
        grace_seconds: The first span that is judged, long enough for a line to get going.
        window_seconds: Every later one.
    """

    bytes_per_second: int
    grace_seconds: float
    window_seconds: float

    def begin(self) -> "Course":
        """
        Watch one packet.
        """
        return Course(self, self.grace_seconds)


@dataclass
class Course:
    """
    How one packet has come so far.
    """

    pace: Pace
    span_seconds: float
    _seconds: float = 0.0
    _bytes: int = 0

    def moved(self, byte_count: int, seconds: float) -> None:
        """
        Note that so many bytes came after so long.

        Raises:
            UploadTooSlow: It is not worth a place.
        """
        self._seconds += seconds
        self._bytes += byte_count
        if self._seconds < self.span_seconds:
            return
        if self._bytes < self.pace.bytes_per_second * self._seconds:
            raise UploadTooSlow(f"fewer than {self.pace.bytes_per_second} bytes a second came")
        self.span_seconds, self._seconds, self._bytes = self.pace.window_seconds, 0.0, 0
