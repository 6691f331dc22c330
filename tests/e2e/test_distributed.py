"""
The whole system as separate processes behind a proxy: a letter to four levels, a supervisor that dies, an orderly end.
"""

import asyncio
import os
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.composition import PROCESSES, SERVICES
from deploy.demo import acts
from deploy.demo.cast import (
    COMMUNE,
    DEPARTMENT,
    DISTRICT,
    MINISTRY,
    PROVINCE,
    Cast,
    RunningNode,
    hire,
    import_agencies,
    open_cast,
)
from deploy.demo.ledger import Ledger
from deploy.distributed.broker import PrivateRabbit
from deploy.distributed.control import down, state, up
from deploy.distributed.folder import COPIES, Folder, Note, processes_of
from deploy.distributed.ports import free_ports
from deploy.embedded.home import init_home
from deploy.embedded.papers import paper
from deploy.embedded.postgres import PrivatePostgres
from shared.client import SentDocument
from tests.e2e.two_doors import BUSINESSES, DIRECTIONS, TwoDoors, exchange

ROOT = Path(__file__).parents[2]


OTHERS = ("postgresql", "rabbitmq", "proxy")


@pytest.fixture(scope="module")
def folder() -> Iterator[Folder]:
    """
    A folder whose deployment every test may find up or down, and that is gone at the end.
    """
    servers = subprocess.run([ROOT / "deploy/machine/servers.sh"], capture_output=True, text=True, check=False)
    if servers.returncode:
        pytest.skip(f"LEFT OUT: {servers.stderr}")
    place = Folder(Path(tempfile.mkdtemp(prefix="axis-tests-distributed-")))
    port, admin_port = free_ports(2)
    init_home(place.root, node_id="H43", port=port, admin_port=admin_port, public_url=f"https://127.0.0.1:{port}")
    yield place
    down(place.root, quietly)
    asyncio.run(PrivateRabbit(place.rabbitmq).remove())
    asyncio.run(PrivatePostgres(place.home.postgres).remove())
    shutil.rmtree(place.root)


