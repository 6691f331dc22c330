import json

import pytest

from shared.contracts import routing, signing
from shared.contracts.base import Health
from shared.errors import Unavailable
from tests.services.gateway.conftest import MakeWorld
from tests.services.gateway.world import ID, World, refused


async def test_a_well_formed_correlation_id_is_kept_and_any_other_replaced(world: World) -> None:
    async with world.client() as client:
        kept = await client.get("/health/live", headers={"X-Correlation-Id": "my-own-id-1"})
        replaced = await client.get("/nowhere", headers={"X-Correlation-Id": "<script>"})
        made = await client.get("/health/live")
    assert kept.headers["X-Correlation-Id"] == "my-own-id-1"
    assert replaced.headers["X-Correlation-Id"] == replaced.json()["correlation_id"] != "<script>"
    assert made.headers["X-Correlation-Id"]


@pytest.mark.parametrize(
    ("accept_language", "language", "title"),
    [
        ("", "vi", "Không tìm thấy"),
        ("en", "en", "Not found"),
        ("en-GB,en;q=0.8", "en", "Not found"),
        ("vi;q=0.5, en;q=0.9", "en", "Not found"),
        ("fr, *;q=0.1", "vi", "Không tìm thấy"),
        ("en;q=x", "vi", "Không tìm thấy"),
    ],
)
async def test_problems_speak_the_language_asked_for(
    world: World, accept_language: str, language: str, title: str
) -> None:
    async with world.client() as client:
        answer = await client.get("/nowhere", headers={"Accept-Language": accept_language})
    assert (answer.headers["Content-Language"], answer.json()["title"]) == (language, title)


