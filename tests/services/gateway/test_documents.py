import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator

import pytest

from shared.contracts import routing
from shared.contracts.base import Lane
from shared.errors import FieldError, RejectedElsewhere, Unavailable
from tests.services.gateway.conftest import MakeWorld
from tests.services.gateway.world import BODY, ID, World, refused

PACKET = b"<edXML/>" * 1000
SHA256 = hashlib.sha256(PACKET).hexdigest()
XML = {"Content-Type": "application/edxml+xml"}


async def test_a_packet_is_stored_and_submitted_with_everything_the_caller_said(world: World) -> None:
    headers = world.signed_in(**XML, **{"Axis-Priority": "3", "Idempotency-Key": "key-1"})
    async with world.client() as client:
        answer = await client.post("/v1/documents", content=PACKET, headers=headers)
    assert answer.status_code == 201
    assert answer.content == BODY.encode()
    assert answer.headers["Location"] == f"/v1/documents/{ID}"
    (question,) = world.questions(routing.SUBMIT_DOCUMENT)
    assert (question.packet_sha256, question.packet_bytes) == (SHA256, len(PACKET))
    assert (question.priority, question.idempotency_key) == (Lane.EXPRESS, "key-1")
    assert headers["Authorization"] == f"Bearer {question.token}"
    assert b"".join([chunk async for chunk in world.blobs.open(SHA256)]) == PACKET


async def test_a_repeat_is_answered_200_with_the_same_bytes(world: World) -> None:
    world.answers[routing.SUBMIT_DOCUMENT.name] = routing.Submitted(created=False, document_id=ID, body=BODY)
    async with world.client() as client:
        answer = await client.post("/v1/documents", content=PACKET, headers=world.signed_in(**XML))
    assert (answer.status_code, answer.content) == (200, BODY.encode())


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Content-Type": "application/json"}, 415, "wrong-media-type"),
        ({"Content-Type": ""}, 415, "wrong-media-type"),
        ({**XML, "Content-Encoding": "gzip"}, 415, "wrong-media-type"),
        ({**XML, "Content-Length": "10001"}, 413, "packet-too-large"),
        ({**XML, "Content-Length": "-1"}, 422, "request-invalid"),
        ({**XML, "Content-Length": "many"}, 422, "request-invalid"),
        ({**XML, "Content-Length": "9000"}, 400, "body-incomplete"),
        ({**XML, "Content-Digest": "sha-256=:AAAA:"}, 400, "digest-mismatch"),
        ({**XML, "Content-Digest": "sha-256=:%:"}, 422, "request-invalid"),
        ({**XML, "Content-Digest": b"sha-256=:\xff:"}, 422, "request-invalid"),
        ({**XML, "Axis-Priority": "5"}, 422, "request-invalid"),
        ({**XML, "Axis-Priority": "urgent"}, 422, "request-invalid"),
        ({**XML, "Idempotency-Key": "with space"}, 422, "request-invalid"),
        ({**XML, "Idempotency-Key": "x" * 256}, 422, "request-invalid"),
        ({**XML, "Accept": "text/html"}, 406, "not-acceptable"),
        ({**XML, "Authorization": ""}, 401, "token-missing"),
        ({**XML, "Authorization": "Basic abc"}, 401, "token-missing"),
        ({**XML, "Authorization": "Bearer abc"}, 401, "token-invalid"),
    ],
)
async def test_a_bad_head_is_a_problem_and_leaves_nothing(
    make_world: MakeWorld, headers: dict[str, str], status: int, code: str
) -> None:
    world = await make_world(max_packet_bytes=10_000)
    async with world.client() as client:
        answer = await client.post("/v1/documents", content=PACKET, headers={**world.signed_in(), **headers})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert world.kept() == []
    assert world.questions(routing.SUBMIT_DOCUMENT) == []


async def test_a_body_without_length_is_refused(world: World) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield PACKET

    async with world.client() as client:
        answer = await client.post("/v1/documents", content=chunks(), headers=world.signed_in(**XML))
    assert (answer.status_code, answer.json()["code"]) == (411, "length-required")
    assert world.kept() == []


async def test_a_matching_content_digest_is_taken(world: World) -> None:
    digest = base64.b64encode(hashlib.sha256(PACKET).digest()).decode()
    headers = world.signed_in(**XML, **{"Content-Digest": f"sha-512=:AA==:, sha-256=:{digest}:"})
    async with world.client() as client:
        assert (await client.post("/v1/documents", content=PACKET, headers=headers)).status_code == 201


