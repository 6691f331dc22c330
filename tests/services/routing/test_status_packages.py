"""Status packages: they find their document, do what a report over REST does, and travel on as they came."""

import asyncio
from datetime import UTC, datetime

import pytest

from shared.contracts.registry import Role
from shared.contracts.routing import (
    LIST_STATUSES,
    READ_JOURNEY,
    SUBMIT_STATUS,
    ChooseDelivery,
    DeliveryState,
    ReadDocument,
    StatusesReported,
)
from shared.testing.packets import a_packet
from tests.services.routing.conftest import COMMUNE, DEPARTMENT, DISTRICT, MINISTRY, PROVINCE, House
from tests.services.routing.statuses import TRIPLE, arrived, centres, report, request_of, say, waiting


@pytest.mark.parametrize("code", ["01", "02", "03", "04", "05", "06", "15", "16"])
async def test_what_an_addressee_says_reaches_the_sender(house: House, code: str) -> None:
    sender, (receiver,) = await centres(house, DISTRICT)
    document, delivery = await arrived(house, sender, receiver)
    house.clock.forward(seconds=1)
    packet = report(code=code)
    said = await say(house, receiver, packet, sender=DISTRICT)
    assert said.created
    (item,) = await waiting(house, sender)
    assert (item.status_id, item.from_agency, item.to_agency, item.code) == (said.status_id, DISTRICT, COMMUNE, code)
    assert (item.document_id, item.delivery_id, item.state) == (document, delivery, DeliveryState.AVAILABLE)
    assert item.sender_document_id == TRIPLE.format(sender=COMMUNE, number=1)
    assert await waiting(house, receiver) == ()
    stored = await house.rows("SELECT bytes_sha256, bytes_size FROM routing.status_items")
    assert [tuple(row) for row in stored] == [(await house.put(packet), len(packet))]


async def test_a_package_does_what_a_report_over_rest_does(house: House) -> None:
    sender, (receiver,) = await centres(house, DISTRICT)
    document, delivery = await arrived(house, sender, receiver)
    house.clock.forward(seconds=1)
    at = datetime(2024, 12, 31, 1, 2, 3, tzinfo=UTC)
    said = await say(house, receiver, report(code="03", description="Đã tiếp nhận", at=at))
    shown = (await house.document(sender, document)).addressees[0]
    assert (shown.statuses, shown.state) == (("03",), DeliveryState.AVAILABLE)
    token = await house.register.token(receiver)
    (entry,) = (await house.ask(LIST_STATUSES, ChooseDelivery(token=token, delivery_id=delivery))).items
    assert (entry.status_id, entry.description, entry.happened_at) == (said.status_id, "Đã tiếp nhận", at)
    asked = ReadDocument(token=await house.register.token(sender), document_id=document)
    kinds = [(one.kind, one.code, one.by) for one in (await house.ask(READ_JOURNEY, asked)).items]
    assert ("status", "03", receiver) in kinds
    assert house.register.code_key(COMMUNE) in house.hinted

    async def is_published() -> bool:
        return bool(house.events(StatusesReported))

    await house.until(is_published)
    (fact,) = house.events(StatusesReported)[0].items
    assert (fact.status_id, fact.code, fact.addressee_key) == (said.status_id, "03", None)


async def test_a_repeated_package_is_the_same_status(house: House) -> None:
    sender, (receiver,) = await centres(house, DISTRICT)
    await arrived(house, sender, receiver)
    request = await request_of(house, receiver, report(), idempotency_key="k")
    answers = await asyncio.gather(*(house.ask(SUBMIT_STATUS, request) for _ in range(6)))
    bare = await say(house, receiver, report())
    assert sum(answer.created for answer in (*answers, bare)) == 1
    assert len({answer.status_id for answer in (*answers, bare)}) == 1
    assert await house.count("status_items") == 1
    other = await request_of(house, receiver, report(code="03"), idempotency_key="k")
    assert (await house.refusal(SUBMIT_STATUS, other)).problem_code == "idempotency-key-reused"


async def test_the_document_is_found_by_its_code_where_the_document_id_is_not_known(house: House) -> None:
    sender, (receiver,) = await centres(house, DISTRICT)
    document, _ = await arrived(house, sender, receiver, number="12", document_id="one of the sender's own making")
    await say(house, receiver, report(document_id="f3c1a4f0-0000-4000-8000-000000000001"))
    (item,) = await waiting(house, sender)
    assert (item.document_id, item.sender_document_id) == (document, "one of the sender's own making")


async def test_the_document_is_found_by_the_third_part_of_a_document_id(house: House) -> None:
    sender, (receiver,) = await centres(house, DISTRICT)
    document, _ = await arrived(house, sender, receiver, number="77", document_id="77 in our own book")
    packet = report(document_id=TRIPLE.format(sender="000.01.36.H43", number=77))
    assert b"12/UBND-VP" in packet  # the code of another document, which is not there
    await say(house, receiver, packet)
    assert [item.document_id for item in await waiting(house, sender)] == [document]


async def test_of_two_documents_with_one_number_the_newest_is_meant(house: House) -> None:
    sender, (receiver,) = await centres(house, DISTRICT)
    await arrived(house, sender, receiver, number="12", document_id="last year's")
    house.clock.forward(seconds=60)
    newest, _ = await arrived(house, sender, receiver, number="12", document_id="this year's")
    await say(house, receiver, report(document_id="unheard of"))
    assert [item.document_id for item in await waiting(house, sender)] == [newest]


