"""
Each kind of process killed once, broker and database killed once, under load: nothing is lost and nothing is doubled.

The long form is a program: `python -m tests.kill --help`.
"""

import random
import signal
import subprocess
import time

import pytest

from deploy.composition import PROCESSES
from tests.kill.blows import Figures, Reaper
from tests.kill.deployment import ROOT, Deployment
from tests.kill.load import Load, Shape


@pytest.fixture(autouse=True, scope="module")
def _servers() -> None:
    servers = subprocess.run([ROOT / "deploy/machine/servers.sh"], capture_output=True, text=True, check=False)
    if servers.returncode:
        pytest.skip(f"LEFT OUT: {servers.stderr}")


async def test_every_process_and_both_servers_killed_under_load_lose_and_double_nothing() -> None:
    figures = Figures()
    shape = Shape(systems=2, senders=3, circular_every=40, circular_size=20)
    async with Deployment() as deployment, Load(deployment, shape) as load:
        reaper = Reaper(deployment, load, random.Random(20), figures)
        begun = time.monotonic()
        await load.post()
        await load.progress()
        await reaper.kill_processes()
        await reaper.look()
        await reaper.end_broker(signal.SIGKILL)
        await reaper.look()
        await reaper.end_database(signal.SIGKILL)
        await reaper.finish("short", begun)
    assert figures.broken == []
    assert (figures.lost, figures.doubled) == (0, 0)
    assert sum(figures.blows.values()) == len(PROCESSES) + 2