@pytest.fixture
def running(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> Note:
    note = up(folder.root, quietly)
    monkeypatch.setenv("SSL_CERT_FILE", str(folder.authority))
    return note


def quietly(_: Note) -> None: ...


def node_of(folder: Folder) -> RunningNode:
    home = folder.home
    return RunningNode(home.config().public_url, home.admin_credential, home.systems)


async def send_letter(cast: Cast, ledger: Ledger, number: str) -> SentDocument:
    sender, codes = cast[COMMUNE], (DISTRICT, DEPARTMENT, PROVINCE, MINISTRY)
    packet = paper(
        sender=sender.address,
        to=[cast[code].address for code in codes],
        number=number,
        subject="Báo cáo",
        seal=sender.seal,
    )
    sent = await sender.client.send(packet)
    ledger.accepted(sent.answer.document_id, frozenset(codes))
    return sent


async def perform(cast: Cast) -> Ledger:
    ledger = Ledger()
    await import_agencies(cast)
    await hire(cast)
    sent = await send_letter(cast, ledger, "1")
    await acts.answers(cast, ledger, sent)
    journey = await cast[COMMUNE].client.journey(sent.document_id)
    proved = [entry for entry in journey.items if entry.to_state == "delivered" and entry.evidence_id is not None]
    ledger.expect(len(proved) == 4, f"{len(proved)} of 4 final steps have evidence")
    return ledger


def test_everything_is_ready_when_up_returns(running: Note, folder: Folder) -> None:
    ready = [one.name for one in running.processes if one.ready]
    assert sorted(ready) == sorted([*(name for name, copies in COPIES.items() for _ in range(copies)), *OTHERS])
    assert state(folder.root).answers


async def test_a_letter_reaches_four_levels_and_every_end_is_proved(running: Note, folder: Folder) -> None:
    cast = await open_cast(node_of(folder))
    try:
        ledger = await perform(cast)
    finally:
        await cast.close()
    assert ledger.failures == []
    assert (ledger.lost, ledger.doubled, ledger.returned) == (0, 0, 1)


async def test_what_happens_is_the_same_through_any_door(running: Note, folder: Folder, tmp_path: Path) -> None:
    trust = ssl.create_default_context(cafile=folder.authority)
    doors = await TwoDoors.open(node_of(folder), folder.root, tmp_path, trust)
    try:
        for kind in BUSINESSES:
            ways = [await exchange(doors, direction, kind) for direction in DIRECTIONS]
            assert ways == [ways[0]] * len(ways), kind
    finally:
        await doors.close()


def test_the_command_line_reaches_the_node_as_it_does_an_embedded_one(running: Note, folder: Folder) -> None:
    ran = axis("--home", str(folder.root), "queues", "--once", "--json")
    assert ran.returncode == 0, ran.stderr
    assert '"lanes"' in ran.stdout


def test_each_process_has_only_its_own_way_to_broker_and_database(running: Note, folder: Folder) -> None:
    for pid in processes_of(folder.root, "serve"):
        words = Path("/proc", str(pid), "cmdline").read_bytes().split(b"\0")
        own = words[words.index(b"serve") + 1].decode()
        variables = {
            line.partition(b"=")[0].decode() for line in Path("/proc", str(pid), "environ").read_bytes().split(b"\0")
        }
        assert {f"{name.upper()}_BROKER_URL" for name in PROCESSES} & variables == {f"{own.upper()}_BROKER_URL"}
        expected = {f"{own.upper()}_DATABASE_URL"} if own in SERVICES else set()
        assert {f"{name.upper()}_DATABASE_URL" for name in SERVICES} & variables == expected


def test_up_again_starts_nothing(running: Note, folder: Folder) -> None:
    again = up(folder.root, quietly)
    assert again.pid == running.pid
    assert [one.pid for one in again.processes] == [one.pid for one in running.processes]


async def test_what_a_killed_supervisor_left_is_taken_over_and_nothing_is_lost(running: Note, folder: Folder) -> None:
    cast = await open_cast(node_of(folder))
    try:
        ledger = Ledger()
        await import_agencies(cast)
        await hire(cast)
        sent = await send_letter(cast, ledger, "2")
        os.kill(running.pid, signal.SIGKILL)
        async with asyncio.timeout(30):
            while is_alive(running.pid):
                await asyncio.sleep(0.05)
        before = set(processes_of(folder.root, "serve"))
        assert len(before) == sum(COPIES.values())
        note = await asyncio.to_thread(up, folder.root, quietly)
        assert note.pid != running.pid
        assert not before & set(processes_of(folder.root, "serve"))
        await acts.answers(cast, ledger, sent)
    finally:
        await cast.close()
    assert ledger.failures == []


def test_down_ends_everything_and_keeps_the_data(running: Note, folder: Folder) -> None:
    servers = [one.pid for one in running.processes if one.pid is not None]
    assert down(folder.root, quietly)
    assert not state(folder.root).running
    assert processes_of(folder.root, "serve") == processes_of(folder.root, "supervise") == []
    assert [pid for pid in servers if is_alive(pid)] == []
    assert folder.home.admin_credential.exists()
    assert not down(folder.root, quietly)


def test_a_deployment_that_cannot_run_says_why_and_leaves_nothing(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    down(folder.root, quietly)
    monkeypatch.setenv("ROUTING_LANE_WINDOW", "many")
    ran = axis("--home", str(folder.root), "distributed", "up")
    assert ran.returncode == 4
    assert "ROUTING_LANE_WINDOW" in ran.stderr
    assert processes_of(folder.root, "serve") == processes_of(folder.root, "supervise") == []


def is_alive(pid: int) -> bool:
    try:
        stat = Path("/proc", str(pid), "stat").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return False
    # What has ended and whose parent has died waits for the machine's first process to collect it.
    return stat.rpartition(")")[2].split()[0] != "Z"


def axis(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "deploy.cli", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
