"""
Plays seeded schedules of a small exchange: crashes, duplicates, delays and reordering wherever the plan says.

    python -m tests.schedules.play --urls '{"routing": "postgresql+asyncpg://…", …}' --seeds 0:1000
    python -m tests.schedules.play --urls … --seeds 417 --trace

A seed that breaks a promise is printed with its trace, and with the range that plays the same trace again; mostly the
seed alone does, but what schedules before it left in the database may shift a turn.
"""

import argparse
import asyncio
import contextlib
import gc
import hashlib
import json
import sys
import tempfile
import warnings
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

from shared.contracts.routing import (
    ACKNOWLEDGE,
    LIST_FAILED,
    LIST_INBOX,
    OPEN_PACKET,
    READ_DOCUMENT,
    REPORT_STATUS,
    REQUEUE,
    SUBMIT_DOCUMENT,
    Acknowledge,
    ActOnDeliveries,
    ChooseDelivery,
    ListFailed,
    ListInbox,
    ReadDocument,
    ReportStatus,
    SubmitDocument,
)
from shared.errors import Rejected, Unavailable
from shared.faults import SimulatedCrash
from shared.telemetry import configure_logs
from shared.testing.fault_plan import FaultPlan, ScheduleLoop
from shared.testing.invariants import check_invariants
from tests.schedules.world import Exchange, Script, World

LONGEST_SCHEDULE = 600.0
"""Seconds of the plan's own time within which everything must have arrived."""

PART_OF_TABLES = 25
"""Schedules after which the tables are emptied, so that checking them stays quick."""

IN_MEMORY = Path("/dev/shm")
"""Blobs are made durable with every packet; where nothing is lost when the machine stops, that costs nothing."""


async def until_done(call: Callable[[], Awaitable[Any]]) -> Any:
    """
    Do what a patient client does: the same call again until there is an answer.
    """
    while True:
        try:
            return await call()
        except (Unavailable, SimulatedCrash):
            await asyncio.sleep(0.3)


async def send(world: World, exchange: Exchange, name: str, *, times: int = 1) -> UUID:
    """
    Send a packet, and again for good measure.
    """
    sha256, size = exchange.packets[name]
    token = world.tokens["player"]
    request = SubmitDocument(token=token, packet_sha256=sha256, packet_bytes=size, idempotency_key=f"{sha256}-key")
    for _ in range(times):
        answer = await until_done(lambda: world.gateway.ask(SUBMIT_DOCUMENT, request))
        exchange.bodies.setdefault(name, set()).add(answer.body)
    return answer.document_id


async def send_unsigned(world: World, exchange: Exchange) -> None:
    """
    Send what must be refused, every time and for the right reason.
    """
    sha256, size = exchange.packets["unsigned"]
    request = SubmitDocument(token=world.tokens["player"], packet_sha256=sha256, packet_bytes=size)
    try:
        await until_done(lambda: world.gateway.ask(SUBMIT_DOCUMENT, request))
        exchange.broken.append("8: an unsigned packet was accepted")
    except Rejected as refusal:
        if refusal.problem_code != "signature-missing":
            exchange.broken.append(f"8: an unsigned packet was refused as {refusal.problem_code}")


async def receive(world: World, exchange: Exchange, agency: str, count: int, script: Script) -> None:
    """
    List, fetch and acknowledge until so many documents are done; the first is refused once where that is asked for.
    """
    token = world.tokens["player"]
    taken = 0
    failed = not script.fails_first
    while taken < count:
        page = await until_done(lambda: world.gateway.ask(LIST_INBOX, ListInbox(token=token, agency=agency)))
        for item in page.items:
            choice = ChooseDelivery(token=token, delivery_id=item.delivery_id)
            await until_done(lambda choice=choice: world.gateway.ask(OPEN_PACKET, choice))
            result = "done" if failed else "fail"
            failed = True
            answer = Acknowledge(
                token=token,
                delivery_id=item.delivery_id,
                result=result,
                reason="đĩa đầy",
                idempotency_key=f"{item.delivery_id} {item.series}",
            )
            await until_done(lambda answer=answer: world.gateway.ask(ACKNOWLEDGE, answer))
            if result == "fail":
                continue
            taken += 1
            key = (item.document_id, agency)
            exchange.received[key] = exchange.received.get(key, 0) + 1
            if not script.statuses:
                continue
            status = ReportStatus(token=token, delivery_id=item.delivery_id, code="03", description="Đã tiếp nhận")
            await until_done(lambda status=status: world.gateway.ask(REPORT_STATUS, status))
        await asyncio.sleep(1.0)


async def requeue(world: World, exchange: Exchange) -> None:
    """
    An operator sends again what failed.
    """
    token = world.tokens["administrator"]
    question = ListFailed(token=token, agency=exchange.addressees[1])
    while True:
        page = await until_done(lambda: world.gateway.ask(LIST_FAILED, question))
        if page.items:
            ids = tuple(item.delivery_id for item in page.items)
            order = ActOnDeliveries(token=token, delivery_ids=ids, reason="đã có chỗ")
            await until_done(lambda order=order: world.gateway.ask(REQUEUE, order))
            return
        await asyncio.sleep(0.7)


