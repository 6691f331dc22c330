"""
The client of a national axis says what its public clients say, and takes nothing odd for an answer.
"""

import base64
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.delivery.clients.vxp.client import VxpClient
from services.delivery.domain.national import MessageType, TransferState
from services.delivery.errors import NationalAxisIncomprehensible, NationalAxisRefused, NationalAxisUnavailable
from services.delivery.settings import Settings
from shared.blobs import FolderBlobStore, PacketTooLarge
from shared.clock import SystemClock
from tests.services.delivery.axis import OK, PACKAGE, Answer, Heard, StandInAxis, answer, standing_in

DOC_ID = "3f0c7b1e-52c1-4d5a-9a0e-0d2b6a1f4c11"
HTML = answer(b"<html><body><h1>502 Bad Gateway</h1></body></html>", "502 Bad Gateway", content_type="text/html")


@pytest.fixture
async def axis() -> AsyncIterator[StandInAxis]:
    async with standing_in() as axis:
        yield axis


@pytest.fixture
async def blobs(tmp_path: Path) -> FolderBlobStore:
    store = FolderBlobStore(tmp_path / "blobs", SystemClock())
    await store.start()
    return store


@pytest.fixture
async def client(axis: StandInAxis, blobs: FolderBlobStore, tmp_path: Path) -> AsyncIterator[VxpClient]:
    async with VxpClient.by_settings(settings_for(axis, tmp_path), blobs, SystemClock(), pauses=()) as client:
        yield client


def settings_for(axis: StandInAxis, folder: Path, **more: Any) -> Settings:
    secret = folder / "secret"
    secret.write_text("demo-secret-key\n")
    return Settings.model_validate(
        {
            "node_id": "H43",
            "public_url": "http://127.0.0.1:1",
            "database_url": "postgresql+asyncpg://nowhere",
            "national_axis_url": axis.url,
            "national_axis_system_id": "demo.center.01",
            "national_axis_secret_file": secret,
            "national_axis_plain_http": True,
            "national_axis_timeout_seconds": 5,
            "national_axis_max_packet_bytes": 1_000_000,
            **more,
        }
    )


async def keep(blobs: FolderBlobStore, package: bytes) -> str:
    async with blobs.writer(len(package)) as writer:
        await writer.write(package)
        return (await writer.commit()).sha256


async def read(blobs: FolderBlobStore, sha256: str) -> bytes:
    return b"".join([piece async for piece in blobs.open(sha256)])


async def test_a_package_goes_out_with_its_crlf_and_a_digest_without_it(
    axis: StandInAxis, blobs: FolderBlobStore, client: VxpClient
) -> None:
    sha256 = await keep(blobs, b"<edXML/>")
    sent = await client.send(
        MessageType.DOCUMENT, sha256, sender="000.00.00.X01", addressees=["000.00.01.X01", "000.00.02.X01"]
    )
    (heard,) = axis.heard
    assert sent == "doc-0"
    assert (heard.method, heard.path) == ("POST", "/XrdAdapter/adapter/sendEdoc")
    assert heard.body == b"<edXML/>\r\n"
    assert heard.header("Content-Length") == "10"
    assert heard.header("Content-Type") == "application/octet-stream"
    assert heard.header("User-Agent") == "JAVASDKAgent/1.0.0 XRoad/VPCP"
    assert heard.header("XroadVnpt-version") == "3.0.201608"
    assert heard.header("XroadVnpt-hash-file") == "8d55f6c7bf7cd534cf27a10e1bb5731c68279c3cb991cf4844774c685b3758"
    signed = {name: value for name, value in heard.parameters.items() if name != "timestamp"}
    assert signed == {
        "systemid": "demo.center.01",
        "servicetype": "eDoc",
        "messagetype": "edoc",
        "hash-file": "8d55f6c7bf7cd534cf27a10e1bb5731c68279c3cb991cf4844774c685b3758",
        "from": "000.00.00.X01",
        "to": '["000.00.01.X01","000.00.02.X01"]',
        "Content-Type": "application/octet-stream",
    }


async def test_two_thousand_addressees_fit_into_a_call(
    axis: StandInAxis, blobs: FolderBlobStore, client: VxpClient
) -> None:
    codes = [f"000.{n // 100:02d}.{n % 100:02d}.X01" for n in range(2000)]
    await client.send(MessageType.DOCUMENT, await keep(blobs, PACKAGE), sender="000.00.00.X01", addressees=codes)
    assert json.loads(axis.heard[0].parameters["to"]) == codes


async def test_the_published_inbox_is_read(axis: StandInAxis, client: VxpClient) -> None:
    item = {
        "docId": DOC_ID,
        "serviceType": "eDoc",
        "messageType": "edoc",
        "created_time": "02/05/2024 08:00:00",
        "from": "000.00.00.X01",
        "to": "000.00.01.X01",
        "status": "INITIAL",
        "status_desc": None,
    }
    axis.says["getReceivedEdocList"] = lambda _: answer({**OK, "data": [item, item]})
    (listed,) = await client.inbox(MessageType.DOCUMENT)
    assert (listed.doc_id, listed.sender, listed.addressee) == (DOC_ID, "000.00.00.X01", "000.00.01.X01")
    assert listed.state is TransferState.INITIAL
    assert axis.heard[0].body == b""
    assert axis.heard[0].header("Content-Length") == "0"


