"""Mailboxes and statuses: who sees what, and what fetching does."""

import asyncio
import base64
import json
from uuid import UUID

import pytest

from shared.contracts.registry import Role
from shared.contracts.routing import (
    DESCRIBE_ATTACHMENT,
    DESCRIBE_PACKET,
    LIST_DOCUMENTS,
    LIST_INBOX,
    LIST_STATUSES,
    OPEN_ATTACHMENT,
    OPEN_PACKET,
    READ_DELIVERY,
    READ_DOCUMENT,
    REPORT_STATUS,
    ChooseDelivery,
    DeliveryState,
    ListDocuments,
    ListInbox,
    OpenAttachment,
    ReadDocument,
    ReportStatus,
    StaffInfo,
    StatusesReported,
)
from tests.services.routing.conftest import COMMUNE, DEPARTMENT, DISTRICT, MINISTRY, PROVINCE, House


async def arrived(house: House, sender: str, receiver: str, **values: object) -> tuple[UUID, UUID]:
    submitted = await house.submit(sender, **values)
    return submitted.document_id, (await house.arrival(receiver, submitted.document_id)).delivery_id


async def test_only_opening_bytes_counts_as_fetching(house: House) -> None:
    sender, receiver = await house.a_system(COMMUNE), await house.a_system(DISTRICT)
    _, delivery = await arrived(house, sender, receiver)
    token = await house.register.token(receiver)
    choose, attachment = (
        ChooseDelivery(token=token, delivery_id=delivery),
        OpenAttachment(token=token, delivery_id=delivery, n=0),
    )
    await house.ask(READ_DELIVERY, choose)
    packet = await house.ask(DESCRIBE_PACKET, choose)
    file = await house.ask(DESCRIBE_ATTACHMENT, attachment)
    assert [item.state for item in await house.inbox(receiver)] == [DeliveryState.AVAILABLE]
    assert await house.ask(OPEN_PACKET, choose) == packet
    assert await house.ask(OPEN_ATTACHMENT, attachment) == file
    assert [item.state for item in await house.inbox(receiver)] == [DeliveryState.FETCHED]
    steps = await house.rows("SELECT to_state FROM routing.delivery_steps ORDER BY id")
    assert [row[0] for row in steps] == ["available", "fetched"]


async def test_many_fetches_at_once_are_one_step(house: House) -> None:
    sender, receiver = await house.a_system(COMMUNE), await house.a_system(DISTRICT)
    _, delivery = await arrived(house, sender, receiver)
    token = await house.register.token(receiver)
    attachment = OpenAttachment(token=token, delivery_id=delivery, n=0)
    await asyncio.gather(*(house.ask(OPEN_ATTACHMENT, attachment) for _ in range(10)))
    assert await house.count("delivery_steps") == 2


async def test_a_lost_attachment_is_decoded_again(house: House) -> None:
    sender, receiver = await house.a_system(COMMUNE), await house.a_system(DISTRICT)
    _, delivery = await arrived(house, sender, receiver)
    token = await house.register.token(receiver)
    attachment = OpenAttachment(token=token, delivery_id=delivery, n=0)
    first = await house.ask(OPEN_ATTACHMENT, attachment)
    house.blobs.path(first.sha256).unlink()
    assert await house.ask(OPEN_ATTACHMENT, attachment) == first
    assert await house.blobs.exists(first.sha256)


async def test_there_is_no_attachment_beyond_the_last(house: House) -> None:
    sender, receiver = await house.a_system(COMMUNE), await house.a_system(DISTRICT)
    _, delivery = await arrived(house, sender, receiver)
    token = await house.register.token(receiver)
    beyond = OpenAttachment(token=token, delivery_id=delivery, n=1)
    assert (await house.refusal(OPEN_ATTACHMENT, beyond)).problem_code == "not-found"


