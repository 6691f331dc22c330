"""
Plays seeded schedules of a small exchange: crashes, duplicates, delays and reordering wherever the plan says.

    python tests/schedules/play.py --urls '{"routing": "postgresql+asyncpg://…", …}' --seeds 0:1000
    python tests/schedules/play.py --urls … --seeds 417 --trace

A seed that breaks a promise is printed with its trace, and with the range that plays the same trace again; mostly the
seed alone does, but what schedules before it left in the database may shift a turn.
"""

import argparse
import asyncio
import contextlib
import gc
import hashlib
import io
import json
import sys
import tempfile
import warnings
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
from pydantic import SecretStr

import services.audit.app
import services.audit.settings
import services.registry.app
import services.registry.settings
import services.routing.app
import services.routing.settings
import services.signing.app
import services.signing.settings
from shared.blobs import FolderBlobStore
from shared.client import certificate_request, make_key
from shared.contracts.registry import (
    ADD_SYSTEM,
    IMPORT_AGENCIES,
    ISSUE_TOKEN,
    AddSystem,
    Credential,
    ImportAgencies,
    IssueToken,
    KeyRequest,
    Role,
)
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
from shared.edxml import PartDigest
from shared.errors import Rejected, Unavailable
from shared.faults import SimulatedCrash
from shared.identifiers import Uuid7Source
from shared.messaging import Bus
from shared.messaging.inprocess import InProcessBus
from shared.runtime import Service
from shared.sandbox import Sandbox
from shared.telemetry import configure_logs
from shared.testing.fault_plan import FaultPlan, ScheduleClock, ScheduleLoop
from shared.testing.invariants import check_invariants
from shared.testing.packets import a_packet
from shared.xmldsig import sign_parts

URL = "http://node.test"
LONGEST_SCHEDULE = 600.0
"""Seconds of the plan's own time within which everything must have arrived."""

SETTLED_AFTER = 2.0
"""Seconds of the plan's own time after which a restarted world stands still."""

TOKEN_LIFETIME = timedelta(days=1)
"""Signing in is not what is played here."""

PART_OF_TABLES = 25
"""Schedules after which the tables are emptied, so that checking them stays quick."""


@dataclass
class Exchange:
    """
    One schedule's own agencies and packets, and what its clients know.
    """

    sender: str
    addressees: tuple[str, str]
    packets: dict[str, tuple[str, int]] = field(default_factory=dict)
    bodies: dict[str, set[str]] = field(default_factory=dict)
    received: dict[tuple[UUID, str], int] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Script:
    """
    What a schedule plays beyond the plain exchange; small ones are many, so that every combination meets every fault.

    Attributes:
        express: An express packet overtakes the ordinary one.
        rival: A second process sends the ordinary packet at the same time; without one, its sender repeats it.
        unsigned: Somebody sends a packet that must be refused.
        statuses: Receivers report statuses.
        fails_first: One receiver refuses at first, and an operator sends again.
    """

    express: bool = False
    rival: bool = False
    unsigned: bool = False
    statuses: bool = False
    fails_first: bool = False

    @classmethod
    def of(cls, seed: int) -> "Script":
        """
        Choose by the seed.
        """
        return cls(
            express=seed % 2 == 1,
            rival=seed % 2 == 0,
            unsigned=seed % 5 == 0,
            statuses=seed % 4 == 1,
            fails_first=seed % 3 == 0,
        )


