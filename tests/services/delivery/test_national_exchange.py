"""
What is exchanged with a national axis survives a crash at any point: nothing is lost, and nothing done twice.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from services.delivery.clients.vxp.client import VxpClient
from services.delivery.domain.national import KEEP_FINISHED, Item, MessageType, Sending, TransferState
from services.delivery.domain.notifications import BREAKER_THRESHOLD, FIRST_REST
from services.delivery.errors import (
    ItemDecidedOtherwise,
    ItemNotFetched,
    ItemUnknown,
    NationalAxisRefused,
    NationalAxisUnavailable,
)
from services.delivery.settings import Settings
from services.delivery.tables import messaging
from services.delivery.usecases.national import LEASE, NationalAxis, forget_finished
from shared.blobs import FolderBlobStore
from shared.database import Database
from shared.errors import Unavailable
from shared.faults import SimulatedCrash
from shared.identifiers import Uuid7Source
from shared.outbox import Store
from shared.testing.postgres import SampleDatabase
from tests.services.delivery.axis import PACKAGE, Heard, StandInAxis, answer, standing_in
from tests.services.delivery.node import HandClock, OneCrash

DOCUMENT, STATUS = MessageType.DOCUMENT, MessageType.STATUS
DONE, FAIL = TransferState.DONE, TransferState.FAIL
REFUSAL = answer({"status": "FAIL", "ErrorCode": "18", "ErrorDesc": "Don vi nhan khong ton tai", "DocId": ""})


@dataclass
class Attached:
    """
    A node that is attached to an axis, and can be killed.
    """

    axis: StandInAxis
    database: SampleDatabase
    folder: Path
    clock: HandClock = field(default_factory=HandClock)
    faults: OneCrash = field(default_factory=OneCrash)

    async def start(self) -> None:
        secret = self.folder / "secret"
        secret.write_text("demo-secret-key")
        self.settings = Settings(
            node_id="H43",
            public_url="http://127.0.0.1:1",
            database_url=self.database.url("delivery"),
            national_axis_url=self.axis.url,
            national_axis_system_id="demo.center.01",
            national_axis_secret_file=secret,
            national_axis_plain_http=True,
        )
        self.blobs = FolderBlobStore(self.folder / "blobs", self.clock)
        await self.blobs.start()
        self.db = Database(self.database.url("delivery"), service="delivery", faults=self.faults)
        self.store = Store(self.db, messaging, clock=self.clock, new_id=Uuid7Source(self.clock))
        self.client = VxpClient.by_settings(self.settings, self.blobs, self.clock, pauses=())
        self.national = NationalAxis(self.store, self.client, self.blobs, name=self.settings.national_axis_name)

    async def stop(self) -> None:
        await self.client.close()
        await self.db.close()

    async def a_sending(self, *addressees: str) -> Sending:
        async with self.blobs.writer(len(PACKAGE)) as writer:
            await writer.write(PACKAGE)
            blob = await writer.commit()
        return Sending(DOCUMENT, "000.00.00.X01", addressees, blob.sha256)

    async def dies_in(self, work: object, *, commits: int) -> None:
        """
        Kill the node when it is about to commit for the n-th time, and start it again.
        """
        self.faults.commits_left = commits
        with pytest.raises(SimulatedCrash):
            await work  # type: ignore[misc]  # a coroutine
        await self.stop()
        await self.start()


@pytest.fixture
async def axis() -> AsyncIterator[StandInAxis]:
    async with standing_in() as axis:
        yield axis


@pytest.fixture
async def node(axis: StandInAxis, database: SampleDatabase, tmp_path: Path) -> AsyncIterator[Attached]:
    node = Attached(axis, database, tmp_path)
    await node.start()
    try:
        yield node
    finally:
        await node.stop()


def ids(items: list[Item]) -> list[str]:
    return [item.doc_id for item in items]


# --- sending ---


async def test_the_same_wish_is_carried_out_once(node: Attached, axis: StandInAxis) -> None:
    sending = await node.a_sending("U1", "U2")
    again = await node.a_sending("U2", "U1", "U1")
    assert await node.national.send(sending) == await node.national.send(again) == "doc-0"
    assert len(axis.calls("sendEdoc")) == 1
    await node.national.send(await node.a_sending("U3"))
    assert len(axis.calls("sendEdoc")) == 2


async def test_a_crash_before_the_bytes_leave_sends_them_once(node: Attached, axis: StandInAxis) -> None:
    sending = await node.a_sending()
    await node.dies_in(node.national.send(sending), commits=0)
    assert axis.heard == []
    assert await node.national.send(sending) == "doc-0"
    assert len(axis.heard) == 1


async def test_a_crash_after_the_bytes_have_left_sends_the_same_bytes_again(node: Attached, axis: StandInAxis) -> None:
    sending = await node.a_sending("U1")
    await node.dies_in(node.national.send(sending), commits=1)
    with pytest.raises(Unavailable, match="being sent"):  # as far as anybody knows, the other is still at it
        await node.national.send(sending)
    node.clock.pass_by(LEASE)
    assert await node.national.send(sending) == "doc-0"
    first, second = axis.calls("sendEdoc")
    assert (first.body, first.parameters["hash-file"]) == (second.body, second.parameters["hash-file"])
    assert await node.national.send(sending) == "doc-0"
    assert len(axis.heard) == 2


async def test_an_answer_that_is_lost_is_asked_for_again(node: Attached, axis: StandInAxis) -> None:
    sending = await node.a_sending()
    axis.loses.add("sendEdoc")
    with pytest.raises(NationalAxisUnavailable):
        await node.national.send(sending)
    assert await node.national.send(sending) == "doc-0"


async def test_a_refusal_is_not_held_against_a_later_try(node: Attached, axis: StandInAxis) -> None:
    sending = await node.a_sending("U1")
    axis.says["sendEdoc"] = lambda _: REFUSAL
    with pytest.raises(NationalAxisRefused, match="code 18"):
        await node.national.send(sending)
    del axis.says["sendEdoc"]
    assert await node.national.send(sending) == "doc-0"


async def test_two_copies_do_not_send_the_same_at_once(node: Attached, axis: StandInAxis) -> None:
    sending = await node.a_sending()
    results = await asyncio.gather(*(node.national.send(sending) for _ in range(4)), return_exceptions=True)
    assert len(axis.calls("sendEdoc")) == 1
    assert {result for result in results if not isinstance(result, Unavailable)} == {"doc-0"}


# --- receiving ---


async def test_documents_and_statuses_are_listed_until_they_are_finished(node: Attached, axis: StandInAxis) -> None:
    axis.inbox = {"a": ("edoc", PACKAGE), "b": ("edoc", PACKAGE), "c": ("status", PACKAGE)}
    assert ids(await node.national.poll(DOCUMENT)) == ids(await node.national.poll(DOCUMENT)) == ["a", "b"]
    assert ids(await node.national.poll(STATUS)) == ["c"]
    await node.national.fetch("a")
    await node.national.finish("a", DONE)
    await node.national.finish("b", FAIL, "không đọc được")
    assert await node.national.poll(DOCUMENT) == []
    assert axis.states == {"a": "done", "b": "fail"}
    assert axis.calls("updateStatus")[1].parameters["description"] == "khong doc duoc"


async def test_a_package_is_fetched_once_and_again_only_when_its_bytes_are_gone(
    node: Attached, axis: StandInAxis
) -> None:
    axis.inbox["a"] = ("edoc", PACKAGE)
    await node.national.poll(DOCUMENT)
    await node.dies_in(node.national.fetch("a"), commits=0)
    first = await node.national.fetch("a")
    assert len(axis.calls("downloadEdoc")) == 2
    assert await node.national.fetch("a") == first
    assert (await node.national.poll(DOCUMENT))[0].packet_sha256 == first.packet_sha256
    assert len(axis.calls("downloadEdoc")) == 2
    assert first.packet_sha256 is not None
    node.blobs.path(first.packet_sha256).unlink()
    assert (await node.national.fetch("a")).packet_sha256 == first.packet_sha256
    assert len(axis.calls("downloadEdoc")) == 3


async def test_a_result_is_told_once(node: Attached, axis: StandInAxis) -> None:
    axis.inbox["a"] = ("edoc", PACKAGE)
    await node.national.poll(DOCUMENT)
    await node.national.fetch("a")
    await node.national.finish("a", DONE)
    await node.national.finish("a", DONE)
    assert len(axis.calls("updateStatus")) == 1
    with pytest.raises(ItemDecidedOtherwise):
        await node.national.finish("a", FAIL)


async def test_a_result_that_was_noted_and_not_told_is_told_by_the_next_poll(node: Attached, axis: StandInAxis) -> None:
    axis.inbox["a"] = ("edoc", PACKAGE)
    await node.national.poll(DOCUMENT)
    await node.national.fetch("a")
    axis.says["updateStatus"] = lambda _: None
    with pytest.raises(NationalAxisUnavailable):
        await node.national.finish("a", DONE)
    assert await node.national.poll(DOCUMENT) == []  # nobody takes it twice, though the axis lists it still
    del axis.says["updateStatus"]
    assert await node.national.poll(DOCUMENT) == []
    assert axis.states == {"a": "done"}


async def test_a_crash_before_a_result_is_noted_leaves_the_item_waiting(node: Attached, axis: StandInAxis) -> None:
    axis.inbox["a"] = ("edoc", PACKAGE)
    await node.national.poll(DOCUMENT)
    await node.national.fetch("a")
    await node.dies_in(node.national.finish("a", DONE), commits=0)
    assert axis.states == {}
    assert ids(await node.national.poll(DOCUMENT)) == ["a"]


async def test_a_result_whose_answer_was_lost_is_settled_by_the_next_poll(node: Attached, axis: StandInAxis) -> None:
    axis.inbox["a"] = ("edoc", PACKAGE)
    await node.national.poll(DOCUMENT)
    await node.national.fetch("a")
    node.clock.pass_by(timedelta(seconds=1))
    axis.loses.add("updateStatus")
    with pytest.raises(NationalAxisUnavailable):
        await node.national.finish("a", DONE)
    node.clock.pass_by(timedelta(seconds=1))
    assert await node.national.poll(DOCUMENT) == []
    await node.national.finish("a", DONE)
    assert len(axis.calls("updateStatus")) == 1


async def test_an_axis_that_goes_on_listing_what_it_knows_to_be_done_is_not_told_each_time(
    node: Attached, axis: StandInAxis
) -> None:
    axis.inbox["a"] = ("edoc", PACKAGE)
    await node.national.poll(DOCUMENT)
    await node.national.finish("a", FAIL)
    listed = {"docId": "a", "status": "FAIL"}
    axis.says["getReceivedEdocList"] = lambda _: answer(
        {"status": "OK", "ErrorCode": "0", "ErrorDesc": "", "data": [listed]}
    )
    assert await node.national.poll(DOCUMENT) == []
    assert len(axis.calls("updateStatus")) == 1


async def test_a_refused_result_does_not_keep_the_others_from_being_seen(node: Attached, axis: StandInAxis) -> None:
    axis.inbox = {"a": ("edoc", PACKAGE), "b": ("edoc", PACKAGE)}
    await node.national.poll(DOCUMENT)
    axis.says["updateStatus"] = lambda _: REFUSAL
    with pytest.raises(NationalAxisRefused):
        await node.national.finish("a", FAIL)
    assert ids(await node.national.poll(DOCUMENT)) == ["b"]


async def test_what_was_never_listed_or_fetched_cannot_be_done(node: Attached, axis: StandInAxis) -> None:
    axis.inbox["a"] = ("edoc", PACKAGE)
    with pytest.raises(ItemUnknown):
        await node.national.fetch("a")
    with pytest.raises(ItemUnknown):
        await node.national.finish("a", FAIL)
    await node.national.poll(DOCUMENT)
    with pytest.raises(ItemNotFetched):
        await node.national.finish("a", DONE)
    assert axis.calls("updateStatus") == []


async def test_what_others_have_finished_is_forgotten_unless_we_hold_it(node: Attached, axis: StandInAxis) -> None:
    axis.inbox = {"a": ("edoc", PACKAGE), "b": ("edoc", PACKAGE)}
    await node.national.poll(DOCUMENT)
    await node.national.fetch("b")
    axis.inbox = {}
    node.clock.pass_by(timedelta(seconds=1))
    await node.national.poll(DOCUMENT)
    with pytest.raises(ItemUnknown):
        await node.national.fetch("a")
    await node.national.finish("b", DONE)


# --- an axis that is down ---


async def test_an_axis_that_keeps_failing_is_left_alone_and_then_probed(node: Attached, axis: StandInAxis) -> None:
    axis.says["getReceivedEdocList"] = lambda _: None
    for _ in range(BREAKER_THRESHOLD):
        with pytest.raises(NationalAxisUnavailable, match="broke"):
            await node.national.poll(DOCUMENT)
    with pytest.raises(NationalAxisUnavailable, match="left alone"):
        await node.national.poll(DOCUMENT)
    assert len(axis.heard) == BREAKER_THRESHOLD

    await node.stop()  # a restart does not forget it
    await node.start()
    with pytest.raises(NationalAxisUnavailable, match="left alone"):
        await node.national.poll(DOCUMENT)

    node.clock.pass_by(FIRST_REST)
    del axis.says["getReceivedEdocList"]
    assert await node.national.poll(DOCUMENT) == []
    assert await node.national.poll(DOCUMENT) == []
    assert len(axis.heard) == BREAKER_THRESHOLD + 2


async def test_a_pause_the_axis_asks_for_is_kept(node: Attached, axis: StandInAxis) -> None:
    axis.says["getReceivedEdocList"] = lambda _: b"HTTP/1.1 503 No\r\nRetry-After: 90\r\nContent-Length: 0\r\n\r\n"
    with pytest.raises(NationalAxisUnavailable):
        await node.national.poll(DOCUMENT)
    del axis.says["getReceivedEdocList"]
    with pytest.raises(NationalAxisUnavailable, match="left alone"):
        await node.national.poll(DOCUMENT)
    node.clock.pass_by(timedelta(seconds=90))
    assert await node.national.poll(DOCUMENT) == []


async def test_a_refusal_is_no_failure_of_the_axis(node: Attached, axis: StandInAxis) -> None:
    axis.says["getReceivedEdocList"] = lambda _: REFUSAL
    for _ in range(BREAKER_THRESHOLD + 2):
        with pytest.raises(NationalAxisRefused):
            await node.national.poll(DOCUMENT)


async def test_the_units_come_through_the_breaker_too(node: Attached, axis: StandInAxis) -> None:
    def units(_: Heard) -> bytes:
        return answer({"status": "OK", "ErrorCode": "0", "data": [{"code": f"U{n}"} for n in range(501)]})

    axis.says["getSynchronizeUnit"] = units
    assert [len(page) async for page in node.national.units()] == [500, 1]


async def test_what_is_long_past_is_forgotten(node: Attached, axis: StandInAxis) -> None:
    axis.inbox = {"a": ("edoc", PACKAGE), "b": ("edoc", PACKAGE)}
    await node.national.poll(DOCUMENT)
    await node.national.finish("a", FAIL)
    sending = await node.a_sending()
    await node.national.send(sending)
    node.clock.pass_by(KEEP_FINISHED + timedelta(days=1))
    await forget_finished(node.store)
    with pytest.raises(ItemUnknown):
        await node.national.finish("a", FAIL)
    await node.national.fetch("b")
    await node.national.send(sending)
    assert len(axis.calls("sendEdoc")) == 2
