"""The echo agency: a system like any other that answers whatever it receives. Integrators try themselves out on it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from deploy.embedded.node import Node
from deploy.embedded.papers import REPORT, paper, seal_of
from deploy.embedded.systems import ensure_system, import_table
from shared.client import AxisClient, ClientError, Credential, Rejected, Transport
from shared.contracts.routing import DeliveryView, InboxItem
from shared.edxml import ResponseFor, Seal
from shared.telemetry import get_logger

ECHO_CODE: Final = "Z99.ECHO"
ECHO_NAME: Final = "Cơ quan phản hồi (thử nghiệm)"
_AGENCY_TABLE: Final = (
    "code,code102,name,level,kind,parent,gso_code,lat,lon,valid_from,valid_to\n"
    f"{ECHO_CODE},,{ECHO_NAME},central,test,,,,,2018-01-01,\n"
)
_STATUSES: Final = (("03", "Đã tiếp nhận, vào sổ"), ("05", "Đang xử lý"), ("06", "Hoàn thành"))
_PAUSE_SECONDS: Final = 2.0

_logger = get_logger(__name__)


@dataclass(frozen=True)
class Ways:
    """
    The two ways to a node that whoever administers it uses.
    """

    admin: Transport
    public: Transport


@asynccontextmanager
async def ways_to(node: Node) -> AsyncIterator[Ways]:
    """
    Open them, and close them at the end.
    """
    credential = Credential.read(node.home.admin_credential)
    async with Transport(credential.url, credential) as admin, Transport(node.config.public_url) as public:
        yield Ways(admin, public)


async def ensure_echo(node: Node) -> Credential:
    """
    Put the echo agency into the register, with a system of its own; what is there stays.
    """
    async with ways_to(node) as ways:
        await import_table(ways.admin, _AGENCY_TABLE.encode(), as_of="2018-01-01")
        return await ensure_system(
            ways.admin, ways.public, node.home.systems, system_id="echo", name=ECHO_NAME, agencies=[ECHO_CODE]
        )


async def echo(credential: Credential) -> None:
    """
    Answer for ever: 01, acknowledge, 03, 05, 06, and a signed document in reply to whatever is no reply itself.

    A crash at any point is made good by the next round: an item leaves the mailbox only by its acknowledgement, which
    comes last, and every step before it may be repeated.
    """
    seal = seal_of(credential)
    async with AxisClient(credential) as client:
        while True:
            try:
                page = await client.inbox(wait=30)
                for item in page.items:
                    await _answer(client, item, seal)
            except ClientError as error:
                _logger.warning("echo waits", error=type(error).__name__)
                await asyncio.sleep(_PAUSE_SECONDS)


async def _answer(client: AxisClient, item: InboxItem, seal: Seal) -> None:
    await client.report_status(item.delivery_id, "01", "Đã đến")
    with TemporaryDirectory() as folder:
        fetched = await client.fetch(item.delivery_id, Path(folder) / "packet.edxml")
    if not fetched.delivery.header.get("response_for"):
        await _reply(client, fetched.delivery, seal)
    for code, words in _STATUSES:
        await client.report_status(item.delivery_id, code, words)
    await client.acknowledge(item.delivery_id)


async def _reply(client: AxisClient, delivery: DeliveryView, seal: Seal) -> None:
    item, header = delivery.item, delivery.header
    sender: dict[str, Any] = header.get("sender") or {}
    packet = paper(
        sender=(ECHO_CODE, ECHO_NAME),
        to=[(item.sender, str(sender.get("name") or item.sender))],
        # One reply per delivery: its number is the delivery's, so a repeat is recognised by the DocumentId.
        number=item.delivery_id.hex[-12:].upper(),
        subject=f"Phản hồi văn bản {item.code}",
        attachments=(REPORT,),
        answers=ResponseFor(organ_id=item.sender, code=item.code, document_id=item.sender_document_id),
        seal=seal,
    )
    try:
        await client.send(packet)
    except Rejected as refused:
        # An earlier round sent it and died before the acknowledgement; its seal differs, its content does not.
        if refused.code != "document-id-reused":
            _logger.warning("echo cannot reply", code=refused.code)
