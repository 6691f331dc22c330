"""
The private servers of a deployment come back independently of one another.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from deploy.distributed.broker import PROGRAMS
from deploy.distributed.broker import node as broker_node
from deploy.distributed.folder import Folder
from deploy.distributed.servers import Servers
from deploy.embedded.errors import NodeError

pytestmark = pytest.mark.skipif(not PROGRAMS.exists(), reason="RabbitMQ is not installed: make servers")


@pytest.fixture
def root() -> Iterator[Path]:
    root = Path(tempfile.mkdtemp(prefix="axis-tests-servers-"))
    root.chmod(0o755)  # as root the servers' accounts must get through
    yield root
    shutil.rmtree(root)


@pytest.fixture
async def servers(root: Path) -> AsyncIterator[Servers]:
    servers = Servers(Folder(root), passing=True)
    try:
        await servers.start_database()
        await servers.start_broker()
        yield servers
    finally:
        await servers.stop()


async def kill(servers: Servers, name: str) -> int:
    (pid,) = (one.pid for one in servers.notes if one.name == name)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(30):
        while any(one.pid is not None for one in servers.notes if one.name == name):
            await asyncio.sleep(0.02)
    return pid


async def test_a_database_that_dies_while_the_broker_starts_does_not_wait_for_it(servers: Servers) -> None:
    broker = await kill(servers, "rabbitmq")
    starting = asyncio.ensure_future(servers.look_after_broker())
    database = await kill(servers, "postgresql")
    await servers.look_after_database()
    assert not starting.done()
    await starting
    after = [one.pid for one in servers.notes]
    assert None not in after
    assert not {broker, database} & set(after)
    assert [one.restarts for one in servers.notes] == [1, 1]


async def test_a_broker_that_does_not_answer_its_control_program_in_time_is_no_defect(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An exception of another kind would end the supervisor, and with it the whole deployment.
    assert servers._rabbit is not None
    monkeypatch.setattr(broker_node, "_START_SECONDS", 0.01)
    with pytest.raises(NodeError, match="no answer") as refused:
        await servers._rabbit.control("list_queues")
    assert isinstance(refused.value.__cause__, subprocess.TimeoutExpired)
