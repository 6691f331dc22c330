"""Plays a job against a deployment and measures what its processes use meanwhile."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Any, Final

from bench.deployments import end_process, end_with_parent
from bench.load import Job, Outcome
from bench.machine import ROOT, Noise, NoiseMeter
from bench.processes import Meter, Usage

PREPARE_SECONDS: Final = 120.0
_QUIET_CORES: Final = 0.12
"""A deployment that uses less has finished what a run left it to do; an idle one uses about half of it."""

_SETTLE_SECONDS: Final = 15.0
_LOOK_SECONDS: Final = 0.5
_IDLE_SECONDS: Final = 3.0
_LINE_BYTES: Final = 64 * 1024 * 1024


class MeasurementFailedError(Exception):
    """
    The deployment did not do what was measured, so there is no figure.
    """


@dataclass(frozen=True)
class Run:
    """
    A job that was played.

    Attributes:
        usage: What the deployment used from the start until it was quiet again.
        noise: What the whole machine was used for meanwhile.
    """

    outcome: Outcome
    usage: Usage
    noise: Noise

    @property
    def documents_per_second(self) -> float:
        """
        Documents done per second, from the first POST to the last acknowledgement.
        """
        return self.outcome.documents / self.outcome.until_last

    def core_ms(self, role: str | None = None) -> float:
        """
        CPU per document in core-milliseconds, of one role or of all.
        """
        seconds = self.usage.total_cpu_seconds if role is None else self.usage.cpu_seconds.get(role, 0.0)
        return 1000 * seconds / max(1, self.outcome.documents)


async def play(job: Job, meter: Meter, folder: Path, idle: Usage) -> Run:
    """
    Play a job in a process of its own.

    Args:
        job: What is played.
        meter: Of the deployment.
        folder: For the job's file.
        idle: What the deployment uses in a second without any work; taken off for the time of waiting afterwards.

    Raises:
        MeasurementFailedError: The deployment or the generator failed.
    """
    file = folder / f"job-{job.series}.json"
    file.write_text(job.model_dump_json(), encoding="utf-8")
    async with start_player("bench.load", file) as process:
        assert process.stdin is not None
        await read_line(process, PREPARE_SECONDS)
        await until_quiet(meter)
        meter.reset_peaks()
        noise = NoiseMeter()
        before = meter.read()
        process.stdin.write(b"go\n")
        answer = await read_line(process, job.seconds + 90)
        waited = await until_quiet(meter)
        usage = meter.read().since(before).less(idle, waited)
        return Run(Outcome.model_validate(answer), usage, noise.read())


@asynccontextmanager
async def start_player(module: str, file: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """
    Run one of our programs that says `ready`, waits for a line, and answers with one line of JSON.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        str(file),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
        limit=_LINE_BYTES,
        preexec_fn=end_with_parent,
    )
    try:
        yield process
    finally:
        await end_process(process)


async def until_quiet(meter: Meter) -> float:
    """
    Wait until a deployment has nothing left to do, so that all it did for the documents is counted.

    Returns:
        Seconds of waiting.
    """
    begun = time.monotonic()
    before = meter.read().total_cpu_seconds
    for _ in range(round(_SETTLE_SECONDS / _LOOK_SECONDS)):
        await asyncio.sleep(_LOOK_SECONDS)
        now = meter.read().total_cpu_seconds
        if now - before < _QUIET_CORES * _LOOK_SECONDS:
            break
        before = now
    return time.monotonic() - begun


async def look_at_idleness(meter: Meter) -> Usage:
    """
    Measure what a deployment uses in a second when nobody asks for anything.
    """
    await until_quiet(meter)
    begun, before = time.monotonic(), meter.read()
    await asyncio.sleep(_IDLE_SECONDS)
    usage = meter.read().since(before)
    seconds = time.monotonic() - begun
    return Usage({role: cpu / seconds for role, cpu in usage.cpu_seconds.items()})


def percentile(values: list[float], percent: int) -> float:
    """
    Give a percentile; 0 where there is nothing.
    """
    if len(values) < 2:
        return values[0] if values else 0.0
    return quantiles(values, n=100, method="inclusive")[percent - 1]


async def read_line(process: asyncio.subprocess.Process, seconds: float) -> Any:
    """
    Read what a player says next: None for `ready`, else the JSON.

    Raises:
        MeasurementFailedError: It failed, ended, or says nothing for so long.
    """
    assert process.stdout is not None
    try:
        async with asyncio.timeout(seconds):
            line = await process.stdout.readline()
    except TimeoutError as late:
        raise MeasurementFailedError(f"a part of the measurement was not done in {seconds:.0f} s") from late
    if line.strip() == b"ready":
        return None
    try:
        answer = json.loads(line)
    except ValueError as ended:
        raise MeasurementFailedError("a part of the measurement ended; its words stand above") from ended
    if "failed" in answer:
        raise MeasurementFailedError(answer["failed"])
    return answer
