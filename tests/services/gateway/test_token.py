import base64
from typing import Any

import pytest

from gateway.api.token import ASSERTION_TYPE
from shared.contracts import registry
from shared.errors import Unavailable
from tests.services.gateway.world import World, refused

GRANT = {"grant_type": "client_credentials"}


def basic(client_id: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()}


async def test_a_secret_gets_a_token_on_both_listeners(world: World) -> None:
    for app in (world.gateway.public, world.gateway.admin):
        async with world.client(app) as client:
            form = {**GRANT, "scope": "send inbox", "agencies": "H43.30 H43.31"}
            answer = await client.post("/oauth2/token", data=form, headers=basic("sys", "s%2Be+cret"))
        assert answer.json() == {
            "access_token": "t",
            "token_type": "Bearer",
            "expires_in": 600,
            "scope": "send inbox",
        }
        assert answer.headers["Cache-Control"] == "no-store"
    question = world.questions(registry.ISSUE_TOKEN)[0]
    assert (question.client_id, question.client_secret) == ("sys", "s+e cret")
    assert (question.scopes, question.agencies) == (("send", "inbox"), ("H43.30", "H43.31"))


async def test_an_assertion_gets_a_token(world: World) -> None:
    form = {**GRANT, "client_id": "sys", "client_assertion_type": ASSERTION_TYPE, "client_assertion": "a.b.c"}
    async with world.client() as client:
        assert (await client.post("/oauth2/token", data=form)).status_code == 200
    (question,) = world.questions(registry.ISSUE_TOKEN)
    assert (question.client_id, question.client_secret, question.client_assertion) == ("sys", None, "a.b.c")


@pytest.mark.parametrize(
    ("form", "headers", "status", "error"),
    [
        ("", {}, 400, "invalid_request"),
        ("grant_type=password", basic("a", "b"), 400, "unsupported_grant_type"),
        ("grant_type=client_credentials", {}, 401, "invalid_client"),
        ("grant_type=client_credentials", {"Authorization": "Basic %%%"}, 401, "invalid_client"),
        ("grant_type=client_credentials", {"Authorization": b"Basic \xff"}, 401, "invalid_client"),
        ("grant_type=client_credentials", {"Authorization": "Basic " + base64.b64encode(b"\xff:a").decode()}, 401, 0),
        ("grant_type=client_credentials", {"Authorization": "Bearer x"}, 401, "invalid_client"),
        ("grant_type=client_credentials", basic("a", "b" * 300), 401, "invalid_client"),
        ("grant_type=client_credentials", basic("a%00", "b"), 401, "invalid_client"),
        ("grant_type=client_credentials&grant_type=x", basic("a", "b"), 400, "invalid_request"),
        ("grant_type=client_credentials&scope=%00", basic("a", "b"), 400, "invalid_request"),
        ("grant_type=client_credentials&scope=%ff", basic("a", "b"), 400, "invalid_request"),
        ("grant_type=client_credentials&client_assertion=a", {}, 400, "invalid_request"),
        ("grant_type=client_credentials&client_assertion=a", basic("a", "b"), 400, "invalid_request"),
        ("grant_type=client_credentials&" + "&".join(f"a{n}=1" for n in range(60)), {}, 400, "invalid_request"),
    ],
)
async def test_a_bad_request_is_answered_in_the_words_of_oauth(
    world: World, form: str, headers: dict[str, Any], status: int, error: str
) -> None:
    form_type = {"Content-Type": "application/x-www-form-urlencoded"}
    async with world.client() as client:
        answer = await client.post("/oauth2/token", content=form, headers={**form_type, **headers})
    assert (answer.status_code, answer.json()["error"]) == (status, error or "invalid_client")
    assert answer.headers["Cache-Control"] == "no-store"
    assert ("WWW-Authenticate" in answer.headers) == (status == 401)
    assert world.questions(registry.ISSUE_TOKEN) == []


async def test_refusals_of_the_registry_keep_their_meaning(world: World) -> None:
    async with world.client() as client:
        for code, status, error in (
            ("invalid-client", 401, "invalid_client"),
            ("invalid-scope", 400, "invalid_scope"),
            ("agency-not-yours", 403, "invalid_request"),
        ):
            world.answers[registry.ISSUE_TOKEN.name] = refused(code)
            answer = await client.post("/oauth2/token", data=GRANT, headers=basic("a", "b"))
            assert (answer.status_code, answer.json()["error"], answer.json()["code"]) == (status, error, code)
            assert answer.json()["error_uri"].endswith(f"/problems/{code}")
        world.answers[registry.ISSUE_TOKEN.name] = Unavailable("away", retry_after=3)
        answer = await client.post("/oauth2/token", data=GRANT, headers=basic("a", "b"))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "3")
