"""Values, keys and bytes that are not what a rightful signer would have written."""

import base64
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from shared.contracts.signing import Indication
from shared.testing.pki import Signer, an_rsa_key
from shared.xmldsig import MAX_SIGNATURE_BYTES, SubIndication, check_signature
from shared.xmldsig.make import canonical
from shared.xmldsig.profile import RSA_SHA256
from tests.unit.xmldsig.signatures import (
    BOTH,
    CA,
    HEADER,
    ORDER,
    P256,
    PARTS,
    RSA,
    at,
    child,
    raw_signature,
    refusal,
    resigned,
    signed,
)

# --- values ---


@BOTH
def test_an_altered_value_is_a_crypto_failure(signer: Signer) -> None:
    root = etree.fromstring(signed(signer))
    value = at(root, "SignatureValue")
    octets = bytearray(base64.b64decode(value.text or ""))
    octets[40] ^= 1
    value.text = base64.b64encode(bytes(octets)).decode()
    checked = check_signature(canonical(root), PARTS)
    assert (checked.indication, checked.sub_indication) == (Indication.FAILED, SubIndication.SIG_CRYPTO_FAILURE)


@pytest.mark.parametrize(
    "octets",
    [
        b"\0" * 64,
        b"\0" * 32 + b"\1" * 32,
        b"\1" * 32 + b"\0" * 32,
        ORDER.to_bytes(32, "big") * 2,
        b"\xff" * 64,
        b"\1" * 63,
        b"\1" * 65,
        b"\1" * 96,
        b"\1",
    ],
)
def test_r_and_s_out_of_range_or_of_other_length_are_a_crypto_failure(octets: bytes) -> None:
    root = etree.fromstring(signed())
    at(root, "SignatureValue").text = base64.b64encode(octets).decode()
    assert refusal(canonical(root)) is SubIndication.SIG_CRYPTO_FAILURE


def test_r_and_s_with_a_zero_before_each_are_a_crypto_failure() -> None:
    root = etree.fromstring(signed())
    value = at(root, "SignatureValue")
    octets = base64.b64decode(value.text or "")
    value.text = base64.b64encode(b"\0" + octets[:32] + b"\0" + octets[32:]).decode()
    assert refusal(canonical(root)) is SubIndication.SIG_CRYPTO_FAILURE


def test_der_instead_of_r_and_s_is_a_crypto_failure() -> None:
    root = etree.fromstring(signed())
    assert isinstance(P256.key, ec.EllipticCurvePrivateKey)
    der = P256.key.sign(canonical(at(root, "SignedInfo")), ec.ECDSA(hashes.SHA256()))
    at(root, "SignatureValue").text = base64.b64encode(der).decode()
    assert refusal(canonical(root)) is SubIndication.SIG_CRYPTO_FAILURE


def test_pss_under_the_name_of_pkcs_1_is_a_crypto_failure() -> None:
    root = etree.fromstring(signed(RSA))
    assert isinstance(RSA.key, rsa.RSAPrivateKey)
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
    octets = RSA.key.sign(canonical(at(root, "SignedInfo")), pss, hashes.SHA256())
    at(root, "SignatureValue").text = base64.b64encode(octets).decode()
    assert refusal(canonical(root)) is SubIndication.SIG_CRYPTO_FAILURE


def test_an_rsa_value_with_a_zero_before_it_is_a_crypto_failure() -> None:
    root = etree.fromstring(signed(RSA))
    value = at(root, "SignatureValue")
    value.text = base64.b64encode(b"\0" + base64.b64decode(value.text or "")).decode()
    assert refusal(canonical(root)) is SubIndication.SIG_CRYPTO_FAILURE


@pytest.mark.parametrize("text", ["", "=", "====", "AAAA=", "A", "AB", "AB==C", "-_-_", "AA==AA==", "é", "AQ=", "AR=="])
@pytest.mark.parametrize(
    "path",
    [("SignatureValue",), ("SignedInfo", "Reference", "DigestValue"), ("KeyInfo", "X509Data", "X509Certificate")],
)
def test_base64_has_one_spelling(path: tuple[str, ...], text: str) -> None:
    root = etree.fromstring(signed())
    at(root, *path).text = text
    assert refusal(canonical(root)) is SubIndication.FORMAT_FAILURE


def test_a_digest_with_stray_bits_is_refused() -> None:
    def alter(root: etree._Element) -> None:
        value = at(root, "SignedInfo", "Reference", "DigestValue")
        text = value.text or ""
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        value.text = text[:-2] + alphabet[alphabet.index(text[-2]) ^ 1] + "="

    assert refusal(resigned(alter)) is SubIndication.FORMAT_FAILURE