async def play(world: World, seed: int, number: int) -> list[str]:
    """
    Play one schedule and look whether every promise was kept.

    Returns:
        What was broken; empty when nothing was.
    """
    script = Script.of(seed)
    exchange = await world.exchange(number, script)
    await world.restart()
    world.plan.begin(seed)
    try:
        async with asyncio.timeout(LONGEST_SCHEDULE):
            sent = await _act(world, exchange, script)
    except TimeoutError:
        exchange.broken.append("1: something accepted had not arrived in time")
    except BaseExceptionGroup as group:
        exchange.broken.append(f"8: {group.exceptions!r}")
    world.plan.end()
    if not exchange.broken:
        await world.drain()
        await _judge(world, exchange, *sent)
    if number % PART_OF_TABLES == PART_OF_TABLES - 1:
        await world.look("TRUNCATE routing.documents CASCADE")
        world.forget_packets()
    return exchange.broken


async def _act(world: World, exchange: Exchange, script: Script) -> tuple[UUID, UUID | None]:
    """Everyone at once: senders of the same packet, an urgent one, a wrong one, two receivers, an operator."""
    first, other = exchange.addressees
    async with asyncio.TaskGroup() as group:
        ordinary = group.create_task(send(world, exchange, "ordinary", times=1 if script.rival else 2))
        express = group.create_task(send(world, exchange, "express")) if script.express else None
        if script.rival:
            group.create_task(send(world, exchange, "ordinary"))
        if script.unsigned:
            group.create_task(send_unsigned(world, exchange))
        count = 2 if script.express else 1
        group.create_task(receive(world, exchange, first, count, Script(statuses=script.statuses)))
        group.create_task(receive(world, exchange, other, 1, script))
        if script.fails_first:
            group.create_task(requeue(world, exchange))
    return ordinary.result(), None if express is None else express.result()


async def _judge(world: World, exchange: Exchange, ordinary: UUID, express: UUID | None) -> None:
    first, other = exchange.addressees
    wanted = {(ordinary, first): 1, (ordinary, other): 1} | ({} if express is None else {(express, first): 1})
    if exchange.received != wanted:
        exchange.broken.append(f"1: received {exchange.received}, wanted {wanted}")
    for name, bodies in exchange.bodies.items():
        if len(bodies) != 1:
            exchange.broken.append(f"4: {name} has {len(bodies)} different receipts")
    view = await world.gateway.ask(READ_DOCUMENT, ReadDocument(token=world.tokens["player"], document_id=ordinary))
    if view.counts.get("delivered") != len(exchange.addressees):
        exchange.broken.append(f"2: the sender sees {view.counts}")
    with world.loop.talking():
        exchange.broken += await check_invariants(world.connection)
    refused, _ = exchange.packets.get("unsigned", ("", 0))
    if await world.look("SELECT count(*) FROM routing.documents WHERE packet_sha256 = $1", refused):
        exchange.broken.append("8: a refused packet left a document")
    if dead := await world.look("SELECT count(*) FROM routing.dead_messages"):
        exchange.broken.append(f"{dead} messages died")


def main() -> int:
    """
    Play the seeds asked for.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--urls", required=True, help="JSON: service → address; `postgres` for the superuser")
    parser.add_argument("--seeds", required=True, help="one seed, or first:end")
    parser.add_argument("--audit", action="store_true", help="let the journal listen too")
    parser.add_argument("--trace", action="store_true", help="print the trace of each schedule")
    options = parser.parse_args()
    first, _, end = options.seeds.partition(":")
    seeds = range(int(first), int(end) if end else int(first) + 1)
    warnings.simplefilter("ignore")
    configure_logs(level="CRITICAL")
    loop = ScheduleLoop(FaultPlan())
    asyncio.set_event_loop(loop)
    failed = 0
    with tempfile.TemporaryDirectory(dir=IN_MEMORY if IN_MEMORY.is_dir() else None) as folder:
        world = World(json.loads(options.urls), Path(folder), loop, with_audit=options.audit)
        loop.run_until_complete(world.open(len(seeds)))
        gc.freeze()  # what is there now stays to the end: looking through it again and again costs a tenth
        for number, seed in enumerate(seeds):
            broken = loop.run_until_complete(play(world, seed, number))
            if options.trace:
                print("\n".join(world.plan.trace))
            digest = hashlib.sha256("\n".join(world.plan.trace).encode()).hexdigest()[:16]
            if options.trace or broken:
                print(f"seed {seed}: trace {digest}, {len(world.plan.trace)} points")
            if broken:
                failed += 1
                print(f"seed {seed} BROKE {broken}; replay: --seeds {seeds.start}:{seed + 1} --trace")
                print("\n".join(world.plan.trace[-200:]))
                break  # what it left behind would blame the next
        loop.run_until_complete(world.close())
    print(f"{number + 1} schedules, {failed} broken")
    return 1 if failed else 0


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main())
