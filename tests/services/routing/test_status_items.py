"""Statuses on their way: listed until they are acknowledged, fetched as they came or as we write them, and counted."""

import asyncio
from datetime import datetime
from pathlib import Path

from services.routing.usecases.collect import collect_blobs
from shared.contracts.registry import Role
from shared.contracts.routing import (
    ACKNOWLEDGE,
    ACKNOWLEDGE_STATUS,
    COUNT_INBOX,
    LIST_STATUS_ITEMS,
    OPEN_STATUS,
    REPORT_STATUS,
    Acknowledge,
    AcknowledgeStatus,
    ChooseStatus,
    CountInbox,
    DeliveryState,
    InboxCounts,
    ListStatusItems,
    OpenBlob,
    ReportStatus,
    StaffInfo,
    StatusItem,
)
from shared.edxml import StatusReport, read_packet
from tests.services.routing.conftest import COMMUNE, DEPARTMENT, DISTRICT, MINISTRY, PROVINCE, House
from tests.services.routing.statuses import TRIPLE, arrived, centres, report, say, waiting


async def opened(house: House, system_id: str, item: StatusItem) -> OpenBlob:
    token = await house.register.token(system_id)
    return await house.ask(OPEN_STATUS, ChooseStatus(token=token, status_id=item.status_id))


def content(house: House, blob: OpenBlob) -> bytes:
    octets = house.blobs.path(blob.sha256).read_bytes()
    assert len(octets) == blob.bytes
    return octets


async def answer_of(house: House, system_id: str, item: StatusItem, result: str) -> AcknowledgeStatus:
    token = await house.register.token(system_id)
    return AcknowledgeStatus(token=token, status_id=item.status_id, result=result)


async def counts(house: House, system_id: str) -> InboxCounts:
    return await house.ask(COUNT_INBOX, CountInbox(token=await house.register.token(system_id)))


async def test_a_package_is_fetched_as_it_came(house: House) -> None:
    sender, (receiver,) = await centres(house, DISTRICT)
    await arrived(house, sender, receiver)
    packet = report().replace(b"?>\n", b"?><!-- in our own hand -->\n", 1)
    await say(house, receiver, packet)
    (item,) = await waiting(house, sender)
    house.clock.forward(seconds=1)
    blob = await opened(house, sender, item)
    assert content(house, blob) == packet
    assert blob.file_name == f"{item.status_id}.edxml"
    (listed,) = await waiting(house, sender)
    assert (listed.state, listed.changed_at) == (DeliveryState.FETCHED, house.clock.now())
    assert await opened(house, sender, item) == blob


async def test_what_was_reported_over_rest_is_written_once_in_the_words_of_the_document(
    house: House, tmp_path: Path
) -> None:
    sender = await house.a_system(COMMUNE, dialect="vxp", seal=False)
    receiver = await house.a_system(DISTRICT)
    _, delivery = await arrived(house, sender, receiver, sender="000.01.36.H43", to=("000.00.36.H43",), number="9")
    happened = datetime.fromisoformat("2024-12-31T08:30:15.250+07:00")
    token = await house.register.token(receiver)
    said = ReportStatus(
        token=token,
        delivery_id=delivery,
        code="02",
        description="Sai thẩm quyền\x07 <xem lại>",
        staff=StaffInfo(staff="Nguyễn Văn B", department="Văn phòng"),
        at=happened,
    )
    await house.ask(REPORT_STATUS, said)
    (item,) = await waiting(house, sender)
    blobs = await asyncio.gather(*(opened(house, sender, item) for _ in range(4)))
    assert len({blob.sha256 for blob in blobs}) == 1
    written = tmp_path / "status.edxml"
    written.write_bytes(content(house, blobs[0]))
    status = read_packet(written).status
    assert isinstance(status, StatusReport)
    assert (status.sender.organ_id, status.code) == ("000.00.36.H43", "02")
    assert status.response_for.organ_id == "000.01.36.H43"
    assert status.response_for.document_id == TRIPLE.format(sender="000.01.36.H43", number=9)
    assert (status.response_for.code, str(status.response_for.promulgated_on)) == ("9/UBND-VP", "2024-12-30")
    assert (status.description, status.reported_at) == ("Sai thẩm quyền  <xem lại>", happened.replace(microsecond=0))
    assert status.staff is not None
    assert (status.staff.staff, status.staff.department) == ("Nguyễn Văn B", "Văn phòng")