async def test_a_wrong_method_names_the_right_ones(world: World) -> None:
    async with world.client() as client:
        documents = await client.delete("/v1/documents")
        packet = await client.post(f"/v1/inbox/{ID}/packet")
    assert (documents.status_code, documents.headers["Allow"]) == (405, "GET, POST")
    assert (packet.status_code, packet.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    ("content", "media_type", "status", "code"),
    [
        (b"{", "application/json", 422, "request-invalid"),
        (b"\xff", "application/json", 422, "request-invalid"),
        (b"[" * 100_000, "application/json", 422, "request-invalid"),
        (b'{"result": ' + b"9" * 5000 + b"}", "application/json", 422, "request-invalid"),
        (b'{"result": NaN}', "application/json", 422, "request-invalid"),
        (b'{"result": "done", "reason": "\\u0000"}', "application/json", 422, "request-invalid"),
        (b'{"result": "done", "reason": "\\ud800"}', "application/json", 422, "request-invalid"),
        (b'{"\\u0000": 1}', "application/json", 422, "request-invalid"),
        (b"[]", "application/json", 422, "request-invalid"),
        (b"", "application/json", 422, "request-invalid"),
        (b'{"result": "done"}', "text/plain", 415, "wrong-media-type"),
        (b" " * 1_048_577, "application/json", 413, "request-too-large"),
    ],
)
async def test_bad_json_is_a_problem(world: World, content: bytes, media_type: str, status: int, code: str) -> None:
    headers = world.signed_in(**{"Content-Type": media_type})
    async with world.client() as client:
        answer = await client.post(f"/v1/inbox/{ID}/acknowledgement", content=content, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert world.questions(routing.ACKNOWLEDGE) == []


async def test_every_wrong_place_is_named_by_a_pointer(world: World) -> None:
    body = {"system_id": "!", "system_name": "S", "contact_name": "A", "agencies": ["", "x"], "keys": [{"purpose": 1}]}
    async with world.client() as client:
        answer = await client.post("/v1/registrations", json=body)
        query = await client.get("/v1/inbox?limit=x", headers=world.signed_in())
    found = {entry["pointer"] for entry in answer.json()["errors"]}
    assert found >= {"/system_id", "/contact_email", "/agencies/0", "/keys/0/purpose", "/keys/0/csr"}
    assert [entry["pointer"] for entry in query.json()["errors"]] == ["/query/limit"]


async def test_a_defect_tells_the_caller_only_the_correlation_id(world: World) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("a secret")

    world.answers[routing.LIST_INBOX.name] = fail
    async with world.client() as client:
        answer = await client.get("/v1/inbox", headers=world.signed_in())
    assert (answer.status_code, answer.json()["code"]) == (500, "internal-error")
    assert "secret" not in answer.text
    assert answer.json()["correlation_id"] == answer.headers["X-Correlation-Id"]


async def test_a_code_nobody_knows_is_a_defect_not_a_leak(world: World) -> None:
    world.answers[routing.LIST_INBOX.name] = refused("never-heard-of")
    async with world.client() as client:
        answer = await client.get("/v1/inbox", headers=world.signed_in())
    assert (answer.status_code, answer.json()["code"]) == (500, "internal-error")


async def test_a_flood_is_slowed_down_for_its_own_sender_only(make_world: MakeWorld) -> None:
    world = await make_world(rate_per_second=0.001, rate_burst=3)
    async with world.client() as client:
        mine = world.signed_in()
        answers = [await client.get("/v1/inbox", headers=mine) for _ in range(4)]
        other = await client.get("/v1/inbox", headers={"Authorization": f"Bearer {world.token('inbox')}"})
        health = await client.get("/health/live", headers=mine)
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[3].json()["code"] == "too-many"
    assert int(answers[3].headers["Retry-After"]) > 0
    assert (other.status_code, health.status_code) == (200, 200)


async def test_changing_tokens_does_not_get_round_the_limit_of_an_address(make_world: MakeWorld) -> None:
    world = await make_world(address_rate_per_second=0.001, address_rate_burst=2)
    async with world.client() as client:
        answers = [await client.get("/v1/inbox", headers={"Authorization": f"Bearer {n}"}) for n in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]


async def test_endless_headers_and_nul_are_refused(world: World) -> None:
    async with world.client() as client:
        long = await client.get("/v1/inbox", headers=world.signed_in(**{"X-Long": "x" * 1_100_000}))
        nul = await client.get("/v1/agencies?query=%00")
    assert (long.status_code, nul.status_code) == (431, 422)


async def test_ready_means_that_the_node_can_write_route_and_sign(world: World) -> None:
    world.answers[signing.READ_HEALTH.name] = Health(ready=False, detail="the key file is locked")
    async with world.client() as public, world.client(world.gateway.admin) as admin:
        seen, told = await public.get("/health/ready"), await admin.get("/health/ready")
    assert (seen.status_code, seen.json()["parts"]["signing"]) == (503, {"ready": False, "needed": True, "detail": ""})
    assert told.json()["parts"]["signing"]["detail"] == "the key file is locked"


async def test_a_node_without_journal_is_still_ready(world: World) -> None:
    world.answers["audit.read_health"] = Unavailable("away")
    async with world.client() as client:
        assert (await client.get("/health/ready")).json()["ready"] is True


async def test_figures_are_counted_by_route_not_by_path(world: World) -> None:
    async with world.client() as client:
        await client.get(f"/v1/documents/{ID}", headers=world.signed_in())
        await client.get("/anything/at/all")
        figures = (await client.get("/metrics")).text
    assert 'route="/v1/documents/{document_id}",status="200"} 1.0' in figures
    assert 'route="unmatched",status="404"} 1.0' in figures
    assert str(ID) not in figures


async def test_the_node_describes_itself(world: World) -> None:
    async with world.client() as client:
        node = (await client.get("/.well-known/axis")).json()
    assert (node["node_id"], node["issuer"]) == ("H43", "http://axis.test")
    assert node["links"]["jwks"] == "http://axis.test/v1/trust/jwks.json"


async def test_no_log_line_holds_a_token_or_a_query(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    headers = world.signed_in()
    async with world.client() as client:
        await client.get("/v1/agencies?query=privatewords", headers=headers)
        await client.get("/v1/nowhere?token=privatewords", headers=headers)
    written = "".join(capsys.readouterr())
    assert "/v1/agencies" in written
    assert "privatewords" not in written
    assert headers["Authorization"].split()[1] not in written


async def test_problem_pages_speak_to_people_and_to_programs(world: World) -> None:
    async with world.client() as client:
        page = await client.get("/problems/not-fetched", headers={"Accept": "text/html"})
        data = await client.get("/problems/not-fetched")
        everything = await client.get("/problems", headers={"Accept": "text/html"})
        unknown = await client.get("/problems/never-heard-of")
    assert "Chưa lấy văn bản" in page.text
    assert "Not fetched" in page.text
    assert "script" not in page.text
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert data.json()["title"] == {"vi": "Chưa lấy văn bản", "en": "Not fetched"}
    assert "/problems/not-fetched" in everything.text
    assert unknown.status_code == 404
    assert json.loads(unknown.text)["code"] == "not-found"