async def test_both_forms_of_a_code_name_the_same_agency(house: House) -> None:
    sender, (receiver,) = await centres(house, DISTRICT)
    document, _ = await arrived(house, sender, receiver)
    await say(house, receiver, report(sender="000.00.36.H43", to="000.01.36.H43"), sender=DISTRICT)
    assert [item.document_id for item in await waiting(house, sender)] == [document]


async def test_a_status_of_an_unknown_document_is_refused_in_words(house: House) -> None:
    sender, (receiver, other) = await centres(house, DISTRICT, DEPARTMENT)
    await arrived(house, sender, receiver, number="12")
    unknown = await request_of(house, receiver, report(document_id="nobody's", to=PROVINCE))
    refusal = await house.refusal(SUBMIT_STATUS, unknown)
    assert (refusal.problem_code, refusal.errors[0].code) == ("not-found", "status-document-unknown")
    assert "nobody's" in refusal.detail
    # A document that went to others is as unknown.
    foreign = await request_of(house, other, report(sender=DEPARTMENT))
    assert (await house.refusal(SUBMIT_STATUS, foreign)).problem_code == "not-found"
    assert await house.count("status_reports") == 0


async def test_nobody_reports_in_anothers_name(house: House) -> None:
    sender, (receiver,) = await centres(house, DISTRICT)
    reader = await house.a_system(DISTRICT, name="reader", roles=[Role.READER], seal=False)
    stranger = await house.a_system(MINISTRY, seal=False)
    await arrived(house, sender, receiver)
    for system, named, code in (
        (reader, None, "sender-not-yours"),
        (stranger, None, "sender-not-yours"),
        (receiver, DEPARTMENT, "sender-differs"),
        (receiver, "H99.nowhere", "sender-differs"),
    ):
        refusal = await house.refusal(SUBMIT_STATUS, await request_of(house, system, report(), sender=named))
        assert (refusal.problem_code, refusal.errors[0].code) == ("sender-not-yours", code)
    narrowed = (await request_of(house, receiver, report())).model_copy(
        update={"token": await house.register.token(receiver, agencies=(MINISTRY,))}
    )
    assert (await house.refusal(SUBMIT_STATUS, narrowed)).problem_code == "agency-not-yours"


async def test_a_document_is_no_status(house: House) -> None:
    _, (receiver,) = await centres(house, DISTRICT)
    refusal = await house.refusal(SUBMIT_STATUS, await request_of(house, receiver, a_packet()))
    assert (refusal.problem_code, refusal.errors[0].code) == ("packet-invalid", "document-package")


async def test_a_sender_asks_a_document_back_from_one_addressee(house: House) -> None:
    sender, (one, other) = await centres(house, DISTRICT, DEPARTMENT)
    document, delivery = await arrived(house, sender, one, to=(DISTRICT, DEPARTMENT))
    await house.arrival(other, document)
    packet = report(sender=COMMUNE, to=DISTRICT, code="13")
    # What the client object carries along from sending the document makes no difference.
    said = await say(house, sender, packet, addressees=(DISTRICT, DEPARTMENT))
    (item,) = await waiting(house, one)
    assert (item.status_id, item.delivery_id, item.code) == (said.status_id, delivery, "13")
    assert (item.from_agency, item.to_agency) == (COMMUNE, DISTRICT)
    assert await waiting(house, other) == await waiting(house, sender) == ()
    token = await house.register.token(one)
    history = (await house.ask(LIST_STATUSES, ChooseDelivery(token=token, delivery_id=delivery))).items
    assert [(entry.agency, entry.code) for entry in history] == [(COMMUNE, "13")]

    async def is_published() -> bool:
        return bool(house.events(StatusesReported))

    await house.until(is_published)
    (fact,) = house.events(StatusesReported)[0].items
    assert fact.addressee_key == house.register.code_key(DISTRICT)


@pytest.mark.parametrize(("named", "asked"), [((), {DISTRICT, DEPARTMENT}), ((DEPARTMENT,), {DEPARTMENT})])
async def test_a_document_is_asked_back_from_all_or_from_those_named(
    house: House, named: tuple[str, ...], asked: set[str]
) -> None:
    sender, receivers = await centres(house, DISTRICT, DEPARTMENT)
    document, _ = await arrived(house, sender, receivers[0], to=(DISTRICT, DEPARTMENT))
    await house.arrival(receivers[1], document)
    packet = report(sender=COMMUNE, to=COMMUNE, code="13")
    first = await say(house, sender, packet, addressees=named)
    again = await say(house, sender, packet, addressees=named)
    assert (first.created, again.created, again.status_id) == (True, False, first.status_id)
    items = [item for receiver in receivers for item in await waiting(house, receiver)]
    assert {item.to_agency for item in items} == asked
    assert first.status_id == min(item.status_id for item in items)


async def test_only_the_sender_of_a_document_asks_it_back(house: House) -> None:
    sender, (receiver,) = await centres(house, DISTRICT)
    await arrived(house, sender, receiver)
    packet = report(sender=DISTRICT, to=COMMUNE, code="13")
    assert (await house.refusal(SUBMIT_STATUS, await request_of(house, receiver, packet))).problem_code == "not-found"
    token = await house.register.token(sender, scope="inbox acknowledge")
    unscoped = (await request_of(house, sender, report(sender=COMMUNE, to=DISTRICT, code="13"))).model_copy(
        update={"token": token}
    )
    assert (await house.refusal(SUBMIT_STATUS, unscoped)).problem_code == "scope-missing"
