"""
Everything the axis signs: compact JWS with ES256 over RFC 8785 JSON, each kind with a `typ` of its own.
"""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

import rfc8785
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from shared.certificates import MAX_PATH, find_path, read_certificate

ALGORITHM: Final = "ES256"

RECEIPT: Final = "axis-receipt"
EVIDENCE: Final = "axis-evidence"
SNAPSHOT: Final = "axis-snapshot"
TREE_HEAD: Final = "axis-tree-head"
ACCESS_TOKEN: Final = "at+jwt"  # noqa: S105  (the media type of RFC 9068, no secret)

STATEMENT_TYPES: Final = frozenset({RECEIPT, EVIDENCE, SNAPSHOT, TREE_HEAD, ACCESS_TOKEN})
"""Every `typ` we sign; a statement of one kind never passes for one of another."""

_MEMBERS: Final = frozenset({"alg", "typ", "kid", "x5c"})


class BadStatement(Exception):
    """
    A signed statement is not what it claims to be: malformed, of another kind, by an unknown key, or altered.
    """


class _Registry(jws.JWSRegistry):
    # The library guards against strangers with 512 bytes of header, which no certificate chain fits into, and with
    # 128 KB of payload, which a snapshot of all agencies exceeds. Whoever reads from outside limits the body first.
    max_header_length = 32 * 1024
    max_payload_length = 64 * 1024 * 1024


_REGISTRY: Final = _Registry(algorithms=[ALGORITHM])


def sign_compact(
    payload: Mapping[str, Any],
    *,
    typ: str,
    key: ec.EllipticCurvePrivateKey,
    kid: str,
    x5c: Sequence[x509.Certificate] | None = None,
) -> str:
    """
    Sign a statement.

    Args:
        payload: JSON object; whole numbers must stay within 2^53, as RFC 8785 demands.
        typ: One of `STATEMENT_TYPES`.
        key: P-256.
        kid: RFC 7638 thumbprint of the key.
        x5c: Certificate of the key, then its issuers without the anchor.

    Raises:
        ValueError: The payload has no canonical form, or `typ` is unknown.
    """
    if typ not in STATEMENT_TYPES:
        raise ValueError(f"not a kind of statement: {typ}")
    header: dict[str, Any] = {"alg": ALGORITHM, "typ": typ, "kid": kid}
    if x5c:
        header["x5c"] = [base64.b64encode(one.public_bytes(Encoding.DER)).decode("ascii") for one in x5c]
    return jws.serialize_compact(header, rfc8785.dumps(dict(payload)), _signing_key(key), registry=_REGISTRY)


@lru_cache(maxsize=16)
def _signing_key(key: ec.EllipticCurvePrivateKey) -> ECKey:
    """Wrap a key of ours once, not for every statement."""
    return ECKey.import_key(key)


def verify_compact(token: str, *, typ: str, keys: Mapping[str, ec.EllipticCurvePublicKey]) -> dict[str, Any]:
    """
    Check a statement by a key we know and return its payload.

    Args:
        token: Compact JWS.
        typ: The kind expected; any other is refused.
        keys: Public keys by `kid`.

    Raises:
        BadStatement: It is not such a statement.
    """
    header = read_header(token)
    key = keys.get(header["kid"])
    if key is None:
        raise BadStatement("signed by an unknown key")
    return _verify(token, header, typ, key)


def verify_with_chain(token: str, *, typ: str, anchors: Sequence[x509.Certificate], at: datetime) -> dict[str, Any]:
    """
    Check a statement by the certificate it carries and return its payload.

    Revocation is not looked at: this is for checking off line, with nothing but the anchors.

    Args:
        token: Compact JWS with `x5c`.
        typ: The kind expected; any other is refused.
        anchors: What we trust.
        at: Moment to judge the certificates at; aware, UTC.

    Raises:
        BadStatement: It is not such a statement, or no anchor vouches for its certificate.
    """
    header = read_header(token)
    certificates = _read_chain(header)
    path = find_path(certificates[0], certificates[1:], anchors, at)
    if path.fault is not None:
        raise BadStatement(f"the certificate is not trusted: {path.reason}")
    key = certificates[0].public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or header["kid"] != thumbprint(key):
        raise BadStatement("kid is not the thumbprint of the certificate's key")
    return _verify(token, header, typ, key)


