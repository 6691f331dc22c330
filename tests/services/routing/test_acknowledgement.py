"""Acknowledgement: one result in each series, by the receiving system, with evidence."""

import asyncio
from uuid import UUID

import pytest

from shared.contracts.base import Nothing
from shared.contracts.registry import Role
from shared.contracts.routing import (
    ACKNOWLEDGE,
    CANCEL,
    LIST_FAILED,
    READ_JOURNEY,
    REQUEUE,
    Acknowledge,
    Acknowledged,
    ActOnDeliveries,
    DeliveriesChanged,
    DeliveryState,
    ListFailed,
    ReadDocument,
)
from shared.contracts.signing import READ_KEYS
from shared.jose import EVIDENCE, from_jwks, verify_compact
from tests.services.routing.conftest import COMMUNE, DISTRICT, PROVINCE, URL, House


async def delivered_to(house: House, sender: str, receiver: str) -> tuple[UUID, UUID]:
    """
    Send a document and wait for it; gives document and delivery.
    """
    submitted = await house.submit(sender, to=(DISTRICT,))
    item = await house.arrival(receiver, submitted.document_id)
    return submitted.document_id, item.delivery_id


async def acknowledge(house: House, system: str, delivery_id: UUID, result: str, reason: str = "") -> Acknowledged:
    token = await house.register.token(system)
    request = Acknowledge(token=token, delivery_id=delivery_id, result=result, reason=reason)
    return await house.ask(ACKNOWLEDGE, request)


async def refusal(house: House, system: str, delivery_id: UUID, result: str) -> str:
    token = await house.register.token(system)
    request = Acknowledge(token=token, delivery_id=delivery_id, result=result)
    return (await house.refusal(ACKNOWLEDGE, request)).problem_code


async def claims(house: House, statement: str) -> dict[str, object]:
    keys = await house.ask(READ_KEYS, Nothing())
    return verify_compact(statement, typ=EVIDENCE, keys=from_jwks(keys.evidence_keys))


async def test_done_before_any_fetch_is_refused(house: House) -> None:
    sender, receiver = await house.a_system(COMMUNE), await house.a_system(DISTRICT)
    _, delivery = await delivered_to(house, sender, receiver)
    assert await refusal(house, receiver, delivery, "done") == "not-fetched"


async def test_the_same_again_gets_what_is_stored_and_the_other_result_is_a_conflict(house: House) -> None:
    sender, receiver = await house.a_system(COMMUNE), await house.a_system(DISTRICT)
    _, delivery = await delivered_to(house, sender, receiver)
    await house.fetch(receiver, delivery)
    first = await acknowledge(house, receiver, delivery, "done")
    again = await acknowledge(house, receiver, delivery, "done")
    assert (again.created, again.evidence, again.acknowledged_at) == (False, first.evidence, first.acknowledged_at)
    assert await refusal(house, receiver, delivery, "fail") == "acknowledgement-conflict"
    said = await claims(house, first.evidence)
    assert (said["iss"], said["event"], said["series"]) == (URL, "ContentConsignment", 1)
    assert (said["sender"], said["addressee"], said["delivery_id"]) == (COMMUNE, DISTRICT, str(delivery))


async def test_many_at_once_leave_one_acknowledgement(house: House) -> None:
    sender, receiver = await house.a_system(COMMUNE), await house.a_system(DISTRICT)
    _, delivery = await delivered_to(house, sender, receiver)
    await house.fetch(receiver, delivery)
    answers = await asyncio.gather(
        *(acknowledge(house, receiver, delivery, result) for result in ("done", "fail") * 6), return_exceptions=True
    )
    good = [answer for answer in answers if isinstance(answer, Acknowledged)]
    assert len({answer.evidence for answer in good}) == 1
    assert sum(answer.created for answer in good) == 1
    codes = {getattr(answer, "problem_code", "") for answer in answers if not isinstance(answer, Acknowledged)}
    assert codes == {"acknowledgement-conflict"}
    assert await house.count("acknowledgements") == 1
    await house.check_invariants()


async def test_a_reader_sees_and_may_not_acknowledge_and_a_stranger_sees_nothing(house: House) -> None:
    sender, receiver = await house.a_system(COMMUNE), await house.a_system(DISTRICT)
    reader = await house.a_system(DISTRICT, name="reader", roles=[Role.READER])
    stranger = await house.a_system(PROVINCE)
    _, delivery = await delivered_to(house, sender, receiver)
    await house.fetch(reader, delivery)
    assert await refusal(house, reader, delivery, "done") == "agency-not-yours"
    assert await refusal(house, stranger, delivery, "done") == "not-found"
    assert await refusal(house, sender, delivery, "done") == "not-found"


