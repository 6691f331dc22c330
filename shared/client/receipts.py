"""
Receipts checked on the agency's own machine, with nothing but the node's published keys and a root certificate.
"""

import base64
import binascii
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from pydantic import BaseModel, ConfigDict, ValidationError

from shared.client.errors import ReceiptInvalid

RECEIPT_TYPE: Final = "axis-receipt"
ACCEPTANCE: Final = "SubmissionAcceptance"
"""Name of the evidence in ETSI EN 319 522-1."""

CLOCK_SKEW: Final = timedelta(minutes=10)
"""A receipt from further in the future than clocks go wrong is refused."""

MAX_CHAIN: Final = 5


class ReceiptClaims(BaseModel):
    """
    What a receipt says.

    Attributes:
        iss: The node.
        iat: Moment of acceptance, seconds since 1970.
        packet_sha256: Hex digest of the packet accepted.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    iss: str
    iat: int
    event: str
    document_id: UUID
    dispatch_id: UUID
    packet_sha256: str


@dataclass(frozen=True)
class Trust:
    """
    Whom we believe.

    Attributes:
        anchors: Root certificates.
        keys: The node's published signing keys by `kid`. The same root may have certified agencies, too, so a chain
            alone does not make a signature one of the node.
        issuer: The node's `iss`.
    """

    anchors: tuple[x509.Certificate, ...]
    keys: Mapping[str, ec.EllipticCurvePublicKey]
    issuer: str


class _Registry(jws.JWSRegistry):
    # The library's 512 bytes of header are meant against strangers; a certificate chain does not fit into them.
    max_header_length = 32 * 1024
    max_payload_length = 4 * 1024 * 1024


_REGISTRY: Final = _Registry(algorithms=["ES256"])


def verify_receipt(receipt: str, trust: Trust, *, now: datetime, packet_sha256: str | None = None) -> ReceiptClaims:
    """
    Check that a receipt was signed by the node, for these bytes.

    Certificates are judged at the moment the receipt names: a repeat years later gives the same receipt. Revocation is
    not looked at.

    Args:
        receipt: Compact JWS.
        trust: Whom we believe.
        now: Aware, UTC.
        packet_sha256: Hex digest of what was sent; None where that is not at hand.

    Raises:
        ReceiptInvalid: It is no such receipt; the message says why.
    """
    # 1. The form: one algorithm, one type, a chain.
    header, claims = _read(receipt)
    if (header.get("typ"), header.get("alg")) != (RECEIPT_TYPE, "ES256"):
        raise ReceiptInvalid(f"it is no {RECEIPT_TYPE} signed with ES256")
    chain = _chain(header)
    # 2. The key: published by the node, named by its thumbprint, the one of the certificate.
    key = chain[0].public_key()
    kid = header.get("kid")
    if not isinstance(key, ec.EllipticCurvePublicKey) or ECKey.import_key(key).thumbprint() != kid:
        raise ReceiptInvalid("kid is not the thumbprint of the certificate's key")
    if trust.keys.get(str(kid)) != key:
        raise ReceiptInvalid("the signing key is not one the node publishes")
    # 3. The signature.
    try:
        jws.deserialize_compact(receipt, ECKey.import_key(key), registry=_REGISTRY)
    except (JoseError, ValueError, TypeError) as bad:
        raise ReceiptInvalid("the signature does not fit") from bad
    # 4. What it says.
    said, at = _said(claims)
    if said.event != ACCEPTANCE:
        raise ReceiptInvalid(f"event is {said.event!r}, not {ACCEPTANCE}")
    if said.iss.rstrip("/") != trust.issuer.rstrip("/"):
        raise ReceiptInvalid(f"it is from {said.iss}, not from {trust.issuer}")
    if at > now + CLOCK_SKEW:
        raise ReceiptInvalid("it is from the future")
    if packet_sha256 is not None and said.packet_sha256 != packet_sha256:
        raise ReceiptInvalid("it is for other bytes than those sent")
    # 5. The way to a root we trust, as it stood at that moment.
    _check_path(chain, trust.anchors, at)
    return said


def read_keys(jwks: Mapping[str, Any]) -> dict[str, ec.EllipticCurvePublicKey]:
    """
    Read the P-256 keys of a JWK set by their thumbprints; others are passed over.
    """
    keys = {}
    for one in jwks.get("keys", ()):
        try:
            key = ECKey.import_key({name: one[name] for name in ("kty", "crv", "x", "y")})
        except (JoseError, ValueError, KeyError, TypeError):
            continue
        if isinstance(key.public_key.curve, ec.SECP256R1):
            keys[key.thumbprint()] = key.public_key
    return keys


def _read(receipt: str) -> tuple[dict[str, Any], dict[str, Any]]:
    segments = receipt.strip().split(".")
    if len(segments) != 3:
        raise ReceiptInvalid("it is no compact JWS")
    try:
        header, claims = (json.loads(_unpadded(segment)) for segment in segments[:2])
    except (ValueError, RecursionError) as malformed:
        raise ReceiptInvalid("it is no JWS over JSON") from malformed
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise ReceiptInvalid("it is no JWS over JSON objects")
    return header, claims


def _said(claims: Mapping[str, Any]) -> tuple[ReceiptClaims, datetime]:
    try:
        said = ReceiptClaims.model_validate(claims)
        return said, datetime.fromtimestamp(said.iat, UTC)
    except (ValidationError, OverflowError, OSError, ValueError) as wrong:
        raise ReceiptInvalid("claims are missing or wrong") from wrong


def _unpadded(segment: str) -> bytes:
    return base64.b64decode(segment + "=" * (-len(segment) % 4), altchars=b"-_", validate=True)


def _chain(header: Mapping[str, Any]) -> list[x509.Certificate]:
    encoded = header.get("x5c")
    if not isinstance(encoded, list) or not 1 <= len(encoded) <= MAX_CHAIN:
        raise ReceiptInvalid("it carries no certificate chain")
    try:
        return [x509.load_der_x509_certificate(base64.b64decode(one, validate=True)) for one in encoded]
    except (ValueError, TypeError, binascii.Error) as malformed:
        raise ReceiptInvalid("x5c does not hold certificates") from malformed


def _check_path(chain: list[x509.Certificate], anchors: Sequence[x509.Certificate], at: datetime) -> None:
    try:
        anchor = next((one for one in anchors if chain[-1] == one or _issued(one, chain[-1])), None)
        if anchor is None:
            raise ReceiptInvalid("no trusted root stands above its certificate")
        path = chain if chain[-1] == anchor else [*chain, anchor]
        if len(path) < 2:
            raise ReceiptInvalid("a root does not sign receipts itself")
        for below, above in itertools.pairwise(path):
            if not _issued(above, below) or not _is_authority(above):
                raise ReceiptInvalid("its certificate chain is broken")
        for certificate in path:
            if not certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc:
                raise ReceiptInvalid("a certificate of its chain was not valid at that moment")
    except (ValueError, TypeError) as unreadable:
        raise ReceiptInvalid("a certificate of its chain cannot be read") from unreadable


def _issued(issuer: x509.Certificate, subject: x509.Certificate) -> bool:
    if subject.issuer != issuer.subject:
        return False
    try:
        subject.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False
