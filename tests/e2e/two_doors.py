"""
One document, two doors: two centres that know only the national dialect, and an agency that knows only REST.

Played on a running node of either deployment. The centres are connected by nothing but the one command an administrator
types; what becomes of every document is read afterwards by a system that had no part in it.
"""

import asyncio
import base64
import json
import ssl
import subprocess
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, Self
from uuid import UUID

from deploy.demo.cast import RunningNode
from deploy.embedded.papers import seal_of
from deploy.embedded.systems import ensure_system, import_table
from shared.client import AxisClient, Credential, Transport
from shared.contracts.registry import Role
from shared.contracts.routing import JourneyEntry
from shared.edxml import Business, BusinessDocumentInfo, Receiver, Replacement, Seal
from shared.testing.packets import a_packet, a_status_packet
from tests.vxp.line import Socket
from tests.vxp.reading import Release
from tests.vxp.sdk import JavaSdk

ROOT: Final = Path(__file__).parents[2]
FIRST, SECOND, BY_REST = "000.00.00.X01", "000.00.00.X02", "000.00.00.X03"
TABLE: Final = f"""code,code102,name,level,kind,parent,gso_code,lat,lon,valid_from,valid_to
{FIRST},,Trung tâm Một,central,centre,,,,,2018-01-01,
{SECOND},,Trung tâm Hai,central,centre,,,,,2018-01-01,
{BY_REST},,Trung tâm Ba,central,centre,,,,,2018-01-01,
"""
BUSINESSES: Final = {
    "document": Business(),
    "recall": Business(type=1, reason="Gửi nhầm", document_id="D-0"),
    "update": Business(
        type=2,
        document_id="D-0",
        info=BusinessDocumentInfo(content_changed=True, receivers=(Receiver(organ_id=SECOND, receiver_type=1),)),
    ),
    "replacement": Business(type=3, replacements=(Replacement(document_id="D-0", organ_ids=(SECOND,)),)),
}
DIRECTIONS: Final = {"vxp to vxp": (FIRST, SECOND), "vxp to rest": (FIRST, BY_REST), "rest to vxp": (BY_REST, SECOND)}
CODES: Final = ("01", "03", "06")

_PATIENCE_SECONDS: Final = 60


class Side(Protocol):
    """
    What a system does, whichever door it goes through.
    """

    seal: Seal | None

    async def send(self, package: bytes) -> UUID: ...

    async def take(self, package: bytes) -> UUID:
        """Wait until a package is there, byte for byte, and say that it arrived."""

    async def report(self, item: UUID, sender: str, document_id: str, code: str) -> None: ...

    async def learn(self, code: str, document: UUID) -> None:
        """Wait until the status of a document has come."""


@dataclass
class Centre:
    """
    A system that speaks the national dialect: one client object for all it does.
    """

    agency: str
    sdk: JavaSdk
    seal: Seal | None = None

    async def send(self, package: bytes) -> UUID:
        result = await self.sdk.send_edoc(package, from_=self.agency)
        assert result is not None
        assert result.ok, result
        return UUID(result.doc_id)

    async def take(self, package: bytes) -> UUID:
        while True:
            for row in await self._list("edoc"):
                fetched = await self.sdk.download_edoc(row["docId"])
                if fetched.data == package:
                    again = await self.sdk.get_edoc(row["docId"])
                    assert again is not None
                    assert again.ok, again
                    result = await self.sdk.update_status(row["docId"], "done")
                    assert result is not None
                    assert result.ok, result
                    assert row["docId"] not in {one["docId"] for one in await self._list("edoc")}
                    return UUID(row["docId"])
            await asyncio.sleep(0.1)

    async def report(self, item: UUID, sender: str, document_id: str, code: str) -> None:
        package = a_status_packet(sender=self.agency, to=sender, document_id=document_id, code=code)
        result = await self.sdk.send_edoc(package, from_=self.agency, messagetype="status")
        assert result is not None
        assert result.ok, result

    async def learn(self, code: str, document: UUID) -> None:
        wanted = f"<edXML:StatusCode>{code}</edXML:StatusCode>".encode()
        while True:
            for row in await self._list("status"):
                fetched = await self.sdk.download_edoc(row["docId"])
                await self.sdk.update_status(row["docId"], "done")
                if wanted in fetched.data:
                    result = await self.sdk.get_sent_edoc_list(docId=str(document))
                    assert result is not None
                    assert [one["sendStatus"] for one in result.data] == ["done"]
                    return
            await asyncio.sleep(0.1)

    async def _list(self, message_type: str) -> list[dict[str, Any]]:
        result = await self.sdk.get_received_edoc_list(message_type)
        assert result is not None
        assert result.ok, result
        found: list[dict[str, Any]] = result.data
        return found


