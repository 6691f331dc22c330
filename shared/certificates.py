"""
The way from a certificate to an anchor we trust, judged at a moment.

Written out rather than left to a library made for web servers: a seal needs no host name, and whoever is refused must
hear why in the words of ETSI EN 319 102-1. Revocation is not looked at here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa

MAX_PATH = 5
"""Certificates from the leaf to the anchor, both counted; the state's own hierarchy has three."""

MIN_RSA_BITS = 2048
"""Circular 22/2020/TT-BTTTT asks for 2048 at least."""

MAX_RSA_BITS = 8192
"""Larger keys cost a verifier seconds and give nobody anything."""

MIN_RSA_EXPONENT = 65537
"""Smaller exponents invite forgeries where padding is checked carelessly."""

_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
_CURVES = (ec.SECP256R1, ec.SECP384R1)

# Extensions this module looks at or may leave unread; any other, if critical, makes a certificate unusable here
# (RFC 5280 section 4.2). Name constraints are not understood here and are therefore refused when critical.
_UNDERSTOOD = (
    x509.BasicConstraints,
    x509.KeyUsage,
    x509.ExtendedKeyUsage,
    x509.SubjectAlternativeName,
    x509.CertificatePolicies,
)


_UNREADABLE = (
    ValueError,
    TypeError,
    OverflowError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""All that the library raises over bytes a stranger calls a certificate."""


class PathFault(Enum):
    """
    Why a certificate is not trusted; the names are sub-indications of ETSI EN 319 102-1.
    """

    NO_CERTIFICATE_CHAIN_FOUND = "NO_CERTIFICATE_CHAIN_FOUND"
    """Nobody we trust vouches for it."""
    OUT_OF_BOUNDS_NO_POE = "OUT_OF_BOUNDS_NO_POE"
    """Not yet, or no longer, valid at the moment asked for."""
    CHAIN_CONSTRAINTS_FAILURE = "CHAIN_CONSTRAINTS_FAILURE"
    """The way exists but breaks a rule, such as an issuer that may not issue."""
    CRYPTO_CONSTRAINTS_FAILURE = "CRYPTO_CONSTRAINTS_FAILURE"
    """A key or an algorithm on the way is too weak."""


@dataclass(frozen=True)
class TrustPath:
    """
    The outcome of looking for a way.

    Attributes:
        certificates: From the leaf to the anchor; empty unless a way was found.
        fault: None if the leaf is trusted.
        reason: What is wrong, in one sentence; empty if nothing is.
    """

    certificates: tuple[x509.Certificate, ...]
    fault: PathFault | None = None
    reason: str = ""


# The same senders' certificates come with every packet, and reading one takes longer than using it.
@lru_cache(maxsize=256)
def read_certificate(der: bytes) -> x509.Certificate:
    """
    Read a certificate of a stranger, to its last field: what is returned can be looked at without surprises.

    Raises:
        ValueError: It is no certificate, or holds something that cannot be read.
    """
    try:
        certificate = x509.load_der_x509_certificate(der)
        # The library parses lazily; asking now keeps its exceptions in this one place.
        certificate.public_key()
        _ = (certificate.subject.rfc4514_string(), certificate.issuer.rfc4514_string(), certificate.extensions)
        _ = (certificate.not_valid_before_utc, certificate.not_valid_after_utc)
        _ = certificate.signature_hash_algorithm
        if certificate.serial_number <= 0:
            raise ValueError("its serial number is not positive")
    except _UNREADABLE as unreadable:
        raise ValueError(f"the certificate cannot be read: {unreadable}") from unreadable
    return certificate


def key_weakness(public_key: object) -> str | None:
    """
    Say what is wrong with a public key, or None if it may be used.
    """
    if isinstance(public_key, rsa.RSAPublicKey):
        if not MIN_RSA_BITS <= public_key.key_size <= MAX_RSA_BITS:
            return f"an RSA key of {public_key.key_size} bits; {MIN_RSA_BITS} to {MAX_RSA_BITS} are accepted"
        if public_key.public_numbers().e < MIN_RSA_EXPONENT:
            return f"an RSA key with a public exponent under {MIN_RSA_EXPONENT}"
        return None
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        return None if isinstance(public_key.curve, _CURVES) else f"a key on the curve {public_key.curve.name}"
    return f"a key of the kind {type(public_key).__name__}"


def find_path(
    leaf: x509.Certificate,
    intermediates: Sequence[x509.Certificate],
    anchors: Sequence[x509.Certificate],
    at: datetime,
) -> TrustPath:
    """
    Find the way from a certificate to an anchor, as it stood at a given moment.

    An untrusted certificate is an answer, not an exception.

    Args:
        leaf: The certificate in question; it may not be one of a certification authority.
        intermediates: Certificates that may lie between; nothing in them is trusted.
        anchors: What we trust; each must itself be valid at the moment.
        at: Moment to judge at; aware, UTC.

    Source:
        RFC 5280 section 6.1; ETSI EN 319 102-1 clause 5.2.6.
    """
    try:
        return _find_path(leaf, tuple(intermediates), tuple(anchors), at)
    except _UNREADABLE as malformed:
        return TrustPath((), PathFault.CHAIN_CONSTRAINTS_FAILURE, f"a certificate cannot be read: {malformed}")


def _find_path(
    leaf: x509.Certificate,
    intermediates: tuple[x509.Certificate, ...],
    anchors: tuple[x509.Certificate, ...],
    at: datetime,
) -> TrustPath:
    if leaf in anchors or _is_authority(leaf):
        return TrustPath((), PathFault.CHAIN_CONSTRAINTS_FAILURE, "the certificate is that of an authority")
    candidates = _paths_from((leaf,), intermediates, anchors)
    if not candidates:
        return TrustPath((), PathFault.NO_CERTIFICATE_CHAIN_FOUND, "no trusted authority has issued the certificate")
    judged = [_judge(path, at) for path in candidates]
    return next((path for path in judged if path.fault is None), judged[0])


def _paths_from(
    path: tuple[x509.Certificate, ...],
    intermediates: tuple[x509.Certificate, ...],
    anchors: tuple[x509.Certificate, ...],
) -> list[tuple[x509.Certificate, ...]]:
    if len(path) >= MAX_PATH:
        return []
    found = [(*path, anchor) for anchor in anchors if _issued(anchor, path[-1])]
    for candidate in intermediates[:MAX_PATH]:
        if candidate not in path and candidate not in anchors and _issued(candidate, path[-1]):
            found += _paths_from((*path, candidate), intermediates, anchors)
    return found


def _issued(issuer: x509.Certificate, subject: x509.Certificate) -> bool:
    if subject.issuer != issuer.subject or key_weakness(issuer.public_key()) is not None:
        return False
    try:
        subject.verify_directly_issued_by(issuer)
    except (InvalidSignature, *_UNREADABLE):
        return False
    return True


def _judge(path: tuple[x509.Certificate, ...], at: datetime) -> TrustPath:
    for position, certificate in enumerate(path):
        weakness = key_weakness(certificate.public_key())
        if weakness is not None:
            return TrustPath((), PathFault.CRYPTO_CONSTRAINTS_FAILURE, f"the chain holds {weakness}")
        # An anchor is trusted for its key, so only what it signed is held to a strong hash.
        is_anchor = position == len(path) - 1
        if not is_anchor and not isinstance(certificate.signature_hash_algorithm, _HASHES):
            return TrustPath((), PathFault.CRYPTO_CONSTRAINTS_FAILURE, "the chain is signed with a legacy hash")
        if any(e.critical and not isinstance(e.value, _UNDERSTOOD) for e in certificate.extensions):
            return TrustPath((), PathFault.CHAIN_CONSTRAINTS_FAILURE, "a critical extension is not understood")
        if position > 0 and not _may_issue(certificate, below=position - 1):
            return TrustPath((), PathFault.CHAIN_CONSTRAINTS_FAILURE, "an issuer in the chain may not issue")
    for certificate in path:
        if at < certificate.not_valid_before_utc:
            return TrustPath((), PathFault.OUT_OF_BOUNDS_NO_POE, "a certificate in the chain is not yet valid")
        if at > certificate.not_valid_after_utc:
            return TrustPath((), PathFault.OUT_OF_BOUNDS_NO_POE, "a certificate in the chain has expired")
    return TrustPath(path)


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _may_issue(certificate: x509.Certificate, *, below: int) -> bool:
    """
    Tell whether a certificate may stand above `below` intermediate certificates.
    """
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return False
    if not constraints.ca or (constraints.path_length is not None and below > constraints.path_length):
        return False
    try:
        return certificate.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound:
        return True