class World:
    """
    The services on one bus, one database and one plan, used for schedule after schedule.
    """

    def __init__(self, urls: dict[str, str], folder: Path, loop: ScheduleLoop, *, with_audit: bool) -> None:
        self.plan = loop.plan
        self.clock = ScheduleClock(loop)
        self.loop = loop
        self.new_id = Uuid7Source(self.clock, self.plan.entropy)
        self.bus = InProcessBus(clock=self.clock, new_id=self.new_id, faults=self.plan)
        self.blobs = FolderBlobStore(folder / "blobs", self.clock)
        self.sandbox = Sandbox(services.routing.app.SANDBOX_JOBS, in_process=True)
        self.urls = urls
        self.with_audit = with_audit
        self.folder = folder
        self.parts: list[Service] = []
        self.gateway: Bus = self.bus.party("gateway")
        self.tokens: dict[str, str] = {}
        self.signed_in: dict[str, datetime] = {}
        self.credentials: dict[str, Credential] = {}
        self._loops: list[asyncio.Task[None]] = []

    async def open(self, count: int) -> None:
        """
        Start the services and make agencies and systems for so many schedules.
        """
        node: dict[str, Any] = {"node_id": "H43", "public_url": URL}
        its: dict[str, Any] = {"clock": self.clock, "new_id": self.new_id, "faults": self.plan}
        signing = services.signing.settings.Settings(
            database_url=SecretStr(self.urls["signing"]),
            key_file=self.folder / "keys.json",
            passphrase_file=self.folder / "passphrase",
            revocation_list_lasts=timedelta(days=365),
            **node,
        )
        registry = services.registry.settings.Settings(
            database_url=self.urls["registry"],
            pepper=SecretStr("p" * 32),
            webhook_key=SecretStr("w" * 32),
            access_lifetime=TOKEN_LIFETIME,
            **node,
        )
        routing = services.routing.settings.Settings(database_url=self.urls["routing"], **node)
        audit = services.audit.settings.Settings(database_url=self.urls["audit"], **node)
        services.signing.app.create_keys(signing, clock=self.clock)
        await self.blobs.start()
        with self.loop.talking():
            self.connection = await asyncpg.connect(self.urls["postgres"])
        self.parts = [
            services.signing.app.create_app(signing, bus=self.bus.party("signing"), **its),
            services.registry.app.create_app(registry, bus=self.bus.party("registry"), blobs=self.blobs, **its),
            services.routing.app.create_app(
                routing, bus=self.bus.party("routing"), blobs=self.blobs, sandbox=self.sandbox, **its
            ),
        ]
        if self.with_audit:
            self.parts.append(services.audit.app.create_app(audit, bus=self.bus.party("audit"), **its))
        await self.bus.start()
        with self.loop.talking():
            for part in self.parts:
                for step in part.on_start:
                    await step()
            administrator = await services.registry.app.bootstrap(registry, clock=self.clock, new_id=self.new_id)
        self._start_loops()
        await self._hire(administrator, count)

    def _start_loops(self) -> None:
        self._loops = [asyncio.create_task(_keep(work)) for part in self.parts for work in part.loops]

    async def restart(self) -> None:
        """
        Begin a schedule as every schedule begins: nothing under way, all loops fresh, the time at a round figure.
        """
        await self._stop_loops()
        self.loop.advance_to_next(1_000.0)
        begun = self.loop.time()
        self._start_loops()
        for name, credential in self.credentials.items():
            if (self.clock.now() - self.signed_in[name]).total_seconds() > TOKEN_LIFETIME.total_seconds() / 2:
                await self._sign_in(name, credential)
        await self.drain()
        # However long that took, every schedule meets the loops' timers at the same point of their round.
        await asyncio.sleep(begun + SETTLED_AFTER - self.loop.time())

    async def _stop_loops(self) -> None:
        for task in self._loops:
            task.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)

    async def _hire(self, administrator: Credential, count: int) -> None:
        await self._sign_in("administrator", administrator)
        table = io.StringIO()
        table.write("code,code102,name,level,kind,parent,gso_code,lat,lon,valid_from,valid_to\n")
        codes: dict[str, list[str]] = {"sender": [], "first": [], "other": []}
        for number in range(count):
            for role, its_codes in codes.items():
                code = f"A{number % 100:02}.{number // 100:03}.{role[:2].upper()}"
                its_codes.append(code)
                table.write(f"{code},,Cơ quan {code},commune,test,,,,,2018-01-01,\n")
        stored = await self._store(table.getvalue().encode())
        request = ImportAgencies(token=self.tokens["administrator"], csv_sha256=stored[0], as_of=date(2026, 1, 1))
        report = await self.gateway.ask(IMPORT_AGENCIES, request)
        assert report.added == 3 * count, report
        self.key = make_key()
        # One system plays every agency's: who acts for whom is no matter of luck, and tokens cost.
        credential = await self.gateway.ask(
            ADD_SYSTEM,
            AddSystem(
                token=self.tokens["administrator"],
                system_id="player",
                name="player",
                agencies=tuple(code for its_codes in codes.values() for code in its_codes),
                roles=(Role.SENDER, Role.RECEIVER),
                keys=(KeyRequest(purpose="seal", csr=certificate_request(self.key, "player")),),
            ),
        )
        await self._sign_in("player", credential)
        self.certificate = credential.keys[0].certificate
        self.codes = codes

    async def _sign_in(self, name: str, credential: Credential) -> None:
        issued = await self.gateway.ask(
            ISSUE_TOKEN, IssueToken(client_id=credential.system_id, client_secret=credential.secret)
        )
        self.tokens[name] = issued.access_token
        self.signed_in[name] = self.clock.now()
        self.credentials[name] = credential

    async def _store(self, content: bytes) -> tuple[str, int]:
        async with self.blobs.writer(len(content)) as writer:
            await writer.write(content)
            stored = await writer.commit()
        return stored.sha256, stored.size_bytes

    async def exchange(self, number: int) -> Exchange:
        """
        Lay out one schedule: an ordinary document to two addressees, an express one to the first, and an unsigned one.
        """
        from cryptography import x509

        certificate = x509.load_pem_x509_certificate(self.certificate.encode())
        first, second = self.codes["first"][number], self.codes["other"][number]
        exchange = Exchange(self.codes["sender"][number], (first, second))

        def seal(parts: Sequence[PartDigest]) -> bytes:
            return sign_parts(parts, self.key, certificate)

        wanted = {"ordinary": ((first, second), 0), "express": ((first,), 3), "unsigned": ((first,), 0)}
        for name, (to, priority) in wanted.items():
            packet = a_packet(
                sender=exchange.sender,
                to=to,
                document_id=f"{exchange.sender},{name}",
                priority=priority,
                seal=None if name == "unsigned" else seal,
            )
            exchange.packets[name] = await self._store(packet)
        return exchange

    async def drain(self) -> None:
        """
        Wait until every event of every service has reached everyone.
        """
        waiting = " + ".join(
            f"(SELECT count(*) FROM {service}.outbox WHERE sent_at IS NULL)"
            for service in ("registry", "signing", "routing")
        )
        while await self.look(f"SELECT {waiting}"):
            await asyncio.sleep(0.25)

    async def look(self, statement: str, *arguments: object) -> Any:
        """
        Ask the database past every service.
        """
        with self.loop.talking():
            return await self.connection.fetchval(statement, *arguments)

    def forget_packets(self) -> None:
        """
        Delete the packets of schedules that are over, so that the collector need not look through them.
        """
        for path in (self.folder / "blobs").rglob("*"):
            if path.is_file():
                path.unlink()

    async def close(self) -> None:
        """
        Stop everything.
        """
        await self._stop_loops()
        with self.loop.talking():
            await self.connection.close()
            for part in self.parts:
                for step in part.on_stop:
                    await step()
        await self.bus.close()
        await self.sandbox.close()


async def _keep(work: Callable[[], Awaitable[None]]) -> None:
    """A supervised loop: whatever ends it, it begins again, as a restarted process would."""
    while True:
        try:
            await work()
        except (SimulatedCrash, Exception):  # noqa: BLE001 - a supervisor asks for no reason
            await asyncio.sleep(0.5)
        else:
            return


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
    exchange = await world.exchange(number)
    script = Script.of(seed)
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
    refused = exchange.packets["unsigned"][0]
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
    with tempfile.TemporaryDirectory() as folder:
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
