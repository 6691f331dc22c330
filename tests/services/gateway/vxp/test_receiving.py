"""
The inbox: lists that stale parameters do not narrow, bytes in two forms, results that may be told twice.
"""

import asyncio
import hashlib
import json
from uuid import uuid4

import pytest

from shared.contracts import routing
from shared.contracts.routing import DeliveryState
from shared.errors import Unavailable
from tests.services.gateway.test_listening import begin_peak_anew, peak_kib
from tests.services.gateway.vxp.world import PACKAGE, STATUS_ID, VxpWorld
from tests.services.gateway.world import ID, ITEM, refused
from tests.vxp.reading import Release
from tests.vxp.sdk import as_stored


async def test_an_item_waits_with_an_id_its_agencies_and_its_state(vxp: VxpWorld) -> None:
    result = await vxp.client().get_received_edoc_list()
    assert result is not None
    assert result.data == [
        {
            "docId": str(ID),
            "serviceType": "eDoc",
            "messageType": "edoc",
            "created_time": "31/12/2024 15:00:00",
            "updated_time": "31/12/2024 15:00:00",
            "from": "H43.30.01",
            "to": "H43.30",
            "status": "initial",
            "status_desc": "Moi",
        }
    ]


async def test_a_fetched_item_is_processing(vxp: VxpWorld) -> None:
    item = ITEM.model_copy(update={"state": DeliveryState.FETCHED})
    vxp.answers(routing.LIST_INBOX, routing.InboxPage(items=(item,)))
    result = await vxp.client().get_received_edoc_list()
    assert result is not None
    assert result.data[0]["status"] == "processing"


async def test_statuses_have_a_list_of_their_own(vxp: VxpWorld) -> None:
    result = await vxp.client().get_received_edoc_list("status")
    assert result is not None
    (row,) = result.data
    assert (row["docId"], row["messageType"], row["from"], row["to"]) == (str(STATUS_ID), "status", "H43.31", "H43.30")
    assert vxp.asked(routing.LIST_INBOX) == []


async def test_an_empty_inbox_is_an_empty_list(vxp: VxpWorld) -> None:
    vxp.answers(routing.LIST_INBOX, routing.InboxPage(items=()))
    result = await vxp.client(release="2.0.0").get_received_edoc_list()
    assert result is not None
    assert (result.ok, result.data) == (True, [])


async def test_what_an_object_kept_from_earlier_calls_narrows_no_list(vxp: VxpWorld) -> None:
    await vxp.keep()
    client = vxp.client()
    await client.send_edoc(PACKAGE, from_="H43.30", to='["H43.31"]')
    await client.get_edoc(ID)
    await client.update_status(ID, "done")
    result = await client.get_received_edoc_list(fromDate="01/01/2030 00:00:00", pageIndex="7", pageSize="1")
    assert {"status", "docId", "docid", "filePath", "hash-file", "from", "to"} <= client.parameters.keys()
    assert result is not None
    assert len(result.data) == 1
    question = vxp.asked(routing.LIST_INBOX)[-1]
    assert (question.agency, question.state) == (None, None)


async def test_a_long_inbox_comes_in_one_answer(vxp: VxpWorld) -> None:
    pages = {
        None: routing.InboxPage(items=(ITEM,) * 200, next_cursor="a"),
        "a": routing.InboxPage(items=(ITEM,) * 200, next_cursor="b"),
        "b": routing.InboxPage(items=(ITEM,) * 3),
    }
    vxp.answers(routing.LIST_INBOX, lambda question: pages[question.cursor])
    result = await vxp.client().get_received_edoc_list()
    assert result is not None
    assert len(result.data) == 403


async def test_a_list_that_breaks_off_is_no_list(vxp: VxpWorld) -> None:
    def answer(question: routing.ListInbox) -> routing.InboxPage:
        if question.cursor:
            raise Unavailable("away")
        return routing.InboxPage(items=(ITEM,) * 200, next_cursor="a")

    vxp.answers(routing.LIST_INBOX, answer)
    result = await vxp.client(release="2.0.0").get_received_edoc_list()
    assert result is None


