"""
What callers get when gateways fail, and what the proxy refuses by itself.
"""

import asyncio
import json
import re
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from deploy.proxy.nginx import Proxy
from gateway.problems import PROBLEMS
from tests.integration.proxy.conftest import MakeProxy, MakeUpstream
from tests.integration.proxy.test_passing_on import raw
from tests.integration.proxy.upstream import Upstream, hang_up, hang_up_inside

ENGLISH = {"Accept-Language": "en"}


@asynccontextmanager
async def asking(proxy: Proxy, trusting: ssl.SSLContext) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=proxy.url, verify=trusting, timeout=30, headers=ENGLISH) as client:
        yield client


def nobody() -> str:
    """
    An address nobody listens on.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_gateway_that_is_down_is_passed_over(
    make_proxy: MakeProxy, upstream: Upstream, trusting: ssl.SSLContext, method: str
) -> None:
    proxy = await make_proxy(nobody(), upstream, nobody())
    async with asking(proxy, trusting) as client:
        answers = [await client.request(method, "/", content=b"x" * 100_000) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 6
    assert [len(seen.body) for seen in upstream.requests] == [100_000] * 6


async def test_a_get_whose_gateway_dies_is_answered_by_another(
    make_proxy: MakeProxy, make_upstream: MakeUpstream, trusting: ssl.SSLContext
) -> None:
    dying, living = await make_upstream(talk=hang_up), await make_upstream()
    proxy = await make_proxy(dying, living)
    async with asking(proxy, trusting) as client:
        answers = [await client.get("/") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200] * 4
    assert dying.requests


@pytest.mark.parametrize(("talk", "length"), [(hang_up, 0), (hang_up, 1_000_000), (hang_up_inside, 1_000_000)])
async def test_a_post_whose_gateway_dies_is_never_sent_a_second_time(
    make_proxy: MakeProxy, make_upstream: MakeUpstream, trusting: ssl.SSLContext, talk: object, length: int
) -> None:
    both = [await make_upstream(talk=talk) for _ in range(2)]
    proxy = await make_proxy(*both)
    async with asking(proxy, trusting) as client:
        answer = await client.post("/v1/documents", content=b"x" * length)
    assert (answer.status_code, answer.json()["code"]) == (502, "gateway-unreachable")
    assert sum(len(upstream.requests) for upstream in both) == 1


async def test_the_proxys_own_refusal_is_a_problem_like_any_other(
    make_proxy: MakeProxy, trusting: ssl.SSLContext
) -> None:
    proxy = await make_proxy(nobody(), public_url="https://truc.example.vn/")
    async with asking(proxy, trusting) as client:
        answer = await client.get("/v1/inbox?wait=1", headers={"X-Correlation-Id": "my-own-id-1"})
        vietnamese = await client.get("/", headers={"Accept-Language": "vi-VN,vi;q=0.9,en;q=0.5"})
    kind = PROBLEMS["gateway-unreachable"]
    assert answer.status_code == kind.status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["content-language"] == "en"
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-correlation-id"] == "my-own-id-1"
    assert answer.json() == {
        "type": "https://truc.example.vn/problems/gateway-unreachable",
        "title": kind.title.en,
        "status": 502,
        "detail": kind.example,
        "instance": "/v1/inbox",
        "code": "gateway-unreachable",
        "remedy": kind.change.en,
        "correlation_id": "my-own-id-1",
        "errors": [],
    }
    assert vietnamese.json()["title"] == kind.title.vi
    assert vietnamese.headers["content-language"] == "vi"


@pytest.mark.parametrize(
    ("request_head", "code"),
    [
        (b"rubbish\r\n\r\n", "request-malformed"),
        (b"GET / HTTP/1.1\r\n\r\n", "request-malformed"),
        (b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", "request-malformed"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", "request-malformed"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", "request-malformed"),
        (b"TRACE / HTTP/1.1\r\nHost: x\r\n\r\n", "method-not-allowed"),
        (b"GET /" + b"a" * 1_200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", "uri-too-long"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 1_200_000 + b"\r\n\r\n", "headers-too-large"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-Many: 1234567890\r\n" * 150_000 + b"\r\n", "headers-too-large"),
    ],
    ids=range(9),
)
async def test_what_is_no_proper_request_is_refused_by_name(
    proxy: Proxy, upstream: Upstream, trusting: ssl.SSLContext, request_head: bytes, code: str
) -> None:
    said = await raw(proxy, trusting, request_head)
    head, _, body = said.partition(b"\r\n\r\n")
    assert f"HTTP/1.1 {PROBLEMS[code].status} ".encode() in head
    assert b"Content-Type: application/problem+json" in head
    assert json.loads(body)["code"] == code
    assert upstream.requests == []


async def test_plain_http_on_the_port_for_https_is_told_so(proxy: Proxy) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.get(proxy.url.replace("https", "http"))
    assert (answer.status_code, answer.json()["code"]) == (400, "request-malformed")


async def test_an_address_that_is_no_text_leaves_the_problem_readable(
    make_proxy: MakeProxy, trusting: ssl.SSLContext
) -> None:
    proxy = await make_proxy(nobody())
    said = await raw(proxy, trusting, b'GET /"\\\xff HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
    assert json.loads(said.partition(b"\r\n\r\n")[2])["instance"] == ""


async def test_a_gateway_that_takes_no_connection_is_too_slow(make_proxy: MakeProxy, trusting: ssl.SSLContext) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        waiting = [asyncio.create_task(asyncio.open_connection(*address)) for _ in range(3)]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(0.2)  # the queue of one is full when the others wait in the kernel
        proxy = await make_proxy(f"127.0.0.1:{address[1]}")
        async with asking(proxy, trusting) as client:
            answer = await client.get("/")
        for task in waiting:
            task.cancel()
        for done in await asyncio.gather(*waiting, return_exceptions=True):
            if not isinstance(done, BaseException):
                done[1].close()
    assert (answer.status_code, answer.json()["code"]) == (504, "gateway-timeout")


def test_everything_nginx_may_find_wrong_by_itself_has_its_page(proxy: Proxy) -> None:
    text = (proxy.folder / "nginx.conf").read_text(encoding="utf-8")
    pages = {int(word) for line in re.findall(r"error_page ([\d ]+)=", text) for word in line.split()}
    assert pages >= {400, 404, 413, 414, 431, 494, 495, 497, 500, 502, 503, 504}
    for status, code in re.findall(r"error_page [\d ]+=(\d+) \S*/([\w-]+);", text):
        assert PROBLEMS[code].status == int(status)


async def test_refusals_of_the_gateway_are_passed_on_as_they_are(
    make_proxy: MakeProxy, make_upstream: MakeUpstream, trusting: ssl.SSLContext
) -> None:
    async def talk(upstream: Upstream, seen: object, reader: object, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 3\r\nRetry-After: 7\r\n\r\nits")

    proxy = await make_proxy(await make_upstream(talk=talk))
    async with asking(proxy, trusting) as client:
        answer = await client.get("/")
    assert (answer.status_code, answer.text, answer.headers["retry-after"]) == (503, "its", "7")


async def test_pages_of_the_proxy_cannot_be_asked_for(
    proxy: Proxy, upstream: Upstream, trusting: ssl.SSLContext
) -> None:
    async with asking(proxy, trusting) as client:
        answer = await client.get("/.proxy/problems/gateway-unreachable")
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
    assert upstream.requests == []
