"""What a seal's certificate is worth, and what the report says about it."""

import hashlib
from collections.abc import Callable
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from services.signing.domain.trust import Judgement, Revocation, TrustStore
from services.signing.domain.verification import verify_packet
from shared.contracts.signing import Indication, PacketSignature, PartDigest, SignatureReport
from shared.testing.pki import (
    MOMENT,
    Authority,
    Signer,
    a_p256_key,
    a_revoked_signer,
    a_signer_not_yet_valid,
    a_signer_under_a_leaf,
    a_stranger,
    an_authority,
    an_expired_signer,
)
from shared.xmldsig import sign_parts


@pytest.fixture
def ca() -> Authority:
    return an_authority()


def judged(signer: Signer, *lists: x509.CertificateRevocationList, ca: Authority) -> Judgement:
    return TrustStore((ca.certificate,), lists).judge_seal(signer.certificate, signer.chain, MOMENT)


def test_a_good_certificate_with_a_current_list_is_trusted(ca: Authority) -> None:
    assert judged(ca.issue(), ca.revocation_list(), ca=ca) == Judgement(None, "", Revocation.GOOD)


def test_a_revoked_certificate_is_not(ca: Authority) -> None:
    judgement = judged(a_revoked_signer(ca), ca.revocation_list(), ca=ca)
    assert (judgement.sub_indication, judgement.revocation) == ("REVOKED_NO_POE", Revocation.REVOKED)


def test_one_revoked_later_was_good_then(ca: Authority) -> None:
    signer = ca.issue()
    ca.revoke(signer.certificate, MOMENT + timedelta(hours=1))
    later = ca.revocation_list(MOMENT + timedelta(hours=2))
    assert judged(signer, later, ca=ca).revocation is Revocation.GOOD


def test_one_revoked_in_the_same_second_is_revoked(ca: Authority) -> None:
    signer = ca.issue()
    ca.revoke(signer.certificate, MOMENT)
    assert judged(signer, ca.revocation_list(), ca=ca).revocation is Revocation.REVOKED


def test_unknown_revocation_is_not_a_pass(ca: Authority) -> None:
    assert judged(ca.issue(), ca=ca).sub_indication == "TRY_LATER"


def test_a_list_out_of_date_is_not_a_pass(ca: Authority) -> None:
    old = ca.revocation_list(MOMENT - timedelta(days=8))
    assert judged(ca.issue(), old, ca=ca).sub_indication == "TRY_LATER"


def test_a_list_by_somebody_else_is_not_a_pass(ca: Authority) -> None:
    assert judged(ca.issue(), an_authority().revocation_list(), ca=ca).sub_indication == "TRY_LATER"


def test_a_list_of_some_reasons_only_is_not_a_pass(ca: Authority) -> None:
    partial = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(ca.certificate.subject)
        .last_update(MOMENT - timedelta(hours=1))
        .next_update(MOMENT + timedelta(hours=1))
        .add_extension(
            x509.IssuingDistributionPoint(
                full_name=[x509.UniformResourceIdentifier("http://crl.example.vn/user.crl")],
                relative_name=None,
                only_contains_user_certs=False,
                only_contains_ca_certs=True,
                only_some_reasons=None,
                indirect_crl=False,
                only_contains_attribute_certs=False,
            ),
            critical=True,
        )
        .sign(ca.key, hashes.SHA256())
    )
    assert judged(ca.issue(), partial, ca=ca).sub_indication == "TRY_LATER"


@pytest.mark.parametrize("turned", [False, True])
def test_of_two_lists_the_higher_number_speaks(ca: Authority, *, turned: bool) -> None:
    signer = ca.issue()
    first = ca.revocation_list(number=1)
    ca.revoke(signer.certificate)
    second = ca.revocation_list(number=2)
    lists = (second, first) if turned else (first, second)
    assert judged(signer, *lists, ca=ca).revocation is Revocation.REVOKED


