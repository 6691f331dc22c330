"""
The bus alone: asks and events per second over RabbitMQ, and what one costs in CPU.

Run it with `python bench/bus.py`. It starts a private broker and one process that answers and consumes, asks and
publishes itself, and prints a table; run `python bench/bus.py answer URL` is that other process.
"""

import asyncio
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import ClassVar

import uvloop

from deploy.distributed.broker import PrivateRabbit
from shared.clock import SystemClock
from shared.contracts.base import Contract, Event, Operation
from shared.identifiers import Uuid7Source
from shared.messaging import Item
from shared.messaging.rabbitmq import Party, RabbitBus, Topology

SECONDS = 3.0
NEW_ID = Uuid7Source(SystemClock())


class Echo(Contract):
    """686 bytes as JSON, like the measurements this is compared with."""

    text: str = "x" * 675


class Passed(Event):
    """One event of the same size."""

    topic: ClassVar[str] = "caller.passed.v1"
    text: str = "x" * 675


ECHO = Operation("answerer.echo", Echo, Echo)
TOPOLOGY = Topology.of(
    [Party("caller", asks=("answerer",), answers=False), Party("answerer", consumes=(Passed.topic,), publishes=False)]
)


async def answer(url: str) -> None:
    """
    Answer and consume until killed.
    """

    async def echo(request: Echo) -> Echo:
        return request

    async def consume(_: Item) -> None:
        await asyncio.sleep(0)

    bus = RabbitBus(url, party="answerer", clock=SystemClock(), new_id=NEW_ID, topology=TOPOLOGY)
    bus.answer(ECHO, echo)
    bus.subscribe(Passed.topic, consume, concurrency=64)
    await bus.start()
    await asyncio.Event().wait()


def cpu_seconds(pid: int) -> float:
    """
    CPU time of a process so far.
    """
    fields = Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(outstanding: int, bus: RabbitBus, *, events: bool) -> list[float]:
    """
    Keep so many under way for a while; gives the seconds each took.
    """
    took: list[float] = []
    ends_at = time.perf_counter() + SECONDS

    async def one() -> None:
        while (begun := time.perf_counter()) < ends_at:
            if events:
                data = Passed().model_dump_json()
                item = Item(id=NEW_ID(), type=Passed.topic, source="caller", time=SystemClock().now(), data=data)
                await bus.publish([item])
            else:
                await bus.ask(ECHO, Echo())
            took.append(time.perf_counter() - begun)

    await asyncio.gather(*(one() for _ in range(outstanding)))
    return took


async def main(folder: Path) -> None:
    """
    Print the table.
    """
    rabbit = PrivateRabbit(folder / "rabbitmq", topology=TOPOLOGY, tied=True)
    await rabbit.start()
    other = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "answer", rabbit.url("answerer"), stdout=asyncio.subprocess.DEVNULL
    )
    try:
        bus = RabbitBus(rabbit.url("caller"), party="caller", clock=SystemClock(), new_id=NEW_ID, topology=TOPOLOGY)
        await bus.start()
        while True:
            try:
                await bus.ask(ECHO, Echo())
                break
            except Exception:  # noqa: BLE001 - the other process is still starting
                await asyncio.sleep(0.2)
        print(
            f"{'what':<10}{'outstanding':>12}{'per s':>10}{'p50 ms':>9}{'p99 ms':>9}   CPU us: caller, answerer, broker"
        )
        for events, many in ((False, (1, 8, 64, 256)), (True, (1, 64, 256))):
            for outstanding in many:
                pids = (os.getpid(), other.pid, rabbit.pid or 0)
                before = [cpu_seconds(pid) for pid in pids]
                took = await measure(outstanding, bus, events=events)
                cpu = [(cpu_seconds(pid) - was) * 1e6 / len(took) for pid, was in zip(pids, before, strict=True)]
                p50, p99 = statistics.median(took) * 1e3, sorted(took)[int(len(took) * 0.99)] * 1e3
                parts = ", ".join(f"{part:.0f}" for part in cpu)
                print(
                    f"{'event' if events else 'ask':<10}{outstanding:>12}{len(took) / SECONDS:>10.0f}"
                    f"{p50:>9.1f}{p99:>9.1f}   {sum(cpu):.0f}: {parts}"
                )
        await bus.close()
    finally:
        other.kill()
        await other.wait()
        await rabbit.remove()


if __name__ == "__main__":
    if sys.argv[1:2] == ["answer"]:
        uvloop.run(answer(sys.argv[2]))
    else:
        with tempfile.TemporaryDirectory(prefix="axis-bench-bus-") as name:
            Path(name).chmod(0o755)  # as root the broker's account must get through
            uvloop.run(main(Path(name)))