async def test_a_correct_refusal_is_read_under_any_http_status(axis: StandInAxis, client: VxpClient) -> None:
    refusal = {"status": "FAIL", "ErrorCode": "15", "ErrorDesc": "Sai\r\nkhóa", "DocId": "", "data": ""}
    said = [answer(refusal, status) for status in ("200 OK", "400 Bad Request", "401 Unauthorized", "500 Oh")]
    axis.says["getReceivedEdocList"] = lambda _: said.pop()
    while said:
        with pytest.raises(NationalAxisRefused) as refused:
            await client.inbox(MessageType.DOCUMENT)
        assert (refused.value.axis_code, refused.value.axis_text) == ("15", "Sai khóa")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (HTML, "HTML"),
        (answer(b"<html></html>", content_type="text/html"), "HTML"),
        (answer(b""), "empty"),
        (answer(b"", "503 Service Unavailable"), "empty"),
        (answer(OK), "without its list"),
        (answer({**OK, "data": None}), "without its list"),
        (answer({**OK, "data": ""}), "without its list"),
        (answer({**OK, "data": {}}), "without its list"),
        (answer({**OK, "data": [None]}), "is no object"),
        (answer({**OK, "data": [{"from": "A"}]}), "no usable docId"),
        (answer({**OK, "data": [{"docId": "a\r\nb"}]}), "no usable docId"),
        (answer({**OK, "data": [{"docId": "1", "to": ["A", "B"]}]}), "to of item of the inbox"),
        (answer({"status": "OK", "data": []}), "lacks"),
        (answer({"status": None, "ErrorCode": "0", "data": []}), "lacks"),
        (answer({"status": "OK", "ErrorCode": "19", "data": []}), "contradicts"),
        (answer({"status": "FAIL", "ErrorCode": "0", "data": []}), "contradicts"),
        (answer({"status": "MAYBE", "ErrorCode": "0", "data": []}), "neither OK nor FAIL"),
        (answer({"status": "FAIL", "ErrorCode": "20", "ErrorDesc": "Loi he thong"}), "Loi he thong"),
        (answer({**OK, "data": []})[:-9], "broke"),
        (b"HTTP/1.1 302 Found\r\nLocation: https://other/\r\nContent-Length: 0\r\n\r\n", "redirect"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n\r\n", "compressed"),
        (b"SSH-2.0-OpenSSH\r\n", "not HTTP"),
        (None, "broke"),
    ],
)
async def test_nothing_odd_is_ever_an_empty_inbox(
    axis: StandInAxis, client: VxpClient, said: Answer, words: str
) -> None:
    axis.says["getReceivedEdocList"] = lambda _: said
    with pytest.raises(NationalAxisUnavailable, match=words):
        await client.inbox(MessageType.DOCUMENT)


@pytest.mark.parametrize("said", [answer(OK), answer({**OK, "DocId": ""}), answer({**OK, "DocId": None}), HTML])
async def test_a_sending_without_an_id_is_no_success(
    axis: StandInAxis, blobs: FolderBlobStore, client: VxpClient, said: bytes
) -> None:
    axis.says["sendEdoc"] = lambda _: said
    with pytest.raises(NationalAxisUnavailable):
        await client.send(MessageType.DOCUMENT, await keep(blobs, PACKAGE), sender="000.00.00.X01")


async def test_a_package_is_fetched_raw(axis: StandInAxis, blobs: FolderBlobStore, client: VxpClient) -> None:
    package = PACKAGE.replace(b"</edXML>", b" " * 200_000 + b"</edXML>")
    axis.inbox[DOC_ID] = ("edoc", package)
    blob = await client.fetch(DOC_ID)
    assert await read(blobs, blob.sha256) == package
    assert [(one.method, one.operation) for one in axis.heard] == [("GET", "downloadEdoc")]


@pytest.mark.parametrize(
    "said",
    [
        answer(b""),
        HTML,
        answer(b"<html>edXML</html>"),
        answer({"status": "FAIL", "ErrorCode": "10", "ErrorDesc": ""}),
        answer(PACKAGE[:-4]),
        answer(b"", "404 Not Found"),
    ],
)
async def test_what_is_no_whole_package_is_asked_for_in_the_other_form(
    axis: StandInAxis, blobs: FolderBlobStore, client: VxpClient, said: bytes
) -> None:
    axis.inbox[DOC_ID] = ("edoc", PACKAGE)
    if said is HTML:
        said = said.replace(b"502 Bad Gateway\r\n", b"404 Not Found\r\n", 1)
    axis.says["downloadEdoc"] = lambda _: said
    assert (await client.fetch(DOC_ID)).sha256 == hashlib.sha256(PACKAGE).hexdigest()
    assert axis.calls("getEdoc")[0].body == b"{}"


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"data": ""}, "nothing came"),
        ({"data": "####"}, "base64"),
        ({"data": base64.b64encode(b"<html>").decode()}, "begin"),
        ({"data": base64.b64encode(PACKAGE[:-5]).decode()}, "cut off"),
        ({"data": []}, "without its package"),
        ({}, "without its package"),
    ],
)
async def test_nothing_odd_is_ever_a_package(
    axis: StandInAxis, client: VxpClient, blobs: FolderBlobStore, members: dict[str, Any], words: str
) -> None:
    axis.says["downloadEdoc"] = lambda _: answer(b"")
    axis.says["getEdoc"] = lambda _: answer({**OK, **members})
    with pytest.raises(NationalAxisIncomprehensible, match=words):
        await client.fetch(DOC_ID)


