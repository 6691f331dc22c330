"""
The fault plan: one seed decides order, duplicates, delays and crashes, so that a failing seed replays the same trace.

A turnstile lets one task run between two points. The event loop below knows when everyone stands still: nothing is
ready, no transaction is open. Only then the plan lets the next task through, and when nobody waits at a point the time
jumps to the next timer. So neither the speed of the machine nor the database has a say in the order of things.
"""

import asyncio
import contextlib
import random
import selectors
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from shared.faults import SimulatedCrash

T = TypeVar("T")

EPOCH = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
"""Schedules play on a working day of their own, so that nothing depends on today."""

STUCK_SECONDS = 30.0


class PlanStuck(AssertionError):
    """
    A transaction is open and the database does not answer: somebody waits for a lock, or for another task, inside it.
    """


@dataclass(frozen=True)
class Odds:
    """
    How likely each fault is, at each point.

    Attributes:
        crash: The work at hand dies.
        duplicate: A message is handed over twice.
        delay: The work at hand stands still for up to `longest_delay` seconds.
        most_crashes: No more than this many in one schedule, so that it ends.
    """

    crash: float = 0.03
    duplicate: float = 0.08
    delay: float = 0.03
    longest_delay: float = 2.5
    most_crashes: int = 6


@dataclass
class FaultPlan:
    """
    Implements `shared.faults.Faults` from a seed.

    Attributes:
        active: Off while a world is set up or looked at: everything passes.
        trace: What happened at which point, in order.
    """

    odds: Odds = field(default_factory=Odds)
    active: bool = False
    trace: list[str] = field(default_factory=list)
    open_transactions: int = 0
    _random: random.Random = field(default_factory=random.Random)
    _identifiers: random.Random = field(default_factory=random.Random)
    _waiting: list[tuple[int, asyncio.Future[float]]] = field(default_factory=list)
    _crashes: int = 0

    def begin(self, seed: int) -> None:
        """
        Start a schedule.
        """
        self._random.seed(seed)
        self._identifiers.seed(seed)
        self._crashes = 0
        self.trace = []
        self.active = True

    def end(self) -> None:
        """
        From here on nothing goes wrong any more; whoever waits at a point is let through.
        """
        self.active = False
        for _, turn in self._waiting:
            if not turn.done():
                turn.set_result(0.0)
        self._waiting.clear()

    def entropy(self, count: int) -> bytes:
        """
        Chance for identifiers, from the same seed.
        """
        return self._identifiers.randbytes(count)

    async def at(self, point: str, key: str) -> None:
        name = f"{point} {key}"
        if point not in {"commit", "committed"}:
            if self.active:
                await self._turn()
            if point == "begin":
                self.open_transactions += 1
        if not self.active:
            return
        if self._crashes < self.odds.most_crashes and self._random.random() < self.odds.crash:
            self._crashes += 1
            self.trace.append(f"{name}: crash")
            if point == "begin":
                self.open_transactions -= 1
            raise SimulatedCrash(name)
        self.trace.append(name)

    def left(self, key: str) -> None:
        self.open_transactions -= 1
        if self.active:
            self.trace.append(f"left {key}")

    def copies(self, key: str) -> int:
        if self.active and self._random.random() < self.odds.duplicate:
            self.trace.append(f"{key}: twice")
            return 2
        return 1

    async def _turn(self) -> None:
        while (delay := await self._stand_in_line()) > 0.0:
            await asyncio.sleep(delay)
            if not self.active:
                return

    def _stand_in_line(self) -> "asyncio.Future[float]":
        turn: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._waiting.append((_age_of_task(), turn))
        return turn

    def release_one(self) -> bool:
        """
        Let one of those who wait through, or delay it; False when nobody waits.
        """
        # Delays are drawn here, and from a line in order of the tasks' creation: timers that are due together come in
        # an order of no meaning.
        self._waiting = sorted(((age, turn) for age, turn in self._waiting if not turn.done()), key=lambda one: one[0])
        if not self._waiting:
            return False
        _, turn = self._waiting.pop(self._random.randrange(len(self._waiting)))
        is_delayed = self._random.random() < self.odds.delay
        turn.set_result(self._random.uniform(0.0, self.odds.longest_delay) if is_delayed else 0.0)
        return True


def _age_of_task() -> int:
    task = asyncio.current_task()
    assert task is not None
    return int(task.get_name().rpartition("-")[2])


class _Selector(selectors.DefaultSelector):
    loop: "ScheduleLoop"

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        loop = self.loop
        if timeout is not None and timeout <= 0:
            # Somebody can go on: the database is listened to only once nobody can, or its speed would have a say.
            return []
        if loop.free:
            return super().select(STUCK_SECONDS)
        if loop.plan.open_transactions > 0:
            events = super().select(STUCK_SECONDS)
            if not events:
                raise PlanStuck("a transaction has been open for 30 s; the trace ends with the point before it")
            return events
        events = super().select(0)
        if events or loop.plan.release_one():
            return events
        if timeout is None:
            raise PlanStuck("everyone waits for somebody else, and no timer will wake them")
        loop.virtual_time += timeout
        return []


class ScheduleLoop(asyncio.SelectorEventLoop):
    """
    An event loop whose time moves only when everybody stands still.

    Attributes:
        plan: Who decides the order.
        free: True while something outside any transaction talks to the database: time stands still until it answers.
    """

    def __init__(self, plan: FaultPlan) -> None:
        selector = _Selector()
        selector.loop = self
        self.plan = plan
        self.free = False
        self.virtual_time = 0.0
        super().__init__(selector)

    def time(self) -> float:
        return self.virtual_time

    @contextlib.contextmanager
    def talking(self) -> Iterator[None]:
        """
        Let something outside any transaction talk to the database.
        """
        self.free = True
        try:
            yield
        finally:
            self.free = False

    def advance_to_next(self, seconds: float) -> None:
        """
        Move the time to the next multiple, so that what follows does not depend on what was before.
        """
        self.virtual_time = (self.virtual_time // seconds + 1) * seconds

    def run_in_executor(  # type: ignore[override]  # mypy has its own way to write these type variables
        self,
        executor: Any,  # noqa: ARG002 - the signature is asyncio's
        func: Callable[..., T],
        *args: Any,
    ) -> "asyncio.Future[T]":
        """
        Run at once, in place: a thread would bring its own order.
        """
        result: asyncio.Future[T] = self.create_future()
        try:
            result.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - handed on to whoever waits
            result.set_exception(error)
        return result


@dataclass(frozen=True)
class ScheduleClock:
    """
    The loop's time, as the services see it.
    """

    loop: ScheduleLoop

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=self.loop.virtual_time)