@pytest.mark.parametrize("length", [1, 20, 31, 33, 64])
def test_a_digest_of_another_length_is_refused(length: int) -> None:
    def alter(root: etree._Element) -> None:
        at(root, "SignedInfo", "Reference", "DigestValue").text = base64.b64encode(b"\1" * length).decode()

    assert refusal(resigned(alter)) is SubIndication.FORMAT_FAILURE


def test_an_element_inside_a_digest_is_refused() -> None:
    def alter(root: etree._Element) -> None:
        at(root, "SignedInfo", "Reference", "DigestValue").append(child("X"))

    assert refusal(resigned(alter)) is SubIndication.FORMAT_FAILURE


# --- keys ---


def test_a_certificate_put_in_place_of_another_is_a_crypto_failure() -> None:
    root = etree.fromstring(signed())
    other = CA.issue("Somebody else").certificate.public_bytes(Encoding.DER)
    at(root, "KeyInfo", "X509Data", "X509Certificate").text = base64.b64encode(other).decode()
    assert refusal(canonical(root)) is SubIndication.SIG_CRYPTO_FAILURE


def test_only_the_first_certificate_is_asked() -> None:
    root = etree.fromstring(signed())
    other = CA.issue("Somebody else").certificate.public_bytes(Encoding.DER)
    at(root, "KeyInfo", "X509Data").insert(0, child("X509Certificate", base64.b64encode(other).decode()))
    assert refusal(canonical(root)) is SubIndication.SIG_CRYPTO_FAILURE


@pytest.mark.parametrize(("signer", "other"), [(P256, RSA), (RSA, P256)])
def test_the_key_of_one_kind_under_the_algorithm_of_the_other_is_refused(signer: Signer, other: Signer) -> None:
    root = etree.fromstring(signed(signer))
    der = other.certificate.public_bytes(Encoding.DER)
    at(root, "KeyInfo", "X509Data", "X509Certificate").text = base64.b64encode(der).decode()
    assert refusal(canonical(root)) is SubIndication.SIG_CRYPTO_FAILURE


def test_rsa_of_1024_bits_is_too_weak() -> None:
    weak = CA.issue(key=an_rsa_key("weak", 1024))

    def alter(root: etree._Element) -> None:
        at(root, "SignedInfo", "SignatureMethod").set("Algorithm", RSA_SHA256)
        der = weak.certificate.public_bytes(Encoding.DER)
        at(root, "KeyInfo", "X509Data", "X509Certificate").text = base64.b64encode(der).decode()

    root = etree.fromstring(resigned(alter))
    octets = raw_signature(weak.key, canonical(at(root, "SignedInfo")))
    at(root, "SignatureValue").text = base64.b64encode(octets).decode()
    assert refusal(canonical(root)) is SubIndication.CRYPTO_CONSTRAINTS_FAILURE


@pytest.mark.parametrize("curve", [ec.SECP256K1(), ec.SECP384R1()])
def test_another_curve_is_refused(curve: ec.EllipticCurve) -> None:
    root = etree.fromstring(signed())
    der = CA.issue(key=ec.generate_private_key(curve)).certificate.public_bytes(Encoding.DER)
    at(root, "KeyInfo", "X509Data", "X509Certificate").text = base64.b64encode(der).decode()
    assert refusal(canonical(root)) in {
        SubIndication.CRYPTO_CONSTRAINTS_FAILURE,
        SubIndication.SIG_CRYPTO_FAILURE,
    }


@pytest.mark.parametrize("name", ["KeyValue", "KeyName", "RetrievalMethod", "PGPData", "MgmtData"])
@pytest.mark.parametrize("position", [0, 1])
def test_a_key_from_elsewhere_is_refused(name: str, position: int) -> None:
    def alter(root: etree._Element) -> None:
        at(root, "KeyInfo").insert(position, child(name, "x"))

    assert refusal(resigned(alter)) is SubIndication.SIG_CONSTRAINTS_FAILURE


def test_a_key_value_instead_of_a_certificate_is_refused() -> None:
    def alter(root: etree._Element) -> None:
        info = at(root, "KeyInfo")
        info.remove(info[0])
        info.append(child("KeyValue"))

    assert refusal(resigned(alter)) is SubIndication.SIG_CONSTRAINTS_FAILURE


def test_other_members_of_x509_data_are_refused() -> None:
    def alter(root: etree._Element) -> None:
        at(root, "KeyInfo", "X509Data").append(child("X509SubjectName", "CN=x"))

    assert refusal(resigned(alter)) is SubIndication.SIG_CONSTRAINTS_FAILURE


