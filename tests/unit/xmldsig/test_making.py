"""What is not signed to begin with."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from shared.contracts.signing import Indication, PartDigest
from shared.testing.pki import a_p256_key, an_rsa_key
from shared.xmldsig import check_signature, sign_parts
from tests.unit.xmldsig.signatures import CA, HEADER, P256, PARTS, signed


@pytest.mark.parametrize("uri", ["", "#", "MessageHeader", "http://x", "cid:", "cid:a b", "#a b", "#xpointer(/)"])
def test_only_known_uris_are_signed(uri: str) -> None:
    with pytest.raises(ValueError, match="URI"):
        signed(parts=(PartDigest(uri=uri, sha256=HEADER.sha256),))


def test_nothing_is_not_signed() -> None:
    with pytest.raises(ValueError, match="at least one"):
        signed(parts=())


def test_a_part_named_twice_is_not_signed() -> None:
    with pytest.raises(ValueError, match="each part once"):
        signed(parts=(HEADER, HEADER))


@pytest.mark.parametrize("sha256", ["", "ab", "zz" * 32, "ab" * 33])
def test_only_sha_256_digests_are_signed(sha256: str) -> None:
    with pytest.raises(ValueError, match=r"digest|hexadecimal"):
        signed(parts=(PartDigest(uri="#a", sha256=sha256),))


@pytest.mark.parametrize("key", [an_rsa_key("weak", 1024), ec.generate_private_key(ec.SECP384R1())])
def test_other_keys_do_not_sign(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> None:
    with pytest.raises(ValueError, match="profile takes"):
        sign_parts(PARTS, key, CA.issue(key=key).certificate)


def test_a_certificate_of_another_key_does_not_sign() -> None:
    with pytest.raises(ValueError, match="another key"):
        sign_parts(PARTS, a_p256_key(), P256.certificate)


def test_more_parts_than_fit_are_not_signed() -> None:
    many = tuple(PartDigest(uri=f"cid:{n}", sha256=HEADER.sha256) for n in range(400))
    with pytest.raises(ValueError, match="are allowed"):
        signed(parts=many)


def test_200_attachments_fit() -> None:
    many = tuple(PartDigest(uri=f"cid:{n}@axis.gov.vn", sha256=HEADER.sha256) for n in range(200))
    assert check_signature(signed(parts=many), many).indication is Indication.PASSED
