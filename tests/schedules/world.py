"""The world of a schedule: every service on one bus, one database and one plan, and what its clients know."""

import asyncio
import io
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
from cryptography import x509
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
from shared.edxml import PartDigest
from shared.faults import SimulatedCrash
from shared.identifiers import Uuid7Source
from shared.messaging import Bus
from shared.messaging.inprocess import InProcessBus
from shared.runtime import Service
from shared.sandbox import Sandbox
from shared.testing.fault_plan import ScheduleClock, ScheduleLoop
from shared.testing.packets import a_packet
from shared.xmldsig import sign_parts

URL = "http://node.test"
SETTLED_AFTER = 2.0
"""Seconds of the plan's own time after which a restarted world stands still."""

TOKEN_LIFETIME = timedelta(days=1)
"""Signing in is not what is played here."""


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
        self.certificate = x509.load_pem_x509_certificate(credential.keys[0].certificate.encode())
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

    async def exchange(self, number: int, script: Script) -> Exchange:
        """
        Lay out one schedule: an ordinary document to two addressees, and what the script plays besides.
        """
        certificate = self.certificate
        first, second = self.codes["first"][number], self.codes["other"][number]
        exchange = Exchange(self.codes["sender"][number], (first, second))

        def seal(parts: Sequence[PartDigest]) -> bytes:
            return sign_parts(parts, self.key, certificate)

        wanted = {"ordinary": ((first, second), 0)}
        if script.express:
            wanted["express"] = ((first,), 3)
        if script.unsigned:
            wanted["unsigned"] = ((first,), 0)
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
