"""Packets that are more than a new document, or less than perfect, on their way."""

import base64
import hashlib
import json

import pytest

from shared.contracts.routing import (
    LIST_DOCUMENTS,
    OPEN_PACKET,
    READ_DELIVERY,
    READ_JOURNEY,
    VALIDATE_PACKET,
    CheckPacket,
    ChooseDelivery,
    ListDocuments,
    ReadDocument,
)
from shared.edxml import Business, BusinessDocumentInfo, Receiver, Replacement
from shared.testing.packets import a_pdf
from tests.services.routing.conftest import COMMUNE, DISTRICT, House

SPOILED = a_pdf() + bytes(range(128, 256)).decode("utf-8", "replace").encode()
BUSINESSES = [
    Business(type=1, reason="Gửi nhầm", document_id="D-0"),
    Business(
        type=2,
        document_id="D-0",
        info=BusinessDocumentInfo(content_changed=True, receivers=(Receiver(organ_id=DISTRICT, receiver_type=1),)),
    ),
    Business(type=3, replacements=(Replacement(document_id="D-0", organ_ids=(DISTRICT,)),)),
]


@pytest.mark.parametrize("business", BUSINESSES, ids=["recall", "update", "replacement"])
async def test_a_packet_is_listed_and_delivered_as_what_it_is(house: House, business: Business) -> None:
    sender, receiver = await house.a_system(COMMUNE), await house.a_system(DISTRICT)
    packet = house.packet(sender, business=business)
    submitted = await house.submit(sender, packet)
    item = await house.arrival(receiver, submitted.document_id)
    assert item.business_type == business.type
    token = await house.register.token(receiver)
    view = await house.ask(READ_DELIVERY, ChooseDelivery(token=token, delivery_id=item.delivery_id))
    assert view.item.business_type == business.type
    assert Business.model_validate(view.header["trace"]["business"]) == business
    sent = await house.ask(LIST_DOCUMENTS, ListDocuments(token=await house.register.token(sender)))
    assert [document.business_type for document in sent.items] == [business.type]
    opened = await house.ask(OPEN_PACKET, ChooseDelivery(token=token, delivery_id=item.delivery_id))
    assert opened.sha256 == hashlib.sha256(packet).hexdigest()


async def test_a_warning_stands_in_the_report_the_receipt_and_the_journey(house: House) -> None:
    sender = await house.a_system(COMMUNE)
    packet = house.packet(sender, files=[("cong-van.pdf", SPOILED)], business=Business(type=1, document_id="D-0"))
    token = await house.register.token(sender)
    request = CheckPacket(token=token, packet_sha256=await house.put(packet), packet_bytes=len(packet))
    found = await house.ask(VALIDATE_PACKET, request)
    assert found.accepted
    assert [warning.code for warning in found.warnings] == ["attachment-spoiled", "reason-missing"]

    # What a seal must cover, for systems that seal without writing edXML.
    assert [part.uri for part in found.parts][:3] == ["#MessageHeader", "#Bussiness", "#edXMLManifest"]

    submitted = await house.submit(sender, packet)
    body = json.loads(submitted.body)
    expected = [warning.model_dump(mode="json", exclude_none=True) for warning in found.warnings]
    assert body["warnings"] == expected
    payload = body["receipt"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert claims["warnings"] == expected
    journey = await house.ask(READ_JOURNEY, ReadDocument(token=token, document_id=submitted.document_id))
    told = [entry.code for entry in journey.items if entry.kind == "warning"]
    assert told == ["attachment-spoiled", "reason-missing"]
