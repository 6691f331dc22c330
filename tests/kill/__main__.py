"""
The long form: `python -m tests.kill --documents 100000 --minutes 60`.

Rounds of load are played until enough documents are through or the time is over: processes killed, RabbitMQ ended both
ways, PostgreSQL ended both ways; then the same load on a cluster of three brokers whose leaders are killed. After each
round everything must settle, and every promise must have been kept.
"""

import argparse
import asyncio
import itertools
import json
import random
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.kill.blows import BROKER_ENDS, DATABASE_ENDS, Figures, Reaper
from tests.kill.deployment import ClusteredDeployment, Deployment
from tests.kill.load import Load, Shape

CLUSTER_SHARE: Final = 0.15
"""Of the time and of the documents."""

Blow = Callable[[Reaper], Awaitable[None]]
Rounds = Sequence[tuple[str, Blow]]


class Run:
    """
    One long run.

    Args:
        documents: Ends it once so many are accepted.
        minutes: Ends it in any case, but for the round that is being played.
        round_seconds: Load between two checks of everything.
        shape: Of the load.
        logs: Where the logs of the processes are kept; None forgets them.
    """

    def __init__(self, documents: int, minutes: float, round_seconds: float, shape: Shape, logs: Path | None) -> None:
        self._documents = documents
        self._seconds = minutes * 60.0
        self._round_seconds = round_seconds
        self._shape = shape
        self._logs = logs
        self._chance = random.Random(shape.seed)
        self._begun = time.monotonic()
        self.figures = Figures()

    async def play(self, only: str | None) -> None:
        """
        Play one deployment or both.
        """
        broker, database = itertools.cycle(BROKER_ENDS), itertools.cycle(DATABASE_ENDS)
        processes: Rounds = [
            ("processes", lambda reaper: reaper.kill_processes(longest_pause=8.0)),
            ("RabbitMQ", lambda reaper: reaper.end_broker(next(broker))),
            ("PostgreSQL", lambda reaper: reaper.end_database(next(database))),
        ]
        leaders: Rounds = [("cluster", lambda reaper: reaper.kill_leader())]
        if only != "cluster":
            await self._play(Deployment(), processes, 1.0 if only else 1.0 - CLUSTER_SHARE)
        if only != "single":
            await self._play(ClusteredDeployment(), leaders, 1.0)
        self.figures.seconds = time.monotonic() - self._begun

    async def _play(self, deployment: Deployment, rounds: Rounds, share: float) -> None:
        before = self.figures.documents
        async with deployment, Load(deployment, self._shape) as load:
            try:
                reaper = Reaper(deployment, load, self._chance, self.figures, self._say)
                for count, (name, blow) in enumerate(itertools.cycle(rounds), 1):
                    await self._round(reaper, load, name, blow)
                    self.figures.documents = before + load.ledger.accepted
                    enough = self.figures.documents >= share * self._documents or self._is_late(share)
                    if enough and count >= len(rounds):
                        break
            finally:
                self.figures.documents = before + load.ledger.accepted
                self.figures.deliveries += len(load.ledger.taken_at)
                self.figures.repeats += load.ledger.repeats
                if self._logs is not None:
                    deployment.keep_logs(self._logs / type(deployment).__name__)

    async def _round(self, reaper: Reaper, load: Load, name: str, blow: Blow) -> None:
        begun = time.monotonic()
        await load.post()
        await load.progress()
        while time.monotonic() < begun + self._round_seconds:
            await blow(reaper)
            await reaper.look()
        await reaper.finish(name, begun)

    def _is_late(self, share: float) -> bool:
        return time.monotonic() - self._begun > share * self._seconds

    def _say(self, words: str) -> None:
        sys.stdout.write(f"{time.monotonic() - self._begun:7.1f} s  {words}\n")
        sys.stdout.flush()


def main(words: list[str]) -> int:
    """
    Play, print the figures, and say by the exit code whether all promises were kept.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.kill", description=(__doc__ or "").partition("\n\n")[2])
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--round-seconds", type=float, default=120.0, help="load between two checks of everything")
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--systems", type=int, default=3, help="processes of clients")
    parser.add_argument("--senders", type=int, default=8, help="documents that each has under way")
    parser.add_argument("--circular-every", type=int, default=200)
    parser.add_argument("--circular-size", type=int, default=40)
    parser.add_argument("--only", choices=["single", "cluster"], help="one broker, or three")
    parser.add_argument("--logs", type=Path, help="keep the logs of all processes here")
    given = parser.parse_args(words)
    shape = Shape(given.systems, given.senders, given.circular_every, given.circular_size, given.seed)
    run = Run(given.documents, given.minutes, given.round_seconds, shape, given.logs)
    # Whoever ends the program wants everything it started to end too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    begun = datetime.now(UTC)
    try:
        asyncio.run(run.play(given.only))
    finally:
        figures = {"begun": begun.isoformat(timespec="seconds"), "seed": given.seed, **vars(run.figures)}
        sys.stdout.write(json.dumps(figures, indent=1, ensure_ascii=False) + "\n")
    return 1 if run.figures.broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
