"""Status packages as tests send them, and systems of the dialect that seals nothing."""

from typing import Any
from uuid import UUID

from shared.contracts.routing import (
    LIST_STATUS_ITEMS,
    SUBMIT_STATUS,
    ListStatusItems,
    StatusItem,
    StatusSubmitted,
    SubmitStatus,
)
from shared.testing.packets import a_status_packet
from tests.services.routing.conftest import COMMUNE, DISTRICT, House

TRIPLE = "{sender},2024/12/30,{number}/UBND-VP"


async def centres(house: House, *addressees: str) -> tuple[str, list[str]]:
    """
    A sending system and one for each addressee.
    """
    sender = await house.a_system(COMMUNE, dialect="vxp", seal=False)
    return sender, [await house.a_system(code, dialect="vxp", seal=False) for code in addressees]


async def arrived(house: House, sender: str, receiver: str, /, **values: Any) -> tuple[UUID, UUID]:
    """
    Send a document without a seal, and wait for it; gives document and delivery.
    """
    packet = house.packet(None, **values)
    document_id = (await house.submit(sender, packet)).document_id
    return document_id, (await house.arrival(receiver, document_id)).delivery_id


def report(**values: Any) -> bytes:
    """
    The district's status of the commune's first document, unless something else is said.
    """
    values = {"sender": DISTRICT, "to": COMMUNE, "document_id": TRIPLE.format(sender=COMMUNE, number=1)} | values
    return a_status_packet(**values)


async def request_of(house: House, system_id: str, packet: bytes, **values: Any) -> SubmitStatus:
    token = await house.register.token(system_id)
    sha256 = await house.put(packet)
    return SubmitStatus(token=token, packet_sha256=sha256, packet_bytes=len(packet), **values)


async def say(house: House, system_id: str, packet: bytes, **values: Any) -> StatusSubmitted:
    return await house.ask(SUBMIT_STATUS, await request_of(house, system_id, packet, **values))


async def waiting(house: House, system_id: str) -> tuple[StatusItem, ...]:
    """
    The statuses that wait for a system.
    """
    token = await house.register.token(system_id)
    return (await house.ask(LIST_STATUS_ITEMS, ListStatusItems(token=token))).items
