"""The gateway as clients of the national dialect meet it: real bytes on a real line, services that answer as told."""

import asyncio
import base64
import hashlib
import hmac
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import uvicorn

from deploy.embedded.listeners import server_config
from shared.contracts import registry, routing
from shared.contracts.routing import DeliveryState, OpenBlob
from shared.errors import RejectedElsewhere
from tests.services.gateway.world import AGENCY, ID, NOW, World, refused, until
from tests.vxp.line import Socket
from tests.vxp.sdk import JavaSdk

SYSTEM, SECRET = "demo.center.01", "demo-secret-key"
STATUS_ID = UUID("01940000-0000-7000-8000-000000000002")
PACKAGE = "<?xml version='1.0' encoding='UTF-8'?><edXML>Công văn số 15</edXML>".encode()

STATUS_ITEM = routing.StatusItem(
    status_id=STATUS_ID,
    document_id=ID,
    delivery_id=ID,
    from_agency="H43.31",
    to_agency="H43.30",
    code="03",
    sender_document_id="H43.30,2024/12/31,15/CV",
    state=DeliveryState.AVAILABLE,
    created_at=NOW,
    changed_at=NOW,
)
SENT_ITEM = routing.SentItem(
    document_id=ID,
    delivery_id=STATUS_ID,
    sender="H43.30",
    sender_document_id="H43.30,2024/12/31,15/CV",
    addressee="H43.31",
    subject="V/v báo cáo",
    notation="15/CV",
    accepted_at=NOW,
    available_at=NOW,
    changed_at=NOW,
    state=DeliveryState.FETCHED,
    status="03",
    status_at=NOW,
)
UNIT = registry.Unit(
    key=ID,
    code="H43.30",
    code102="000.00.30.H43",
    parent_key=STATUS_ID,
    name="Sở Mẫu",
    email="s@mau.example",
    version=7,
    deleted=False,
    modified_at=NOW,
    serving_node="H43",
    centre=SYSTEM,
)


@dataclass
class VxpWorld:
    """
    Attributes:
        world: The gateway and what it asked.
        url: Base address of the dialect.
    """

    world: World
    url: str

    def client(self, *, path: str = "/vxp", **more: Any) -> JavaSdk:
        pieces = more.pop("piece_bytes", None)
        return JavaSdk(Socket(self.url + path, piece_bytes=pieces), more.pop("system_id", SYSTEM), SECRET, **more)

    def asked(self, operation: Any) -> list[Any]:
        return self.world.questions(operation)

    def answers(self, operation: Any, answer: Any) -> None:
        self.world.answers[operation.name] = answer

    async def keep(self, content: bytes = PACKAGE) -> OpenBlob:
        """
        Have a package in the store, and given out for every item.
        """
        async with self.world.blobs.writer(len(content)) as writer:
            await writer.write(content)
            blob = await writer.commit()
        opened = OpenBlob(sha256=blob.sha256, bytes=blob.size_bytes, content_type="x/y", file_name="x.edxml")
        self.answers(routing.OPEN_PACKET, opened)
        return opened


@asynccontextmanager
async def listening(world: World) -> AsyncIterator[VxpWorld]:
    async with AsyncExitStack() as stack:
        place = stack.enter_context(socket.socket())
        place.bind(("127.0.0.1", 0))
        place.listen()
        server = uvicorn.Server(server_config(world.gateway.public))
        task = asyncio.create_task(server._serve(sockets=[place]))
        await until(lambda: server.started)
        answer_the_dialect(world)
        try:
            yield VxpWorld(world, f"http://127.0.0.1:{place.getsockname()[1]}")
        finally:
            await world.gateway.stop()
            server.should_exit = True
            await task


def answer_the_dialect(world: World) -> None:
    def check(question: registry.SignedHeader) -> registry.TokenIssued:
        signed = base64.b64decode(question.signed_header)
        expected = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
        if expected != question.hash_header or f'"{SYSTEM}"'.encode() not in signed:
            raise RejectedElsewhere("vxp-signature", "Sai SystemId hoặc SecretKey. / Wrong SystemId or SecretKey.")
        return registry.TokenIssued(access_token=world.token(), expires_in=600, scopes=("send", "inbox"))

    acknowledged = routing.StatusAcknowledged(
        created=True, status_id=STATUS_ID, state=DeliveryState.DELIVERED, acknowledged_at=NOW
    )
    told: tuple[tuple[Any, Any], ...] = (
        (registry.CHECK_SIGNED_HEADER, check),
        (registry.LIST_UNITS, registry.UnitPage(items=(UNIT,), version=7)),
        (registry.REGISTER_UNIT, AGENCY),
        (registry.CANCEL_UNIT, AGENCY),
        (routing.SUBMIT_STATUS, routing.StatusSubmitted(created=True, status_id=STATUS_ID)),
        (routing.LIST_STATUS_ITEMS, routing.StatusItemPage(items=(STATUS_ITEM,))),
        (routing.OPEN_PACKET, refused("not-found")),
        (routing.OPEN_STATUS, refused("not-found")),
        (routing.ACKNOWLEDGE_STATUS, acknowledged),
        (routing.LIST_SENT, routing.SentPage(items=(SENT_ITEM,))),
        (routing.COUNT_INBOX, routing.InboxCounts(documents=3, statuses=2)),
    )
    world.answers |= {operation.name: answer for operation, answer in told}
