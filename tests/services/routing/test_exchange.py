"""A document's way from sender to addressee."""

import json
from uuid import UUID

from shared.contracts.routing import (
    ACKNOWLEDGE,
    OPEN_ATTACHMENT,
    READ_DELIVERY,
    READ_JOURNEY,
    READ_RECEIPT,
    Acknowledge,
    ChooseDelivery,
    DeliveriesChanged,
    DeliveryState,
    DocumentAccepted,
    OpenAttachment,
    ReadDocument,
    ReadReceipt,
)
from shared.jose import read_header
from tests.services.routing.conftest import COMMUNE, DEPARTMENT, DISTRICT, House


async def test_a_document_is_accepted_fetched_and_acknowledged(house: House) -> None:
    sender, receiver = await house.a_system(COMMUNE), await house.a_system(DISTRICT)
    submitted = await house.submit(sender, to=(DISTRICT, DEPARTMENT))
    body = json.loads(submitted.body)
    assert list(body) == [
        "document_id",
        "dispatch_id",
        "accepted_at",
        "packet_sha256",
        "addressees",
        "warnings",
        "receipt",
    ]
    assert body["addressees"] == [DISTRICT, DEPARTMENT]
    assert read_header(body["receipt"])["typ"] == "axis-receipt"

    item = await house.arrival(receiver, submitted.document_id)
    assert (item.state, item.sender) == (DeliveryState.AVAILABLE, COMMUNE)
    token = await house.register.token(receiver)
    view = await house.ask(READ_DELIVERY, ChooseDelivery(token=token, delivery_id=item.delivery_id))
    assert view.header["subject"] == item.subject
    opened = await house.ask(OPEN_ATTACHMENT, OpenAttachment(token=token, delivery_id=item.delivery_id, n=0))
    content = b"".join([chunk async for chunk in house.blobs.open(opened.sha256)])
    assert content.startswith(b"%PDF")
    assert [one.state for one in await house.inbox(receiver)] == [DeliveryState.FETCHED]

    done = await house.ask(ACKNOWLEDGE, Acknowledge(token=token, delivery_id=item.delivery_id, result="done"))
    assert (done.created, done.state) == (True, DeliveryState.DELIVERED)
    assert await house.inbox(receiver) == ()
    seen = await house.document(sender, submitted.document_id)
    assert seen.counts == {"delivered": 1, "available": 1}

    sender_token = await house.register.token(sender)
    receipt = await house.ask(READ_RECEIPT, ReadReceipt(token=sender_token, document_id=submitted.document_id))
    assert (str(receipt.dispatch_id), receipt.receipt) == (body["dispatch_id"], body["receipt"])
    journey = await house.ask(READ_JOURNEY, ReadDocument(token=sender_token, document_id=submitted.document_id))
    told = [(entry.kind, entry.to_state) for entry in journey.items if entry.agency in {None, COMMUNE, DISTRICT}]
    assert told == [
        ("accepted", None),
        ("dispatched", None),
        ("delivery", "available"),
        ("delivery", "fetched"),
        ("delivery", "delivered"),
        ("acknowledgement", None),
    ]
    assert journey.items[-2].evidence == done.evidence
    assert await house.count("evidence") == 1
    await house.check_invariants()

    async def all_published() -> bool:
        return len(house.events(DeliveriesChanged)) >= 3

    await house.until(all_published)
    accepted = house.events(DocumentAccepted)[0]
    assert (accepted.document_id, accepted.first_dispatch) == (UUID(body["document_id"]), True)
