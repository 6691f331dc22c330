"""
The development authority: certificates and revocation lists from requests of systems and agencies.

Everything in a certificate is chosen here; of a request only the public key is taken.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from services.signing.errors import CertificateRequestInvalid
from shared.certificates import key_weakness
from shared.contracts.signing import CertificateRequest

ROOT_LASTS = timedelta(days=3650)
OWN_LASTS = timedelta(days=1826)
MAX_NAME = 64
"""
Upper bound of names in a subject (RFC 5280, appendix A.1). The standard counts letters; the library counts bytes of
UTF-8 in a common name, so there a Vietnamese name may be cut, and stands whole as the organization beside it.
"""

SETTLED_REASONS = {
    reason.value: reason
    for reason in x509.ReasonFlags
    if reason not in {x509.ReasonFlags.certificate_hold, x509.ReasonFlags.remove_from_crl}
}
"""A revocation is for good here: holding a certificate and letting it go again would rewrite what was refused."""

CertifiedKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


class Purpose(StrEnum):
    """
    What a certificate is issued for.
    """

    SEAL = "seal"
    """Signatures of packets."""
    AUTH = "auth"
    """Client assertions at the token endpoint."""
    EVIDENCE = "evidence"
    """The node's own receipts and evidence; nobody can ask for it."""


@dataclass(frozen=True)
class Issuer:
    """
    An authority: its key and its certificate.
    """

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


@dataclass(frozen=True)
class Order:
    """
    A certificate request that was found good.

    Attributes:
        request_sha256: Hex digest over everything asked for: the same again gets the same certificate.
    """

    public_key: CertifiedKey
    common_name: str
    system_id: str
    purpose: Purpose
    days: int
    request_sha256: str


def read_order(request: CertificateRequest) -> Order:
    """
    Check a certificate request.

    Raises:
        CertificateRequestInvalid: It is no request, not signed with its own key, or the key or purpose will not do.
    """
    if request.purpose not in {Purpose.SEAL, Purpose.AUTH}:
        raise CertificateRequestInvalid(f"the purpose is `seal` or `auth`, not `{request.purpose[:32]}`")
    if not request.common_name.strip() or not request.system_id.strip():
        raise CertificateRequestInvalid("a certificate names somebody and belongs to a system")
    try:
        csr = x509.load_pem_x509_csr(request.csr.encode())
        public_key = csr.public_key()
        signed = csr.is_signature_valid
        hash_algorithm = csr.signature_hash_algorithm
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature, x509.InvalidVersion) as malformed:
        raise CertificateRequestInvalid("the request is not a PKCS#10 request in PEM") from malformed
    weakness = key_weakness(public_key)
    # key_weakness lets larger curves pass in chains of others; what we certify must be able to seal.
    is_usable = isinstance(public_key, rsa.RSAPublicKey) or (
        isinstance(public_key, ec.EllipticCurvePublicKey) and isinstance(public_key.curve, ec.SECP256R1)
    )
    if weakness is not None or not is_usable:
        raise CertificateRequestInvalid(f"the key must be RSA from 2048 bits or P-256, not {weakness or 'this curve'}")
    if not signed or isinstance(hash_algorithm, hashes.SHA1 | hashes.MD5):
        raise CertificateRequestInvalid("the request is not signed with its own key and SHA-256")
    assert isinstance(public_key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey)
    asked = "\0".join([request.common_name, request.system_id, request.purpose, str(request.days)])
    digest = hashlib.sha256(csr.public_bytes(Encoding.DER) + b"\0" + asked.encode())
    return Order(
        public_key=public_key,
        common_name=request.common_name.strip()[:MAX_NAME],
        system_id=request.system_id,
        purpose=Purpose(request.purpose),
        days=request.days,
        request_sha256=digest.hexdigest(),
    )


def make_root(key: ec.EllipticCurvePrivateKey, node_id: str, now: datetime) -> x509.Certificate:
    """
    Sign the authority's own certificate.
    """
    name = _name(f"{node_id} development root")
    builder = _builder(name, name, key.public_key(), now, now + ROOT_LASTS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_key_usage("key_cert_sign", "crl_sign"), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    return builder.sign(key, hashes.SHA256())


def certify_node(issuer: Issuer, key: ec.EllipticCurvePublicKey, public_url: str, now: datetime) -> x509.Certificate:
    """
    Issue the certificate of the node's evidence key.
    """
    return _issue(issuer, key, public_url[:MAX_NAME], "node", Purpose.EVIDENCE, now, OWN_LASTS)


def certify(issuer: Issuer, order: Order, now: datetime) -> x509.Certificate:
    """
    Issue a certificate; it never outlives the authority's own.
    """
    lasts = timedelta(days=order.days)
    return _issue(issuer, order.public_key, order.common_name, order.system_id, order.purpose, now, lasts)


def sign_revocation_list(
    issuer: Issuer, revoked: Iterable[tuple[int, datetime, str]], *, number: int, now: datetime, lasts: timedelta
) -> x509.CertificateRevocationList:
    """
    Sign a revocation list.

    Args:
        issuer: The authority.
        revoked: Serial number, moment and RFC 5280 reason of each certificate revoked.
        number: Higher than that of every earlier list.
        now: This update.
        lasts: Until the next update.
    """
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(now)
        .next_update(now + lasts)
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(_authority_key(issuer), critical=False)
    )
    for serial, revoked_at, reason in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(revoked_at)
        if reason != x509.ReasonFlags.unspecified.value:
            # RFC 5280 section 5.3.1: an unspecified reason is said by saying none.
            entry = entry.add_extension(x509.CRLReason(SETTLED_REASONS[reason]), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(issuer.key, hashes.SHA256())


def spki_sha256(public_key: CertifiedKey) -> str:
    """
    Give the hex digest of a public key as certificates carry it.
    """
    spki = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).hexdigest()


def certificate_sha256(certificate: x509.Certificate) -> str:
    """
    Give the hex digest of a certificate, by which bindings name it.
    """
    return certificate.fingerprint(hashes.SHA256()).hex()


def _issue(
    issuer: Issuer,
    public_key: CertifiedKey,
    common_name: str,
    system_id: str,
    purpose: Purpose,
    now: datetime,
    lasts: timedelta,
) -> x509.Certificate:
    until = min(now + lasts, issuer.certificate.not_valid_after_utc)
    subject = _name(common_name, system_id)
    builder = _builder(subject, issuer.certificate.subject, public_key, now, until)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    if purpose is Purpose.AUTH:
        builder = builder.add_extension(_key_usage("digital_signature"), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
    else:
        builder = builder.add_extension(_key_usage("digital_signature", "content_commitment"), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    builder = builder.add_extension(_authority_key(issuer), critical=False)
    return builder.sign(issuer.key, hashes.SHA256())


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: CertifiedKey, since: datetime, until: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
    )


def _name(common_name: str, system_id: str | None = None) -> x509.Name:
    short = common_name.encode()[:MAX_NAME].decode(errors="ignore")
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, short)]
    if short != common_name:
        attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, common_name))
    if system_id is not None:
        attributes.append(x509.NameAttribute(NameOID.USER_ID, system_id))
    return x509.Name(attributes)


def _authority_key(issuer: Issuer) -> x509.AuthorityKeyIdentifier:
    identifier = issuer.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _key_usage(*uses: str) -> x509.KeyUsage:
    names = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: name in uses for name in names})