async def test_others_and_the_sender_cannot_see_a_delivery(house: House) -> None:
    sender, receiver = await house.a_system(COMMUNE), await house.a_system(DISTRICT)
    stranger = await house.a_system(PROVINCE)
    _, delivery = await arrived(house, sender, receiver)
    for system in (sender, stranger):
        token = await house.register.token(system)
        choose = ChooseDelivery(token=token, delivery_id=delivery)
        for operation in (READ_DELIVERY, OPEN_PACKET, DESCRIBE_PACKET, LIST_STATUSES):
            assert (await house.refusal(operation, choose)).problem_code == "not-found"


async def test_others_and_the_addressee_cannot_see_a_document(house: House) -> None:
    sender, receiver = await house.a_system(COMMUNE), await house.a_system(DISTRICT)
    document, _ = await arrived(house, sender, receiver)
    token = await house.register.token(receiver)
    ask = ReadDocument(token=token, document_id=document)
    assert (await house.refusal(READ_DOCUMENT, ask)).problem_code == "not-found"
    assert (await house.ask(LIST_DOCUMENTS, ListDocuments(token=token))).items == ()


async def test_a_mailbox_is_paged_and_shared_between_workers(house: House) -> None:
    sender = await house.a_system(COMMUNE)
    receiver = await house.a_system(DISTRICT, DEPARTMENT)
    documents = [
        (await house.submit(sender, to=(DISTRICT, DEPARTMENT), priority=number % 3)).document_id for number in range(4)
    ]
    for document in documents:
        await house.arrival(receiver, document)

    async def all_there() -> bool:
        return len(await house.inbox(receiver)) == 8

    await house.until(all_there)
    whole = [item.delivery_id for item in await house.inbox(receiver)]
    token = await house.register.token(receiver)
    paged: list[UUID] = []
    cursor = None
    while True:
        page = await house.ask(LIST_INBOX, ListInbox(token=token, limit=3, cursor=cursor))
        paged += [item.delivery_id for item in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert paged == whole
    shards = [[item.delivery_id for item in await house.inbox(receiver, shard=shard, shards=3)] for shard in range(3)]
    assert sorted(one for shard in shards for one in shard) == sorted(whole)
    assert {item.agency for item in await house.inbox(receiver, agency="000.00.19.H43")} == {DEPARTMENT}
    await house.fetch(receiver, whole[0])
    assert [item.delivery_id for item in await house.inbox(receiver, state=DeliveryState.FETCHED)] == whole[:1]
    narrowed = await house.register.token(receiver, agencies=(DISTRICT,))
    assert {item.agency for item in (await house.ask(LIST_INBOX, ListInbox(token=narrowed))).items} == {DISTRICT}
    asked = ListInbox(token=narrowed, agency=DEPARTMENT)
    assert (await house.refusal(LIST_INBOX, asked)).problem_code == "agency-not-yours"


def a_cursor(*members: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(members).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        *("x", "W10", "WzEsMiwzXQ", "bnVsbA", "é"),
        a_cursor(40_000, "2026-01-01T00:00:00+00:00", str(UUID(int=1))),
        a_cursor(0, "0001-01-01T00:00:00+14:00", str(UUID(int=1))),
        a_cursor(0, "9999-12-31T23:59:59-14:00", str(UUID(int=1))),
    ],
)
async def test_a_cursor_of_somebody_elses_making_is_refused(house: House, cursor: str) -> None:
    receiver = await house.a_system(DISTRICT)
    token = await house.register.token(receiver)
    asked = ListInbox(token=token, cursor=cursor)
    assert (await house.refusal(LIST_INBOX, asked)).problem_code == "request-invalid"


