"""Two nodes that are attached to a third one as to a national axis: our own client before our own server side."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from deploy.embedded.home import Home, init_home
from deploy.embedded.postgres import PrivatePostgres
from deploy.embedded.systems import import_table
from services.delivery.clients.vxp.client import VxpClient
from services.delivery.domain.national import Item, MessageType, Sending, TransferState
from services.delivery.errors import NationalAxisRefused
from services.delivery.settings import Settings
from services.delivery.tables import messaging
from services.delivery.usecases.national import NationalAxis
from shared.blobs import FolderBlobStore
from shared.client import Call, Credential, Transport
from shared.clock import SystemClock
from shared.contracts.registry import Credential as Issued
from shared.database import Database
from shared.identifiers import Uuid7Source
from shared.outbox import Store
from shared.testing.node_process import NodeProcess
from shared.testing.packets import a_packet, a_status_packet
from shared.testing.postgres import SampleDatabase

pytestmark = pytest.mark.asyncio(loop_scope="module")

TABLE = Path(__file__).parents[2] / "deploy" / "data" / "agencies-2024.csv"
DOCUMENT, STATUS = MessageType.DOCUMENT, MessageType.STATUS
DONE, FAIL = TransferState.DONE, TransferState.FAIL
SENDER, RECEIVER, OTHER = "H43.31", "H43.32", "H43.33"
SECRETS = {"centre.a": "the-secret-of-the-first-centre-0001", "centre.b": "the-secret-of-the-second-centre-002"}


@dataclass
class Attached:
    """
    A node that is attached to the axis.
    """

    national: NationalAxis
    client: VxpClient
    blobs: FolderBlobStore

    async def send(self, package: bytes, sender: str, *to: str, message_type: MessageType = DOCUMENT) -> str:
        return await self.national.send(Sending(message_type, sender, to, await self.keep(package)))

    async def keep(self, package: bytes) -> str:
        async with self.blobs.writer(len(package)) as writer:
            await writer.write(package)
            return (await writer.commit()).sha256

    async def read(self, item: Item) -> bytes:
        assert item.packet_sha256 is not None
        return b"".join([piece async for piece in self.blobs.open(item.packet_sha256)])


@dataclass
class Place:
    """
    Where the axis is, and where nodes keep what they know.
    """

    url: str
    folder: Path
    database: SampleDatabase

    @asynccontextmanager
    async def attached(self, system: str, *, name: str = "", secret: str = "") -> AsyncIterator[Attached]:
        folder = self.folder / (name or system.replace(".", "-"))
        folder.mkdir(exist_ok=True)
        (folder / "secret").write_text(secret or SECRETS[system])
        settings = Settings(
            node_id="H43",
            public_url="http://127.0.0.1:1",
            database_url=self.database.url("delivery"),
            national_axis_url=f"{self.url}/vxp/",
            national_axis_name=name or system.replace(".", "-"),
            national_axis_system_id=system,
            national_axis_secret_file=folder / "secret",
            national_axis_plain_http=True,
        )
        clock = SystemClock()
        blobs = FolderBlobStore(folder / "blobs", clock)
        await blobs.start()
        async with AsyncExitStack() as stack:
            database = Database(self.database.url("delivery"), service="delivery")
            stack.push_async_callback(database.close)
            store = Store(database, messaging, clock=clock, new_id=Uuid7Source(clock))
            client = await stack.enter_async_context(VxpClient.by_settings(settings, blobs, clock))
            yield Attached(NationalAxis(store, client, blobs, name=settings.national_axis_name), client, blobs)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory, module_database: SampleDatabase) -> AsyncIterator[Place]:
    folder = tmp_path_factory.mktemp("national")
    config = init_home(folder / "home", node_id="H43", port=0, admin_port=0).config
    home, node = Home(folder / "home"), NodeProcess(folder / "home", config.public_url)
    try:
        await node.start()
        credential = Credential.read(home.admin_credential)
        async with Transport(credential.url, credential) as admin:
            await import_table(admin, TABLE.read_bytes(), as_of="2024-12-31", under="H43")
            for system, agencies in (("centre.a", [SENDER]), ("centre.b", [RECEIVER, OTHER])):
                body = {"system_id": system, "name": system, "dialect": "vxp", "agencies": agencies}
                await admin.ask(Call("POST", "/v1/admin/systems", json=body | {"secret": SECRETS[system]}), Issued)
        yield Place(config.public_url, folder, module_database)
    finally:
        with suppress(AssertionError):
            await node.stop()
        await PrivatePostgres(home.postgres).remove()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def a(place: Place) -> AsyncIterator[Attached]:
    async with place.attached("centre.a") as attached:
        yield attached


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def b(place: Place) -> AsyncIterator[Attached]:
    async with place.attached("centre.b") as attached:
        yield attached


async def listed(node: Attached, message_type: MessageType, *, count: int = 1) -> list[Item]:
    """
    Poll until so many items are there.
    """
    while len(found := await node.national.poll(message_type)) < count:
        pass
    assert len(found) == count
    return found


async def test_a_document_and_its_status_go_there_and_back(a: Attached, b: Attached) -> None:
    package = a_packet(sender=SENDER, to=[RECEIVER], document_id="there-and-back", number="1")
    sent = await a.send(package, SENDER)
    (item,) = await listed(b, DOCUMENT)
    assert (item.sender, item.addressee) == (SENDER, RECEIVER)
    assert await b.national.count(DOCUMENT) == 1
    fetched = await b.national.fetch(item.doc_id)
    assert await b.read(fetched) == package
    await b.national.finish(item.doc_id, DONE)
    assert await b.national.poll(DOCUMENT) == []
    assert await b.national.count(DOCUMENT) == 0
    (row,) = await a.national.sent_list(DOCUMENT, doc_id=sent)
    assert (row.sender, row.addressee, row.send_state) == (SENDER, RECEIVER, "done")

    status = a_status_packet(sender=RECEIVER, to=SENDER, document_id="there-and-back", code="03")
    await b.send(status, RECEIVER, message_type=STATUS)
    (told,) = await listed(a, STATUS)
    assert await a.read(await a.national.fetch(told.doc_id)) == status
    await a.national.finish(told.doc_id, DONE)
    assert await a.national.poll(STATUS) == []
    (row,) = await a.national.sent_list(DOCUMENT, doc_id=sent)
    assert row.receive_state == "03"


async def test_both_forms_of_fetching_give_the_same_bytes(a: Attached, b: Attached) -> None:
    package = a_packet(sender=SENDER, to=[RECEIVER], document_id="both-forms", number="2")
    await a.send(package, SENDER)
    (item,) = await listed(b, DOCUMENT)
    digest = hashlib.sha256(package).hexdigest()
    assert (await b.client.get_raw(item.doc_id) or await b.client.get_encoded(item.doc_id)).sha256 == digest
    assert (await b.client.get_encoded(item.doc_id)).sha256 == digest
    await b.national.finish(item.doc_id, FAIL, "đã hỏng")
    assert await b.national.poll(DOCUMENT) == []


async def test_a_package_goes_out_in_parts_and_nobody_gets_it_twice(place: Place, a: Attached, b: Attached) -> None:
    package = a_packet(sender=SENDER, to=[RECEIVER, OTHER], document_id="in-parts", number="3")
    first = await a.send(package, SENDER, RECEIVER)
    await listed(b, DOCUMENT)
    second = await a.send(package, SENDER, OTHER)
    found = await listed(b, DOCUMENT, count=2)
    assert first == second
    assert {item.addressee for item in found} == {RECEIVER, OTHER}
    async with place.attached("centre.a", name="forgetful") as forgetful:  # its notes are gone, as after a disaster
        assert await forgetful.send(package, SENDER, RECEIVER) == first
    for item in await listed(b, DOCUMENT, count=2):
        await b.national.fetch(item.doc_id)
        await b.national.finish(item.doc_id, DONE)


async def test_what_the_axis_refuses_says_why(place: Place, a: Attached) -> None:
    with pytest.raises(NationalAxisRefused) as foreign:
        await a.send(a_packet(sender=OTHER, to=[RECEIVER], document_id="foreign", number="4"), OTHER)
    with pytest.raises(NationalAxisRefused) as nowhere:
        await a.send(a_packet(sender=SENDER, to=["H99.99"], document_id="nowhere", number="5"), SENDER)
    with pytest.raises(NationalAxisRefused) as unknown:
        await a.client.fetch("01940000-0000-7000-8000-000000000001")
    async with place.attached("centre.a", name="stranger", secret="another secret") as stranger:
        with pytest.raises(NationalAxisRefused) as unproved:
            await stranger.national.poll(DOCUMENT)
    codes = [refused.value.axis_code for refused in (foreign, nowhere, unproved)]
    assert codes == ["19", "18", "15"]
    assert unknown.value.axis_text


async def test_the_units_are_those_of_the_register(a: Attached) -> None:
    units = [unit async for page in a.national.units() for unit in page]
    assert {SENDER, RECEIVER, OTHER} <= {unit.code for unit in units}
    assert len(units) == len({unit.unit_id for unit in units})