@pytest.mark.parametrize("size", [1, 2, 3, 256 * 1024, 256 * 1024 + 1, 700_001])
async def test_a_package_comes_in_base64_whatever_its_length(vxp: VxpWorld, size: int) -> None:
    package = (b"0123456789abcdef" * 50_000)[:size]
    await vxp.keep(package)
    result = await vxp.client(release="2.0.0").get_edoc(ID)
    assert result is not None
    assert as_stored(result) == package


async def test_letters_of_a_package_survive_the_way_to_the_disk(vxp: VxpWorld) -> None:
    await vxp.keep()
    result = await vxp.client().get_edoc(ID)
    assert result is not None
    assert as_stored(result) == PACKAGE


@pytest.mark.parametrize("release", ["2.0.0", "2.0.1"])
@pytest.mark.parametrize("doc_id", [str(ID), "662f1e9b8c0d4a0012345678", "../../etc/passwd"])
async def test_a_failed_fetch_has_empty_data(vxp: VxpWorld, release: Release, doc_id: str) -> None:
    result = await vxp.client(release=release).get_edoc(doc_id)
    assert result is not None
    assert result.answer is not None
    assert (result.status, result.error_code) == ("FAIL", "10")
    assert json.loads(result.answer.body)["data"] == ""


async def test_a_status_is_fetched_by_the_same_operation(vxp: VxpWorld) -> None:
    blob = await vxp.keep()
    vxp.answers(routing.OPEN_PACKET, refused("not-found"))
    vxp.answers(routing.OPEN_STATUS, blob)
    result = await vxp.client().get_edoc(STATUS_ID)
    assert result is not None
    assert as_stored(result) == PACKAGE
    assert vxp.asked(routing.OPEN_STATUS)[0].status_id == STATUS_ID


async def test_of_two_spellings_fetching_prefers_the_one_with_a_capital(vxp: VxpWorld) -> None:
    await vxp.keep()
    client = vxp.client()
    client.parameters["docid"] = str(uuid4())
    await client.get_edoc(ID)
    assert vxp.asked(routing.OPEN_PACKET)[-1].delivery_id == ID


async def test_a_download_is_the_bytes_themselves(vxp: VxpWorld) -> None:
    blob = await vxp.keep(PACKAGE * 20_000)
    result = await vxp.client().download_edoc(ID)
    assert hashlib.sha256(result.data).hexdigest() == blob.sha256


@pytest.mark.parametrize("refusal", [refused("not-found"), Unavailable("away"), RuntimeError("broken")])
async def test_a_failed_download_has_an_empty_body(vxp: VxpWorld, refusal: Exception) -> None:
    vxp.answers(routing.OPEN_PACKET, refusal)
    result = await vxp.client().download_edoc(ID)
    assert result.answer is not None
    assert (result.status, result.error_code, result.answer.body) == ("FAIL", "100", b"")
    assert result.answer.status >= 400


async def test_a_download_with_a_wrong_secret_has_an_empty_body(vxp: VxpWorld) -> None:
    client = vxp.client()
    client.secret = "another"
    assert (await client.download_edoc(ID)).error_code == "100"


async def test_a_download_of_bytes_that_are_gone_has_an_empty_body(vxp: VxpWorld) -> None:
    blob = await vxp.keep()
    vxp.world.blobs.path(blob.sha256).unlink()
    assert (await vxp.client().download_edoc(ID)).error_code == "100"
    fetched = await vxp.client().get_edoc(ID)
    assert fetched is not None
    assert (fetched.status, fetched.error_code) == ("FAIL", "21")


