"""What was sent, by addressee: one row each, with all that became of it."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from shared.contracts.registry import Role
from shared.contracts.routing import (
    ACKNOWLEDGE,
    LIST_SENT,
    SUBMIT_DOCUMENT,
    Acknowledge,
    DeliveryState,
    ListSent,
    SentItem,
)
from shared.edxml import Business, BusinessDocumentInfo, Receiver, Replacement
from tests.services.routing.conftest import COMMUNE, DEPARTMENT, DISTRICT, MINISTRY, NOW, PROVINCE, House
from tests.services.routing.statuses import TRIPLE, arrived, centres, report, say


async def sent(house: House, system_id: str, **values: Any) -> tuple[SentItem, ...]:
    token = await house.register.token(system_id)
    return (await house.ask(LIST_SENT, ListSent(token=token, **values))).items


async def in_pages(house: House, system_id: str, limit: int, **values: Any) -> list[SentItem]:
    token = await house.register.token(system_id)
    items: list[SentItem] = []
    cursor = None
    while True:
        page = await house.ask(LIST_SENT, ListSent(token=token, limit=limit, cursor=cursor, **values))
        assert len(page.items) <= limit
        items += page.items
        cursor = page.next_cursor
        if cursor is None:
            return items


async def test_each_addressee_has_a_row_that_says_what_became_of_its_copy(house: House) -> None:
    sender, (receiver, other) = await centres(house, DISTRICT, DEPARTMENT)
    document, delivery = await arrived(
        house, sender, receiver, to=(DISTRICT, DEPARTMENT), subject="V/v mẫu", number="7"
    )
    untouched = (await house.arrival(other, document)).delivery_id
    house.clock.forward(seconds=1)
    await house.fetch(receiver, delivery)
    fetched = {item.addressee: item for item in await sent(house, sender)}[DISTRICT]
    assert (fetched.state, fetched.changed_at) == (DeliveryState.FETCHED, house.clock.now())
    house.clock.forward(seconds=1)
    done = Acknowledge(token=await house.register.token(receiver), delivery_id=delivery, result="done")
    await house.ask(ACKNOWLEDGE, done)
    document_id = TRIPLE.format(sender=COMMUNE, number=7)
    for code in ("01", "03"):
        house.clock.forward(seconds=1)
        await say(house, receiver, report(code=code, document_id=document_id))
    await say(house, sender, report(code="13", sender=COMMUNE, to=DEPARTMENT, document_id=document_id))
    rows = {item.addressee: item for item in await sent(house, sender)}
    assert rows[DISTRICT] == SentItem(
        document_id=document,
        delivery_id=delivery,
        sender=COMMUNE,
        sender_document_id=document_id,
        addressee=DISTRICT,
        subject="V/v mẫu",
        notation="7/UBND-VP",
        accepted_at=NOW,
        available_at=NOW,
        changed_at=NOW + timedelta(seconds=2),
        acknowledged_at=NOW + timedelta(seconds=2),
        state=DeliveryState.DELIVERED,
        status="03",
        status_at=NOW + timedelta(seconds=4),
    )
    # What the sender itself asks is no word of the addressee.
    assert (rows[DEPARTMENT].delivery_id, rows[DEPARTMENT].status) == (untouched, None)
    assert (rows[DEPARTMENT].state, rows[DEPARTMENT].acknowledged_at) == (DeliveryState.AVAILABLE, None)


async def test_pages_of_any_size_hold_every_row_once_newest_first(idle_house: House) -> None:
    house = idle_house
    sender = await house.a_system(COMMUNE, PROVINCE, dialect="vxp", seal=False)
    await house.a_system(MINISTRY, DISTRICT, DEPARTMENT, seal=False)
    documents = []
    for number, addressees in enumerate([(DISTRICT,), (DISTRICT, DEPARTMENT, MINISTRY), (MINISTRY, DISTRICT)] * 2):
        house.clock.forward(seconds=1)
        packet = house.packet(None, sender=(COMMUNE, PROVINCE)[number % 2], to=addressees)
        document = (await house.submit(sender, packet)).document_id
        keys = sorted(house.register.code_key(code) for code in addressees)
        documents.append([(document, key) for key in keys])
    expected = [row for rows in reversed(documents) for row in rows]
    for limit in (1, 2, 3, 5, 12, 100):
        items = await in_pages(house, sender, limit)
        assert [(item.document_id, house.register.code_key(item.addressee)) for item in items] == expected
    # Nothing has been opened yet.
    assert {(item.delivery_id, item.state) for item in items} == {(None, None)}


async def test_a_further_dispatch_adds_its_addressees_to_the_document(idle_house: House) -> None:
    house = idle_house
    sender, _ = await centres(house, DISTRICT, DEPARTMENT)
    packet = house.packet(None, to=(DISTRICT, DEPARTMENT))
    for asked in ((DISTRICT,), (DISTRICT, DEPARTMENT), (DEPARTMENT,)):
        await house.submit(sender, packet, addressees=asked)
    assert sorted(item.addressee for item in await in_pages(house, sender, 1)) == sorted([DISTRICT, DEPARTMENT])


async def test_the_list_is_narrowed_to_a_document_or_a_span_of_time(idle_house: House) -> None:
    house = idle_house
    sender, _ = await centres(house, DISTRICT)
    documents: list[UUID] = []
    for _ in range(4):
        documents.append((await house.submit(sender, house.packet(None))).document_id)
        house.clock.forward(seconds=10)
    one = await sent(house, sender, document_id=documents[1])
    assert [item.document_id for item in one] == [documents[1]]
    assert await sent(house, sender, document_id=uuid4()) == ()
    since, until = NOW + timedelta(seconds=10), NOW + timedelta(seconds=30)
    for limit in (1, 50):
        found = await in_pages(house, sender, limit, since=since, until=until)
        assert [item.document_id for item in found] == [documents[2], documents[1]]


async def test_others_see_nothing_of_it(idle_house: House) -> None:
    house = idle_house
    sender, (receiver,) = await centres(house, DISTRICT)
    reader = await house.a_system(COMMUNE, name="reader", roles=[Role.READER], seal=False)
    document = (await house.submit(sender, house.packet(None))).document_id
    for system in (receiver, reader):
        assert await sent(house, system) == await sent(house, system, document_id=document) == ()
    token = await house.register.token(sender, scope="inbox")
    assert (await house.refusal(LIST_SENT, ListSent(token=token))).problem_code == "scope-missing"
    wrong = ListSent(token=await house.register.token(sender), cursor="bnVsbA")
    assert (await house.refusal(LIST_SENT, wrong)).problem_code == "request-invalid"


@pytest.mark.parametrize(
    "business",
    [
        Business(type=1, reason="Ban hành nhầm", document_id="D-1"),
        Business(
            type=2,
            document_id="D-1",
            info=BusinessDocumentInfo(
                content_changed=False,
                receivers_changed=True,
                receivers=(Receiver(organ_id=DISTRICT, receiver_type=1),),
            ),
        ),
        Business(type=3, replacements=(Replacement(document_id="D-1", organ_ids=(DISTRICT,)),)),
    ],
    ids=["recall", "update", "replacement"],
)
async def test_recalls_updates_and_replacements_are_listed_as_what_they_are(house: House, business: Business) -> None:
    sender, (receiver,) = await centres(house, DISTRICT)
    _, delivery = await arrived(house, sender, receiver, business=business)
    (received,) = await house.inbox(receiver)
    (row,) = await sent(house, sender)
    assert (received.delivery_id, received.business_type, row.business_type) == (delivery, business.type, business.type)


async def test_a_packet_from_another_agency_than_the_request_names_is_refused(house: House) -> None:
    sender = await house.a_system(COMMUNE, PROVINCE, dialect="vxp", seal=False)
    await house.a_system(DISTRICT, seal=False)
    packet = house.packet(None, sender=COMMUNE)
    for named in (PROVINCE, "H99.nowhere"):
        refusal = await house.refusal(SUBMIT_DOCUMENT, await house.submission(sender, packet, sender=named))
        assert (refusal.problem_code, refusal.errors[0].code) == ("sender-not-yours", "sender-differs")
        assert named in refusal.detail
        assert COMMUNE in refusal.detail
    # Either form of the code will do.
    assert (await house.submit(sender, packet, sender="000.01.36.H43")).created


async def test_a_system_of_the_national_dialect_needs_no_seal_and_the_receipt_says_so(house: House) -> None:
    sender, _ = await centres(house, DISTRICT)
    submitted = await house.submit(sender, house.packet(None))
    assert '"signature-missing"' in submitted.body
    rest = await house.a_system(PROVINCE, seal=False)
    refusal = await house.refusal(SUBMIT_DOCUMENT, await house.submission(rest, house.packet(None, sender=PROVINCE)))
    assert refusal.problem_code == "signature-missing"
