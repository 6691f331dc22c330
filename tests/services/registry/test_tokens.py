"""Access tokens: by secret, by assertion, and when they are refused."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from shared.contracts.base import Nothing
from shared.contracts.registry import (
    ISSUE_TOKEN,
    LIST_SYSTEMS,
    REVOKE_CERTIFICATE,
    ROTATE_CREDENTIAL,
    SET_SYSTEM_STATUS,
    Credential,
    IssueToken,
    ListSystems,
    RevokeCertificate,
    RotateCredential,
    SetSystemStatus,
    SystemsChanged,
    SystemStatus,
)
from shared.contracts.signing import READ_KEYS
from shared.jose import ACCESS_TOKEN, from_jwks, verify_compact
from shared.testing.pki import PrivateKey, a_certificate_request, a_p256_key, an_rsa_key

if TYPE_CHECKING:
    from conftest import Node

pytestmark = pytest.mark.filterwarnings("ignore::services.signing.errors.DevelopmentModeWarning")

COMMUNE = "H43.36.01"
AUDIENCE = "http://127.0.0.1:8443"


async def claims_of(node: "Node", token: str) -> dict[str, Any]:
    keys = await node.ask(READ_KEYS, Nothing())
    return verify_compact(token, typ=ACCESS_TOKEN, keys=from_jwks(keys.token_keys))


def an_assertion(node: "Node", key: PrivateKey, algorithm: str = "ES256", **changes: Any) -> str:
    now = int(node.clock.now().timestamp())
    claims = {"iss": "xa-1", "sub": "xa-1", "aud": AUDIENCE, "jti": "j-1", "iat": now, "exp": now + 60, **changes}
    payload = json.dumps({name: value for name, value in claims.items() if value is not None})
    imported = ECKey.import_key(key) if algorithm.startswith("ES") else RSAKey.import_key(key)
    return jws.serialize_compact({"alg": algorithm}, payload, imported, algorithms=[algorithm])


async def a_system_with(node: "Node", key: PrivateKey, purpose: str = "auth") -> Credential:
    await node.import_table()
    keys = [{"purpose": purpose, "csr": a_certificate_request(key)}]
    return await node.add_system("xa-1", COMMUNE, keys=keys)


async def test_a_token_says_who_may_do_what_for_ten_minutes(node: "Node") -> None:
    await node.import_table()
    credential = await node.add_system("xa-1", COMMUNE)
    request = IssueToken(client_id="xa-1", client_secret=credential.secret)
    answer = await node.ask(ISSUE_TOKEN, request)
    now = int(node.clock.now().timestamp())
    claims = await claims_of(node, answer.access_token)
    assert answer.expires_in == 600
    assert answer.scopes == ("send", "inbox", "acknowledge")
    assert claims.pop("jti")
    assert claims == {
        "iss": AUDIENCE,
        "aud": "axis",
        "sub": "xa-1",
        "cid": credential.credential_id,
        "scope": "send inbox acknowledge",
        "iat": now,
        "exp": now + 600,
    }


async def test_scopes_may_be_fewer_but_not_more(node: "Node") -> None:
    await node.import_table()
    credential = await node.add_system("xa-1", COMMUNE)
    claims = await claims_of(node, await node.token(credential, "inbox"))
    assert claims["scope"] == "inbox"
    for scope in ("operate", "nonsense", ""):
        request = IssueToken(client_id="xa-1", client_secret=credential.secret, scopes=(scope,))
        assert await node.refusal(ISSUE_TOKEN, request) == "invalid-scope"


async def test_a_token_may_be_narrowed_to_agencies_of_the_system(node: "Node") -> None:
    await node.import_table()
    credential = await node.add_system("xa-1", COMMUNE, "H43.36.02")
    claims = await claims_of(node, await node.token(credential, agencies=("000.02.36.H43",)))
    assert claims["agencies"] == ["H43.36.02"]
    for agency in ("H43", "H99", "x\0"):
        request = IssueToken(client_id="xa-1", client_secret=credential.secret, agencies=(agency,))
        assert await node.refusal(ISSUE_TOKEN, request) == "agency-not-yours"


async def test_a_wrong_secret_or_client_is_refused(node: "Node") -> None:
    secret = (await node.add_system("xa-1")).secret
    for client_id, client_secret in [
        ("xa-1", "wrong"),
        ("xa-1", ""),
        ("xa-1", None),
        ("nobody", "x"),
        (None, None),
        ("a\0b", "x"),
        ("XA-1", secret),
    ]:
        request = IssueToken(client_id=client_id, client_secret=client_secret)
        assert await node.refusal(ISSUE_TOKEN, request) == "invalid-client"


async def test_the_secret_of_another_system_is_refused(node: "Node") -> None:
    await node.add_system("xa-1")
    other = await node.add_system("xa-2")
    request = IssueToken(client_id="xa-1", client_secret=other.secret)
    assert await node.refusal(ISSUE_TOKEN, request) == "invalid-client"


async def test_no_secret_is_stored(node: "Node") -> None:
    credential = await node.add_system("xa-1")
    rows = await node.rows("SELECT secret_hmac FROM registry.credentials WHERE system_id = 'xa-1'")
    assert [len(row["secret_hmac"]) for row in rows] == [32]
    assert len(credential.secret) == 43


@pytest.mark.parametrize(
    ("make_key", "algorithm"),
    [(a_p256_key, "ES256"), (lambda: an_rsa_key("auth"), "RS256"), (lambda: an_rsa_key("auth"), "PS256")],
)
async def test_an_assertion_by_the_bound_key_gets_a_token(
    node: "Node", make_key: Callable[[], PrivateKey], algorithm: str
) -> None:
    key = make_key()
    credential = await a_system_with(node, key)
    answer = await node.ask(ISSUE_TOKEN, IssueToken(client_assertion=an_assertion(node, key, algorithm)))
    claims = await claims_of(node, answer.access_token)
    assert (claims["sub"], claims["cid"]) == ("xa-1", credential.credential_id)


async def test_an_assertion_works_once(node: "Node") -> None:
    key = a_p256_key()
    await a_system_with(node, key)
    request = IssueToken(client_assertion=an_assertion(node, key))
    await node.ask(ISSUE_TOKEN, request)
    assert await node.refusal(ISSUE_TOKEN, request) == "invalid-client"
    await node.ask(ISSUE_TOKEN, IssueToken(client_assertion=an_assertion(node, key, jti="j-2")))


OTHER_CLAIMS: list[dict[str, Any]] = [
    {"aud": "http://elsewhere"},
    {"aud": None},
    {"aud": ["http://elsewhere"]},
    {"iss": "xa-2"},
    {"sub": "xa-2", "iss": "xa-2"},
    {"sub": None, "iss": None},
    {"jti": None},
    {"jti": ""},
    {"jti": 7},
    {"jti": "j" * 257},
    {"jti": "a\0"},
    {"jti": "\ud800"},
    {"sub": "xa\0", "iss": "xa\0"},
    {"sub": "\ud800", "iss": "\ud800"},
    {"exp": None},
    {"exp": "soon"},
    {"exp": True},
    {"exp": 1},
    {"exp": 1e300},
    {"exp": 253_402_300_799},
    {"exp": 4_102_444_800},
    {"iat": 4_102_444_800},
    {"nbf": 4_102_444_800},
]


async def test_an_assertion_that_says_something_else_is_refused(node: "Node") -> None:
    key = a_p256_key()
    await a_system_with(node, key)
    for changes in OTHER_CLAIMS:
        request = IssueToken(client_assertion=an_assertion(node, key, **changes))
        assert await node.refusal(ISSUE_TOKEN, request) == "invalid-client", changes


async def test_an_assertion_signed_by_another_key_is_refused(node: "Node") -> None:
    await a_system_with(node, a_p256_key())
    request = IssueToken(client_assertion=an_assertion(node, a_p256_key()))
    assert await node.refusal(ISSUE_TOKEN, request) == "invalid-client"


async def test_a_sealing_key_does_not_get_tokens(node: "Node") -> None:
    key = a_p256_key()
    await a_system_with(node, key, "seal")
    request = IssueToken(client_assertion=an_assertion(node, key))
    assert await node.refusal(ISSUE_TOKEN, request) == "invalid-client"


async def test_what_is_no_assertion_is_refused(node: "Node") -> None:
    for text in ["", "x", "a.b.c", "e30.e30.", "eyJhbGciOiJub25lIn0.e30.", "." * 100, "é.é.é"]:
        assert await node.refusal(ISSUE_TOKEN, IssueToken(client_assertion=text)) == "invalid-client", text


async def test_an_unsigned_assertion_is_refused(node: "Node") -> None:
    key = a_p256_key()
    await a_system_with(node, key)
    header, payload, _ = an_assertion(node, key).split(".")
    none = "eyJhbGciOiJub25lIn0"
    for text in (f"{header}.{payload}.", f"{none}.{payload}."):
        assert await node.refusal(ISSUE_TOKEN, IssueToken(client_assertion=text)) == "invalid-client"


async def test_a_revoked_certificate_gets_no_token(node: "Node") -> None:
    key = a_p256_key()
    await a_system_with(node, key)
    (row,) = await node.rows("SELECT sha256 FROM registry.certificates")
    request = RevokeCertificate(token=await node.token(), certificate_sha256=row["sha256"], reason="keyCompromise")
    entry = await node.ask(REVOKE_CERTIFICATE, request)
    assert entry.id == "xa-1"
    await node.ask(REVOKE_CERTIFICATE, request)
    changes = [event.change for event in await node.events(SystemsChanged, 3)]
    assert changes.count("certificate-revoked") == 1
    assertion = IssueToken(client_assertion=an_assertion(node, key))
    assert await node.refusal(ISSUE_TOKEN, assertion) == "invalid-client"
    unknown = request.model_copy(update={"certificate_sha256": "0" * 64})
    assert await node.refusal(REVOKE_CERTIFICATE, unknown) == "not-found"


async def test_a_disabled_system_gets_no_token_until_it_is_enabled(node: "Node") -> None:
    key = a_p256_key()
    credential = await a_system_with(node, key)
    operator = await node.token()
    by_secret = IssueToken(client_id="xa-1", client_secret=credential.secret)
    by_key = IssueToken(client_assertion=an_assertion(node, key))
    change = SetSystemStatus(token=operator, system_id="xa-1", status=SystemStatus.DISABLED, reason="mất máy")
    assert (await node.ask(SET_SYSTEM_STATUS, change)).status == "disabled"
    assert await node.refusal(ISSUE_TOKEN, by_secret) == "invalid-client"
    assert await node.refusal(ISSUE_TOKEN, by_key) == "invalid-client"
    _, systems, version = await node.read_all()
    assert systems["xa-1"].status == "disabled"
    await node.ask(SET_SYSTEM_STATUS, change)
    assert (await node.changes(version)).version == version, "the same status again changes nothing"
    await node.ask(SET_SYSTEM_STATUS, change.model_copy(update={"status": SystemStatus.ACTIVE}))
    await node.ask(ISSUE_TOKEN, by_secret)


async def test_a_token_of_a_disabled_administrator_is_refused_at_once(node: "Node") -> None:
    second = await node.add_system("admin-2", scopes=("operate",), roles=())
    token = await node.token(second)
    await node.ask(LIST_SYSTEMS, ListSystems(token=token))
    change = SetSystemStatus(token=await node.token(), system_id="admin-2", status=SystemStatus.DISABLED)
    await node.ask(SET_SYSTEM_STATUS, change)
    assert await node.refusal(LIST_SYSTEMS, ListSystems(token=token)) == "token-invalid"


async def test_two_credentials_overlap_and_the_former_ends(node: "Node") -> None:
    first = await node.add_system("xa-1")
    request = RotateCredential(token=await node.token(), system_id="xa-1", overlap_hours=24)
    second = await node.ask(ROTATE_CREDENTIAL, request)
    assert second.credential_id != first.credential_id
    await node.token(first)
    await node.token(second)
    _, systems, version = await node.read_all()
    assert set(systems["xa-1"].credentials) == {first.credential_id, second.credential_id}
    node.clock.moment += timedelta(hours=24)
    refused = IssueToken(client_id="xa-1", client_secret=first.secret)
    assert await node.refusal(ISSUE_TOKEN, refused) == "invalid-client"
    await node.token(second)
    # The beat marks the end, so that the read models hear of it.
    events = await node.events(SystemsChanged, 4)
    assert events[-1].change == "credential-ended"
    page = await node.changes(version)
    assert [entry.credentials for entry in page.systems] == [(second.credential_id,)]


async def test_there_are_never_more_than_two_good_credentials(node: "Node") -> None:
    await node.add_system("xa-1")
    request = RotateCredential(token=await node.token(), system_id="xa-1", overlap_hours=24)
    second = await node.ask(ROTATE_CREDENTIAL, request)
    third = await node.ask(ROTATE_CREDENTIAL, request)
    _, systems, _ = await node.read_all()
    assert set(systems["xa-1"].credentials) == {second.credential_id, third.credential_id}
    unknown = request.model_copy(update={"system_id": "nobody"})
    assert await node.refusal(ROTATE_CREDENTIAL, unknown) == "not-found"


async def test_use_is_noted(node: "Node") -> None:
    credential = await node.add_system("xa-1")
    await node.token(credential)
    node.clock.moment += timedelta(minutes=5)
    await node.token(credential)
    (row,) = await node.rows(
        "SELECT last_used_at - first_used_at AS used_for FROM registry.credentials WHERE system_id = 'xa-1'"
    )
    assert row["used_for"] == timedelta(minutes=5)
