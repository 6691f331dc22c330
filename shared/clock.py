"""Where the time comes from: an argument, so that a test can hold it still."""

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """
    Tells the moment; aware, UTC.
    """

    def now(self) -> datetime: ...


class SystemClock:
    """
    The machine's own clock.
    """

    def now(self) -> datetime:
        return datetime.now(UTC)