@pytest.mark.parametrize("operation", ["getEdoc", "downloadEdoc"])
async def test_a_large_package_leaves_in_constant_memory(vxp: VxpWorld, operation: str) -> None:
    size = 160 * 2**20
    async with vxp.world.blobs.writer(size) as writer:
        for _ in range(160):
            await writer.write(b"\0" * 2**20)
        blob = await writer.commit()
    opened = routing.OpenBlob(sha256=blob.sha256, bytes=size, content_type="x/y", file_name="x")
    vxp.answers(routing.OPEN_PACKET, opened)
    lines = vxp.client()._signed({"docId": str(ID)}, "application/json")
    head = "\r\n".join([f"GET /vxp/{operation} HTTP/1.1", "Host: x", *(f"{n}: {v}" for n, v in lines), "", ""])
    before = begin_peak_anew()
    reader, writer = await asyncio.open_connection("127.0.0.1", int(vxp.url.rpartition(":")[2]))
    writer.write(head.encode())
    received = 0
    while chunk := await reader.read(65_536):
        received += len(chunk)
    writer.close()
    assert received > size
    assert peak_kib() - before < 32 * 1024


@pytest.mark.parametrize("spelling", ["docid", "docId"])
@pytest.mark.parametrize("result", ["done", "fail", "DONE", "Fail"])
async def test_a_result_ends_an_item_in_either_spelling(vxp: VxpWorld, spelling: str, result: str) -> None:
    answer = await vxp.client().update_status(ID, result, spelling=spelling, description="ky thuat")
    assert answer is not None
    assert answer.ok
    (question,) = vxp.asked(routing.ACKNOWLEDGE)
    assert (question.delivery_id, question.result) == (ID, result.lower())
    assert question.reason == ("ky thuat" if result.lower() == "fail" else "")


async def test_of_two_spellings_a_result_is_about_the_one_in_small_letters(vxp: VxpWorld) -> None:
    await vxp.keep()
    client = vxp.client()
    await client.get_edoc(uuid4())
    await client.update_status(ID, "done", spelling="docid")
    assert vxp.asked(routing.ACKNOWLEDGE)[0].delivery_id == ID


async def test_being_at_work_on_an_item_is_having_fetched_it(vxp: VxpWorld) -> None:
    await vxp.keep()
    answer = await vxp.client().update_status(ID, "processing")
    assert answer is not None
    assert answer.ok
    assert vxp.asked(routing.OPEN_PACKET)[0].delivery_id == ID
    assert vxp.asked(routing.ACKNOWLEDGE) == []


@pytest.mark.parametrize("status", ["inbox", "acceptance", "03", ""])
async def test_another_word_than_the_four_is_refused_with_all_four_named(vxp: VxpWorld, status: str) -> None:
    answer = await vxp.client().update_status(ID, status)
    assert answer is not None
    assert (answer.status, answer.error_code) == ("FAIL", "10")
    assert status == "" or "initial, processing, done, fail" in (answer.error_desc or "")


async def test_a_status_item_is_acknowledged_by_the_same_operation(vxp: VxpWorld) -> None:
    vxp.answers(routing.ACKNOWLEDGE, refused("not-found"))
    answer = await vxp.client().update_status(STATUS_ID, "done")
    assert answer is not None
    assert answer.ok
    (question,) = vxp.asked(routing.ACKNOWLEDGE_STATUS)
    assert (question.status_id, question.result) == (STATUS_ID, "done")


async def test_after_a_list_of_statuses_they_are_looked_for_first(vxp: VxpWorld) -> None:
    client = vxp.client()
    await client.get_received_edoc_list("status")
    await client.update_status(STATUS_ID, "done")
    assert vxp.asked(routing.ACKNOWLEDGE) == []


async def test_another_result_than_before_is_refused_in_words(vxp: VxpWorld) -> None:
    vxp.answers(routing.ACKNOWLEDGE, refused("acknowledgement-conflict", "done before"))
    answer = await vxp.client().update_status(ID, "fail")
    assert answer is not None
    assert (answer.status, "done before" in (answer.error_desc or "")) == ("FAIL", True)


async def test_counters_count_documents_and_statuses(vxp: VxpWorld) -> None:
    client = vxp.client()
    documents, statuses = await client.count_receive_edoc(), await client.count_receive_status()
    assert documents is not None
    assert statuses is not None
    assert (documents.count, statuses.count) == (3, 2)