async def test_a_status_is_listed_until_it_is_acknowledged(house: House) -> None:
    sender, (receiver,) = await centres(house, DISTRICT)
    await arrived(house, sender, receiver)
    for code in ("01", "03", "06"):
        await say(house, receiver, report(code=code))
    first, second, third = await waiting(house, sender)
    await opened(house, sender, first)
    house.clock.forward(seconds=1)
    done = await answer_of(house, sender, first, "done")
    answers = [await house.ask(ACKNOWLEDGE_STATUS, done) for _ in range(2)]
    assert [answer.created for answer in answers] == [True, False]
    assert {(answer.state, answer.acknowledged_at) for answer in answers} == {
        (DeliveryState.DELIVERED, house.clock.now())
    }
    # A status need not be fetched: some systems care for a few codes only.
    failed = await house.ask(ACKNOWLEDGE_STATUS, await answer_of(house, sender, third, "fail"))
    assert (failed.created, failed.state) == (True, DeliveryState.FAILED)
    assert await waiting(house, sender) == (second,)
    other = await house.refusal(ACKNOWLEDGE_STATUS, await answer_of(house, sender, first, "fail"))
    assert other.problem_code == "acknowledgement-conflict"
    # What is acknowledged may still be fetched again, and stays as it is.
    await opened(house, sender, first)
    assert await waiting(house, sender) == (second,)


async def test_statuses_are_paged_oldest_first_over_all_agencies_of_a_system(house: House) -> None:
    sender = await house.a_system(COMMUNE, PROVINCE, name="centre", dialect="vxp", seal=False)
    _, (receiver,) = await centres(house, DISTRICT)
    said = []
    for number, agency in enumerate((COMMUNE, PROVINCE, COMMUNE, PROVINCE, COMMUNE), start=1):
        await arrived(house, sender, receiver, sender=agency)
        house.clock.forward(seconds=1)
        packet = report(to=agency, document_id=TRIPLE.format(sender=agency, number=number))
        said.append((await say(house, receiver, packet)).status_id)
    token = await house.register.token(sender)
    listed, cursor = [], None
    while True:
        page = await house.ask(LIST_STATUS_ITEMS, ListStatusItems(token=token, limit=2, cursor=cursor))
        listed += [item.status_id for item in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert listed == said
    assert set(page.agency_keys) == {house.register.code_key(COMMUNE), house.register.code_key(PROVINCE)}
    wrong = ListStatusItems(token=token, cursor="bnVsbA")
    assert (await house.refusal(LIST_STATUS_ITEMS, wrong)).problem_code == "request-invalid"


async def test_others_cannot_see_a_status_and_readers_cannot_answer_it(house: House) -> None:
    sender, (receiver,) = await centres(house, DISTRICT)
    stranger = await house.a_system(MINISTRY, seal=False)
    reader = await house.a_system(COMMUNE, name="reader", roles=[Role.READER], seal=False)
    await arrived(house, sender, receiver)
    await say(house, receiver, report())
    (item,) = await waiting(house, reader)
    await opened(house, reader, item)
    for system in (stranger, receiver):
        token = await house.register.token(system)
        choose = ChooseStatus(token=token, status_id=item.status_id)
        assert (await house.refusal(OPEN_STATUS, choose)).problem_code == "not-found"
    for system in (stranger, receiver, reader):
        refusal = await house.refusal(ACKNOWLEDGE_STATUS, await answer_of(house, system, item, "done"))
        assert refusal.problem_code == "not-found"
    narrowed = await house.register.token(sender, agencies=(MINISTRY,))
    choose = ChooseStatus(token=narrowed, status_id=item.status_id)
    assert (await house.refusal(OPEN_STATUS, choose)).problem_code == "not-found"


async def test_the_counters_say_what_the_lists_give(house: House) -> None:
    sender, (receiver, other) = await centres(house, DISTRICT, DEPARTMENT)
    _, delivery = await arrived(house, sender, receiver)
    document, _ = await arrived(house, sender, receiver, to=(DISTRICT, DEPARTMENT))
    await house.arrival(other, document)
    await say(house, receiver, report(code="01"))
    await say(house, receiver, report(code="03"))
    assert await counts(house, receiver) == InboxCounts(documents=2, statuses=0)
    assert await counts(house, other) == InboxCounts(documents=1, statuses=0)
    assert await counts(house, sender) == InboxCounts(documents=0, statuses=2)
    await house.fetch(receiver, delivery)
    (first, _) = await waiting(house, sender)
    await opened(house, sender, first)
    assert (await counts(house, receiver)).documents == 2
    assert (await counts(house, sender)).statuses == 2
    token = await house.register.token(receiver)
    await house.ask(ACKNOWLEDGE, Acknowledge(token=token, delivery_id=delivery, result="done"))
    await house.ask(ACKNOWLEDGE_STATUS, await answer_of(house, sender, first, "done"))
    assert (await counts(house, receiver)).documents == 1
    assert (await counts(house, sender)).statuses == 1


async def test_the_bytes_of_a_status_outlive_the_collector(house: House) -> None:
    sender, (receiver,) = await centres(house, DISTRICT)
    await arrived(house, sender, receiver)
    packet = report()
    await say(house, receiver, packet)
    loose = await house.put(b"nobody refers to this")
    for _ in range(2):
        house.clock.forward(days=2)
        await collect_blobs(house.context)
    (stored,) = await house.rows("SELECT bytes_sha256 FROM routing.status_items")
    assert [await house.blobs.exists(sha256) for sha256 in (loose, stored[0])] == [False, True]