@dataclass
class RestSide:
    """
    A system that speaks REST.
    """

    client: AxisClient
    folder: Path
    seal: Seal | None

    async def send(self, package: bytes) -> UUID:
        return (await self.client.send(package)).document_id

    async def take(self, package: bytes) -> UUID:
        while True:
            for item in (await self.client.inbox(wait=5)).items:
                into = self.folder / f"{item.delivery_id}.edxml"
                await self.client.fetch(item.delivery_id, into)
                if into.read_bytes() == package:
                    await self.client.acknowledge(item.delivery_id)
                    return item.delivery_id

    async def report(self, item: UUID, sender: str, document_id: str, code: str) -> None:
        await self.client.report_status(item, code, "Đã xem")

    async def learn(self, code: str, document: UUID) -> None:
        while code not in (await self.client.document(document)).addressees[0].statuses:
            await asyncio.sleep(0.1)


@dataclass
class TwoDoors:
    """
    A node with both doors open.

    Attributes:
        sides: Systems by the agency they act for.
        watcher: May read what any of the agencies sent; takes part in nothing.
    """

    sides: dict[str, Side]
    watcher: AxisClient
    _stack: AsyncExitStack

    @classmethod
    async def open(cls, node: RunningNode, home: Path, folder: Path, tls: ssl.SSLContext | None = None) -> Self:
        """
        Register agencies and connect everybody to a node.
        """
        stack = AsyncExitStack()
        credential = Credential.read(node.admin_credential)
        admin = await stack.enter_async_context(Transport(credential.url, credential))
        public = await stack.enter_async_context(Transport(node.public_url))
        report = await import_table(admin, TABLE.encode(), as_of="2024-12-31")
        assert report.errors == ()

        async def by_rest(name: str, agencies: Sequence[str], roles: Sequence[Role]) -> AxisClient:
            made = await ensure_system(
                admin, public, node.systems, system_id=name, name=name, agencies=agencies, roles=roles
            )
            return await stack.enter_async_context(AxisClient(made))

        def centre(name: str, agency: str, release: Release) -> Centre:
            file = folder / f"{name}.secret"
            connect_centre(home, name, agency, file)
            socket = Socket(f"{node.public_url}/vxp", tls=tls)
            stack.push_async_callback(socket.collect)
            return Centre(agency, JavaSdk(socket, name, file.read_text().strip(), release=release))

        client = await by_rest("two-doors-rest", [BY_REST], (Role.SENDER, Role.READER, Role.RECEIVER))
        watcher = await by_rest("two-doors-watcher", [FIRST, SECOND, BY_REST], (Role.SENDER,))
        sides: dict[str, Side] = {
            FIRST: centre("demo.center.01", FIRST, "2.0.0"),
            SECOND: centre("demo.center.02", SECOND, "2.0.1"),
            BY_REST: RestSide(client, folder, seal_of(client.credential)),
        }
        return cls(sides, watcher, stack)

    async def close(self) -> None:
        await self._stack.aclose()


def connect_centre(home: Path, name: str, agency: str, secret_file: Path) -> None:
    """
    Connect a system of the national dialect as an administrator does: by this one command.
    """
    words = ["systems", "add", name, "--dialect", "vxp", "--agency", agency, "--secret-file", str(secret_file)]
    ran = subprocess.run(
        [sys.executable, "-m", "deploy.cli", "--home", str(home), *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert secret_file.stat().st_mode & 0o077 == 0


async def exchange(doors: TwoDoors, direction: str, kind: str) -> list[tuple[str | None, ...]]:
    """
    Send a package, take it, and report what is done with it.

    Returns:
        What happened, without names and times: it must be the same through any door.
    """
    sender, receiver = DIRECTIONS[direction]
    business, giving, taking = BUSINESSES[kind], doors.sides[sender], doors.sides[receiver]
    document_id = f"{direction} {kind}"
    package = a_packet(
        sender=sender,
        to=[receiver],
        document_id=document_id,
        number=f"{direction} {kind}".replace(" ", "-"),
        seal=giving.seal,
        business=business,
    )
    async with asyncio.timeout(_PATIENCE_SECONDS):
        document = await giving.send(package)
        assert await giving.send(package) == document
        item = await taking.take(package)
        for code in CODES:
            await taking.report(item, sender, document_id, code)
            await giving.learn(code, document)
        view = await doors.watcher.document(document)
        journey = await doors.watcher.journey(document)
    assert view.business_type == business.type
    (addressee,) = view.addressees
    assert (addressee.agency, addressee.state, addressee.statuses) == (receiver, "delivered", CODES)
    proved = [_claims(entry) for entry in journey.items if entry.to_state == "delivered"]
    assert [one["delivery_id"] for one in proved] == [str(item)]
    # What a seal tells is not the same where there is none; everything else is.
    return [_step(entry) for entry in journey.items if entry.kind != "warning"]


def _step(entry: JourneyEntry) -> tuple[str | None, ...]:
    proof = "proved" if entry.evidence_id else None
    return entry.kind, entry.from_state, entry.to_state, entry.code, proof


def _claims(entry: JourneyEntry) -> dict[str, Any]:
    assert entry.evidence is not None
    payload = entry.evidence.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found