def test_every_issuer_on_the_way_needs_its_own_list(ca: Authority) -> None:
    middle = ca.issue_authority()
    signer = middle.issue()
    assert judged(signer, ca.revocation_list(), ca=ca).sub_indication == "TRY_LATER"
    assert judged(signer, ca.revocation_list(), middle.revocation_list(), ca=ca).sub_indication is None
    ca.revoke(middle.certificate)
    assert judged(signer, ca.revocation_list(), middle.revocation_list(), ca=ca).revocation is Revocation.REVOKED


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda ca: a_stranger(), "NO_CERTIFICATE_CHAIN_FOUND"),
        (an_expired_signer, "OUT_OF_BOUNDS_NO_POE"),
        (a_signer_not_yet_valid, "OUT_OF_BOUNDS_NO_POE"),
        (a_signer_under_a_leaf, "CHAIN_CONSTRAINTS_FAILURE"),
        (lambda ca: ca.issue(purpose="auth"), "CHAIN_CONSTRAINTS_FAILURE"),
    ],
)
def test_a_bad_certificate_is_named_in_the_words_of_etsi(
    ca: Authority, make: Callable[[Authority], Signer], word: str
) -> None:
    judgement = judged(make(ca), ca.revocation_list(), ca=ca)
    assert judgement.sub_indication == word
    assert judgement.reason


# --- the report ---

PART = PartDigest(uri="#MessageHeader", sha256=hashlib.sha256(b"header").hexdigest())


def reported(signer: Signer, ca: Authority, *, part: PartDigest = PART) -> SignatureReport:
    signature = sign_parts([PART], signer.key, signer.certificate, signer.chain).decode()
    packet = PacketSignature(signature=signature, parts=(part,), at=MOMENT)
    (report,) = verify_packet(packet, TrustStore((ca.certificate,), (ca.revocation_list(),))).signatures
    return report


def test_a_good_seal_is_reported_with_its_signer(ca: Authority) -> None:
    signer = ca.issue("UBND tỉnh Ninh Thuận")
    report = reported(signer, ca)
    assert report.indication is Indication.PASSED
    assert report.sub_indication is None
    assert report.profile == "axis-1"
    assert report.signer_subject == "CN=UBND tỉnh Ninh Thuận"
    assert report.certificate_sha256 == signer.certificate.fingerprint(hashes.SHA256()).hex()
    assert report.revocation == "good"
    assert report.not_after == signer.certificate.not_valid_after_utc


def test_a_seal_of_a_revoked_certificate_is_indeterminate(ca: Authority) -> None:
    report = reported(a_revoked_signer(ca), ca)
    assert (report.indication, report.sub_indication) == (Indication.INDETERMINATE, "REVOKED_NO_POE")
    assert report.revocation == "revoked"


def test_a_broken_seal_of_a_stranger_is_first_of_all_broken(ca: Authority) -> None:
    other = PartDigest(uri=PART.uri, sha256=hashlib.sha256(b"other").hexdigest())
    report = reported(a_stranger(), ca, part=other)
    assert (report.indication, report.sub_indication) == (Indication.FAILED, "HASH_FAILURE")


def test_no_signature_gives_an_empty_report(ca: Authority) -> None:
    report = verify_packet(PacketSignature(parts=(PART,), at=MOMENT), TrustStore((ca.certificate,), ()))
    assert report.signatures == ()
    assert report.indication is None
    assert report.checked_at == MOMENT


def test_a_foreign_signature_is_reported_with_its_reason(ca: Authority) -> None:
    packet = PacketSignature(foreign="the signature stands outside the header", parts=(PART,), at=MOMENT)
    (report,) = verify_packet(packet, TrustStore((ca.certificate,), ())).signatures
    assert (report.indication, report.profile) == (Indication.INDETERMINATE, None)
    assert report.reason == "the signature stands outside the header"


def test_something_that_is_no_signature_is_reported_without_signer(ca: Authority) -> None:
    packet = PacketSignature(signature="<x/>", parts=(PART,), at=MOMENT)
    (report,) = verify_packet(packet, TrustStore((ca.certificate,), ())).signatures
    assert (report.profile, report.certificate_sha256) == (None, None)
    assert (report.indication, report.sub_indication) == (Indication.FAILED, "FORMAT_FAILURE")


def test_a_key_certified_by_nobody_is_a_stranger(ca: Authority) -> None:
    key = a_p256_key()
    assert reported(an_authority("x").issue(key=key), ca).sub_indication == "NO_CERTIFICATE_CHAIN_FOUND"
