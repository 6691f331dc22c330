"""
What the proxy passes on, and what only it may say.
"""

import asyncio
import ssl
import subprocess
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from deploy.proxy.certificates import ProxyCertificate
from deploy.proxy.nginx import Proxy
from tests.integration.proxy.client_certificates import ClientFiles, a_client_certificate
from tests.integration.proxy.conftest import MakeProxy, MakeUpstream
from tests.integration.proxy.upstream import Seen, Upstream, read_body


async def raw(proxy: Proxy, trusting: ssl.SSLContext, request: bytes) -> bytes:
    """
    Say exactly these bytes over TLS and give the answer, which ends the connection.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port, ssl=trusting)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize("path", ["//agencies//H43", "/base/path/?a=1&a=2", "/a%2Fb/%C3%A1", "/a/../b", "/a/./b;x=1"])
async def test_a_path_reaches_the_gateway_as_it_was_written(
    proxy: Proxy, upstream: Upstream, trusting: ssl.SSLContext, path: str
) -> None:
    await raw(proxy, trusting, f"GET {path} HTTP/1.1\r\nHost: axis.test\r\nConnection: close\r\n\r\n".encode())
    assert [seen.line for seen in upstream.requests] == [f"GET {path} HTTP/1.1"]
    assert upstream.requests[0].headers("host") == ["axis.test"]


async def test_what_a_caller_says_in_the_proxys_name_goes_no_further(
    client: httpx.AsyncClient, upstream: Upstream
) -> None:
    forged = {
        "X-Forwarded-For": "10.9.9.9",
        "X-Forwarded-Proto": "gopher",
        "X-Forwarded-Host": "evil.test",
        "X-Forwarded-Port": "1",
        "X-Real-IP": "10.9.9.9",
        "Forwarded": "for=10.9.9.9",
        "X-Client-Cert": "-----BEGIN%20CERTIFICATE-----",
        "X-Client-Verify": "SUCCESS",
    }
    await client.get("/", headers=forged)
    [seen] = upstream.requests
    assert seen.headers("x-forwarded-for") == ["127.0.0.1"]
    assert seen.headers("x-forwarded-proto") == ["https"]
    assert seen.headers("x-client-verify") == ["NONE"]
    for name in ("X-Forwarded-Host", "X-Forwarded-Port", "X-Real-IP", "Forwarded", "X-Client-Cert"):
        assert seen.headers(name) == []


async def test_headers_of_any_legal_name_reach_the_gateway(client: httpx.AsyncClient, upstream: Upstream) -> None:
    await client.get("/", headers={"Agency_Code": "H43", "x.y": "1"})
    assert upstream.requests[0].headers("agency_code") == ["H43"]


async def test_a_correlation_id_is_kept_or_made(client: httpx.AsyncClient, upstream: Upstream) -> None:
    await client.get("/", headers={"X-Correlation-Id": "my-own-id-1"})
    await client.get("/", headers={"X-Correlation-Id": "<script>"})
    kept, made = (seen.headers("x-correlation-id") for seen in upstream.requests)
    assert kept == ["my-own-id-1"]
    assert len(made[0]) == 32


async def test_connections_to_a_gateway_are_used_again(client: httpx.AsyncClient, upstream: Upstream) -> None:
    for _ in range(5):
        assert (await client.get("/")).status_code == 200
    await client.post("/", content=b"x")
    assert len(upstream.requests) == 6
    assert upstream.connections == 1


async def test_what_the_gateway_sent_plain_stays_plain(client: httpx.AsyncClient, make_upstream: MakeUpstream) -> None:
    answer = await client.get("/", headers={"Accept-Encoding": "gzip, br"})
    assert "content-encoding" not in answer.headers
    assert (answer.text, answer.headers["content-length"]) == ("ok", "2")


async def test_a_body_reaches_the_gateway_while_it_is_still_being_sent(
    make_proxy: MakeProxy, make_upstream: MakeUpstream, trusting: ssl.SSLContext
) -> None:
    async def talk(upstream: Upstream, seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.body += await reader.read(65536)
        upstream.turn.set()
        await read_body(seen, reader)
        writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")

    upstream = await make_upstream(talk=talk)
    proxy = await make_proxy(upstream)

    async def parts() -> object:
        yield b"first"
        async with asyncio.timeout(20):
            await upstream.turn.wait()  # the second part is only sent when the gateway has the first
        yield b"second"

    async with httpx.AsyncClient(base_url=proxy.url, verify=trusting, timeout=30) as client:
        answer = await client.post("/", content=parts(), headers={"Content-Length": "11"})
    assert answer.status_code == 201
    assert bytes(upstream.requests[0].body) == b"firstsecond"


async def test_an_answer_reaches_the_caller_while_it_is_still_being_sent(
    make_proxy: MakeProxy, make_upstream: MakeUpstream, trusting: ssl.SSLContext
) -> None:
    async def talk(upstream: Upstream, seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nfirst")
        await upstream.turn.wait()
        writer.write(b"second")

    upstream = await make_upstream(talk=talk)
    proxy = await make_proxy(upstream)
    async with (
        httpx.AsyncClient(base_url=proxy.url, verify=trusting, timeout=20) as client,
        client.stream("GET", "/") as answer,
    ):
        parts = answer.aiter_raw()
        assert await anext(parts) == b"first"
        upstream.turn.set()  # only now is there a rest
        assert await anext(parts) == b"second"


async def test_a_refusal_by_the_head_reaches_a_caller_that_is_still_sending(
    make_proxy: MakeProxy, make_upstream: MakeUpstream, trusting: ssl.SSLContext
) -> None:
    async def talk(upstream: Upstream, seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 4\r\n\r\nmuch")
        await read_body(seen, reader)

    proxy = await make_proxy(await make_upstream(talk=talk))
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port, ssl=trusting)
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 100000000\r\n\r\n")
    async with asyncio.timeout(20):
        said = await reader.readuntil(b"much")
    writer.close()
    assert b"HTTP/1.1 413" in said


async def test_who_expects_100_continue_gets_it(proxy: Proxy, upstream: Upstream, trusting: ssl.SSLContext) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port, ssl=trusting)
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
    async with asyncio.timeout(20):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"bytes")
        assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
    writer.close()
    assert bytes(upstream.requests[0].body) == b"bytes"


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1"])
def test_old_tls_is_refused(proxy: Proxy, version: str) -> None:
    flag = {"TLSv1": "-tls1", "TLSv1_1": "-tls1_1"}[version]
    assert "Cipher is (NONE)" in said_by_openssl(proxy, flag, "-cipher", "DEFAULT@SECLEVEL=0")


@pytest.mark.parametrize("flag", ["-tls1_2", "-tls1_3"])
def test_current_tls_is_spoken_with_http_2(proxy: Proxy, flag: str) -> None:
    said = said_by_openssl(proxy, flag, "-alpn", "h2")
    assert "ALPN protocol: h2" in said


def said_by_openssl(proxy: Proxy, *arguments: str) -> str:
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{proxy.port}", *arguments],
        input=b"",
        capture_output=True,
        timeout=30,
        check=False,
    )
    return done.stdout.decode(errors="replace")


async def test_http_2_reaches_the_gateway_as_any_request(
    proxy: Proxy, upstream: Upstream, server_certificate: ProxyCertificate
) -> None:
    curl = ["curl", "-sS", "--http2", "--cacert", server_certificate.authority, "-w", " %{http_version}"]
    asked = await asyncio.create_subprocess_exec(
        *curl, "--data-binary", "packet", f"{proxy.url}//a?b=c", stdout=asyncio.subprocess.PIPE
    )
    said, _ = await asked.communicate()
    assert said == b"ok 2"
    [seen] = upstream.requests
    assert (seen.line, bytes(seen.body)) == ("POST //a?b=c HTTP/1.1", b"packet")
    assert seen.headers("host") == [f"127.0.0.1:{proxy.port}"]


async def ask_with(proxy: Proxy, files: ClientFiles, authority: ProxyCertificate) -> httpx.Response:
    context = ssl.create_default_context(cafile=authority.authority)
    context.load_cert_chain(files.certificate, files.key)
    async with httpx.AsyncClient(base_url=proxy.url, verify=context, timeout=30) as client:
        return await client.get("/", headers={"Accept-Language": "en", "X-Client-Verify": "SUCCESS"})


async def test_a_client_certificate_is_passed_on_with_what_the_proxy_thinks_of_it(
    make_proxy: MakeProxy, upstream: Upstream, server_certificate: ProxyCertificate, tmp_path: Path
) -> None:
    mine = a_client_certificate(tmp_path)
    judging = await make_proxy(upstream, client_ca=mine.authority)
    passing = await make_proxy(upstream)
    for proxy in (judging, passing):
        assert (await ask_with(proxy, mine, server_certificate)).status_code == 200
    judged, passed = upstream.requests
    assert judged.headers("x-client-verify") == ["SUCCESS"]
    assert passed.headers("x-client-verify")[0].startswith("FAILED")
    for seen in (judged, passed):
        certificate = mine.read_escaped(seen.headers("x-client-cert")[0])
        assert certificate.public_bytes(Encoding.PEM) == mine.certificate.read_bytes()


async def test_a_strangers_client_certificate_is_refused_where_the_proxy_judges(
    make_proxy: MakeProxy, upstream: Upstream, server_certificate: ProxyCertificate, tmp_path: Path
) -> None:
    mine, strangers = a_client_certificate(tmp_path), a_client_certificate(tmp_path)
    proxy = await make_proxy(upstream, client_ca=mine.authority)
    answer = await ask_with(proxy, strangers, server_certificate)
    assert (answer.status_code, answer.json()["code"]) == (400, "client-certificate-refused")
    assert upstream.requests == []
