"""
The national dialect through the proxy: nothing about a call changes on the way, and what the proxy must say itself its
clients can read.
"""

import asyncio
import hashlib
import json
import ssl

import pytest

from deploy.proxy.nginx import Proxy
from tests.integration.proxy.conftest import MakeProxy, MakeUpstream
from tests.integration.proxy.test_failing import nobody
from tests.integration.proxy.test_passing_on import raw
from tests.integration.proxy.upstream import Seen, Upstream, hang_up, read_body
from tests.vxp.line import Socket
from tests.vxp.reading import Release
from tests.vxp.sdk import JavaSdk

GOOD = b'{"status":"OK","ErrorCode":"0","ErrorDesc":"","DocId":"x","data":[]}'


async def answer_well(
    upstream: Upstream, seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await read_body(seen, reader)
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(GOOD)}\r\n\r\n"
    writer.write(head.encode() + GOOD)
    await writer.drain()


def a_client(proxy: Proxy, trusting: ssl.SSLContext, path: str = "/vxp", release: Release = "2.0.1") -> JavaSdk:
    return JavaSdk(Socket(proxy.url + path, tls=trusting), "demo.center.01", "demo-secret-key", release=release)


@pytest.fixture
async def upstream(make_upstream: MakeUpstream) -> Upstream:
    return await make_upstream(talk=answer_well)


async def test_signed_bytes_reach_the_gateway_as_they_were_sent(
    proxy: Proxy, upstream: Upstream, trusting: ssl.SSLContext
) -> None:
    client = a_client(proxy, trusting)
    client.parameters["note"] = "Lỗi  định <dạng> &="
    package = b"<edXML/>"
    result = await client.send_edoc(package, from_="000.00.00.X01")
    assert result is not None
    assert result.ok
    (seen,) = upstream.requests
    signed = next(line for line in client.socket.sent[0].split(b"\r\n") if line.startswith(b"XroadVnpt-sign-header: "))
    assert signed.partition(b": ")[2] in seen.head.encode("latin-1")
    assert bytes(seen.body) == package + b"\r\n"


async def test_letters_cut_to_their_low_byte_pass(proxy: Proxy, upstream: Upstream, trusting: ssl.SSLContext) -> None:
    await a_client(proxy, trusting).update_status("x", "fail", description="Lỗi định dạng")
    assert b"L\xd7i \x11\xcbnh d\xa1ng" in upstream.requests[0].head.encode("latin-1")


@pytest.mark.parametrize("path", ["/vxp/", "//vxp//", "/XrdAdapter/adapter/"])
async def test_base_paths_and_doubled_slashes_pass(
    proxy: Proxy, upstream: Upstream, trusting: ssl.SSLContext, path: str
) -> None:
    await a_client(proxy, trusting, path).get_received_edoc_list()
    assert upstream.requests[0].line == f"POST {path}/getReceivedEdocList HTTP/1.1"


@pytest.mark.parametrize("piece_bytes", [None, 10_000])
async def test_a_head_for_two_thousand_addressees_passes(
    proxy: Proxy, upstream: Upstream, trusting: ssl.SSLContext, piece_bytes: int | None
) -> None:
    client = a_client(proxy, trusting)
    client.socket.piece_bytes = piece_bytes
    codes = json.dumps([f"000.00.{number:04d}.X01" for number in range(2_000)], separators=(",", ":"))
    result = await client.send_edoc(b"<edXML/>", from_="000.00.00.X01", to=codes)
    assert result is not None
    assert result.ok
    assert upstream.requests[0].headers("xroadvnpt-to") == [codes]


async def test_100_continue_is_sent(proxy: Proxy, upstream: Upstream, trusting: ssl.SSLContext) -> None:
    result = await a_client(proxy, trusting).get_edoc("x")
    assert result is not None
    assert result.answer is not None
    assert result.answer.continued
    assert bytes(upstream.requests[0].body) == b"{}"


async def test_nothing_is_compressed_on_the_way(proxy: Proxy, upstream: Upstream, trusting: ssl.SSLContext) -> None:
    result = await a_client(proxy, trusting).get_received_edoc_list()
    assert result is not None
    assert result.answer is not None
    assert (result.answer.header("content-encoding"), result.answer.body) == (None, GOOD)


@pytest.mark.parametrize("release", ["2.0.0", "2.0.1"])
async def test_a_gateway_that_is_gone_is_no_empty_inbox(
    make_proxy: MakeProxy, trusting: ssl.SSLContext, release: Release
) -> None:
    client = a_client(await make_proxy(nobody()), trusting, release=release)
    for result in (
        await client.get_received_edoc_list(),
        await client.send_edoc(b"<edXML/>", from_="x"),
        await client.get_edoc("x"),
        await client.update_status("x", "done"),
        await client.get_agencies_list(),
    ):
        assert result is not None
        assert result.answer is not None
        assert (result.status, result.error_code, result.answer.status) == ("FAIL", "20", 502)
        assert result.answer.header("content-type") == "application/json"


async def test_a_download_from_a_gateway_that_is_gone_has_an_empty_body(
    make_proxy: MakeProxy, trusting: ssl.SSLContext
) -> None:
    result = await a_client(await make_proxy(nobody()), trusting).download_edoc("x")
    assert result.answer is not None
    assert (result.error_code, result.answer.status, result.answer.body) == ("100", 502, b"")


async def test_a_package_whose_gateway_dies_is_refused_in_the_dialect(
    make_proxy: MakeProxy, make_upstream: MakeUpstream, trusting: ssl.SSLContext
) -> None:
    dying = await make_upstream(talk=hang_up)
    result = await a_client(await make_proxy(dying), trusting).send_edoc(b"x" * 1_000_000, from_="x")
    assert result is not None
    assert (result.status, result.error_code, result.doc_id) == ("FAIL", "20", "")


async def test_a_head_the_proxy_cannot_take_is_refused_in_the_dialect(proxy: Proxy, trusting: ssl.SSLContext) -> None:
    client = a_client(proxy, trusting)
    client.parameters["filler"] = "x" * (1_200 * 1024)
    result = await client.get_received_edoc_list()
    assert result is not None
    assert result.status == "FAIL"


async def test_other_addresses_still_get_problems(make_proxy: MakeProxy, trusting: ssl.SSLContext) -> None:
    proxy = await make_proxy(nobody())
    for path in ("/v1/inbox", "/vxp", "/getedoc", "/problems/getEdoc/x"):
        said = await raw(proxy, trusting, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert json.loads(said.partition(b"\r\n\r\n")[2])["code"] == "gateway-unreachable"


async def test_a_slow_reader_gets_all_of_a_package(
    make_proxy: MakeProxy, make_upstream: MakeUpstream, trusting: ssl.SSLContext
) -> None:
    content = b"0123456789abcdef" * (1 << 18)

    async def give(upstream: Upstream, seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content)
        await writer.drain()

    proxy = await make_proxy(await make_upstream(talk=give))
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port, ssl=trusting, limit=1024)
    writer.write(b"GET /vxp/downloadEdoc HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    digest = hashlib.sha256()
    while piece := await reader.read(997):
        digest.update(piece)
    writer.close()
    assert digest.digest() == hashlib.sha256(content).digest()
