import asyncio
import os
import select
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from shared.edxml import Packet, PacketMalformed
from shared.errors import Rejected, Unavailable
from shared.sandbox import Sandbox
from shared.sandbox.pool import SandboxDefectError
from shared.testing.packets import a_packet

HERE = Path(__file__).parent
NAMES = ("echo", "reject", "fail", "break_down", "stall", "die", "devour", "babble", "leave")
FUNCTIONS = {name: f"hostile_functions:{name}" for name in NAMES}


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HERE))


def has_ended(pid: int) -> bool:
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([process], [], [], 30)[0])
    finally:
        os.close(process)


async def test_a_function_runs_in_another_process_without_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", "x")
    async with Sandbox(FUNCTIONS) as sandbox:
        answer = await sandbox.run("echo", {"text": "Ninh Thuận"})
    assert answer["text"] == "Ninh Thuận"
    assert answer["pid"] != os.getpid()
    assert "A_SECRET" not in answer["environment"]


async def test_a_packet_is_read_in_the_sandbox_as_outside(tmp_path: Path) -> None:
    path = tmp_path / "p.edxml"
    path.write_bytes(a_packet())
    functions = {"read_packet": "shared.edxml.jobs:read_packet_job"}
    async with Sandbox(functions) as sandbox, Sandbox(functions, in_process=True) as here:
        described = await sandbox.run("read_packet", {"path": str(path)})
        assert described == await here.run("read_packet", {"path": str(path)})
    assert Packet.model_validate(described).header.sender.organ_id == "H43.31.01"


@pytest.mark.parametrize("in_process", [True, False])
async def test_errors_of_our_tree_come_back_as_they_are(in_process: bool) -> None:
    async with Sandbox(FUNCTIONS, in_process=in_process) as sandbox:
        with pytest.raises(PacketMalformed) as caught:
            await sandbox.run("reject", {})
        (error,) = caught.value.errors
        assert (error.code, error.pointer, error.line) == ("doctype-refused", "/edXML", 7)
        with pytest.raises(Rejected, match="no such colour") as other:
            await sandbox.run("reject", {"colour": 1})
        assert type(other.value).__name__ == "NoSuchColourError"
        with pytest.raises(Unavailable, match="the disk is away"):
            await sandbox.run("fail", {})


async def test_a_defect_is_told_and_harms_no_other_job() -> None:
    async with Sandbox(FUNCTIONS, workers=1) as sandbox:
        with pytest.raises(SandboxDefectError, match="KeyError"):
            await sandbox.run("break_down", {})
        assert await sandbox.run("echo", {})


async def test_only_what_was_registered_can_be_run() -> None:
    async with Sandbox(FUNCTIONS) as sandbox:
        with pytest.raises(KeyError):
            await sandbox.run("system", {})
        assert sandbox.worker_pids == ()


@pytest.mark.parametrize("name", ["die", "devour", "babble", "leave"])
async def test_input_that_kills_its_worker_is_malformed(name: str) -> None:
    async with Sandbox(FUNCTIONS, workers=1, memory_bytes=512 * 1024 * 1024) as sandbox:
        with pytest.raises(PacketMalformed) as caught:
            await sandbox.run(name, {})
        assert caught.value.errors[0].code == "reader-crashed"
        assert await sandbox.run("echo", {})


async def test_a_worker_that_dies_of_something_else_costs_nothing(tmp_path: Path) -> None:
    async with Sandbox(FUNCTIONS, workers=1) as sandbox:
        assert await sandbox.run("die", {"once": str(tmp_path / "flag")}) == {"survived": True}
        (pid,) = sandbox.worker_pids
        os.kill(pid, signal.SIGKILL)
        assert (await sandbox.run("echo", {}))["pid"] != pid


async def test_input_that_takes_too_long_is_malformed_and_its_worker_gone() -> None:
    async with Sandbox(FUNCTIONS, workers=1) as sandbox:
        before = (await sandbox.run("echo", {}))["pid"]
        sandbox._timeout = timedelta(milliseconds=50)
        with pytest.raises(PacketMalformed) as caught:
            await sandbox.run("stall", {})
        assert caught.value.errors[0].code == "took-too-long"
        sandbox._timeout = timedelta(seconds=60)
        assert (await sandbox.run("echo", {}))["pid"] != before
        await asyncio.gather(*sandbox._leaving)
        assert has_ended(before)


async def test_an_urgent_job_does_not_wait_for_ordinary_ones() -> None:
    async with Sandbox(FUNCTIONS, workers=1) as sandbox:
        stalled = [asyncio.create_task(sandbox.run("stall", {})) for _ in range(3)]
        await asyncio.sleep(0)
        assert (await sandbox.run("echo", {"n": 1}, urgent=True))["n"] == 1
        assert not any(job.done() for job in stalled)
        for job in stalled:
            job.cancel()
        await asyncio.gather(*stalled, return_exceptions=True)


async def test_a_cancelled_job_takes_its_worker_with_it() -> None:
    async with Sandbox(FUNCTIONS, workers=1) as sandbox:
        before = (await sandbox.run("echo", {}))["pid"]
        job = asyncio.create_task(sandbox.run("stall", {}))
        await asyncio.sleep(0)
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
        assert (await sandbox.run("echo", {}))["pid"] != before


async def test_workers_are_shared_and_replaced_after_their_jobs() -> None:
    async with Sandbox(FUNCTIONS, workers=2, jobs_per_worker=3) as sandbox:
        answers = await asyncio.gather(*(sandbox.run("echo", {"n": n}) for n in range(12)))
        assert [answer["n"] for answer in answers] == list(range(12))
        pids = [answer["pid"] for answer in answers]
        assert all(pids.count(pid) <= 3 for pid in pids)
        assert len(sandbox.worker_pids) <= 2


async def test_a_sandbox_that_cannot_start_is_unavailable() -> None:
    async with Sandbox({"x": "no.such.module:x"}) as sandbox:
        with pytest.raises(Unavailable):
            await sandbox.run("x", {})
    async with Sandbox({"x": "no.such.module:x"}, in_process=True) as sandbox:
        with pytest.raises(Unavailable):
            await sandbox.run("x", {})


async def test_closing_leaves_no_process_and_stops_jobs_under_way() -> None:
    sandbox = Sandbox(FUNCTIONS, workers=2)
    await sandbox.run("echo", {})
    job = asyncio.create_task(sandbox.run("stall", {}))
    await asyncio.sleep(0)
    pids = sandbox.worker_pids
    await sandbox.close()
    with pytest.raises(Unavailable):
        await job
    assert all(has_ended(pid) for pid in pids)
    with pytest.raises(Unavailable):
        await sandbox.run("echo", {})


PARENT = """
import asyncio, os, sys
from shared.sandbox import Sandbox

async def main():
    sandbox = Sandbox({"stall": "hostile_functions:stall", "echo": "hostile_functions:echo"}, workers=2)
    await asyncio.gather(sandbox.run("echo", {}), sandbox.run("echo", {}))
    job = asyncio.create_task(sandbox.run("stall", {}))
    await asyncio.sleep(0)
    print(*sandbox.worker_pids, flush=True)
    os.kill(os.getpid(), 9)

if sys.argv[1] == "uvloop":
    import uvloop
    uvloop.run(main())
else:
    asyncio.run(main())
"""


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_workers_die_with_a_parent_that_was_killed(loop: str) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", PARENT, loop]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    pids = [int(pid) for pid in done.stdout.split()]
    assert done.returncode == -signal.SIGKILL
    assert len(pids) == 2
    assert all(has_ended(pid) for pid in pids)
