"""The development authority: what it certifies and what it refuses."""

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding

from services.signing.domain.authority import (
    Issuer,
    certify,
    certify_node,
    make_root,
    read_order,
    sign_revocation_list,
    spki_sha256,
)
from services.signing.domain.trust import Revocation, TrustStore
from services.signing.errors import CertificateRequestInvalid
from shared.certificates import find_path
from shared.contracts.signing import CertificateRequest
from shared.testing.pki import MOMENT, PrivateKey, a_certificate_request, a_p256_key, an_rsa_key

KEY = a_p256_key()
ISSUER = Issuer(KEY, make_root(KEY, "H43", MOMENT))


def asked(key: PrivateKey | None = None, **changes: object) -> CertificateRequest:
    values = {
        "csr": a_certificate_request(key or a_p256_key()),
        "common_name": "UBND huyện Thuận Nam",
        "system_id": "thuan-nam",
        "purpose": "seal",
        "days": 30,
    }
    return CertificateRequest.model_validate({**values, **changes})


@pytest.mark.parametrize("key", [a_p256_key(), an_rsa_key("signer")], ids=["p256", "rsa"])
@pytest.mark.parametrize("purpose", ["seal", "auth"])
def test_a_certificate_says_what_we_chose(key: PrivateKey, purpose: str) -> None:
    certificate = certify(ISSUER, read_order(asked(key, purpose=purpose)), MOMENT)
    assert certificate.subject.rfc4514_string() == "UID=thuan-nam,CN=UBND huyện Thuận Nam"
    assert certificate.public_key() == key.public_key()
    assert certificate.not_valid_before_utc == MOMENT
    assert certificate.not_valid_after_utc == MOMENT + timedelta(days=30)
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.digital_signature
    assert usage.value.content_commitment == (purpose == "seal")
    assert not usage.value.key_cert_sign
    assert find_path(certificate, (), [ISSUER.certificate], MOMENT).fault is None


def test_serial_numbers_are_chance() -> None:
    order = read_order(asked())
    assert certify(ISSUER, order, MOMENT).serial_number != certify(ISSUER, order, MOMENT).serial_number


def test_the_subject_of_the_request_is_not_taken() -> None:
    certificate = certify(ISSUER, read_order(asked()), MOMENT)
    assert "whatever the requester likes" not in certificate.subject.rfc4514_string()


def test_extensions_of_the_request_are_not_taken() -> None:
    key = a_p256_key()
    csr = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    order = read_order(asked(csr=csr.public_bytes(Encoding.PEM).decode()))
    certificate = certify(ISSUER, order, MOMENT)
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_a_certificate_does_not_outlive_its_authority() -> None:
    late = MOMENT + timedelta(days=3649)
    certificate = certify(ISSUER, read_order(asked(days=365)), late)
    assert certificate.not_valid_after_utc == ISSUER.certificate.not_valid_after_utc


def test_a_name_of_many_bytes_stands_whole_as_the_organization() -> None:
    name = "Sở Nông nghiệp và Phát triển nông thôn tỉnh Ninh Thuận"
    subject = certify(ISSUER, read_order(asked(common_name=name)), MOMENT).subject
    (whole,) = subject.get_attributes_for_oid(x509.NameOID.ORGANIZATION_NAME)
    (short,) = subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    assert whole.value == name
    assert name.startswith(str(short.value))
    assert len(str(short.value).encode()) <= 64


def test_a_name_that_is_too_long_is_cut() -> None:
    subject = certify(ISSUER, read_order(asked(common_name="Ủy ban nhân dân " * 8)), MOMENT).subject
    (whole,) = subject.get_attributes_for_oid(x509.NameOID.ORGANIZATION_NAME)
    assert len(whole.value) == 64


def _tampered() -> str:
    csr = x509.load_pem_x509_csr(a_certificate_request(a_p256_key(), "aaaaaaaa").encode())
    der = csr.public_bytes(Encoding.DER).replace(b"aaaaaaaa", b"bbbbbbbb")
    return x509.load_der_x509_csr(der).public_bytes(Encoding.PEM).decode()


def _by_other_kind() -> str:
    key = ed25519.Ed25519PrivateKey.generate()
    return (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .sign(key, None)
        .public_bytes(Encoding.PEM)
        .decode()
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"csr": ""},
        {"csr": "not a request"},
        {"csr": "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"},
        {"csr": _tampered()},
        {"csr": _by_other_kind()},
        {"csr": a_certificate_request(an_rsa_key("weak", 1024))},
        {"csr": a_certificate_request(ec.generate_private_key(ec.SECP384R1()))},
        {"csr": a_certificate_request(ec.generate_private_key(ec.SECP256K1()))},
        {"purpose": "evidence"},
        {"purpose": "ca"},
        {"purpose": ""},
        {"common_name": " "},
        {"system_id": ""},
    ],
)
def test_a_bad_request_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(CertificateRequestInvalid):
        read_order(asked(None, **changes))


def test_the_same_request_has_the_same_digest_and_any_other_another() -> None:
    request = asked()
    digests = {
        read_order(request.model_copy(update=change)).request_sha256
        for change in ({}, {}, {"days": 31}, {"purpose": "auth"}, {"system_id": "other"}, {"common_name": "Other"})
    }
    assert len(digests) == 5


def test_a_revocation_list_names_the_revoked_with_reason() -> None:
    good, bad = (certify(ISSUER, read_order(asked()), MOMENT) for _ in range(2))
    revoked = [(bad.serial_number, MOMENT, "keyCompromise")]
    signed = sign_revocation_list(ISSUER, revoked, number=7, now=MOMENT, lasts=timedelta(days=1))
    assert signed.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 7
    entry = signed.get_revoked_certificate_by_serial_number(bad.serial_number)
    assert entry is not None
    assert entry.extensions.get_extension_for_class(x509.CRLReason).value.reason is x509.ReasonFlags.key_compromise
    trust = TrustStore((ISSUER.certificate,), (signed,))
    assert trust.judge_seal(good, (), MOMENT).revocation is Revocation.GOOD
    assert trust.judge_seal(bad, (), MOMENT).revocation is Revocation.REVOKED


def test_the_nodes_certificate_names_its_address() -> None:
    key = a_p256_key().public_key()
    certificate = certify_node(ISSUER, key, "https://truc.ninhthuan.gov.vn", MOMENT)
    assert "truc.ninhthuan.gov.vn" in certificate.subject.rfc4514_string()
    assert spki_sha256(key) == spki_sha256(certificate.public_key())  # type: ignore[arg-type]
