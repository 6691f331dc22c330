"""What is done to a deployment under load: each process killed, each server restarted or killed, a leader killed."""

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from deploy.composition import PROCESSES
from tests.kill.check import check, settle, snapshot
from tests.kill.deployment import ClusteredDeployment, Deployment
from tests.kill.load import Load
from tests.kill.notes import longest_gap

BROKER_ENDS: Final = (signal.SIGKILL, signal.SIGTERM)
"""A power cut; an orderly stop."""

DATABASE_ENDS: Final = (signal.SIGKILL, signal.SIGQUIT)
"""The first process killed; an immediate stop."""

Say = Callable[[str], None]


@dataclass
class Figures:
    """
    What a run came to.

    Attributes:
        blows: What was done how often.
        interruptions: The longest time without an accepted document, by what was done in that round.
        snapshots: Checks of invariants 1 to 4 in the middle of everything.
        broken: Sentences about broken promises.
    """

    documents: int = 0
    deliveries: int = 0
    repeats: int = 0
    lost: int = 0
    doubled: int = 0
    blows: Counter[str] = field(default_factory=Counter)
    interruptions: dict[str, float] = field(default_factory=dict)
    snapshots: int = 0
    rounds: int = 0
    seconds: float = 0.0
    broken: list[str] = field(default_factory=list)


class Reaper:
    """
    Hurts one deployment while its clients work, in rounds; after each everything must settle and be right.

    Args:
        deployment: Which.
        load: Its clients.
        chance: Chooses victims and moments.
        figures: Added to.
        say: Told how it goes.
    """

    def __init__(
        self, deployment: Deployment, load: Load, chance: random.Random, figures: Figures, say: Say = print
    ) -> None:
        self._deployment = deployment
        self._load = load
        self._chance = chance
        self._figures = figures
        self._say = say

    async def kill_processes(self, *, longest_pause: float = 1.5) -> None:
        """
        Kill one copy of each process, in random order; the next may fall while the one before it is still starting.

        Args:
            longest_pause: Before each, in seconds. The supervisor waits longer each time for one that dies often.
        """
        returning = []
        for name in self._chance.sample(PROCESSES, len(PROCESSES)):
            await asyncio.sleep(self._chance.uniform(0.2, longest_pause))
            copies = [one for one in self._deployment.copies(name) if one.pid is not None]
            while not copies:
                await asyncio.sleep(0.1)
                copies = [one for one in self._deployment.copies(name) if one.pid is not None]
            victim = self._chance.choice(copies)
            self._tell(f"kill -9 {name}")
            returning.append(asyncio.ensure_future(self._deployment.end(victim, signal.SIGKILL)))
            await self._load.progress()
        await asyncio.gather(*returning)

    async def end_broker(self, number: signal.Signals) -> None:
        await self._end_server("rabbitmq", number)

    async def end_database(self, number: signal.Signals) -> None:
        await self._end_server("postgresql", number)

    async def kill_leader(self) -> None:
        """
        Kill the broker that leads a busy queue, see that the others go on, and have it join them again.
        """
        assert isinstance(self._deployment, ClusteredDeployment)
        await asyncio.sleep(self._chance.uniform(0.5, 3.0))
        node = await self._deployment.kill_leader(self._chance)
        self._tell("kill -9 leader of a queue")
        await self._load.progress()
        await node.start({})
        await node.control("await_online_nodes", "3")
        await self._load.progress()

    async def look(self) -> None:
        """
        Check a snapshot while everybody works.
        """
        self._figures.snapshots += 1
        self._complain(await snapshot(self._deployment))

    async def finish(self, name: str, begun: float) -> None:
        """
        End a round: everyone rests, everything settles, everything is checked.
        """
        ledger, figures = self._load.ledger, self._figures
        gap = longest_gap(self._load.read().accepted_at, begun, time.monotonic())
        figures.interruptions[name] = max(gap, figures.interruptions.get(name, 0.0))
        await self._load.rest()
        try:
            await settle(self._deployment, self._load)
        except AssertionError as stuck:
            self._complain([str(stuck)])
        figures.lost += len(ledger.missing) + len(ledger.unanswered())
        self._complain(await check(self._deployment, self._load))
        figures.doubled += ledger.doubled
        figures.rounds += 1
        self._say(
            f"{name}: {ledger.accepted} documents, {len(ledger.taken_at)} deliveries, {ledger.repeats} sent again, "
            f"longest gap {gap:.1f} s, {'all promises kept' if not figures.broken else figures.broken}"
        )

    async def _end_server(self, name: str, number: signal.Signals) -> None:
        await asyncio.sleep(self._chance.uniform(0.5, 3.0))
        (server,) = self._deployment.copies(name)
        self._tell(f"{number.name} {name}")
        await self._deployment.end(server, number)
        await self._load.progress()

    def _tell(self, blow: str) -> None:
        self._figures.blows[blow] += 1
        self._say(f"{self._load.read().accepted} documents: {blow}")

    def _complain(self, broken: list[str]) -> None:
        self._figures.broken += [one for one in broken if one not in self._figures.broken]
