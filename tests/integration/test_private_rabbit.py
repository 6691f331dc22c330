"""
The broker that `make up` and the tests start for themselves.
"""

import asyncio
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from uuid import UUID

import aio_pika
import pytest

from deploy.distributed.broker import PROGRAMS, PrivateCluster, PrivateRabbit
from shared.clock import SystemClock
from shared.identifiers import Uuid7Source
from shared.messaging import Item
from shared.messaging.rabbitmq import RabbitBus

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(not PROGRAMS.exists(), reason="apt-get install rabbitmq-server")


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As root the broker's account cannot enter pytest's folders: the broker must find a place by itself."""
    return tmp_path_factory.mktemp("broker")


def _place_of(folder: Path) -> Path:
    pointer = folder / "place"
    return Path(pointer.read_text()) if pointer.exists() else folder


def _running_in(folder: Path) -> list[str]:
    place = str(_place_of(folder))
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if place in (process / "environ").read_text():
                found.append(process.name)
        except OSError:
            continue
    return found


async def test_what_was_published_survives_a_kill_and_the_port_stays(folder: Path) -> None:
    broker = PrivateRabbit(folder)
    async with broker:
        port = broker.port
        url = broker.url("admin")
        async with await aio_pika.connect(url) as connection:
            channel = await connection.channel()
            message = aio_pika.Message(b"kept", delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
            exchange = await channel.get_exchange("event.routing")
            await exchange.publish(message, "routing.document_accepted.v1")
        await broker.kill()
        assert _running_in(folder) == []
        await broker.start()
        assert (broker.port, broker.url("admin")) == (port, url)
        async with await aio_pika.connect(url) as connection:
            channel = await connection.channel()
            queue = await channel.get_queue("events.audit.everything")
            kept = await queue.get(no_ack=True, timeout=10)
            assert kept.body == b"kept"
    assert _running_in(folder) == []
    await broker.remove()
    assert not await asyncio.to_thread(folder.exists)


async def test_a_new_owner_ends_what_a_killed_one_left(folder: Path) -> None:
    program = """
        import asyncio, os, sys
        from pathlib import Path
        from deploy.distributed.broker import PrivateRabbit
        asyncio.run(PrivateRabbit(Path(sys.argv[1])).start())
        os.kill(os.getpid(), 9)
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(folder)]
    await asyncio.to_thread(subprocess.run, command, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)})
    left = _running_in(folder)
    assert left
    async with PrivateRabbit(folder) as broker:
        assert not set(left) & set(_running_in(folder))
        assert str(broker.pid) in _running_in(folder)
    await broker.remove()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root keeps a broker's files away from its folder")
async def test_what_an_owner_left_elsewhere_goes_when_its_folder_has_gone(folder: Path) -> None:
    first, second = PrivateRabbit(folder / "first"), PrivateRabbit(folder / "second")
    async with first:
        place = _place_of(folder / "first")
    await asyncio.to_thread(shutil.rmtree, folder / "first")
    assert await asyncio.to_thread(place.is_dir)
    async with second:
        assert not await asyncio.to_thread(place.exists)
    await second.remove()


async def test_three_brokers_are_one_and_go_on_without_their_leader(folder: Path) -> None:
    received: set[UUID] = set()

    async def note(item: Item) -> None:
        received.add(item.id)

    async with PrivateCluster(folder) as cluster:
        members = await cluster.nodes[1].control(
            "list_queues", "--vhost", "axis", "--no-table-headers", "name", "members"
        )
        copies = [line for line in members.splitlines() if line.startswith("events.audit.everything")]
        assert [copies[0].count(node) for node in ("axis1", "axis2", "axis3")] == [1, 1, 1]
        clock = SystemClock()
        new_id = Uuid7Source(clock)
        signing, audit = (
            RabbitBus(",".join(cluster.urls(party)), party=party, clock=clock, new_id=new_id)
            for party in ("signing", "audit")
        )
        audit.subscribe("*", note)
        for bus in (signing, audit):
            await bus.start()
        sent: set[UUID] = set()
        async with asyncio.timeout(90):
            for number in range(200):
                if number == 50:
                    await cluster.nodes[0].kill()  # both are connected to it, and it leads every queue
                topic = "signing.certificates_issued.v1"
                item = Item(id=new_id(), type=topic, source="signing", time=clock.now(), data="{}")
                while not all(await signing.publish([item])):
                    await asyncio.sleep(0.1)
                sent.add(item.id)
            while received < sent:
                await asyncio.sleep(0.1)
        for bus in (signing, audit):
            await bus.close()
        await cluster.nodes[0].start({})
    assert _running_in(folder) == []
    await cluster.remove()
