"""
What happens on the line: addresses, heads, `100 Continue`, connections, and answers nobody may compress.
"""

import asyncio
import json

import httpx
import pytest

from shared.contracts import routing
from shared.contracts.registry import CHECK_SIGNED_HEADER
from shared.errors import Unavailable
from tests.services.gateway.vxp.conftest import MakeVxp
from tests.services.gateway.vxp.world import SECRET, SYSTEM, VxpWorld
from tests.services.gateway.world import ID
from tests.vxp.line import Socket
from tests.vxp.sdk import JSON, sign

MEMBERS = {"status", "ErrorCode", "ErrorDesc", "DocId", "data"}


@pytest.mark.parametrize(
    "path", ["/vxp", "/vxp/", "//vxp", "//vxp//", "/XrdAdapter/adapter", "/XrdAdapter/adapter/", "/a/vxp", ""]
)
async def test_any_base_path_and_doubled_slashes_lead_to_the_operation(vxp: VxpWorld, path: str) -> None:
    result = await vxp.client(path=path).count_receive_edoc()
    assert result is not None
    assert result.ok


async def test_names_of_operations_have_capitals(vxp: VxpWorld) -> None:
    async with httpx.AsyncClient(base_url=vxp.url) as client:
        answer = await client.post("/vxp/getedoc")
    assert answer.json()["status"] == "FAIL"
    assert set(answer.json()) == MEMBERS


async def test_an_address_without_an_operation_is_not_of_this_dialect(vxp: VxpWorld) -> None:
    async with httpx.AsyncClient(base_url=vxp.url) as client:
        assert (await client.post("/vxp")).json()["code"] == "not-found"


@pytest.mark.parametrize("operation", ["sendEdoc", "updateStatus", "registerAgency", "deleteAgency"])
async def test_a_redirected_get_of_what_changes_something_is_refused(vxp: VxpWorld, operation: str) -> None:
    async with httpx.AsyncClient(base_url=vxp.url) as client:
        answer = await client.get(f"/vxp/{operation}")
    assert set(answer.json()) == MEMBERS
    assert answer.json()["status"] == "FAIL"


async def test_counters_are_asked_with_post_and_may_be_with_get(vxp: VxpWorld) -> None:
    lines = sign([("systemid", SYSTEM), ("Content-Type", JSON)], SECRET)
    for method, body in (("POST", b"{}"), ("GET", None)):
        answer = await Socket(vxp.url + "/vxp").by_apache(method, "countReceiveEdoc", lines, body)
        assert json.loads(answer.body)["count"] == 3


async def test_100_continue_is_sent_before_a_small_body(vxp: VxpWorld) -> None:
    for result in (
        await vxp.client().count_receive_edoc(),
        await vxp.client().update_status(ID, "done"),
        await vxp.client().delete_agency("H43.30"),
        await vxp.client().register_agency({"code": "H43.30.9", "pcode": "H43.30", "name": "x"}),
    ):
        assert result is not None
        assert result.answer is not None
        assert result.answer.continued


@pytest.mark.parametrize("piece_bytes", [None, 1_000])
async def test_a_head_for_two_thousand_addressees_is_read_in_one_piece_or_many(
    vxp: VxpWorld, piece_bytes: int | None
) -> None:
    codes = [f"000.00.{number:02d}.X{number % 89 + 10}" for number in range(2_000)]
    client = vxp.client(piece_bytes=piece_bytes)
    result = await client.send_edoc(b"<edXML/>", from_="H43.30", to=json.dumps(codes, separators=(",", ":")))
    assert result is not None
    assert result.ok, result.error_desc
    assert len(client.socket.sent[0]) > 65_000
    (question,) = vxp.asked(routing.SUBMIT_DOCUMENT)
    assert question.addressees == tuple(codes)


async def test_a_head_beyond_one_mebibyte_is_refused_in_the_dialect(vxp: VxpWorld) -> None:
    client = vxp.client()
    client.parameters["filler"] = "x" * 600_000
    result = await client.count_receive_edoc()
    assert result is not None
    assert result.status == "FAIL"


async def test_a_head_that_never_ends_is_cut(vxp: VxpWorld) -> None:
    port = int(vxp.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /vxp/getEdoc HTTP/1.1\r\nX-Filler: ")
    answer = asyncio.ensure_future(reader.readline())
    while not answer.done():
        writer.write(b"x" * 65_536)
        try:
            await writer.drain()
        except ConnectionError:
            break
        await asyncio.sleep(0)
    assert (await answer).startswith(b"HTTP/1.1 401")
    writer.close()


async def test_the_line_is_closed_after_every_call_but_sending(vxp: VxpWorld) -> None:
    await vxp.keep()
    client = vxp.client()
    for result in (
        await client.get_received_edoc_list(),
        await client.get_sent_edoc_list(),
        await client.get_agencies_list(),
        await client.get_edoc(ID),
        await client.download_edoc(ID),
        await client.count_receive_edoc(),
    ):
        assert result is not None
        assert result.answer is not None
        assert result.answer.closed
    sent = await client.send_edoc(b"<edXML/>", from_="H43.30")
    assert sent is not None
    assert sent.answer is not None
    assert not sent.answer.closed


async def test_nothing_is_compressed(vxp: VxpWorld) -> None:
    await vxp.keep(b"x" * 100_000)
    client = vxp.client()
    for result in (await client.get_edoc(ID), await client.get_agencies_list()):
        assert result is not None
        assert result.answer is not None
        assert result.answer.header("content-encoding") is None


async def test_every_answer_is_ascii(vxp: VxpWorld) -> None:
    client = vxp.client()
    refused = await client.update_status(ID, "acceptance")
    listed = await client.get_agencies_list()
    for result in (refused, listed):
        assert result is not None
        assert result.answer is not None
        assert result.answer.body.isascii()
    assert listed is not None
    assert listed.data[0]["name"] == "Sở Mẫu"


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [(Unavailable("away"), 503, "20"), (RuntimeError("a secret"), 500, "20")],
)
async def test_what_is_out_of_reach_or_broken_is_said_in_the_dialect(
    vxp: VxpWorld, error: Exception, status: int, code: str
) -> None:
    def fail(_: object) -> None:
        raise error

    vxp.answers(CHECK_SIGNED_HEADER, fail)
    result = await vxp.client().get_received_edoc_list()
    assert result is not None
    assert result.answer is not None
    assert (result.answer.status, result.status, result.error_code) == (status, "FAIL", code)
    assert "secret" not in result.answer.body.decode()


async def test_floods_are_refused_in_the_dialect(make_vxp: MakeVxp) -> None:
    vxp = await make_vxp(address_rate_per_second=0.001, address_rate_burst=1)
    await vxp.client().count_receive_edoc()
    result = await vxp.client().count_receive_edoc()
    assert result is not None
    assert (result.status, result.error_code) == ("FAIL", "20")


async def test_figures_know_the_operation(vxp: VxpWorld) -> None:
    await vxp.client(path="/XrdAdapter/adapter").count_receive_edoc()
    async with vxp.world.client() as client:
        figures = (await client.get("/metrics")).text
    assert 'route="/vxp/countReceiveEdoc",status="200"' in figures
