"""
Keys, certificates and authorities made at test time, good ones and bad ones.

Each bad certificate is a function that says why it must be refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
KeyKind = Literal["p256", "rsa"]
Purpose = Literal["seal", "auth"]

MOMENT = datetime(2024, 12, 31, 3, 0, tzinfo=UTC)
"""The moment tests happen at unless they say otherwise."""


def a_p256_key() -> ec.EllipticCurvePrivateKey:
    """
    Make a fresh P-256 key.
    """
    return ec.generate_private_key(ec.SECP256R1())


@cache
def an_rsa_key(label: str = "", bits: int = 2048) -> rsa.RSAPrivateKey:
    """
    Give the RSA key of a label; made once per process, since making one takes a while.
    """
    del label
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def a_key(kind: KeyKind = "p256", label: str = "") -> PrivateKey:
    """
    Give a key of a kind.
    """
    return an_rsa_key(label) if kind == "rsa" else a_p256_key()


@dataclass(frozen=True)
class Signer:
    """
    Somebody who can sign.

    Attributes:
        chain: Issuers of the certificate, nearest first, without the anchor.
    """

    key: PrivateKey
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...] = ()


@dataclass
class Authority:
    """
    A certification authority for tests.

    Attributes:
        revoked: Serial numbers and moments that the next revocation list names.
    """

    key: PrivateKey
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...] = ()
    revoked: dict[int, datetime] = field(default_factory=dict)

    def issue(
        self,
        common_name: str = "UBND xã Phước Dinh",
        *,
        key: PrivateKey | None = None,
        purpose: Purpose = "seal",
        not_before: datetime = MOMENT - timedelta(days=1),
        not_after: datetime = MOMENT + timedelta(days=365),
    ) -> Signer:
        """
        Issue a certificate; with no choices made it is a good one.
        """
        key = key or a_p256_key()
        builder = _builder(common_name, key, self.certificate.subject, not_before, not_after)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_key_usage(commitment=purpose == "seal"), critical=True)
        if purpose == "auth":
            builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        return Signer(key, builder.sign(self.key, hashes.SHA256()), self.chain)

    def issue_authority(self, common_name: str = "Issuing authority", *, path_length: int | None = 0) -> "Authority":
        """
        Issue a certificate for an authority below this one.
        """
        key = a_p256_key()
        span = (MOMENT - timedelta(days=1000), MOMENT + timedelta(days=1000))
        builder = _builder(common_name, key, self.certificate.subject, *span)
        certificate = _as_authority(builder, path_length).sign(self.key, hashes.SHA256())
        return Authority(key, certificate, (certificate, *self.chain))

    def revoke(self, certificate: x509.Certificate, at: datetime = MOMENT - timedelta(hours=1)) -> None:
        """
        Name a certificate on every revocation list from now on.
        """
        self.revoked[certificate.serial_number] = at

    def revocation_list(
        self, at: datetime = MOMENT - timedelta(minutes=1), *, lasts: timedelta = timedelta(days=7), number: int = 1
    ) -> x509.CertificateRevocationList:
        """
        Sign a revocation list.
        """
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(at)
            .next_update(at + lasts)
            .add_extension(x509.CRLNumber(number), critical=False)
        )
        for serial, since in self.revoked.items():
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(since)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self.key, hashes.SHA256())


def an_authority(common_name: str = "Axis test root", *, kind: KeyKind = "p256") -> Authority:
    """
    Make a root authority.
    """
    key = a_key(kind, label=common_name)
    name = _name(common_name)
    span = (MOMENT - timedelta(days=1000), MOMENT + timedelta(days=3650))
    builder = _as_authority(_builder(common_name, key, name, *span), None)
    return Authority(key, builder.sign(key, hashes.SHA256()))


def an_expired_signer(authority: Authority) -> Signer:
    """
    Must be refused: the certificate ended a day before `MOMENT`.
    """
    return authority.issue(not_before=MOMENT - timedelta(days=30), not_after=MOMENT - timedelta(days=1))


def a_signer_not_yet_valid(authority: Authority) -> Signer:
    """
    Must be refused: the certificate begins a day after `MOMENT`.
    """
    return authority.issue(not_before=MOMENT + timedelta(days=1))


def a_revoked_signer(authority: Authority) -> Signer:
    """
    Must be refused: the authority's next revocation list names the certificate.
    """
    signer = authority.issue()
    authority.revoke(signer.certificate)
    return signer


def a_stranger(common_name: str = "UBND xã Phước Dinh") -> Signer:
    """
    Must be refused: an authority nobody knows has issued the certificate.
    """
    return an_authority("Somebody else's root").issue(common_name)


def a_signer_under_a_leaf(authority: Authority) -> Signer:
    """
    Must be refused: issued with the key of a certificate that is not one of an authority.
    """
    leaf = authority.issue("Not an authority")
    pretender = Authority(leaf.key, leaf.certificate, (leaf.certificate,))
    return pretender.issue()


def a_self_signed_signer(common_name: str = "UBND xã Phước Dinh") -> Signer:
    """
    Must be refused: nobody vouches for the certificate but itself.
    """
    key = a_p256_key()
    builder = _builder(common_name, key, _name(common_name), MOMENT - timedelta(days=1), MOMENT + timedelta(days=365))
    return Signer(key, builder.sign(key, hashes.SHA256()))


def a_weak_signer(authority: Authority) -> Signer:
    """
    Must be refused: an RSA key of 1024 bits.
    """
    return authority.issue(key=an_rsa_key("weak", 1024))


def a_certificate_request(key: PrivateKey, common_name: str = "whatever the requester likes") -> str:
    """
    Make a PKCS#10 request, PEM.
    """
    request = x509.CertificateSigningRequestBuilder().subject_name(_name(common_name)).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode("ascii")


def to_pem(certificates: Sequence[x509.Certificate]) -> str:
    """
    Write certificates as PEM, one after the other.
    """
    return "".join(one.public_bytes(serialization.Encoding.PEM).decode("ascii") for one in certificates)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    common_name: str, key: PrivateKey, issuer: x509.Name, not_before: datetime, not_after: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(common_name))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
    )


def _as_authority(builder: x509.CertificateBuilder, path_length: int | None) -> x509.CertificateBuilder:
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
    return builder.add_extension(usage, critical=True)


def _key_usage(*, commitment: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=commitment,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
