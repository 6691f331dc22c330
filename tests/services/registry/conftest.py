"""A registry with the real signing service beside it, on a database and a bus of its own."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import asyncpg
import pytest

import services.signing.app as signing
from services.registry.app import bootstrap, create_app
from services.registry.settings import Settings
from services.signing.settings import Settings as SigningSettings
from shared.blobs import FolderBlobStore
from shared.contracts.base import Contract, Event, Operation
from shared.contracts.registry import (
    ADD_SYSTEM,
    IMPORT_AGENCIES,
    ISSUE_TOKEN,
    READ_CHANGES,
    AddSystem,
    AgencyEntry,
    Changes,
    Credential,
    ImportAgencies,
    ImportReport,
    IssueToken,
    ReadChanges,
    SystemEntry,
)
from shared.errors import Rejected
from shared.identifiers import Uuid7Source
from shared.messaging import Item
from shared.messaging.inprocess import InProcessBus, InProcessParty
from shared.testing.pki import MOMENT
from shared.testing.postgres import SampleDatabase

RequestT = TypeVar("RequestT", bound=Contract)
ReplyT = TypeVar("ReplyT", bound=Contract)
EventT = TypeVar("EventT", bound=Event)

URL = "http://127.0.0.1:8443"
REAL_TABLE = Path(__file__).parents[3] / "deploy" / "data" / "agencies-2024.csv"
HEADING = "code,code102,name,level,kind,parent,gso_code,lat,lon,valid_from,valid_to"
SMALL_TABLE = f"""{HEADING}
G09,000.00.00.G09,Bộ Nội vụ,central,ministry,,,,,2018-01-01,
H43,000.00.00.H43,UBND tỉnh Ninh Thuận,province,peoples_committee,,58,11.69,108.9,2018-01-01,2025-06-30
H43.36,000.00.36.H43,UBND huyện Thuận Nam,district,peoples_committee,H43,589,11.41,108.87,2018-01-01,
H43.36.01,000.01.36.H43,UBND xã Phước Dinh,commune,peoples_committee,H43.36,22900,11.4,108.9,2018-01-01,
H43.36.02,000.02.36.H43,UBND xã Phước Nam,commune,peoples_committee,H43.36,22901,11.4,108.9,2018-01-01,
"""


@dataclass
class HandClock:
    moment: datetime = MOMENT

    def now(self) -> datetime:
        return self.moment


@dataclass
class Node:
    """
    A running registry and somebody who asks it.
    """

    settings: Settings
    database: SampleDatabase
    clock: HandClock
    bus: InProcessBus
    outside: InProcessParty
    blobs: FolderBlobStore
    administrator: Credential
    items: list[Item] = field(default_factory=list)
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    async def hear(self, item: Item) -> None:
        self.items.append(item)
        self.heard.set()

    async def events(self, kind: type[EventT], count: int) -> list[EventT]:
        """
        Wait for so many events of a kind.
        """
        async with asyncio.timeout(20):
            while True:
                self.heard.clear()
                found = [kind.model_validate_json(item.data) for item in self.items if item.type == kind.topic]
                if len(found) >= count:
                    return found
                await self.heard.wait()

    async def ask(self, operation: Operation[RequestT, ReplyT], request: RequestT) -> ReplyT:
        return await self.outside.ask(operation, request)

    async def refusal(self, operation: Operation[RequestT, ReplyT], request: RequestT) -> str:
        """
        Ask what must be refused and give the code.
        """
        with pytest.raises(Rejected) as refused:
            await self.ask(operation, request)
        return refused.value.problem_code

    async def token(self, credential: Credential | None = None, *scopes: str, agencies: tuple[str, ...] = ()) -> str:
        """
        Get an access token by secret; the administrator's by default.
        """
        mine = credential or self.administrator
        request = IssueToken(client_id=mine.system_id, client_secret=mine.secret, scopes=scopes, agencies=agencies)
        return (await self.ask(ISSUE_TOKEN, request)).access_token

    async def put(self, content: bytes) -> str:
        async with self.blobs.writer(len(content)) as writer:
            await writer.write(content)
            return (await writer.commit()).sha256

    async def import_table(
        self,
        table: str | bytes = SMALL_TABLE,
        *,
        as_of: date = date(2024, 12, 31),
        under: tuple[str, ...] = (),
        levels: tuple[str, ...] = (),
        served_by: str | None = None,
        dry_run: bool = False,
    ) -> ImportReport:
        digest = await self.put(table.encode() if isinstance(table, str) else table)
        request = ImportAgencies(
            token=await self.token(),
            csv_sha256=digest,
            as_of=as_of,
            under=under,
            levels=levels,
            served_by=served_by,
            dry_run=dry_run,
        )
        # As patient as the gateway: the whole country takes seconds, and far more on a crowded machine.
        return await self.outside.ask(IMPORT_AGENCIES, request, within=timedelta(seconds=120))

    async def add_system(self, system_id: str, *agencies: str, **more: object) -> Credential:
        values = {"token": await self.token(), "system_id": system_id, "name": "Hệ thống", "agencies": agencies}
        return await self.ask(ADD_SYSTEM, AddSystem.model_validate({**values, **more}))

    async def changes(self, after: int = 0, limit: int = 500) -> Changes:
        return await self.ask(READ_CHANGES, ReadChanges(after=after, limit=limit))

    async def read_all(self, limit: int = 500) -> tuple[dict[str, AgencyEntry], dict[str, SystemEntry], int]:
        """
        Read the register as a read model does: page after page, later entries replacing earlier ones.
        """
        agencies: dict[str, AgencyEntry] = {}
        systems: dict[str, SystemEntry] = {}
        version, latest = 0, 1
        while version < latest:
            page = await self.changes(version, limit)
            assert version < page.version <= page.latest
            agencies |= {entry.code: entry for entry in page.agencies}
            systems |= {entry.id: entry for entry in page.systems}
            version, latest = page.version, page.latest
        return agencies, systems, version

    async def rows(self, query: str) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.database.admin_dsn())
        try:
            return await connection.fetch(query)
        finally:
            await connection.close()


@pytest.fixture(scope="session")
def key_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("signing")


@pytest.fixture
async def node(
    database: SampleDatabase, key_folder: Path, tmp_path: Path, database_url: Callable[[str], str]
) -> AsyncIterator[Node]:
    clock = HandClock()
    new_id = Uuid7Source(clock)
    bus = InProcessBus(clock=clock, new_id=new_id)
    blobs = FolderBlobStore(tmp_path / "blobs", clock)
    await blobs.start()
    signing_settings = SigningSettings.model_validate(
        {
            "database_url": database_url("signing"),
            "node_id": "H43",
            "public_url": URL,
            "key_file": key_folder / "keys.json",
            "passphrase_file": key_folder / "passphrase",
        }
    )
    settings = Settings.model_validate(
        {
            "database_url": database_url("registry"),
            "node_id": "H43",
            "public_url": URL,
            "pepper": hashlib.sha256(b"pepper").hexdigest(),
            "webhook_key": hashlib.sha256(b"webhooks").hexdigest(),
            "max_pending_per_contact": 3,
        }
    )
    signing.create_keys(signing_settings, clock=clock)
    administrator = await bootstrap(settings, clock=clock, new_id=new_id)
    node = Node(settings, database, clock, bus, bus.party("gateway"), blobs, administrator)
    bus.party("audit").subscribe("*", node.hear)
    await bus.start()
    async with (
        signing.create_app(signing_settings, bus=bus.party("signing"), clock=clock, new_id=new_id),
        create_app(settings, bus=bus.party("registry"), clock=clock, new_id=new_id, blobs=blobs),
    ):
        yield node
    await bus.close()
