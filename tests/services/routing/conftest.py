"""Routing with the real signing service beside it and a register that a test can change at will."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

import services.signing.app as signing
from services.routing.app import SANDBOX_JOBS, create_app, create_context
from services.routing.settings import Settings
from services.routing.usecases.context import Context
from services.signing.errors import DevelopmentModeWarning
from services.signing.settings import Settings as SigningSettings
from shared.blobs import FolderBlobStore
from shared.contracts.base import Contract, Event, Operation
from shared.contracts.registry import Grant, Role, SealBinding, SystemEntry, SystemStatus
from shared.contracts.routing import (
    LIST_INBOX,
    OPEN_PACKET,
    READ_DOCUMENT,
    SUBMIT_DOCUMENT,
    ChooseDelivery,
    DocumentView,
    InboxItem,
    ListInbox,
    MailboxChanged,
    ReadDocument,
    SubmitDocument,
    Submitted,
)
from shared.contracts.signing import ISSUE_CERTIFICATES, CertificateRequest, IssueCertificates
from shared.errors import Rejected
from shared.identifiers import Uuid7Source
from shared.messaging import Bus, Item
from shared.messaging.inprocess import InProcessBus, InProcessParty
from shared.messaging.port import EVERY_TOPIC
from shared.sandbox import Sandbox
from shared.testing.invariants import check_invariants
from shared.testing.packets import a_packet
from shared.testing.pki import Signer, a_certificate_request, a_p256_key
from shared.testing.postgres import SampleDatabase
from shared.xmldsig import sign_parts
from tests.services.routing.register import (
    COMMUNE,
    DEPARTMENT,
    DISTRICT,
    MINISTRY,
    NODE,
    NOW,
    PROVINCE,
    URL,
    HandClock,
    Register,
    an_agency,
)
from tests.services.routing.releases import Copies

RequestT = TypeVar("RequestT", bound=Contract)
ReplyT = TypeVar("ReplyT", bound=Contract)
EventT = TypeVar("EventT", bound=Event)


@dataclass
class House:
    """
    Routing, signing and a register, and somebody outside who asks.
    """

    database: SampleDatabase
    clock: HandClock
    bus: InProcessBus
    outside: InProcessParty
    register: Register
    blobs: FolderBlobStore
    context: Context
    seals: dict[str, Signer] = field(default_factory=dict)
    items: list[Item] = field(default_factory=list)
    hinted: set[UUID] = field(default_factory=set)
    heard: asyncio.Event = field(default_factory=asyncio.Event)
    numbers: int = 0

    async def hear(self, item: Item) -> None:
        self.items.append(item)
        self.heard.set()

    def events(self, kind: type[EventT]) -> list[EventT]:
        return [kind.model_validate_json(item.data) for item in self.items if item.type == kind.topic]

    async def until(self, check: Callable[[], Awaitable[bool]]) -> None:
        """
        Wait until something is so; looked at again whenever an event or a hint was heard.
        """
        async with asyncio.timeout(30):
            while True:
                self.heard.clear()
                if await check():
                    return
                await self.heard.wait()

    async def ask(self, operation: Operation[RequestT, ReplyT], request: RequestT, **options: Any) -> ReplyT:
        return await self.outside.ask(operation, request, **options)

    async def refusal(self, operation: Operation[RequestT, ReplyT], request: RequestT) -> Rejected:
        with pytest.raises(Rejected) as refused:
            await self.ask(operation, request)
        return refused.value

    async def rows(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.database.admin_dsn())
        try:
            return list(await connection.fetch(statement, *arguments))
        finally:
            await connection.close()

    async def count(self, table: str) -> int:
        return int((await self.rows(f"SELECT count(*) FROM routing.{table}"))[0][0])

    async def a_system(
        self,
        *codes: str,
        name: str = "",
        roles: Sequence[Role] = tuple(Role),
        dialect: str = "rest",
        seal: bool = True,
    ) -> str:
        """
        Add a system that acts for agencies, with a certificate bound as its seal; gives its id.
        """
        system_id = name or f"system-{codes[0]}".lower()
        bindings: tuple[SealBinding, ...] = ()
        if seal:
            signer, binding = await self.a_seal(system_id)
            self.seals[system_id] = signer
            bindings = (binding,)
        self.register.put_system(
            SystemEntry(
                id=system_id,
                name=system_id,
                dialect=dialect,
                status=SystemStatus.ACTIVE,
                grants=tuple(
                    Grant(agency_key=self.register.code_key(code), role=role) for code in codes for role in roles
                ),
                credentials=(f"credential-of-{system_id}",),
                seals=bindings,
            )
        )
        return system_id

    async def a_seal(self, system_id: str) -> tuple[Signer, SealBinding]:
        key = a_p256_key()
        request = CertificateRequest(
            csr=a_certificate_request(key), common_name=system_id, system_id=system_id, purpose="seal"
        )
        issued = (await self.ask(ISSUE_CERTIFICATES, IssueCertificates(items=(request,)))).items[0]
        certificate = x509.load_pem_x509_certificate(issued.certificate.encode())
        binding = SealBinding(
            certificate_sha256=certificate.fingerprint(hashes.SHA256()).hex(),
            valid_from=NOW - timedelta(days=1),
            valid_to=NOW + timedelta(days=365),
        )
        return Signer(key, certificate), binding

    async def put(self, packet: bytes) -> str:
        async with self.blobs.writer(len(packet)) as writer:
            await writer.write(packet)
            return (await writer.commit()).sha256

    def packet(self, system_id: str | None, *, signer: Signer | None = None, **values: Any) -> bytes:
        """
        Make a packet sealed by a system; every one has a number of its own unless it gets one.
        """
        self.numbers += 1
        by = signer or (None if system_id is None else self.seals[system_id])
        values = {"number": str(self.numbers), "sender": COMMUNE, "to": (DISTRICT,)} | values
        seal = None if by is None else lambda parts: sign_parts(parts, by.key, by.certificate, by.chain)
        return a_packet(seal=seal, **values)

    async def submission(self, system_id: str, packet: bytes, **values: Any) -> SubmitDocument:
        token = values.pop("token", None) or await self.register.token(system_id)
        sha256 = await self.put(packet)
        return SubmitDocument(token=token, packet_sha256=sha256, packet_bytes=len(packet), **values)

    async def submit(self, system_id: str, packet: bytes | None = None, **values: Any) -> Submitted:
        """
        Submit a packet; a fresh sealed one with these values where none is given.
        """
        made = packet or self.packet(system_id, **values)
        request = await self.submission(system_id, made, **(values if packet else {}))
        return await self.ask(SUBMIT_DOCUMENT, request)

    async def inbox(self, system_id: str, **values: Any) -> tuple[InboxItem, ...]:
        token = await self.register.token(system_id)
        return (await self.ask(LIST_INBOX, ListInbox(token=token, **values))).items

    async def arrival(self, system_id: str, document_id: UUID) -> InboxItem:
        """
        Wait until a document is in a mailbox.
        """
        found: list[InboxItem] = []

        async def is_there() -> bool:
            found[:] = [one for one in await self.inbox(system_id) if one.document_id == document_id]
            return bool(found)

        await self.until(is_there)
        return found[0]

    async def document(self, system_id: str, document_id: UUID) -> DocumentView:
        token = await self.register.token(system_id)
        return await self.ask(READ_DOCUMENT, ReadDocument(token=token, document_id=document_id))

    async def fetch(self, system_id: str, delivery_id: UUID) -> None:
        token = await self.register.token(system_id)
        await self.ask(OPEN_PACKET, ChooseDelivery(token=token, delivery_id=delivery_id))

    async def check_invariants(self) -> None:
        connection = await asyncpg.connect(self.database.admin_dsn())
        try:
            assert await check_invariants(connection) == []
        finally:
            await connection.close()


@pytest.fixture(scope="session")
def signing_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    Keys of a node, made once.
    """
    folder = tmp_path_factory.mktemp("routing-signing-keys")
    signing.create_keys(_signing_settings(folder, "postgresql+asyncpg://nowhere"), clock=HandClock())
    return folder


