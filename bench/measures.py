"""The measurements; each writes its rows into the report."""

from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final

import asyncpg

from bench.deployments import Deployment
from bench.driver import Run, look_at_idleness, percentile, play
from bench.floor import run_floor
from bench.load import Job
from bench.processes import Usage
from bench.report import Report
from bench.stage import SENDER, Stage
from deploy.embedded.papers import SAMPLES

RATE: Final = "documents/s, POST to three acknowledgements"
CPU: Final = "CPU per document, core-ms"
FLOOR_RATE: Final = "documents/s"
FLOOR_CPU: Final = "CPU per document, core-ms"

SHARE_FOR_LATENCY: Final = 0.6
DOCUMENTS_OF_AN_AGENCY_A_DAY: Final = 10
"""Documents an agency sends, to three addressees each; it receives thirty then."""

PEAK_OVER_MEAN: Final = 3
"""The busiest minutes of a working day against its mean."""

WORKING_SECONDS_A_DAY: Final = 8 * 3600

_WARM_UP_SECONDS: Final = 3.0
_WARM_UP_DOCUMENTS: Final = 300
_SPARE: Final = 2.0
"""Packets made beforehand, as a multiple of what the warm-up's rate would use."""

_FEWEST: Final = 100
ORDINARY: Final = Path(SAMPLES / "bao-cao.pdf")


@dataclass(frozen=True)
class Options:
    """
    How much is measured.

    Attributes:
        seconds: Length of one measurement.
        documents: Most documents of one measurement; None: as many as the time allows.
        under_way: Documents in flight at once.
        quick: Leave out the largest sizes.
    """

    seconds: float = 10.0
    documents: int | None = None
    under_way: int = 64
    quick: bool = False


class Bench:
    """
    One deployment being measured.

    Args:
        deployment: It.
        stage: Who sends and receives there.
        folder: For what the generator needs.
    """

    def __init__(self, deployment: Deployment, stage: Stage, folder: Path, options: Options, report: Report) -> None:
        self.deployment = deployment
        self.stage = stage
        self.options = options
        self.report = report
        self.folder = folder
        self._series = count(100)
        self._expected = 0.0
        self.idle = Usage()

    @property
    def name(self) -> str:
        """
        Of the deployment, as in the table.
        """
        return self.deployment.name

    def put(self, part: int, what: str, *values: float, digits: int = 1) -> None:
        """
        Note a figure of this deployment.
        """
        self.report.put(part, what, self.name, *values, digits=digits)

    async def play(self, kind: str, *, label: str = "", **more: Any) -> Run:
        """
        Play one job; its noise is noted under the label, if it has one.
        """
        stage = self.stage
        given: dict[str, Any] = {
            "kind": kind,
            "url": self.deployment.url,
            "ca_file": self.deployment.ca_file,
            "sender": stage.sender,
            "sender_code": SENDER,
            "receivers": list(stage.receivers),
            "addressees": [list(codes) for codes in stage.addressees],
            "series": str(next(self._series)),
            "attachment": ORDINARY,
            "under_way": self.options.under_way,
        }
        run = await play(Job(**(given | more)), self.deployment.meter, self.folder, self.idle)
        if label:
            self.report.noise[f"{self.name}: {label}"] = (run.noise.busy, run.noise.stolen)
        return run

    async def warm_up(self) -> None:
        """
        Play a little, so that nothing is done for the first time in a measurement; then look how much idling takes.
        """
        documents = min(self.options.documents or _WARM_UP_DOCUMENTS, _WARM_UP_DOCUMENTS)
        run = await self.play("closed", documents=documents, seconds=_WARM_UP_SECONDS)
        self._expected = run.documents_per_second
        self.idle = await look_at_idleness(self.deployment.meter)

    async def measure_rate(self, label: str) -> Run:
        """
        Run a closed loop.
        """
        seconds = self.options.seconds
        documents = self.options.documents or max(_FEWEST, round(self._expected * seconds * _SPARE))
        return await self.play("closed", label=label, documents=documents, seconds=seconds)


async def measure_floor(deployment: str, options: Options, report: Report) -> None:
    """
    (1) The bare pipeline, with a broker where the deployment has one.
    """
    floor = await run_floor(
        seconds=options.seconds, documents=options.documents, with_broker=deployment == "distributed"
    )
    report.put(1, FLOOR_RATE, deployment, floor.documents_per_second, digits=0)
    report.put(1, FLOOR_CPU, deployment, floor.core_ms(), digits=2)
    for role in sorted(floor.usage.cpu_seconds):
        report.put(1, f"of it {role}", deployment, floor.core_ms(role), digits=2)


async def measure_product(bench: Bench) -> None:
    """
    (2) and (7) Rate, latency at a part of it, CPU by process.
    """
    commits = await _commits(bench.deployment)
    run = await bench.measure_rate("rate")
    commits = await _commits(bench.deployment) - commits
    bench.put(2, RATE, run.documents_per_second)
    bench.put(2, CPU, run.core_ms(), digits=2)
    bench.put(2, "load generator beside it, core-ms", 1000 * run.outcome.cpu_seconds / run.outcome.documents, digits=2)
    for role in sorted(run.usage.cpu_seconds):
        bench.put(7, f"{role}, core-ms", run.core_ms(role), digits=2)
    bench.put(7, "all of them when idle, core-ms a second", 1000 * bench.idle.total_cpu_seconds)
    bench.put(7, "commits in PostgreSQL, number", commits / max(1, run.outcome.documents))
    bench.put(2, "agencies it serves at 60 % of that rate", agencies_served(run.documents_per_second), digits=0)
    rate = SHARE_FOR_LATENCY * run.documents_per_second
    seconds = bench.options.seconds
    documents = bench.options.documents or max(_FEWEST, round(rate * seconds * _SPARE))
    calm = await bench.play("open", label="latency", documents=documents, seconds=seconds, rate=max(rate, 0.1))
    for what, values in (
        ("accept latency at 60 % of that rate, p50 / p99 ms", calm.outcome.accept_ms),
        ("POST to listed, p50 / p99 ms", calm.outcome.listed_ms),
        ("POST to third acknowledgement, p50 / p99 ms", calm.outcome.done_ms),
    ):
        bench.put(2, what, percentile(values, 50), percentile(values, 99))


def agencies_served(documents_per_second: float) -> float:
    """
    Translate a rate into agencies; docs/performance.md explains the assumption.
    """
    per_agency = DOCUMENTS_OF_AN_AGENCY_A_DAY * PEAK_OVER_MEAN / WORKING_SECONDS_A_DAY
    return SHARE_FOR_LATENCY * documents_per_second / per_agency


async def _commits(deployment: Deployment) -> int:
    connection = await asyncpg.connect(deployment.database("routing"))
    try:
        return int(await connection.fetchval("SELECT sum(xact_commit) FROM pg_stat_database"))
    finally:
        await connection.close()


def compare(report: Report, deployment: str) -> None:
    """
    (3) Floor against product, where this run has both.
    """
    floor_cpu, cpu = report.find(1, FLOOR_CPU, deployment), report.find(2, CPU, deployment)
    if floor_cpu and cpu:
        report.put(3, "CPU per document, floor ÷ product", deployment, floor_cpu / cpu, digits=3)
    floor_rate, rate = report.find(1, FLOOR_RATE, deployment), report.find(2, RATE, deployment)
    if floor_rate and rate:
        report.put(3, "documents/s, product ÷ floor", deployment, rate / floor_rate, digits=3)
