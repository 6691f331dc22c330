"""Signed statements: one spelling, one kind, one algorithm."""

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from shared.jose import (
    ACCESS_TOKEN,
    EVIDENCE,
    RECEIPT,
    STATEMENT_TYPES,
    BadStatement,
    from_jwk,
    from_jwks,
    sign_compact,
    thumbprint,
    to_jwk,
    to_jwks,
    verify_compact,
    verify_with_chain,
)
from shared.testing.pki import MOMENT, a_p256_key, a_stranger, an_authority, an_expired_signer

KEY = a_p256_key()
KID = thumbprint(KEY.public_key())
KEYS = {KID: KEY.public_key()}
PAYLOAD = {"iss": "https://h43.example.vn", "iat": 1735614000, "document_id": "0193f", "warnings": ["Đã gộp nơi nhận"]}


def signed(typ: str = RECEIPT, payload: dict[str, Any] | None = None) -> str:
    return sign_compact(PAYLOAD if payload is None else payload, typ=typ, key=KEY, kid=KID)


def encode(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def forged(header: dict[str, Any] | bytes, payload: bytes = b"{}", key: ec.EllipticCurvePrivateKey = KEY) -> str:
    """
    Sign anything at all with the rightful key.
    """
    octets = header if isinstance(header, bytes) else json.dumps(header).encode()
    content = f"{encode(octets)}.{encode(payload)}"
    r, s = decode_dss_signature(key.sign(content.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{content}.{encode(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


GOOD_HEADER = {"alg": "ES256", "typ": RECEIPT, "kid": KID}


@pytest.mark.parametrize("typ", sorted(STATEMENT_TYPES))
def test_what_was_signed_is_read_back(typ: str) -> None:
    assert verify_compact(signed(typ), typ=typ, keys=KEYS) == PAYLOAD


@given(
    st.dictionaries(st.text(), st.recursive(st.text() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1), st.lists))
)
def test_any_object_is_read_back(payload: dict[str, Any]) -> None:
    assert verify_compact(signed(payload=payload), typ=RECEIPT, keys=KEYS) == payload


def test_a_statement_of_some_megabytes_is_read_back() -> None:
    payload = {"agencies": ["H43.30.01"] * 200_000}
    assert verify_compact(signed(payload=payload), typ=RECEIPT, keys=KEYS) == payload


def test_the_payload_is_canonical_json() -> None:
    payload = base64.urlsafe_b64decode(signed(payload={"b": 1, "a": "é"}).split(".")[1] + "==")
    assert payload == '{"a":"é","b":1}'.encode()


@pytest.mark.parametrize("typ", sorted(STATEMENT_TYPES - {RECEIPT}))
def test_a_statement_of_another_kind_is_refused(typ: str) -> None:
    with pytest.raises(BadStatement, match="typ"):
        verify_compact(signed(RECEIPT), typ=typ, keys=KEYS)


def test_an_unknown_kind_is_not_signed() -> None:
    with pytest.raises(ValueError, match="kind"):
        signed("JWT")


def test_a_number_without_canonical_form_is_not_signed() -> None:
    with pytest.raises(ValueError, match=r".*"):
        signed(payload={"n": 2**60})


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(BadStatement, match="unknown key"):
        verify_compact(signed(), typ=RECEIPT, keys={})


def test_another_key_under_the_same_name_is_refused() -> None:
    with pytest.raises(BadStatement, match="does not fit"):
        verify_compact(signed(), typ=RECEIPT, keys={KID: a_p256_key().public_key()})


@pytest.mark.parametrize("segment", [0, 1, 2])
def test_no_letter_can_change(segment: int) -> None:
    segments = signed().split(".")
    text = segments[segment]
    for position in range(len(text)):
        letter = "A" if text[position] != "A" else "B"
        altered = [*segments]
        altered[segment] = text[:position] + letter + text[position + 1 :]
        with pytest.raises(BadStatement):
            verify_compact(".".join(altered), typ=RECEIPT, keys=KEYS)


@pytest.mark.parametrize(
    "header",
    [
        {**GOOD_HEADER, "alg": "none"},
        {**GOOD_HEADER, "alg": "HS256"},
        {**GOOD_HEADER, "alg": "ES384"},
        {**GOOD_HEADER, "alg": "RS256"},
        {**GOOD_HEADER, "alg": "es256"},
        {**GOOD_HEADER, "alg": ["ES256"]},
        {**GOOD_HEADER, "alg": None},
        {**GOOD_HEADER, "typ": "JWT"},
        {**GOOD_HEADER, "typ": "AXIS-RECEIPT"},
        {**GOOD_HEADER, "typ": None},
        {**GOOD_HEADER, "kid": None},
        {**GOOD_HEADER, "kid": [KID]},
        {**GOOD_HEADER, "crit": ["exp"], "exp": 1},
        {**GOOD_HEADER, "b64": False},
        {**GOOD_HEADER, "jwk": to_jwk(KEY.public_key())},
        {**GOOD_HEADER, "jku": "https://example.vn/jwks.json"},
        {**GOOD_HEADER, "x5u": "https://example.vn/x5c"},
        {**GOOD_HEADER, "cty": "json"},
        {"alg": "ES256", "typ": RECEIPT},
        {"alg": "ES256", "kid": KID},
        {"typ": RECEIPT, "kid": KID},
        {},
        b"[]",
        b"null",
        b"{",
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_any_other_header_is_refused(header: dict[str, Any] | bytes) -> None:
    with pytest.raises(BadStatement):
        verify_compact(forged(header), typ=RECEIPT, keys=KEYS)


def test_a_good_header_by_hand_passes() -> None:
    assert verify_compact(forged(GOOD_HEADER), typ=RECEIPT, keys=KEYS) == {}


def test_an_hmac_under_the_public_key_is_refused() -> None:
    content = f"{encode(json.dumps({**GOOD_HEADER, 'alg': 'HS256'}).encode())}.{encode(b'{}')}"
    public = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    mac = hmac.new(public, content.encode(), hashlib.sha256).digest()
    with pytest.raises(BadStatement):
        verify_compact(f"{content}.{encode(mac)}", typ=RECEIPT, keys=KEYS)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b'"x"',
        b"{",
        b'{"a": 1}',
        b'{"b":1,"a":1}',
        b'{"a":1,"a":2}',
        b'{"a":1.0}',
        b"\xff",
        b"[" * 100_000,
        b'{"a":NaN}',
    ],
)
def test_a_payload_that_is_not_canonical_json_is_refused(payload: bytes) -> None:
    with pytest.raises(BadStatement):
        verify_compact(forged(GOOD_HEADER, payload), typ=RECEIPT, keys=KEYS)


@pytest.mark.parametrize("token", ["", ".", "..", "a.b", "a.b.c.d", "é.é.é", " ", "{}", "e30.e30.", "e30=.e30.AA"])
def test_what_is_no_statement_is_refused(token: str) -> None:
    with pytest.raises(BadStatement):
        verify_compact(token, typ=RECEIPT, keys=KEYS)


@pytest.mark.parametrize(
    "alter", [lambda t: t + "=", lambda t: " " + t, lambda t: t + "\n", lambda t: t.replace("_", "/")]
)
def test_a_statement_has_one_spelling(alter: Any) -> None:
    token = signed()
    while "_" not in token.split(".")[2]:
        token = signed()
    with pytest.raises(BadStatement):
        verify_compact(alter(token), typ=RECEIPT, keys=KEYS)


# --- with the certificate inside ---

CA = an_authority()


def with_chain(signer: Any, typ: str = EVIDENCE) -> str:
    kid = thumbprint(signer.key.public_key())
    return sign_compact(PAYLOAD, typ=typ, key=signer.key, kid=kid, x5c=(signer.certificate, *signer.chain))


def test_a_statement_is_checked_with_nothing_but_the_anchor() -> None:
    token = with_chain(CA.issue_authority().issue())
    assert verify_with_chain(token, typ=EVIDENCE, anchors=[CA.certificate], at=MOMENT) == PAYLOAD


@pytest.mark.parametrize("signer", [a_stranger(), an_expired_signer(CA)])
def test_a_certificate_that_is_not_trusted_is_refused(signer: Any) -> None:
    with pytest.raises(BadStatement, match="not trusted"):
        verify_with_chain(with_chain(signer), typ=EVIDENCE, anchors=[CA.certificate], at=MOMENT)


def test_a_good_certificate_of_somebody_else_is_refused() -> None:
    liar = a_p256_key()
    certificate = CA.issue().certificate
    token = sign_compact(PAYLOAD, typ=EVIDENCE, key=liar, kid=thumbprint(liar.public_key()), x5c=[certificate])
    with pytest.raises(BadStatement, match="thumbprint"):
        verify_with_chain(token, typ=EVIDENCE, anchors=[CA.certificate], at=MOMENT)
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    token = sign_compact(PAYLOAD, typ=EVIDENCE, key=liar, kid=thumbprint(key), x5c=[certificate])
    with pytest.raises(BadStatement, match="does not fit"):
        verify_with_chain(token, typ=EVIDENCE, anchors=[CA.certificate], at=MOMENT)


@pytest.mark.parametrize("x5c", [None, [], "x", ["x"], ["AAAA"], [1], ["AAAA"] * 9])
def test_a_chain_that_is_none_is_refused(x5c: Any) -> None:
    with pytest.raises(BadStatement):
        verify_with_chain(forged({**GOOD_HEADER, "x5c": x5c}), typ=RECEIPT, anchors=[CA.certificate], at=MOMENT)


def test_without_a_chain_it_cannot_be_checked_by_one() -> None:
    with pytest.raises(BadStatement, match="chain"):
        verify_with_chain(signed(), typ=RECEIPT, anchors=[CA.certificate], at=MOMENT)


# --- keys as JSON ---


def test_a_key_set_is_read_back() -> None:
    keys = [a_p256_key().public_key(), KEY.public_key()]
    assert from_jwks(to_jwks(keys)) == {thumbprint(key): key for key in keys}


def test_a_token_is_checked_by_the_published_key_set() -> None:
    assert (
        verify_compact(signed(ACCESS_TOKEN), typ=ACCESS_TOKEN, keys=from_jwks(to_jwks([KEY.public_key()]))) == PAYLOAD
    )


def test_no_private_member_is_published() -> None:
    assert set(to_jwk(KEY.public_key())) == {"kty", "crv", "x", "y", "kid", "use", "alg"}


def test_the_thumbprint_is_that_of_rfc_7638() -> None:
    members = {name: to_jwk(KEY.public_key())[name] for name in ("crv", "kty", "x", "y")}
    digest = hashlib.sha256(json.dumps(members, sort_keys=True, separators=(",", ":")).encode()).digest()
    assert encode(digest) == KID


@pytest.mark.parametrize(
    "change",
    [
        {"crv": "P-384"},
        {"kty": "oct"},
        {"x": "AAAA"},
        {"x": None},
        {"kid": "another"},
        {"y": to_jwk(KEY.public_key())["x"]},
    ],
)
def test_a_key_that_is_none_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(BadStatement):
        from_jwk({**to_jwk(KEY.public_key()), **change})
