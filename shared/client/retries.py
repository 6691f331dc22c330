"""
When to try again, and after how long.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class RetryPolicy:
    """
    Exponential back-off with jitter; what the node asks for by `Retry-After` is a minimum.

    Attributes:
        attempts: Calls in all, the first included.
        first_seconds: Longest pause after the first failure; it doubles each time.
        longest_seconds: Bound of the pause we choose ourselves.
        patience_seconds: A node that asks for more than this is not waited for: the caller hears of it at once.
        sleep: Waits; given by tests.
        chance: A number from 0 to 1; given by tests.
    """

    attempts: int = 6
    first_seconds: float = 0.5
    longest_seconds: float = 30.0
    patience_seconds: float = 120.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    chance: Callable[[], float] = random.random

    def pause_after(self, attempt: int, asked: float | None = None) -> float | None:
        """
        Give the seconds to wait after a failed attempt, counted from 1; None: give up.
        """
        if attempt >= self.attempts or (asked or 0.0) > self.patience_seconds:
            return None
        ceiling = min(self.longest_seconds, self.first_seconds * 2.0 ** (attempt - 1))
        # Half fixed and half by chance: clients that failed together do not come back together, nor all at once.
        return max(asked or 0.0, ceiling * (1.0 + self.chance()) / 2.0)