async def test_a_token_for_another_scope_or_node_is_refused_before_the_body(world: World) -> None:
    async with world.client() as client:
        for token, status, code in (
            (world.token("inbox"), 403, "scope-missing"),
            (world.token(issuer="http://elsewhere.test"), 401, "token-invalid"),
        ):
            headers = {**XML, "Authorization": f"Bearer {token}"}
            answer = await client.post("/v1/documents", content=PACKET, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (status, code)
            assert "WWW-Authenticate" in answer.headers
    assert world.kept() == []


async def test_a_refusal_of_routing_keeps_its_code_words_and_places(world: World) -> None:
    errors = (FieldError(pointer="/edXML/To[2]", code="addressee-unknown", detail="G99 is unknown", line=12),)
    world.answers[routing.SUBMIT_DOCUMENT.name] = RejectedElsewhere("addressees-refused", "1 is wrong", errors=errors)
    async with world.client() as client:
        headers = world.signed_in(**XML, **{"Accept-Language": "en"})
        answer = await client.post("/v1/documents", content=PACKET, headers=headers)
    problem = answer.json()
    assert answer.status_code == 422
    assert problem["type"] == "http://axis.test/problems/addressees-refused"
    assert problem["title"] == "Addressees refused"
    assert problem["detail"] == "1 is wrong"
    assert problem["errors"] == [entry.model_dump() for entry in errors]
    assert problem["correlation_id"] == answer.headers["X-Correlation-Id"]


async def test_what_may_work_later_is_503_with_retry_after(world: World) -> None:
    world.answers[routing.SUBMIT_DOCUMENT.name] = Unavailable("signing is away", retry_after=7)
    async with world.client() as client:
        answer = await client.post("/v1/documents", content=PACKET, headers=world.signed_in(**XML))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "7")
    assert answer.json()["code"] == "unavailable"


async def test_a_full_disk_closes_intake_early(make_world: MakeWorld) -> None:
    world = await make_world(min_free_bytes=2**60)
    async with world.client() as client:
        answer = await client.post("/v1/documents", content=PACKET, headers=world.signed_in(**XML))
        assert (answer.status_code, answer.json()["code"]) == (503, "storage-low")
        assert "Retry-After" in answer.headers
        assert (await client.get("/v1/inbox", headers=world.signed_in())).status_code == 200
        assert (await client.get("/health/ready")).status_code == 503


async def test_urgent_packets_find_a_place_when_ordinary_ones_have_taken_all(make_world: MakeWorld) -> None:
    world = await make_world(max_uploads=1, max_urgent_uploads=1)
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield PACKET[:100]
        begun.set()
        await go_on.wait()
        yield PACKET[100:]

    async with world.client() as client:
        length = {"Content-Length": str(len(PACKET))}
        slow = asyncio.create_task(
            client.post("/v1/documents", content=slowly(), headers=world.signed_in(**XML, **length))
        )
        await begun.wait()
        ordinary = await client.post("/v1/documents", content=PACKET, headers=world.signed_in(**XML))
        urgent = await client.post(
            "/v1/documents", content=PACKET, headers=world.signed_in(**XML, **{"Axis-Priority": "4"})
        )
        go_on.set()
        assert (await slow).status_code == 201
    assert (ordinary.status_code, urgent.status_code) == (503, 201)


async def test_packets_can_be_checked_without_sending(world: World) -> None:
    async with world.client() as client:
        found = await client.post("/v1/validations", content=PACKET, headers=world.signed_in(**XML))
        report = await client.post("/v1/verifications", content=PACKET, headers=world.signed_in(**XML))
    assert found.json()["accepted"] is True
    assert (report.json()["overall"], len(report.json()["signatures"])) == ("PASSED", 1)
    assert world.questions(routing.SUBMIT_DOCUMENT) == []


async def test_senders_read_lists_documents_receipts_and_journeys(world: World) -> None:
    dispatch = "01940000-0000-7000-8000-000000000002"
    async with world.client() as client:
        client.headers = world.signed_in()
        listed = await client.get("/v1/documents?agency=H43.30.01&limit=7&cursor=abc")
        shown = await client.get(f"/v1/documents/{ID}")
        receipt = await client.get(f"/v1/documents/{ID}/receipt?dispatch={dispatch}")
        journey = await client.get(f"/v1/documents/{ID}/journey")
    assert set(listed.json()) == {"items", "next_cursor"}
    (question,) = world.questions(routing.LIST_DOCUMENTS)
    assert (question.agency, question.limit, question.cursor) == ("H43.30.01", 7, "abc")
    assert shown.json()["accepted_at"] == "2024-12-31T08:00:00.000000Z"
    assert (receipt.text, receipt.headers["Content-Type"]) == ("a.b.c", "application/jose")
    assert str(world.questions(routing.READ_RECEIPT)[0].dispatch_id) == dispatch
    assert journey.json()["items"] == []


async def test_what_is_no_identifier_is_not_found_like_anything_unknown(world: World) -> None:
    world.answers[routing.READ_DOCUMENT.name] = refused("not-found")
    async with world.client() as client:
        client.headers = world.signed_in()
        answers = [await client.get(f"/v1/documents/{name}") for name in (ID, "15", "x%00", "%ff")]
    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(404, "not-found")}
