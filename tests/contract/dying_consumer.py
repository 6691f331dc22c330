"""
A consumer in a process of its own that is killed by item 13: `dying_consumer.py URL FILE`.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from shared.clock import SystemClock
from shared.messaging import Item
from shared.messaging.rabbitmq import RabbitBus
from tests.contract.carriers import NEW_ID, TOPOLOGY, SomethingHappened, number_of


async def main(url: str, notes: Path) -> None:
    async def handle(item: Item) -> None:
        number = number_of(item)
        if number == 13:
            os.kill(os.getpid(), signal.SIGKILL)
        with notes.open("a") as file:
            file.write(f"{number}\n")

    bus = RabbitBus(url, party="beta", clock=SystemClock(), new_id=NEW_ID, topology=TOPOLOGY)
    bus.subscribe(SomethingHappened.topic, handle, concurrency=1)
    await bus.start()
    await asyncio.Event().wait()


asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