def read_header(token: str) -> dict[str, Any]:
    """
    Read the protected header of a statement, whose signature is not checked here.

    Raises:
        BadStatement: It is no compact JWS in its one strict form, or the header holds anything but
            `alg`, `typ`, `kid` and `x5c`.
    """
    segments = token.split(".")
    if len(segments) != 3:
        raise BadStatement("not a compact JWS")
    decoded = [_decode_segment(segment) for segment in segments]
    try:
        header = json.loads(decoded[0])
    except (ValueError, RecursionError) as malformed:
        raise BadStatement("the header is not JSON") from malformed
    if not isinstance(header, dict) or not {"alg", "typ", "kid"} <= header.keys() <= _MEMBERS:
        raise BadStatement("the header does not hold exactly alg, typ, kid and at most x5c")
    if header["alg"] != ALGORITHM:
        raise BadStatement(f"alg is not {ALGORITHM}")
    if not isinstance(header["typ"], str) or not isinstance(header["kid"], str):
        raise BadStatement("typ and kid are text")
    return header


def thumbprint(public_key: ec.EllipticCurvePublicKey) -> str:
    """
    Give the RFC 7638 thumbprint of a key, which is its `kid` everywhere.
    """
    return ECKey.import_key(public_key).thumbprint()


def to_jwk(public_key: ec.EllipticCurvePublicKey) -> dict[str, str]:
    """
    Write a public key as a JWK for checking signatures.
    """
    members = ECKey.import_key(public_key).as_dict(private=False)
    point = {name: str(members[name]) for name in ("kty", "crv", "x", "y")}
    return {**point, "kid": thumbprint(public_key), "use": "sig", "alg": ALGORITHM}


def from_jwk(jwk: Mapping[str, Any]) -> ec.EllipticCurvePublicKey:
    """
    Read a P-256 public key from a JWK.

    Raises:
        BadStatement: It is no such key, or its `kid` is not its thumbprint.
    """
    if jwk.get("kty") != "EC":
        raise BadStatement("not a JWK of an elliptic curve key")
    try:
        key = ECKey.import_key({name: jwk[name] for name in ("kty", "crv", "x", "y")}).public_key
    except (JoseError, ValueError, KeyError, TypeError) as malformed:
        raise BadStatement("not a JWK of an elliptic curve key") from malformed
    if not isinstance(key.curve, ec.SECP256R1):
        raise BadStatement("not a P-256 key")
    if jwk.get("kid", thumbprint(key)) != thumbprint(key):
        raise BadStatement("kid is not the thumbprint of the key")
    return key


def to_jwks(public_keys: Iterable[ec.EllipticCurvePublicKey]) -> dict[str, Any]:
    """
    Write public keys as a JWK set.
    """
    return {"keys": [to_jwk(key) for key in public_keys]}


def from_jwks(jwks: Mapping[str, Any]) -> dict[str, ec.EllipticCurvePublicKey]:
    """
    Read the keys of a JWK set, by `kid`.

    Raises:
        BadStatement: One of them is not a P-256 public key.
    """
    keys = [from_jwk(jwk) for jwk in jwks.get("keys", ())]
    return {thumbprint(key): key for key in keys}


def _verify(token: str, header: dict[str, Any], typ: str, key: ec.EllipticCurvePublicKey) -> dict[str, Any]:
    if header["typ"] != typ:
        raise BadStatement(f"typ is not {typ}")
    try:
        verified = jws.deserialize_compact(token, ECKey.import_key(key), registry=_REGISTRY)
    except (JoseError, ValueError, TypeError) as bad:
        raise BadStatement("the signature does not fit") from bad
    try:
        payload = json.loads(verified.payload)
        is_canonical = isinstance(payload, dict) and rfc8785.dumps(payload) == verified.payload
    except (ValueError, RecursionError) as malformed:
        raise BadStatement("the payload is not JSON") from malformed
    # Anything else than the one canonical form could be read differently by two parsers, doubled names above all.
    if not is_canonical:
        raise BadStatement("the payload is not RFC 8785 JSON")
    statement: dict[str, Any] = payload
    return statement


def _decode_segment(segment: str) -> bytes:
    try:
        decoded = base64.b64decode(segment + "=" * (-len(segment) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error) as malformed:
        raise BadStatement("not base64url") from malformed
    # One statement has one spelling: no padding, no stray bits behind the last byte.
    if base64.urlsafe_b64encode(decoded).rstrip(b"=") != segment.encode():
        raise BadStatement("not base64url in its one form")
    return decoded


def _read_chain(header: Mapping[str, Any]) -> list[x509.Certificate]:
    encoded = header.get("x5c")
    if not isinstance(encoded, list) or not 1 <= len(encoded) <= MAX_PATH:
        raise BadStatement("carries no certificate chain")
    try:
        return [read_certificate(base64.b64decode(one, validate=True)) for one in encoded]
    except (ValueError, TypeError) as malformed:
        raise BadStatement("x5c does not hold certificates") from malformed
