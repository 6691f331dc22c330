"""
A process that is looked after: started again when it dies, drained when it is told to stop.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from deploy.distributed.child import Child
from deploy.distributed.ports import free_ports

PATIENCE = 30.0

READY_UNTIL_TOLD = """
import http.server, signal, sys
class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def log_message(self, *_): pass
signal.signal(signal.SIGTERM, lambda *_: (print("drained", flush=True), sys.exit(0)))
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Health).serve_forever()
"""
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
REFUSES = "print('✗ Không làm được / That did not work'); print('  The key is missing.'); raise SystemExit(4)"


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Callable[[str], Child]]:
    made: list[Child] = []

    def child(program: str) -> Child:
        (port,) = free_ports(1)
        one = Child(
            "routing",
            1,
            command=[sys.executable, "-c", program, str(port)],
            environment=dict(os.environ),
            log=tmp_path / "routing.1.log",
            port=port,
        )
        (tmp_path / "routing.1.log").touch()
        made.append(one)
        one.start()
        return one

    yield child
    for one in made:
        await one.stop(0.1)


async def until(condition: Callable[[], bool], child: Child | None = None) -> None:
    async with asyncio.timeout(PATIENCE), httpx.AsyncClient() as http:
        while not condition():
            if child is not None:
                await child.look(http)
            await asyncio.sleep(0.02)


async def test_it_is_ready_once_it_says_so(make: Callable[[str], Child]) -> None:
    child = make(READY_UNTIL_TOLD)
    assert not child.note.ready
    await until(lambda: child.note.ready, child)
    assert child.note.pid is not None
    assert child.note.restarts == 0


async def test_one_that_is_killed_is_started_again(make: Callable[[str], Child]) -> None:
    child = make(READY_UNTIL_TOLD)
    await until(lambda: child.note.ready, child)
    first = child.note.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until(lambda: child.note.ready and child.note.pid != first, child)
    assert child.note.restarts == 1
    assert child.note.said == "ended by SIGKILL"


async def test_one_that_stops_is_let_finish_and_not_started_again(make: Callable[[str], Child], tmp_path: Path) -> None:
    child = make(READY_UNTIL_TOLD)
    await until(lambda: child.note.ready, child)
    await child.stop(PATIENCE)
    assert child.note.pid is None
    assert child.note.restarts == 0
    assert "drained" in (tmp_path / "routing.1.log").read_text()


async def test_one_that_does_not_listen_is_ended_all_the_same(make: Callable[[str], Child], tmp_path: Path) -> None:
    child = make(DEAF)
    await until(lambda: "deaf" in (tmp_path / "routing.1.log").read_text())
    pid = child.note.pid
    assert pid is not None
    await child.stop(0.2)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_what_it_said_before_it_ended_is_kept_for_whoever_asks(make: Callable[[str], Child]) -> None:
    child = make(REFUSES)
    await until(lambda: child.note.restarts >= 2)
    assert child.note.said == "The key is missing."