async def test_a_refused_package_says_why(axis: StandInAxis, client: VxpClient) -> None:
    axis.says["downloadEdoc"] = lambda _: answer(b"")
    axis.says["getEdoc"] = lambda _: answer({"status": "FAIL", "ErrorCode": "10", "ErrorDesc": "khong", "data": "sao?"})
    with pytest.raises(NationalAxisRefused, match="code 10: khong"):
        await client.fetch(DOC_ID)


async def test_a_package_that_is_too_large_is_not_taken(axis: StandInAxis, client: VxpClient) -> None:
    axis.inbox[DOC_ID] = ("edoc", PACKAGE + b" " * 1_000_000)
    with pytest.raises(PacketTooLarge):
        await client.fetch(DOC_ID)


async def test_a_result_carries_only_what_a_header_can(axis: StandInAxis, client: VxpClient) -> None:
    await client.update_status(DOC_ID, TransferState.FAIL, "Lỗi định dạng:\r\nđã hỏng")
    (heard,) = axis.heard
    assert heard.body == b"{}"
    assert heard.parameters["docid"] == DOC_ID
    assert heard.parameters["status"] == "fail"
    assert heard.parameters["description"] == "Loi dinh dang: da hong"


async def test_units_come_in_pages_and_only_once_all_have_come(axis: StandInAxis, client: VxpClient) -> None:
    units = [{"id": str(n), "code": f"U{n}", "name": "Sở Mẫu", "version": n, "deleted": n == 7} for n in range(1100)]
    axis.says["getSynchronizeUnit"] = lambda _: answer({"data": units, **OK})
    pages = [page async for page in client.units()]
    assert [len(page) for page in pages] == [500, 500, 100]
    assert [unit.code for page in pages for unit in page] == [f"U{n}" for n in range(1100)]
    assert [unit.code for page in pages for unit in page if unit.deleted] == ["U7"]

    axis.says["getSynchronizeUnit"] = lambda _: answer({"data": units, "status": "FAIL", "ErrorCode": "21"})
    with pytest.raises(NationalAxisRefused):
        await anext(client.units())


async def test_counters_and_the_sent_list_are_read(axis: StandInAxis, client: VxpClient) -> None:
    axis.says["countReceiveStatus"] = lambda _: answer({**OK, "count": 12})
    axis.says["countReceiveEdoc"] = lambda _: answer({**OK, "count": "3"})
    row = {"senderDocId": "a", "receiverDocId": "b", "toCode": "U1", "receiveStatus": "done", "sentTime": None}
    axis.says["getSentEdocList"] = lambda _: answer({**OK, "data": [row]})
    assert await client.count(MessageType.STATUS) == 12
    assert await client.count(MessageType.DOCUMENT) == 3
    (sent,) = await client.sent_list(MessageType.DOCUMENT, doc_id="a")
    assert (sent.receiver_doc_id, sent.addressee, sent.receive_state, sent.sent_time) == ("b", "U1", "done", None)


async def test_a_call_that_failed_is_made_again(axis: StandInAxis, blobs: FolderBlobStore, tmp_path: Path) -> None:
    said = [HTML, None, answer({**OK, "data": []})]

    def flaky(_: Heard) -> Answer:
        return said.pop(0)

    axis.says["getReceivedEdocList"] = flaky
    settings = settings_for(axis, tmp_path)
    async with VxpClient.by_settings(settings, blobs, SystemClock(), pauses=(0.0, 0.0)) as client:
        assert await client.inbox(MessageType.DOCUMENT) == []
    assert len(axis.heard) == 3


async def test_a_refusal_is_not_repeated(axis: StandInAxis, client: VxpClient) -> None:
    axis.says["updateStatus"] = lambda _: answer({"status": "FAIL", "ErrorCode": "10", "ErrorDesc": "x"})
    with pytest.raises(NationalAxisRefused):
        await client.update_status(DOC_ID, TransferState.DONE)
    assert len(axis.heard) == 1


def test_an_axis_is_only_reached_without_tls_where_that_was_asked_for(tmp_path: Path) -> None:
    axis = StandInAxis(url="http://axis.example")
    with pytest.raises(ValueError, match="https://"):
        settings_for(axis, tmp_path, national_axis_plain_http=False)
    with pytest.raises(ValueError, match="national_axis_secret_file"):
        settings_for(axis, tmp_path, national_axis_secret_file=None)
