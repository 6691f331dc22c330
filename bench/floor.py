"""(1) Runs the bare pipeline, with a broker between two processes or without one."""

import asyncio
import json
import os
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import asyncpg
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from bench.deployments import scratch
from bench.driver import read_line, start_player
from bench.packets import Mould, Seal
from bench.pipeline import SCHEMA_DDL, Result, Task
from bench.processes import Meter, Usage, program_of
from deploy.distributed.broker import ADMIN, PrivateRabbit
from deploy.embedded.papers import REPORT
from deploy.embedded.postgres import PrivatePostgres
from shared.client import make_key

_PACKETS: Final = 200
"""Different packets, played again and again under new numbers: nothing in the pipeline remembers them."""

_WARM_UP_DOCUMENTS: Final = 100
_MOST_DOCUMENTS: Final = 1_000_000


class Floor:
    """
    What the bare pipeline did.

    Attributes:
        result: Documents, and the time until the last was marked.
        usage: CPU and memory of its processes, PostgreSQL and broker.
    """

    def __init__(self, result: Result, usage: Usage) -> None:
        self.documents = result.documents
        self.documents_per_second = result.documents / result.seconds
        self.usage = usage

    def core_ms(self, role: str | None = None) -> float:
        """
        CPU per document in core-milliseconds, of one role or of all.
        """
        seconds = self.usage.total_cpu_seconds if role is None else self.usage.cpu_seconds.get(role, 0.0)
        return 1000 * seconds / max(1, self.documents)


async def run_floor(*, seconds: float, documents: int | None, with_broker: bool) -> Floor:
    """
    Run the pipeline on servers of its own.
    """
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(scratch("axis-floor-"))
        postgres = PrivatePostgres(folder / "postgres", tied=True)
        await postgres.start()
        stack.push_async_callback(postgres.remove)
        broker = None
        if with_broker:
            rabbit = PrivateRabbit(folder / "rabbitmq", tied=True)
            await rabbit.start()
            stack.push_async_callback(rabbit.remove)
            broker = rabbit.url(ADMIN)
        packets = folder / "packets.json"
        packets.write_text(json.dumps(_packets()), encoding="utf-8")
        dsn = await _make_database(postgres)
        warm_up = Task(
            part="both", dsn=dsn, broker=broker, packets=packets, seconds=seconds, documents=_WARM_UP_DOCUMENTS
        )
        measured = warm_up.model_copy(update={"documents": documents or _MOST_DOCUMENTS})
        await _play(folder, warm_up)
        await _empty(dsn)
        return await _play(folder, measured)


async def _play(folder: Path, task: Task) -> Floor:
    parts = {"accept and mark": "both"} if task.broker is None else {"accept": "accept", "mark": "mark"}
    async with AsyncExitStack() as stack:
        players: dict[str, asyncio.subprocess.Process] = {}
        for role, part in parts.items():
            file = folder / f"{part}.json"
            file.write_text(task.model_copy(update={"part": part}).model_dump_json(), encoding="utf-8")
            players[role] = await stack.enter_async_context(start_player("bench.pipeline", file))
        roles = {player.pid: role for role, player in players.items()}
        meter = Meter(lambda: [os.getpid()], lambda pid: roles.get(pid) or _server(pid))
        for player in players.values():
            await read_line(player, 60)
        meter.reset_peaks()
        before = meter.read()
        for player in players.values():
            _write(player, "go")
        first, *others = players.values()
        result = Result.model_validate(await read_line(first, task.seconds + 60))
        for player in others:
            # It has seen them all when it has marked as many as were accepted.
            _write(player, str(result.documents))
            result = Result.model_validate(await read_line(player, 60))
        usage = meter.read().since(before)
    ours = {role: seconds for role, seconds in usage.cpu_seconds.items() if role}
    return Floor(result, Usage(ours, usage.peak_bytes))


def _server(pid: int) -> str:
    """Role of a process that is none of the pipeline's; nothing for the bench itself and for what watches."""
    program = program_of(pid)
    if program.startswith("postgres"):
        return "PostgreSQL"
    return "RabbitMQ" if program.startswith(("beam", "erl", "epmd", "inet_gethost")) else ""


def _write(player: asyncio.subprocess.Process, line: str) -> None:
    assert player.stdin is not None
    player.stdin.write(f"{line}\n".encode())


def _packets() -> list[str]:
    key = make_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Floor")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    # As many certificates as the product's packets carry: the system's own, without the root.
    mould = Mould("H43", 3, REPORT, Seal(key, (certificate,)))
    cast = [mould.cast(str(number), ["H43.01", "H43.02", "H43.03"]) for number in range(_PACKETS)]
    return [(packet.head + packet.tail).decode() for packet in cast]


async def _make_database(postgres: PrivatePostgres) -> str:
    await postgres.create_roles_and_schemas(["floor"])
    dsn = postgres.dsn("floor", driver="postgresql")
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(SCHEMA_DDL)
    finally:
        await connection.close()
    return dsn


async def _empty(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("TRUNCATE documents, deliveries, outbox, inbox")
    finally:
        await connection.close()
