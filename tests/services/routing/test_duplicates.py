"""The same again gets the same bytes; anything else under the same name is a conflict."""

import asyncio
import json
from datetime import date, timedelta

from shared.contracts.routing import READ_RECEIPT, SUBMIT_DOCUMENT, DocumentAccepted, ReadReceipt
from tests.services.routing.conftest import COMMUNE, DEPARTMENT, DISTRICT, NOW, PROVINCE, House, an_agency


async def test_twenty_at_once_become_one_document_with_one_receipt(house: House) -> None:
    system = await house.a_system(COMMUNE)
    request = await house.submission(system, house.packet(system, to=(DISTRICT, DEPARTMENT)))
    answers = await asyncio.gather(*(house.ask(SUBMIT_DOCUMENT, request) for _ in range(20)))
    assert len({answer.body for answer in answers}) == 1
    assert sum(answer.created for answer in answers) == 1
    assert [await house.count(table) for table in ("documents", "dispatches", "dispatch_chunks")] == [1, 1, 1]
    await house.check_invariants()


async def test_twenty_at_once_under_one_key_become_one_document(house: House) -> None:
    system = await house.a_system(COMMUNE)
    request = await house.submission(system, house.packet(system), idempotency_key="key-1")
    answers = await asyncio.gather(*(house.ask(SUBMIT_DOCUMENT, request) for _ in range(20)))
    assert len({answer.body for answer in answers}) == 1
    assert [await house.count(table) for table in ("documents", "idempotency_keys")] == [1, 1]


async def test_a_race_of_two_contents_under_one_document_id_has_one_winner(house: House) -> None:
    system = await house.a_system(COMMUNE)
    requests = [await house.submission(system, house.packet(system, document_id="same")) for _ in range(6)]
    answers = await asyncio.gather(*(house.ask(SUBMIT_DOCUMENT, one) for one in requests), return_exceptions=True)
    codes = [getattr(answer, "problem_code", "accepted") for answer in answers]
    assert sorted(codes) == ["accepted"] + ["document-id-reused"] * 5
    assert await house.count("documents") == 1


async def test_a_race_of_two_requests_under_one_key_has_one_winner(house: House) -> None:
    system = await house.a_system(COMMUNE)
    requests = [await house.submission(system, house.packet(system), idempotency_key="key-1") for _ in range(6)]
    answers = await asyncio.gather(*(house.ask(SUBMIT_DOCUMENT, one) for one in requests), return_exceptions=True)
    codes = [getattr(answer, "problem_code", "accepted") for answer in answers]
    assert sorted(codes) == ["accepted"] + ["idempotency-key-reused"] * 5
    assert await house.count("documents") == 1


async def test_a_repeat_gets_its_answer_even_when_the_sender_could_not_send_it_any_more(house: House) -> None:
    system = await house.a_system(COMMUNE)
    packet = house.packet(system, to=(DISTRICT,))
    first = await house.submit(system, packet)
    entry = house.register.systems[system][1]
    house.register.put_system(entry.model_copy(update={"seals": ()}))
    house.register.put_agency(an_agency(DISTRICT, valid_to=NOW))
    house.clock.forward(seconds=6)
    again = await house.submit(system, packet)
    assert (again.created, again.body) == (False, first.body)


async def test_a_key_used_for_a_repeat_is_remembered(house: House) -> None:
    system = await house.a_system(COMMUNE)
    packet = house.packet(system)
    first = await house.submit(system, packet)
    assert (await house.submit(system, packet, idempotency_key="late")).body == first.body
    other = await house.submission(system, house.packet(system), idempotency_key="late")
    assert (await house.refusal(SUBMIT_DOCUMENT, other)).problem_code == "idempotency-key-reused"


async def test_keys_are_scoped_by_system_and_document_ids_by_sender(house: House) -> None:
    one, two = await house.a_system(COMMUNE), await house.a_system(PROVINCE)
    first = await house.submit(one, house.packet(one, document_id="d"), idempotency_key="k")
    second = await house.submit(two, house.packet(two, sender=PROVINCE, document_id="d"), idempotency_key="k")
    assert first.created
    assert second.created


async def test_another_set_of_addressees_is_a_further_dispatch_that_opens_only_what_is_new(house: House) -> None:
    sender, district = await house.a_system(COMMUNE), await house.a_system(DISTRICT)
    packet = house.packet(sender, to=(DISTRICT, DEPARTMENT, PROVINCE))
    first = await house.submit(sender, packet, addressees=(DISTRICT,))
    second = await house.submit(sender, packet, addressees=(DISTRICT, DEPARTMENT))
    third = await house.submit(sender, packet, addressees=("000.00.36.H43",) and (DISTRICT,))
    assert (first.document_id, third.body) == (second.document_id, first.body)
    assert first.body != second.body
    assert json.loads(second.body)["addressees"] == [DISTRICT, DEPARTMENT]

    async def is_open() -> bool:
        return (await house.document(sender, first.document_id)).counts == {"available": 2}

    await house.until(is_open)
    assert len(await house.inbox(district)) == 1
    dispatches = await house.rows("SELECT addressee_count, opening_count FROM routing.dispatches ORDER BY id")
    assert [tuple(row) for row in dispatches] == [(1, 1), (2, 1)]
    token = await house.register.token(sender)
    dispatch_id = json.loads(second.body)["dispatch_id"]
    asked = ReadReceipt(token=token, document_id=first.document_id, dispatch_id=dispatch_id)
    assert (await house.ask(READ_RECEIPT, asked)).receipt == json.loads(second.body)["receipt"]

    async def is_published() -> bool:
        return [event.first_dispatch for event in house.events(DocumentAccepted)] == [True, False]

    await house.until(is_published)
    await house.check_invariants()


async def test_only_addressees_of_the_packet_can_be_named(house: House) -> None:
    system = await house.a_system(COMMUNE)
    request = await house.submission(system, house.packet(system, to=(DISTRICT,)), addressees=(DISTRICT, PROVINCE))
    refusal = await house.refusal(SUBMIT_DOCUMENT, request)
    assert (refusal.problem_code, [error.code for error in refusal.errors]) == (
        "addressees-refused",
        ["addressee-not-in-packet"],
    )


async def test_two_sets_at_once_never_open_a_delivery_twice(house: House) -> None:
    system = await house.a_system(COMMUNE)
    packet = house.packet(system, to=(DISTRICT, DEPARTMENT, PROVINCE))
    sets = [(DISTRICT, DEPARTMENT), (DEPARTMENT, PROVINCE), (DISTRICT, PROVINCE), ()] * 2
    requests = [await house.submission(system, packet, addressees=one) for one in sets]
    answers = await asyncio.gather(*(house.ask(SUBMIT_DOCUMENT, one) for one in requests))
    assert len({answer.document_id for answer in answers}) == 1
    assert len({answer.body for answer in answers}) == 4

    async def is_open() -> bool:
        return (await house.document(system, answers[0].document_id)).counts == {"available": 3}

    await house.until(is_open)
    await house.check_invariants()


async def test_the_same_codes_mean_the_same_dispatch_after_a_code_changed_hands(house: House) -> None:
    system = await house.a_system(COMMUNE)
    packet = house.packet(system, to=(DISTRICT,))
    first = await house.submit(system, packet)
    house.register.put_agency(an_agency(DISTRICT, valid_to=NOW))
    house.register.put_agency(an_agency(DISTRICT, opened=date(2024, 12, 30)))
    house.clock.forward(seconds=6)
    house.clock.moment += timedelta(seconds=1)
    assert (await house.submit(system, packet)).body == first.body
