"""The check of a packet signature: what was signed, and by which key."""

import hmac
from collections.abc import Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from shared.certificates import key_weakness
from shared.contracts.signing import Indication
from shared.xmldsig.profile import ECDSA_SHA256, RSA_SHA256, PartDigest
from shared.xmldsig.read import ReadReference, ReadSignature, read_signature
from shared.xmldsig.report import (
    DEFINITE,
    CheckedSignature,
    SignatureRefusedError,
    SubIndication,
)

_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Number of points of P-256 (FIPS 186-4, D.1.2.3): r and s lie between 1 and one less."""


def check_signature(signature: bytes, parts: Sequence[PartDigest]) -> CheckedSignature:
    """
    Check that a signature covers exactly the given parts and was made by the key of its certificate.

    A bad signature is an answer, not an exception. Does not ask what the certificate is worth.

    Args:
        signature: Exclusive canonical form of the `ds:Signature` element, cut from the packet.
        parts: Every part that must be signed, with the digest computed from what was really read.

    Source:
        W3C XML Signature 1.1 sections 3.2 and 4; ETSI EN 319 102-1 clauses 5.2.2, 5.2.3 and 5.2.7.
    """
    try:
        read = read_signature(signature)
    except SignatureRefusedError as refused:
        return _refusal(refused, None)
    try:
        _check_references(read.references, parts)
        _check_value(read)
    except SignatureRefusedError as refused:
        return _refusal(refused, read)
    return CheckedSignature(Indication.PASSED, algorithm=read.algorithm, certificate=read.certificate, chain=read.chain)


def _refusal(refused: SignatureRefusedError, read: ReadSignature | None) -> CheckedSignature:
    return CheckedSignature(
        Indication.FAILED if refused.sub_indication in DEFINITE else Indication.INDETERMINATE,
        refused.sub_indication,
        refused.reason,
        is_legacy=refused.is_legacy,
        algorithm=None if read is None else read.algorithm,
        certificate=None if read is None else read.certificate,
        chain=() if read is None else read.chain,
    )


def _check_references(references: Sequence[ReadReference], parts: Sequence[PartDigest]) -> None:
    expected = {part.uri: part.sha256.lower() for part in parts}
    found = {reference.uri: reference.digest.hex() for reference in references}
    # Two parts of one name, and nobody could say which of them was signed.
    if len(expected) != len(parts):
        raise SignatureRefusedError(SubIndication.SIG_CONSTRAINTS_FAILURE, "two parts of the packet share a name")
    if len(found) != len(references):
        raise SignatureRefusedError(SubIndication.SIG_CONSTRAINTS_FAILURE, "a part is referred to twice")
    if strangers := sorted(found.keys() - expected.keys()):
        raise SignatureRefusedError(
            SubIndication.SIGNED_DATA_NOT_FOUND, f"the packet has no part {strangers[0][:100]!r}"
        )
    if unsigned := sorted(expected.keys() - found.keys()):
        raise SignatureRefusedError(
            SubIndication.SIG_CONSTRAINTS_FAILURE, f"the part {unsigned[0][:100]!r} is not signed"
        )
    for uri, digest in expected.items():
        if not hmac.compare_digest(digest, found[uri]):
            raise SignatureRefusedError(SubIndication.HASH_FAILURE, f"the part {uri[:100]!r} is not the one signed")


def _check_value(read: ReadSignature) -> None:
    key = read.certificate.public_key()
    weakness = key_weakness(key)
    if weakness is not None:
        raise SignatureRefusedError(SubIndication.CRYPTO_CONSTRAINTS_FAILURE, f"the certificate has {weakness}")
    try:
        match key:
            case rsa.RSAPublicKey() if read.algorithm == RSA_SHA256:
                key.verify(read.value, read.signed_info, padding.PKCS1v15(), hashes.SHA256())
            case ec.EllipticCurvePublicKey(curve=ec.SECP256R1()) if read.algorithm == ECDSA_SHA256:
                key.verify(_to_der(read.value), read.signed_info, ec.ECDSA(hashes.SHA256()))
            case _:
                raise SignatureRefusedError(
                    SubIndication.SIG_CRYPTO_FAILURE, "the certificate's key is not one of the signature's algorithm"
                )
    except InvalidSignature as forged:
        raise SignatureRefusedError(
            SubIndication.SIG_CRYPTO_FAILURE, "the signature was not made by the certificate's key"
        ) from forged


def _to_der(value: bytes) -> bytes:
    """
    Turn r and s side by side into DER; both s and its mirror are accepted, as the standard does.
    """
    r, s = int.from_bytes(value[:32], "big"), int.from_bytes(value[32:], "big")
    if len(value) != 64 or not (0 < r < _P256_ORDER and 0 < s < _P256_ORDER):
        raise SignatureRefusedError(SubIndication.SIG_CRYPTO_FAILURE, "the value is not r and s of P-256, side by side")
    return encode_dss_signature(r, s)
