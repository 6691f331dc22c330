import base64
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from joserfc import jwt
from joserfc.jwk import ECKey

from shared.client import (
    AxisClient,
    Credential,
    CredentialInvalid,
    RegistrationClient,
    Rejected,
    RetryPolicy,
    key_to_pem,
)
from shared.client.tokens import TokenRequest, TokenSource
from shared.testing.pki import an_authority
from shared.testing.stand_in import StandInNode, a_problem

INBOX = ("GET", "/v1/inbox")
TOKEN = ("POST", "/oauth2/token")


@pytest.fixture
def inbox(node: StandInNode) -> None:
    node.on(*INBOX, lambda _: httpx.Response(200, json={"items": [], "next_cursor": None}))


async def test_one_token_serves_many_calls_and_is_asked_for_with_the_secret(
    node: StandInNode, client: AxisClient, inbox: None
) -> None:
    await client.inbox()
    await client.inbox()

    (request,) = node.called(*TOKEN)
    assert request.headers["Authorization"] == f"Basic {base64.b64encode(b'qlvb.example:s3cret').decode()}"
    assert parse_qs(request.content.decode()) == {"grant_type": ["client_credentials"]}


async def test_a_refused_token_is_renewed_once(node: StandInNode, client: AxisClient) -> None:
    node.on(*INBOX, a_problem(401, "token-invalid"), httpx.Response(200, json={"items": []}))

    await client.inbox()

    assert len(node.called(*TOKEN)) == 2


async def test_a_token_refused_twice_is_a_refusal(node: StandInNode, client: AxisClient) -> None:
    node.on(*INBOX, lambda _: a_problem(401, "token-invalid"))

    with pytest.raises(Rejected, match="token-invalid"):
        await client.inbox()

    assert len(node.called(*INBOX)) == 2


async def test_a_wrong_secret_is_said_as_the_token_endpoint_says_it(
    node: StandInNode, client: AxisClient, inbox: None
) -> None:
    refusal = {"error": "invalid_client", "error_description": "no such client"}
    node.on(*TOKEN, httpx.Response(401, json=refusal))

    with pytest.raises(Rejected, match="invalid_client: no such client"):
        await client.inbox()

    assert len(node.called(*TOKEN)) == 1


async def test_a_token_is_renewed_a_minute_before_it_ends(credential: Credential) -> None:
    asked: list[TokenRequest] = []
    now = 0.0

    async def ask(make: Callable[[], Awaitable[TokenRequest]]) -> dict[str, Any]:
        request = await make()
        asked.append(request)
        return {"access_token": f"t{len(asked)}", "expires_in": 600}

    async def issuer() -> str:
        return "http://node.test"

    tokens = TokenSource(credential, ask, issuer, monotonic=lambda: now)
    assert await tokens.current() == "t1"
    now = 539.0
    assert await tokens.current() == "t1"
    now = 541.0
    assert await tokens.current() == "t2"


async def test_without_a_secret_an_assertion_is_made_anew_for_each_attempt(
    node: StandInNode, inbox: None, tmp_path: Path, retries: RetryPolicy
) -> None:
    signer = an_authority().issue("qlvb.example", purpose="auth")
    assert isinstance(signer.key, ec.EllipticCurvePrivateKey)
    (tmp_path / "auth.pem").write_text(key_to_pem(signer.key))
    pem = signer.certificate.public_bytes(Encoding.PEM).decode()
    path = tmp_path / "credential.json"
    Credential(url="http://node.test", system_id="qlvb.example", auth_key_file="auth.pem", auth_certificate=pem).write(
        path
    )
    token = node.answers[TOKEN][0]
    node.on(*TOKEN, a_problem(503, "unavailable"), token)

    async with AxisClient(path, retries=retries, http=httpx.MockTransport(node.handle)) as client:
        await client.inbox()

    forms = [parse_qs(request.content.decode()) for request in node.called(*TOKEN)]
    claims = [
        jwt.decode(form["client_assertion"][0], ECKey.import_key(signer.key), algorithms=["ES256"]).claims
        for form in forms
    ]
    assert {(one["iss"], one["sub"], one["aud"]) for one in claims} == {
        ("qlvb.example", "qlvb.example", "http://node.test")
    }
    assert claims[0]["jti"] != claims[1]["jti"]
    assert claims[0]["exp"] - claims[0]["iat"] == 60


async def test_a_registration_shows_its_claim_token_and_no_access_token(
    node: StandInNode, retries: RetryPolicy
) -> None:
    registration = UUID("01940000-0000-7000-8000-000000000009")
    node.on("GET", f"/v1/registrations/{registration}", httpx.Response(404, json={"code": "not-found"}))

    async with RegistrationClient("http://node.test", retries=retries, http=httpx.MockTransport(node.handle)) as desk:
        with pytest.raises(Rejected, match="not-found"):
            await desk.registration(registration, "claim")

    assert node.requests[0].headers["Authorization"] == "Bearer claim"
    assert node.called(*TOKEN) == []


async def test_a_hand_over_becomes_a_credential_file_that_pins_the_root(
    node: StandInNode, retries: RetryPolicy, tmp_path: Path
) -> None:
    registration = UUID("01940000-0000-7000-8000-000000000009")
    signer = node.authority.issue("qlvb.example")
    pem = signer.certificate.public_bytes(Encoding.PEM).decode()
    issued = {
        "system_id": "qlvb.example",
        "credential_id": "c1",
        "secret": "s",
        "scopes": ["send"],
        "agencies": ["H43.30.01"],
        "keys": [{"purpose": "seal", "certificate": pem, "chain": [node.anchor_pem]}],
    }
    node.on("POST", f"/v1/registrations/{registration}/handover", httpx.Response(200, json=issued))
    path = tmp_path / "credential.json"

    async with RegistrationClient("http://node.test", retries=retries, http=httpx.MockTransport(node.handle)) as desk:
        (await desk.hand_over(registration, "claim", key_files={"seal": "seal.pem"})).write(path)

    credential = Credential.read(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert credential.seal_certificates() == [signer.certificate]
    assert credential.anchor_certificates() == [node.authority.certificate]
    assert credential.secret is not None
    assert credential.secret.get_secret_value() == "s"
    assert credential.issuer == "http://node.test"


def test_a_credential_others_may_read_is_refused(tmp_path: Path, credential: Credential) -> None:
    path = tmp_path / "credential.json"
    credential.write(path)
    path.chmod(0o644)

    with pytest.raises(CredentialInvalid, match="chmod 600"):
        Credential.read(path)


def test_a_broken_credential_is_refused_without_quoting_it(tmp_path: Path) -> None:
    path = tmp_path / "credential.json"
    path.write_text('{"secret": "s3cret", "url": 1}')
    path.chmod(0o600)

    with pytest.raises(CredentialInvalid, match="system_id") as refused:
        Credential.read(path)

    assert "s3cret" not in str(refused.value)


def test_a_credential_does_not_show_its_secret_when_printed(credential: Credential) -> None:
    assert "s3cret" not in repr(credential)