async def test_a_failure_tells_the_sender_and_can_be_queued_again(house: House) -> None:
    sender, receiver = await house.a_system(COMMUNE), await house.a_system(DISTRICT)
    document, delivery = await delivered_to(house, sender, receiver)
    failed = await acknowledge(house, receiver, delivery, "fail", "không mở được tệp")
    assert failed.state is DeliveryState.FAILED
    said = await claims(house, failed.evidence)
    assert (said["event"], said["requeue_possible"], said["series"]) == ("ContentConsignmentFailure", True, 1)
    assert house.register.code_key(COMMUNE) in house.hinted
    shown = (await house.document(sender, document)).addressees[0]
    assert (shown.state, shown.reason, shown.reason_code, shown.requeue_possible) == (
        DeliveryState.FAILED,
        "không mở được tệp",
        "refused-by-addressee",
        True,
    )
    operator = await house.register.token(sender)
    listed = await house.ask(LIST_FAILED, ListFailed(token=operator, agency=DISTRICT))
    assert [(one.delivery_id, one.agency, one.series) for one in listed.items] == [(delivery, DISTRICT, 1)]

    act = ActOnDeliveries(token=operator, delivery_ids=(delivery,), reason="đã sửa")
    requeued = await house.ask(REQUEUE, act)
    assert [(one.state, one.code) for one in requeued.items] == [(DeliveryState.QUEUED, "")]
    item = await house.arrival(receiver, document)
    assert (item.delivery_id, item.series, item.state) == (delivery, 2, DeliveryState.AVAILABLE)
    await house.fetch(receiver, delivery)
    done = await acknowledge(house, receiver, delivery, "done")
    assert (done.created, done.series) == (True, 2)
    journey = await house.ask(READ_JOURNEY, ReadDocument(token=operator, document_id=document))
    told = [(entry.to_state, entry.series) for entry in journey.items if entry.kind == "delivery"]
    assert told == [
        ("available", 1),
        ("failed", 1),
        ("queued", 2),
        ("available", 2),
        ("fetched", 2),
        ("delivered", 2),
    ]

    async def is_published() -> bool:
        steps = [step for event in house.events(DeliveriesChanged) for step in event.items]
        return [step.to_state for step in steps if step.evidence_sha256] == [
            DeliveryState.FAILED,
            DeliveryState.DELIVERED,
        ]

    await house.until(is_published)
    await house.check_invariants()


async def test_only_failed_deliveries_are_queued_again_and_each_is_answered_for_itself(house: House) -> None:
    sender, receiver = await house.a_system(COMMUNE), await house.a_system(DISTRICT)
    _, failed = await delivered_to(house, sender, receiver)
    _, waiting = await delivered_to(house, sender, receiver)
    await acknowledge(house, receiver, failed, "fail")
    nobody = UUID(int=7)
    token = await house.register.token(sender)
    act = ActOnDeliveries(token=token, delivery_ids=(waiting, failed, nobody), reason="thử lại")
    results = await house.ask(REQUEUE, act)
    assert [(one.delivery_id, one.code) for one in results.items] == [
        (waiting, "illegal-step"),
        (failed, ""),
        (nobody, "not-found"),
    ]


async def test_a_failed_delivery_is_cancelled_with_evidence_and_for_good(house: House) -> None:
    sender, receiver = await house.a_system(COMMUNE), await house.a_system(DISTRICT)
    document, delivery = await delivered_to(house, sender, receiver)
    await acknowledge(house, receiver, delivery, "fail")
    token = await house.register.token(sender)
    act = ActOnDeliveries(token=token, delivery_ids=(delivery,), reason="gửi nhầm")
    assert [one.state for one in (await house.ask(CANCEL, act)).items] == [DeliveryState.CANCELLED]
    assert [one.code for one in (await house.ask(CANCEL, act)).items] == ["illegal-step"]
    assert [one.code for one in (await house.ask(REQUEUE, act)).items] == ["illegal-step"]
    assert not (await acknowledge(house, receiver, delivery, "fail")).created
    shown = (await house.document(sender, document)).addressees[0]
    assert (shown.state, shown.requeue_possible) == (DeliveryState.CANCELLED, False)
    await house.check_invariants()


@pytest.mark.parametrize("operation", [REQUEUE, CANCEL])
async def test_operating_needs_the_scope(house: House, operation: type) -> None:
    system = await house.a_system(COMMUNE)
    token = await house.register.token(system, "send inbox acknowledge")
    act = ActOnDeliveries(token=token, delivery_ids=(UUID(int=7),), reason="x")
    assert (await house.refusal(operation, act)).problem_code == "scope-missing"


async def test_a_late_copy_of_a_failure_does_not_fail_the_next_series(house: House) -> None:
    # The bus may hand an ask over twice; the copy came after the requeue and once failed the second series unseen.
    sender, receiver = await house.a_system(COMMUNE), await house.a_system(DISTRICT)
    operator = await house.a_system(PROVINCE)
    _, delivery = await delivered_to(house, sender, receiver)
    token = await house.register.token(receiver)
    said = Acknowledge(token=token, delivery_id=delivery, result="fail", reason="đĩa đầy", idempotency_key="once")
    first = await house.ask(ACKNOWLEDGE, said)
    order = ActOnDeliveries(token=await house.register.token(operator), delivery_ids=(delivery,), reason="đã có chỗ")
    await house.ask(REQUEUE, order)
    copy = await house.ask(ACKNOWLEDGE, said)
    assert (first.created, copy.created, copy.series, copy.evidence) == (True, False, 1, first.evidence)
    assert copy.state is not DeliveryState.FAILED
    other = said.model_copy(update={"result": "done"})
    assert (await house.refusal(ACKNOWLEDGE, other)).problem_code == "idempotency-key-reused"
