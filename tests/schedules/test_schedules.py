"""
Seeded schedules keep invariants 1 to 4 and 8, and a seed replays its trace.
"""

import json
import os
import re
import subprocess
import sys
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

from shared.testing.postgres import SampleDatabase, SampleDatabases

ROOT = Path(__file__).parents[2]
SCHEDULES = int(os.environ.get("AXIS_SCHEDULES", "2000"))
SERVICES = ("registry", "signing", "routing", "audit")


def start(database: SampleDatabase, seeds: str, *more: str) -> subprocess.Popen[str]:
    urls = {service: database.url(service) for service in SERVICES} | {"postgres": database.admin_dsn()}
    return subprocess.Popen(
        [sys.executable, "-m", "tests.schedules.play", "--urls", json.dumps(urls), "--seeds", seeds, *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )


def test_no_schedule_breaks_a_promise(databases: SampleDatabases) -> None:
    # Two for each of two cores: a third of the time goes by waiting for the database. With the journal listening a
    # schedule takes longer, so the process that has it plays fewer.
    ends = [0, *(round(SCHEDULES * share) for share in (0.27, 0.54, 0.81)), SCHEDULES]
    counts = [end - begin for begin, end in pairwise(ends)]
    with ExitStack() as stack:
        lent = [stack.enter_context(databases.fresh()) for _ in counts]
        runs = [
            start(database, f"{begin}:{end}", *(["--audit"] if end == SCHEDULES else []))
            for database, (begin, end) in zip(lent, pairwise(ends), strict=True)
        ]
        outputs = [run.communicate()[0] for run in runs]
    for run, output, count in zip(runs, outputs, counts, strict=True):
        assert run.returncode == 0, output[-20_000:]
        assert f"{count} schedules, 0 broken" in output


def test_a_seed_replays_the_same_trace(databases: SampleDatabases) -> None:
    traces = []
    for _ in range(2):
        with databases.fresh() as database:
            run = start(database, "5:8", "--trace")
            output = run.communicate()[0]
        assert run.returncode == 0, output[-20_000:]
        traces.append(re.findall(r"seed 7: trace ([0-9a-f]+), (\d+) points", output)[0])
    assert traces[0] == traces[1]
    assert int(traces[0][1]) > 50
