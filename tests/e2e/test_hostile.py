"""A hostile client before a real node: every bad input gets its own problem and leaves nothing behind."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from deploy.embedded.home import Home, init_home
from deploy.embedded.papers import seal_of
from deploy.embedded.postgres import PrivatePostgres
from deploy.embedded.systems import ensure_system, import_table
from shared.client import Credential, Transport
from shared.client.tokens import make_assertion
from shared.edxml import AttachmentSource
from shared.testing.node_process import NodeProcess
from tests.e2e.hostile import (
    RECEIVER,
    SENDER,
    SISTER,
    STRANGER,
    Expected,
    Target,
    bearer,
    unreadable,
    wrong_content,
    wrong_seals,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

TABLE = Path(__file__).parents[2] / "deploy" / "data" / "agencies-2024.csv"
PACKET_TYPE = "application/edxml+xml"
ES256 = base64.urlsafe_b64encode(b'{"alg":"ES256"}').rstrip(b"=").decode()
MAX_GROWTH_BYTES = 200 * 1024 * 1024
COPIES = 50


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def target(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Target]:
    folder = tmp_path_factory.mktemp("hostile") / "home"
    config = init_home(folder, node_id="H43", port=0, admin_port=0).config
    home, node = Home(folder), NodeProcess(folder, config.public_url)
    try:
        await node.start()
        admin_credential = Credential.read(home.admin_credential)
        async with (
            Transport(admin_credential.url, admin_credential) as admin,
            Transport(config.public_url) as public,
            httpx.AsyncClient(base_url=config.public_url, timeout=60) as http,
        ):
            await import_table(admin, TABLE.read_bytes(), as_of="2024-12-31", under="H43")
            systems = [
                await ensure_system(admin, public, home.systems, system_id=name, name=name, agencies=agencies)
                for name, agencies in (
                    ("qlvb-gui", [SENDER]),
                    ("qlvb-nhan", [RECEIVER, SISTER]),
                    ("qlvb-la", [STRANGER]),
                )
            ]
            yield Target(home, node, http, *systems)
    finally:
        with suppress(AssertionError):
            await node.stop()
        await PrivatePostgres(home.postgres).remove()


@pytest_asyncio.fixture(loop_scope="module")
async def unmoved(target: Target) -> AsyncIterator[Target]:
    """
    The node, which must stand afterwards as it stood before.
    """
    await target.counts()
    before, size = await target.counts(), target.resident_bytes()
    yield target
    assert (await target.http.get("/health/ready")).status_code == 200
    assert await target.counts() == before
    assert target.resident_bytes() - size < MAX_GROWTH_BYTES


async def test_a_packet_that_is_wrong_in_any_way_is_refused_by_name(unmoved: Target) -> None:
    headers = {**await unmoved.token(unmoved.sender), "Content-Type": PACKET_TYPE}
    for name, body, expected in [*unreadable(unmoved), *wrong_content(unmoved), *wrong_seals(unmoved)]:
        answer = await unmoved.http.post("/v1/documents", content=body, headers=headers)
        assert said(answer) == expected, f"{name}: {answer.text[:500]}"


async def test_a_head_that_is_wrong_is_refused_before_the_body_counts(unmoved: Target) -> None:
    good = unmoved.packet("dau")
    mine = {**await unmoved.token(unmoved.sender), "Content-Type": PACKET_TYPE}

    async def in_pieces() -> AsyncIterator[bytes]:
        yield good

    cases: list[tuple[dict[str, Any], Any, Expected]] = [
        ({"Content-Type": PACKET_TYPE}, good, (401, "token-missing")),
        ({**mine, "Authorization": "Basic eDp5"}, good, (401, "token-missing")),
        ({**mine, "Authorization": "Bearer x.y.z"}, good, (401, "token-invalid")),
        ({**mine, **await unmoved.token(unmoved.sender, scope="inbox")}, good, (403, "scope-missing")),
        ({**mine, "Content-Type": "application/json"}, good, (415, "wrong-media-type")),
        ({**mine, "Content-Encoding": "gzip"}, good, (415, "wrong-media-type")),
        ({**mine, "Content-Digest": "sha-256=:AAAA:"}, good, (400, "digest-mismatch")),
        ({**mine, "Idempotency-Key": "a b"}, good, (422, "request-invalid")),
        ({**mine, "Axis-Priority": "9"}, good, (422, "request-invalid")),
        ({**mine, "X-Filler": "x" * 1_100_000}, good, (431, "headers-too-large")),
        ({**mine, "Content-Digest": b"sha-256=:\xff:"}, good, (422, "request-invalid")),
        (mine, in_pieces(), (411, "length-required")),
    ]
    for headers, body, expected in cases:
        answer = await unmoved.http.post("/v1/documents", content=body, headers=headers)
        assert said(answer) == expected, answer.text
    reader, writer = await asyncio.open_connection(unmoved.http.base_url.host, unmoved.http.base_url.port)
    head = f"Authorization: {mine['Authorization']}\r\nContent-Type: {PACKET_TYPE}\r\nContent-Length: {10**12}\r\n\r\n"
    writer.write(f"POST /v1/documents HTTP/1.1\r\nHost: x\r\n{head}".encode())
    assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
    writer.close()
    narrowed = {**mine, **await unmoved.token(unmoved.receiver, agencies=SISTER)}
    other = unmoved.packet("hep", sender=(RECEIVER, "x"), seal=seal_of(unmoved.receiver))
    assert said(await unmoved.http.post("/v1/documents", content=other, headers=narrowed)) == (403, "agency-not-yours")


async def test_a_packet_cut_half_way_is_as_if_never_sent(unmoved: Target) -> None:
    headers = await unmoved.token(unmoved.sender)
    good = unmoved.packet("cut")
    url = unmoved.http.base_url
    for _ in range(80):  # more than there are places for packets
        _, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(
            f"POST /v1/documents HTTP/1.1\r\nHost: x\r\nAuthorization: {headers['Authorization']}\r\n"
            f"Content-Type: {PACKET_TYPE}\r\nContent-Length: {len(good)}\r\n\r\n".encode()
            + good[: len(good) // 2]
        )
        with suppress(ConnectionError):
            await writer.drain()
            writer.close()
            await writer.wait_closed()
    answer = await unmoved.http.post("/v1/validations", content=good, headers={**headers, "Content-Type": PACKET_TYPE})
    assert answer.status_code == 200


async def test_a_forged_token_opens_nothing(unmoved: Target) -> None:
    token = (await unmoved.token(unmoved.sender))["Authorization"].removeprefix("Bearer ")
    head, claims, seal = token.split(".")
    header, payload = json.loads(unpadded(head)), json.loads(unpadded(claims))
    keys = (await unmoved.http.get("/v1/trust/jwks.json")).content

    def forged(header: dict[str, Any], payload: dict[str, Any], seal: str) -> str:
        return f"{segment(json.dumps(header).encode())}.{segment(json.dumps(payload).encode())}.{seal}"

    symmetric = forged({**header, "alg": "HS256"}, payload, "").rstrip(".")
    cases = [
        forged({**header, "alg": "none"}, payload, ""),
        f"{symmetric}.{segment(hmac.new(keys, symmetric.encode(), hashlib.sha256).digest())}",
        forged({**header, "typ": "JWT"}, payload, seal),
        forged({**header, "kid": "../../dev/null"}, payload, seal),
        forged({**header, "crit": ["x"]}, payload, seal),
        forged(header, {**payload, "sub": unmoved.receiver.system_id}, seal),
        f"{head}.{claims}.{segment(bytes(64))}",
        f"{segment(b'[' * 9_000)}.{claims}.{seal}",
        f"{head}..{seal}",
        f"{token}=",
        make_assertion(unmoved.sender, audience=str(unmoved.http.base_url).rstrip("/"), at=int(time.time())),
    ]
    for forgery in cases:
        answer = await unmoved.http.get("/v1/inbox", headers=bearer(forgery))
        assert said(answer) == (401, "token-invalid"), forgery[:200]


async def test_a_client_assertion_is_good_for_one_token(unmoved: Target) -> None:
    issuer = str(unmoved.http.base_url).rstrip("/")
    now = int(time.time())
    good = make_assertion(unmoved.sender, audience=issuer, at=now)
    answers = await asyncio.gather(*(unmoved.http.post("/oauth2/token", data=assertion(good)) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200, *[401] * 19]

    def unsigned(**changes: Any) -> str:
        name = unmoved.sender.system_id
        claims = {"iss": name, "sub": name, "aud": issuer, "jti": "j", "exp": now + 60, **changes}
        return f"{ES256}.{segment(json.dumps(claims).encode())}.{segment(bytes(64))}"

    form = {"grant_type": "client_credentials"}
    answer = await unmoved.http.post("/oauth2/token", data=form, headers=[(b"Authorization", b"Basic \xff")])
    assert said(answer) == (401, "invalid-client")
    for bad in (
        make_assertion(unmoved.sender, audience="http://elsewhere", at=now),
        make_assertion(unmoved.sender, audience=issuer, at=now - 10_000),
        make_assertion(unmoved.sender, audience=issuer, at=now + 10_000),
        unsigned(),
        unsigned(jti="\ud800"),
        unsigned(sub="\0", iss="\0"),
        unsigned(exp=253_402_300_799),
        f"{ES256}.{segment(b'[' * 9_000)}.AA",
    ):
        answer = await unmoved.http.post("/oauth2/token", data=assertion(bad))
        assert said(answer) == (401, "invalid-client"), bad


async def test_odd_addresses_and_bodies_are_refused_and_never_defects(unmoved: Target) -> None:
    headers = await unmoved.token(unmoved.sender)
    nobody = uuid4()
    lists: list[tuple[str, list[object]]] = [
        ("/v1/inbox", [40_000, "2026-01-01T00:00:00+00:00", str(nobody)]),
        ("/v1/inbox", [0, "0001-01-01T00:00:00+14:00", str(nobody)]),
        ("/v1/documents", ["9999-12-31T23:59:59-14:00", str(nobody)]),
        ("/v1/agencies", ["\ud800", str(nobody)]),
        ("/v1/agencies", ["x"]),
    ]
    for path, members in lists:
        cursor = segment(json.dumps(members).encode())
        answer = await unmoved.http.get(path, params={"cursor": cursor}, headers=headers)
        assert answer.status_code == 422, f"{path} {members}: {answer.text}"
    for path, expected in (
        ("/v1/admin/systems", (404, "not-found")),
        ("/v1//admin/systems", (404, "not-found")),
        ("/v1/agencies/%00", (404, "not-found")),
        ("/v1/agencies/..%2f..%2fadmin", (404, "not-found")),
        ("/v1/agencies?at=0001-01-01T00:00:00Z", (422, "request-invalid")),
        ("/v1/inbox?agency=%00", (422, "request-invalid")),
        (f"/v1/inbox?cursor={'x' * 5_000}", (422, "request-invalid")),
        ("/v1/inbox?limit=99999999999999999999", (422, "request-invalid")),
        (f"/v1/inbox/{nobody}/attachments/99999999999999999999", (404, "not-found")),
        ("/v1/trust/tree-head?tree_size=99999999999999999999", (422, "request-invalid")),
        (f"/v1/registrations/{nobody}", (401, "token-invalid")),
    ):
        assert said(await unmoved.http.get(path, headers=headers)) == expected, path
    for body in (
        b"{",
        b"[" * 100_000,
        b'"\\ud800"',
        b"\xff\xfe",
        b'{"result":"done","reason":"\\u0000"}',
        b"1" * 5_000,
    ):
        for path in (f"/v1/inbox/{nobody}/acknowledgement", "/v1/registrations", "/v1/webhooks"):
            answer = await unmoved.http.post(
                path, content=body, headers={**headers, "Content-Type": "application/json"}
            )
            assert said(answer) == (422, "request-invalid"), f"{path} {body[:30]!r}"
    for url in ("file:///etc/passwd", "http://a@b/", "http://x:99999/", "http:///x", "http://h/\r\nX: y"):
        answer = await unmoved.http.post("/v1/webhooks", json={"url": url}, headers=headers)
        assert said(answer) == (422, "webhook-invalid"), url


async def test_fifty_copies_at_once_are_one_document_which_is_nobody_elses(target: Target) -> None:
    mine, theirs, strange = [await target.token(system) for system in (target.sender, target.receiver, target.stranger)]
    before = await target.counts()
    name = 'x"; filename=evil\r\nSet-Cookie: a=b\u202e/../../etc/passwd'
    packet = target.packet("ban-sao", attachments=(AttachmentSource(b"octets", name, "d"),))
    key = {"Content-Type": PACKET_TYPE, "Idempotency-Key": "key-1"}
    answers = await asyncio.gather(
        *(target.http.post("/v1/documents", content=packet, headers={**mine, **key}) for _ in range(COPIES))
    )
    assert sorted(answer.status_code for answer in answers) == [*[200] * (COPIES - 1), 201]
    assert len({answer.content for answer in answers}) == 1
    other = await target.http.post("/v1/documents", content=target.packet("khac"), headers={**mine, **key})
    assert said(other) == (409, "idempotency-key-reused")
    back = target.packet("ve", sender=(RECEIVER, "x"), to=[(SENDER, "y")], seal=seal_of(target.receiver))
    answer = await target.http.post("/v1/documents", content=back, headers={**theirs, **key})
    assert answer.status_code == 201, "a key of one system is nothing to another"
    document = answers[0].json()["document_id"]
    for path in (f"/v1/documents/{document}", f"/v1/documents/{document}/receipt", f"/v1/documents/{document}/journey"):
        assert said(await target.http.get(path, headers=strange)) == (404, "not-found")
    inbox = await target.http.get("/v1/inbox?wait=30", headers=theirs)
    (item,) = [item for item in inbox.json()["items"] if item["document_id"] == document]
    await _nobody_else_touches(target, item["delivery_id"], [mine, strange])
    file = await target.http.get(f"/v1/inbox/{item['delivery_id']}/attachments/0", headers=theirs)
    assert file.content == b"octets"
    assert "set-cookie" not in file.headers
    assert not set("/\\\r\n\u202e") & set(file.headers["content-disposition"].partition("''")[0])
    words = [{"result": result, "reason": "x"} for result in ("done", "fail")] * 10
    place = f"/v1/inbox/{item['delivery_id']}/acknowledgement"
    said_all = await asyncio.gather(*(target.http.post(place, json=word, headers=theirs) for word in words))
    assert sorted(answer.status_code for answer in said_all) == [*[200] * 9, 201, *[409] * 10]
    after = await target.counts()
    assert after["routing.documents"] - before["routing.documents"] == 2
    assert after["routing.deliveries"] - before["routing.deliveries"] == 2
    assert after["routing.acknowledgements"] - before["routing.acknowledgements"] == 1


async def _nobody_else_touches(target: Target, delivery: str, others: list[dict[str, str]]) -> None:
    for headers in others:
        for path in ("", "/packet", "/attachments/0", "/statuses"):
            answer = await target.http.get(f"/v1/inbox/{delivery}{path}", headers=headers)
            assert said(answer) == (404, "not-found")
        for path, body in (("acknowledgement", {"result": "done"}), ("statuses", {"code": "01"})):
            answer = await target.http.post(f"/v1/inbox/{delivery}/{path}", json=body, headers=headers)
            assert said(answer) == (404, "not-found")


def said(answer: httpx.Response) -> Expected:
    """
    Give the status and the stable code of a refusal.
    """
    return answer.status_code, answer.json()["code"]


def assertion(token: str) -> dict[str, str]:
    kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    return {"grant_type": "client_credentials", "client_assertion_type": kind, "client_assertion": token}


def segment(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