def _signing_settings(folder: Path, url: str) -> SigningSettings:
    return SigningSettings(
        database_url=url,
        node_id=NODE,
        public_url=URL,
        key_file=folder / "keys",
        passphrase_file=folder / "passphrase",
    )


def as_is(bus: Bus) -> Bus:
    return bus


async def _make_house(
    database: SampleDatabase,
    signing_keys: Path,
    folder: Path,
    *,
    running: bool,
    signing_speaks: Callable[[Bus], Bus] = as_is,
    registry_speaks: Callable[[Bus], Bus] = as_is,
    routing_speaks: Sequence[Callable[[Bus], Bus]] = (as_is,),
    **settings: Any,
) -> AsyncIterator[House]:
    clock = HandClock()
    new_id = Uuid7Source(clock)
    bus = InProcessBus(clock, new_id)
    blobs = FolderBlobStore(folder / "blobs", clock)
    await blobs.start()
    keys = folder / "signing"
    shutil.copytree(signing_keys, keys)
    with pytest.warns(DevelopmentModeWarning):
        signing_service = signing.create_app(
            _signing_settings(keys, database.url("signing")),
            bus=signing_speaks(bus.party("signing")),
            clock=clock,
            new_id=new_id,
        )
    mine = Settings(database_url=database.url("routing"), public_url=URL, node_id=NODE, **settings)
    sandbox = Sandbox(SANDBOX_JOBS, in_process=True)
    parts: dict[str, Any] = {
        "bus": bus.party("routing"),
        "blobs": blobs,
        "sandbox": sandbox,
        "clock": clock,
        "new_id": new_id,
    }
    shared_by_copies = Copies(bus.party("routing"))
    copies = [create_app(mine, **{**parts, "bus": speaks(shared_by_copies.one())}) for speaks in routing_speaks]
    context = create_context(mine, **parts)
    house = House(
        database=database,
        clock=clock,
        bus=bus,
        outside=bus.party("gateway"),
        register=Register(registry_speaks(bus.party("registry")), clock, new_id),
        blobs=blobs,
        context=context,
    )
    watcher = bus.party("audit")
    watcher.subscribe(EVERY_TOPIC, house.hear)

    def hear_hint(hint: MailboxChanged) -> None:
        house.hinted.update(hint.agency_keys)
        house.heard.set()

    watcher.on_hint(MailboxChanged, hear_hint)
    for code, old in (
        (COMMUNE, "000.01.36.H43"),
        (DISTRICT, "000.00.36.H43"),
        (DEPARTMENT, "000.00.19.H43"),
        (PROVINCE, "000.00.00.H43"),
        (MINISTRY, "000.00.00.G09"),
    ):
        house.register.put_agency(an_agency(code, code102=old))
    await bus.start()
    try:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(signing_service)
            for routing in copies:
                if running:
                    await stack.enter_async_context(routing)
                else:
                    stack.push_async_callback(routing.stop)
            # Before the services: what is being handled gives its connection back before the pools close.
            stack.push_async_callback(bus.close)
            yield house
    finally:
        await context.store.database.close()
        await sandbox.close()


@pytest.fixture
async def house(database: SampleDatabase, signing_keys: Path, tmp_path: Path) -> AsyncIterator[House]:
    """
    A house at work.
    """
    async for house in _make_house(database, signing_keys, tmp_path, running=True):
        yield house


@pytest.fixture
async def idle_house(database: SampleDatabase, signing_keys: Path, tmp_path: Path) -> AsyncIterator[House]:
    """
    A house whose loops do not run: asks are answered, and a test drives the lanes by hand.
    """
    async for house in _make_house(database, signing_keys, tmp_path, running=False, lane_window=10):
        yield house


__all__ = ["COMMUNE", "DEPARTMENT", "DISTRICT", "MINISTRY", "NOW", "PROVINCE", "URL", "House", "an_agency"]