async def test_sent_documents_are_listed_newest_first_in_pages(house: House) -> None:
    sender = await house.a_system(COMMUNE, PROVINCE)
    sent = []
    for number in range(5):
        house.clock.forward(seconds=1)
        sent.append((await house.submit(sender, sender=(COMMUNE, PROVINCE)[number % 2])).document_id)
    token = await house.register.token(sender)
    listed: list[UUID] = []
    cursor = None
    while True:
        page = await house.ask(LIST_DOCUMENTS, ListDocuments(token=token, limit=2, cursor=cursor))
        listed += [item.document_id for item in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert listed == sent[::-1]
    only = await house.ask(LIST_DOCUMENTS, ListDocuments(token=token, agency=PROVINCE))
    assert [item.document_id for item in only.items] == [sent[3], sent[1]]


async def test_statuses_are_a_history_and_a_repeat_gets_the_entry_there_is(house: House) -> None:
    sender, receiver = await house.a_system(COMMUNE), await house.a_system(DISTRICT)
    document, delivery = await arrived(house, sender, receiver)
    token = await house.register.token(receiver)
    staff = StaffInfo(staff="Nguyễn Văn B", department="Văn phòng")
    seen = {}
    for code in ("01", "03", "06", "05"):
        house.clock.forward(seconds=1)
        request = ReportStatus(token=token, delivery_id=delivery, code=code, staff=staff)
        first, again = await house.ask(REPORT_STATUS, request), await house.ask(REPORT_STATUS, request)
        assert (first.created, again.created, again.status) == (True, False, first.status)
        seen[code] = first.status
    history = await house.ask(LIST_STATUSES, ChooseDelivery(token=token, delivery_id=delivery))
    assert history.items == tuple(seen.values())
    shown = (await house.document(sender, document)).addressees[0]
    assert shown.statuses == ("01", "03", "06", "05")
    assert shown.state is DeliveryState.AVAILABLE
    assert await house.count("status_items") == 4
    assert house.register.code_key(COMMUNE) in house.hinted

    async def is_published() -> bool:
        facts = [fact.code for event in house.events(StatusesReported) for fact in event.items]
        return sorted(facts) == ["01", "03", "05", "06"]

    await house.until(is_published)
    assert "Nguyễn" not in "".join(item.data for item in house.items)


@pytest.mark.parametrize("code", ["02", "16"])
async def test_returning_and_refusing_need_a_reason(house: House, code: str) -> None:
    sender, receiver = await house.a_system(COMMUNE), await house.a_system(DISTRICT)
    _, delivery = await arrived(house, sender, receiver)
    token = await house.register.token(receiver)
    bare = ReportStatus(token=token, delivery_id=delivery, code=code, description="  ")
    refusal = await house.refusal(REPORT_STATUS, bare)
    assert (refusal.problem_code, refusal.errors[0].pointer) == ("request-invalid", "/description")
    with_reason = ReportStatus(token=token, delivery_id=delivery, code=code, description="không đúng thẩm quyền")
    assert (await house.ask(REPORT_STATUS, with_reason)).created


async def test_a_status_key_is_for_one_request(house: House) -> None:
    sender, receiver = await house.a_system(COMMUNE), await house.a_system(DISTRICT)
    _, delivery = await arrived(house, sender, receiver)
    token = await house.register.token(receiver)
    request = ReportStatus(token=token, delivery_id=delivery, code="01", idempotency_key="k")
    answers = await asyncio.gather(*(house.ask(REPORT_STATUS, request) for _ in range(8)))
    assert sum(answer.created for answer in answers) == 1
    assert len({answer.status.status_id for answer in answers}) == 1
    other = ReportStatus(token=token, delivery_id=delivery, code="03", idempotency_key="k")
    assert (await house.refusal(REPORT_STATUS, other)).problem_code == "idempotency-key-reused"
    assert await house.count("status_reports") == 1


async def test_only_the_receiving_system_reports(house: House) -> None:
    sender, receiver = await house.a_system(COMMUNE), await house.a_system(DISTRICT)
    reader = await house.a_system(DISTRICT, name="reader", roles=[Role.READER])
    stranger = await house.a_system(MINISTRY)
    _, delivery = await arrived(house, sender, receiver)
    for system, code in ((reader, "agency-not-yours"), (stranger, "not-found"), (sender, "not-found")):
        token = await house.register.token(system)
        request = ReportStatus(token=token, delivery_id=delivery, code="01")
        assert (await house.refusal(REPORT_STATUS, request)).problem_code == code