@pytest.mark.parametrize("path", [("KeyInfo",), ("KeyInfo", "X509Data")])
def test_no_certificate_is_no_signing_certificate(path: tuple[str, ...]) -> None:
    def alter(root: etree._Element) -> None:
        element = at(root, *path)
        element.remove(element[0])

    assert refusal(resigned(alter)) is SubIndication.NO_SIGNING_CERTIFICATE_FOUND


def test_a_certificate_that_is_none_is_refused() -> None:
    def alter(root: etree._Element) -> None:
        at(root, "KeyInfo", "X509Data", "X509Certificate").text = base64.b64encode(b"not a certificate").decode()

    assert refusal(resigned(alter)) is SubIndication.NO_SIGNING_CERTIFICATE_FOUND


def test_six_certificates_are_too_many() -> None:
    def alter(root: etree._Element) -> None:
        data = at(root, "KeyInfo", "X509Data")
        for _ in range(5):
            data.append(etree.fromstring(etree.tostring(data[0])))

    assert refusal(resigned(alter)) is SubIndication.NO_SIGNING_CERTIFICATE_FOUND


# --- bytes ---


@pytest.mark.parametrize(
    "alter",
    [
        lambda s: b"",
        lambda s: b"not xml",
        lambda s: s[:-1],
        lambda s: s + b" ",
        lambda s: b" " + s,
        lambda s: b"\xef\xbb\xbf" + s,
        lambda s: s.decode().encode("utf-16"),
        lambda s: b'<?xml version="1.0"?>' + s,
        lambda s: b"<!DOCTYPE x>" + s,
        lambda s: b'<!DOCTYPE x [<!ENTITY e "y">]>' + s.replace(b'URI="#Mess', b'URI="&e;#Mess'),
        lambda s: s.replace(b"<ds:DigestValue>", b"<ds:DigestValue><!-- c -->", 1),
        lambda s: s.replace(b"<ds:DigestValue>", b"<ds:DigestValue><?p i?>", 1),
        lambda s: s.replace(b"<ds:SignatureValue>", b"<ds:SignatureValue><![CDATA[A]]>", 1),
        lambda s: s.replace(b"#MessageHeader", b"#Message&#72;eader", 1),
        lambda s: s.replace(b"#MessageHeader", b"#Message&undefined;", 1),
        lambda s: s.replace(b'URI="#MessageHeader"', b"URI='#MessageHeader'", 1),
        lambda s: s.replace(b'URI="#MessageHeader"', b'URI="#MessageHeader" URI="#x"', 1),
        lambda s: s.replace(b"<ds:SignedInfo>", b"<ds:SignedInfo >", 1),
        lambda s: s.replace(b"<ds:SignedInfo>", b'<ds:SignedInfo xmlns:x="urn:x">', 1),
        lambda s: s.replace(b"</ds:Signature>", b"<ds:Object/></ds:Signature>"),
        lambda s: s.replace(b"ds:", b"dz:").replace(b"xmlns:dz", b"xmlns:ds"),
        lambda s: s + s,
        lambda s: s.replace(b"<ds:KeyInfo>", b"\0<ds:KeyInfo>"),
        lambda s: s.replace(b"<ds:KeyInfo>", b"\xff<ds:KeyInfo>"),
        lambda s: s.replace(b"<ds:KeyInfo>", b" " * MAX_SIGNATURE_BYTES + b"<ds:KeyInfo>"),
        lambda s: b"<a>" * 10_000,
        lambda s: b'<a xmlns="relative"/>',
    ],
)
def test_bytes_that_are_not_the_canonical_form_are_a_format_failure(alter: Callable[[bytes], bytes]) -> None:
    good = signed()
    assert alter(good) != good
    checked = check_signature(alter(good), PARTS)
    assert (checked.indication, checked.sub_indication) == (Indication.FAILED, SubIndication.FORMAT_FAILURE)


def test_a_comment_that_canonical_form_drops_changes_nothing() -> None:
    """
    The cut drops comments before anybody reads a value, so a comment cannot split one.
    """
    commented = signed().replace(b"<ds:DigestValue>", b"<ds:DigestValue><!-- c -->")
    assert check_signature(canonical(etree.fromstring(commented)), PARTS).indication is Indication.PASSED


@BOTH
@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_no_single_bit_can_change_and_pass(signer: Signer) -> None:
    good = signed(signer, (HEADER,))
    for position in range(len(good)):
        for bit in (0, 5):
            altered = bytearray(good)
            altered[position] ^= 1 << bit
            checked = check_signature(bytes(altered), (HEADER,))
            # Letters of base64 white space aside, every byte counts; the certificate's own value is its issuer's word.
            inside_certificate = good.index(b"<ds:X509Certificate>") <= position
            assert checked.indication is not Indication.PASSED or inside_certificate, (position, bit)
