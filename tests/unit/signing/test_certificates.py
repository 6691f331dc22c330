"""Whom we trust, and what is said about everybody else."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from shared.certificates import MAX_PATH, PathFault, find_path, read_certificate
from shared.testing.pki import (
    MOMENT,
    Authority,
    Signer,
    a_self_signed_signer,
    a_signer_not_yet_valid,
    a_signer_under_a_leaf,
    a_stranger,
    a_weak_signer,
    an_authority,
    an_expired_signer,
    an_rsa_key,
)

CA = an_authority()


def fault(signer: Signer, anchors: tuple[x509.Certificate, ...] = (CA.certificate,)) -> PathFault | None:
    path = find_path(signer.certificate, signer.chain, anchors, MOMENT)
    assert (path.fault is None) == bool(path.certificates)
    assert (path.fault is None) == (not path.reason)
    return path.fault


@pytest.mark.parametrize("kind", ["p256", "rsa"])
def test_a_good_certificate_is_trusted(kind: str) -> None:
    signer = CA.issue(key=an_rsa_key("signer") if kind == "rsa" else None)
    path = find_path(signer.certificate, (), [CA.certificate], MOMENT)
    assert path.certificates == (signer.certificate, CA.certificate)


def test_an_issuing_authority_between_is_found() -> None:
    assert fault(CA.issue_authority().issue()) is None


def test_the_order_of_intermediates_does_not_matter_and_strangers_among_them_do_not_hurt() -> None:
    middle = CA.issue_authority("Middle", path_length=1)
    signer = middle.issue_authority("Low").issue()
    chain = (a_stranger().certificate, *reversed(signer.chain))
    assert find_path(signer.certificate, chain, [CA.certificate], MOMENT).fault is None


def test_of_two_ways_one_good_one_is_enough() -> None:
    older = an_authority("Twin")
    twin = Authority(older.key, an_authority("Twin").certificate)
    signer = older.issue()
    assert fault(signer, (twin.certificate, older.certificate)) is None


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda ca: a_stranger(), PathFault.NO_CERTIFICATE_CHAIN_FOUND),
        (lambda ca: a_self_signed_signer(), PathFault.NO_CERTIFICATE_CHAIN_FOUND),
        (an_expired_signer, PathFault.OUT_OF_BOUNDS_NO_POE),
        (a_signer_not_yet_valid, PathFault.OUT_OF_BOUNDS_NO_POE),
        (a_signer_under_a_leaf, PathFault.CHAIN_CONSTRAINTS_FAILURE),
        (a_weak_signer, PathFault.CRYPTO_CONSTRAINTS_FAILURE),
    ],
)
def test_a_bad_certificate_is_refused(make: Callable[[Authority], Signer], expected: PathFault) -> None:
    assert fault(make(CA)) is expected


def test_a_root_of_the_same_name_is_still_a_stranger() -> None:
    assert fault(an_authority().issue()) is PathFault.NO_CERTIFICATE_CHAIN_FOUND


def test_a_chain_without_its_middle_is_not_found() -> None:
    signer = CA.issue_authority().issue()
    assert fault(Signer(signer.key, signer.certificate)) is PathFault.NO_CERTIFICATE_CHAIN_FOUND


def test_a_path_length_is_kept() -> None:
    assert fault(CA.issue_authority().issue_authority().issue()) is PathFault.CHAIN_CONSTRAINTS_FAILURE


def test_an_authority_does_not_seal() -> None:
    authority = CA.issue_authority()
    assert fault(Signer(authority.key, authority.certificate)) is PathFault.CHAIN_CONSTRAINTS_FAILURE
    assert fault(Signer(CA.key, CA.certificate)) is PathFault.CHAIN_CONSTRAINTS_FAILURE


def test_a_way_that_is_too_long_is_not_walked() -> None:
    authority = CA
    for number in range(MAX_PATH):
        authority = authority.issue_authority(f"Level {number}", path_length=None)
    assert fault(authority.issue()) is PathFault.NO_CERTIFICATE_CHAIN_FOUND


def test_an_anchor_that_ended_vouches_no_more() -> None:
    signer = CA.issue(not_after=MOMENT + timedelta(days=9000))
    later = MOMENT + timedelta(days=4000)
    assert find_path(signer.certificate, (), [CA.certificate], later).fault is PathFault.OUT_OF_BOUNDS_NO_POE


def test_without_anchors_nobody_is_trusted() -> None:
    assert fault(CA.issue(), ()) is PathFault.NO_CERTIFICATE_CHAIN_FOUND


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_no_altered_certificate_raises() -> None:
    der = CA.issue(purpose="auth").certificate.public_bytes(Encoding.DER)
    # The signature's bits may be spelled in more than one way; who must be told apart is told apart by digest.
    signed_bytes = len(der) - 90
    for position in range(len(der)):
        altered = bytearray(der)
        altered[position] ^= 1
        try:
            certificate = read_certificate(bytes(altered))
        except ValueError:
            continue
        path = find_path(certificate, (), [CA.certificate], MOMENT)
        assert path.fault is not None or position >= signed_bytes, position
