"""Everything somebody might try with a packet's signature."""

import base64
import hashlib
import hmac
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from shared.contracts.signing import Indication, PartDigest
from shared.testing.pki import Signer, a_p256_key, an_authority, an_rsa_key
from shared.xmldsig import MAX_SIGNATURE_BYTES, SubIndication, check_signature, sign_parts
from shared.xmldsig.make import canonical
from shared.xmldsig.profile import DS, EXCLUSIVE_C14N, RSA_SHA256, tag

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
HEADER = PartDigest(uri="#MessageHeader", sha256=hashlib.sha256(b"header").hexdigest())
BUSINESS = PartDigest(uri="#Bussiness", sha256=hashlib.sha256(b"business").hexdigest())
MANIFEST = PartDigest(uri="#manifest", sha256=hashlib.sha256(b"manifest").hexdigest())
FIRST = PartDigest(uri="cid:1@axis", sha256=hashlib.sha256(b"first pdf").hexdigest())
SECOND = PartDigest(uri="cid:2@axis", sha256=hashlib.sha256(b"second pdf").hexdigest())
PARTS = (HEADER, BUSINESS, MANIFEST, FIRST, SECOND)

CA = an_authority()
P256 = CA.issue()
RSA = CA.issue(key=an_rsa_key("signer"))
BOTH = pytest.mark.parametrize("signer", [P256, RSA], ids=["p256", "rsa"])


def signed(signer: Signer = P256, parts: tuple[PartDigest, ...] = PARTS) -> bytes:
    return sign_parts(parts, signer.key, signer.certificate, signer.chain)


def raw_signature(key: object, octets: bytes) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(octets, padding.PKCS1v15(), hashes.SHA256())
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    r, s = decode_dss_signature(key.sign(octets, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def resigned(
    alter: Callable[[etree._Element], object], signer: Signer = P256, parts: tuple[PartDigest, ...] = PARTS
) -> bytes:
    """
    Let the rightful signer sign something else than the profile: the value fits, the shape does not.
    """
    root = etree.fromstring(signed(signer, parts))
    alter(root)
    signed_info = root.find(tag("SignedInfo"))
    value = root.find(tag("SignatureValue"))
    assert signed_info is not None
    assert value is not None
    value.text = base64.b64encode(raw_signature(signer.key, canonical(signed_info))).decode()
    return canonical(root)


def at(root: etree._Element, *names: str) -> etree._Element:
    found = root.find("/".join(tag(name) for name in names))
    assert found is not None
    return found


def child(name: str, text: str = "", **attributes: str) -> etree._Element:
    element = etree.Element(tag(name), attributes, nsmap={"ds": DS})
    element.text = text or None
    return element


def refusal(signature: bytes, parts: tuple[PartDigest, ...] = PARTS) -> SubIndication | None:
    checked = check_signature(signature, parts)
    assert checked.indication is not Indication.PASSED
    assert checked.reason
    return checked.sub_indication


# --- what is good passes ---


@BOTH
def test_what_was_signed_passes(signer: Signer) -> None:
    checked = check_signature(signed(signer), PARTS)
    assert checked.indication is Indication.PASSED, checked
    assert checked.certificate == signer.certificate
    assert checked.sub_indication is None


@BOTH
def test_a_status_package_signs_its_header_only(signer: Signer) -> None:
    assert check_signature(signed(signer, (HEADER,)), (HEADER,)).indication is Indication.PASSED


def test_the_order_of_references_does_not_matter() -> None:
    assert check_signature(signed(), tuple(reversed(PARTS))).indication is Indication.PASSED


def test_the_chain_is_handed_back_in_order() -> None:
    below = CA.issue_authority()
    signer = below.issue()
    assert check_signature(signed(signer), PARTS).chain == (below.certificate,)


def test_cut_from_another_context_it_stays_the_same() -> None:
    packet = b'<edXML xmlns="urn:outer" xmlns:x="urn:x" xml:lang="vi"><h>' + signed() + b"</h></edXML>"
    cut = canonical(etree.fromstring(packet)[0][0])
    assert check_signature(cut, PARTS).indication is Indication.PASSED


def test_line_breaks_inside_base64_pass() -> None:
    def wrap(root: etree._Element) -> None:
        paths = (("SignedInfo", "Reference", "DigestValue"), ("KeyInfo", "X509Data", "X509Certificate"))
        for element in (at(root, *path) for path in paths):
            text = element.text or ""
            element.text = "\n" + "\n".join(text[i : i + 40] for i in range(0, len(text), 40)) + "\n"

    assert check_signature(resigned(wrap), PARTS).indication is Indication.PASSED


def test_a_signature_laid_out_in_lines_passes() -> None:
    assert check_signature(resigned(etree.indent), PARTS).indication is Indication.PASSED


def test_both_signs_of_s_pass() -> None:
    root = etree.fromstring(signed())
    value = at(root, "SignatureValue")
    octets = base64.b64decode(value.text or "")
    mirrored = ORDER - int.from_bytes(octets[32:], "big")
    value.text = base64.b64encode(octets[:32] + mirrored.to_bytes(32, "big")).decode()
    assert check_signature(canonical(root), PARTS).indication is Indication.PASSED


def test_a_short_r_keeps_its_leading_zeros() -> None:
    for number in range(4096):
        header = PartDigest(uri="#MessageHeader", sha256=hashlib.sha256(number.to_bytes(4)).hexdigest())
        signature = signed(parts=(header,))
        value = base64.b64decode(at(etree.fromstring(signature), "SignatureValue").text or "")
        assert len(value) == 64
        if value[0] == 0:
            assert check_signature(signature, (header,)).indication is Indication.PASSED
            return
    pytest.fail("no signature with a short r in 4096")


# --- other parts than those signed ---


@BOTH
@pytest.mark.parametrize("index", range(len(PARTS)))
def test_a_changed_part_is_a_hash_failure(signer: Signer, index: int) -> None:
    parts = list(PARTS)
    parts[index] = PartDigest(uri=parts[index].uri, sha256=hashlib.sha256(b"other").hexdigest())
    checked = check_signature(signed(signer), tuple(parts))
    assert (checked.indication, checked.sub_indication) == (Indication.FAILED, SubIndication.HASH_FAILURE)


def test_two_attachments_exchanged_is_a_hash_failure() -> None:
    first = PartDigest(uri=FIRST.uri, sha256=SECOND.sha256)
    second = PartDigest(uri=SECOND.uri, sha256=FIRST.sha256)
    assert refusal(signed(), (HEADER, BUSINESS, MANIFEST, first, second)) is SubIndication.HASH_FAILURE


def test_the_digest_of_another_element_is_a_hash_failure() -> None:
    swapped = PartDigest(uri=HEADER.uri, sha256=BUSINESS.sha256)
    assert refusal(signed(), (swapped, *PARTS[1:])) is SubIndication.HASH_FAILURE


def test_a_part_of_the_packet_that_is_not_signed_is_refused() -> None:
    assert refusal(signed(parts=PARTS[:-1])) is SubIndication.SIG_CONSTRAINTS_FAILURE


def test_a_reference_to_no_part_is_refused() -> None:
    assert refusal(signed(), PARTS[:-1]) is SubIndication.SIGNED_DATA_NOT_FOUND


def test_an_attachment_under_another_name_is_refused() -> None:
    moved = PartDigest(uri="cid:3@axis", sha256=SECOND.sha256)
    assert refusal(signed(), (*PARTS[:-1], moved)) is SubIndication.SIGNED_DATA_NOT_FOUND


def test_two_parts_of_one_name_are_refused() -> None:
    assert refusal(signed(), (*PARTS, FIRST)) is SubIndication.SIG_CONSTRAINTS_FAILURE


def test_two_parts_of_one_name_with_other_digests_are_refused() -> None:
    twin = PartDigest(uri=HEADER.uri, sha256=BUSINESS.sha256)
    assert refusal(signed(), (*PARTS, twin)) is SubIndication.SIG_CONSTRAINTS_FAILURE


def test_a_packet_of_no_parts_is_refused() -> None:
    assert refusal(signed(), ()) is SubIndication.SIGNED_DATA_NOT_FOUND


def test_a_reference_given_twice_is_refused() -> None:
    def double(root: etree._Element) -> None:
        info = at(root, "SignedInfo")
        info.append(etree.fromstring(etree.tostring(info[2])))

    assert refusal(resigned(double)) is SubIndication.SIG_CONSTRAINTS_FAILURE


def test_a_reference_given_twice_with_two_digests_is_refused() -> None:
    def double(root: etree._Element) -> None:
        info = at(root, "SignedInfo")
        info.insert(2, etree.fromstring(etree.tostring(info[2])))
        at(info, "Reference", "DigestValue").text = base64.b64encode(hashlib.sha256(b"x").digest()).decode()

    assert refusal(resigned(double)) is SubIndication.SIG_CONSTRAINTS_FAILURE


def test_no_references_at_all_is_refused() -> None:
    def empty(root: etree._Element) -> None:
        info = at(root, "SignedInfo")
        for reference in info.findall(tag("Reference")):
            info.remove(reference)

    assert refusal(resigned(empty)) is SubIndication.SIG_CONSTRAINTS_FAILURE
    assert refusal(resigned(empty), ()) is SubIndication.SIG_CONSTRAINTS_FAILURE


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "#",
        "##MessageHeader",
        "#xpointer(/)",
        "#xpointer(id('MessageHeader'))",
        "#xpointer(//MessageHeader)",
        "#element(/1/2)",
        "MessageHeader",
        "#messageheader",
        "# MessageHeader",
        "http://127.0.0.1/part",
        "https://example.vn/part",
        "file:///etc/passwd",
        "packet.edxml#MessageHeader",
        "cid:MessageHeader",
        "CID:1@axis",
        "data:,header",
    ],
)
def test_a_reference_by_any_other_uri_is_refused(uri: str) -> None:
    def redirect(root: etree._Element) -> None:
        at(root, "SignedInfo", "Reference").set("URI", uri)

    assert refusal(resigned(redirect)) in {
        SubIndication.SIGNED_DATA_NOT_FOUND,
        SubIndication.SIG_CONSTRAINTS_FAILURE,
    }


def test_a_reference_without_uri_is_refused() -> None:
    def anonymous(root: etree._Element) -> None:
        del at(root, "SignedInfo", "Reference").attrib["URI"]

    assert refusal(resigned(anonymous)) is SubIndication.SIG_CONSTRAINTS_FAILURE


# --- a SignedInfo of another shape, signed by the rightful key ---


def _transform(algorithm: str) -> Callable[[etree._Element], None]:
    def alter(root: etree._Element) -> None:
        at(root, "SignedInfo", "Reference", "Transforms", "Transform").set("Algorithm", algorithm)

    return alter


@pytest.mark.parametrize(
    "algorithm",
    [
        "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
        "http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments",
        "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
        "http://www.w3.org/2006/12/xml-c14n11",
        "http://www.w3.org/2000/09/xmldsig#enveloped-signature",
        "http://www.w3.org/2000/09/xmldsig#base64",
        "http://www.w3.org/TR/1999/REC-xpath-19991116",
        "http://www.w3.org/2002/06/xmldsig-filter2",
        "http://www.w3.org/TR/1999/REC-xslt-19991116",
        "",
        EXCLUSIVE_C14N.upper(),
        EXCLUSIVE_C14N + " ",
    ],
)
def test_any_other_transform_is_refused(algorithm: str) -> None:
    assert refusal(resigned(_transform(algorithm))) is SubIndication.SIG_CONSTRAINTS_FAILURE


def test_a_second_transform_is_refused() -> None:
    def add(root: etree._Element) -> None:
        at(root, "SignedInfo", "Reference", "Transforms").append(child("Transform", Algorithm=EXCLUSIVE_C14N))

    assert refusal(resigned(add)) is SubIndication.SIG_CONSTRAINTS_FAILURE


def test_no_transform_where_one_belongs_is_refused() -> None:
    def drop(root: etree._Element) -> None:
        reference = at(root, "SignedInfo", "Reference")
        reference.remove(reference[0])

    assert refusal(resigned(drop)) is SubIndication.SIG_CONSTRAINTS_FAILURE


def test_empty_transforms_are_refused() -> None:
    def drop(root: etree._Element) -> None:
        transforms = at(root, "SignedInfo", "Reference", "Transforms")
        transforms.remove(transforms[0])

    assert refusal(resigned(drop)) is SubIndication.SIG_CONSTRAINTS_FAILURE


def test_a_transform_of_an_attachment_is_refused() -> None:
    def add(root: etree._Element) -> None:
        transforms = child("Transforms")
        transforms.append(child("Transform", Algorithm="http://www.w3.org/2000/09/xmldsig#base64"))
        at(root, "SignedInfo").findall(tag("Reference"))[3].insert(0, transforms)

    assert refusal(resigned(add)) is SubIndication.SIG_CONSTRAINTS_FAILURE


@pytest.mark.parametrize("where", [("CanonicalizationMethod",), ("Reference", "Transforms", "Transform")])
def test_a_prefix_list_is_refused(where: tuple[str, ...]) -> None:
    def add(root: etree._Element) -> None:
        etree.SubElement(
            at(root, "SignedInfo", *where),
            f"{{{EXCLUSIVE_C14N}}}InclusiveNamespaces",
            nsmap={"ec": EXCLUSIVE_C14N},
            PrefixList="x",
        )

    assert refusal(resigned(add)) is SubIndication.SIG_CONSTRAINTS_FAILURE


def test_an_xpath_inside_a_transform_is_refused() -> None:
    def add(root: etree._Element) -> None:
        at(root, "SignedInfo", "Reference", "Transforms", "Transform").append(child("XPath", "not(//x)"))

    assert refusal(resigned(add)) is SubIndication.SIG_CONSTRAINTS_FAILURE


@pytest.mark.parametrize(
    "algorithm",
    [
        "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
        "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
        "http://www.w3.org/2006/12/xml-c14n11",
    ],
)
def test_signed_info_under_another_canonical_form_is_refused(algorithm: str) -> None:
    def alter(root: etree._Element) -> None:
        at(root, "SignedInfo", "CanonicalizationMethod").set("Algorithm", algorithm)

    assert refusal(resigned(alter)) is SubIndication.SIG_CONSTRAINTS_FAILURE


def test_a_value_over_another_canonical_form_is_a_crypto_failure() -> None:
    root = etree.fromstring(signed())
    info = at(root, "SignedInfo")
    etree.indent(info)
    octets = canonical(info)
    root = etree.fromstring(signed())
    at(root, "SignatureValue").text = base64.b64encode(raw_signature(P256.key, octets)).decode()
    assert refusal(canonical(root)) is SubIndication.SIG_CRYPTO_FAILURE


@pytest.mark.parametrize(
    "algorithm",
    [
        "http://www.w3.org/2000/09/xmldsig#hmac-sha1",
        "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256",
        "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1",
        "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512",
        "http://www.w3.org/2009/xmldsig11#dsa-sha256",
        "none",
        "",
    ],
)
def test_any_other_signature_method_is_refused(algorithm: str) -> None:
    def alter(root: etree._Element) -> None:
        at(root, "SignedInfo", "SignatureMethod").set("Algorithm", algorithm)

    assert refusal(resigned(alter)) is SubIndication.CRYPTO_CONSTRAINTS_FAILURE


def test_an_hmac_under_the_public_key_is_refused() -> None:
    root = etree.fromstring(signed(RSA))
    at(root, "SignedInfo", "SignatureMethod").set("Algorithm", "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256")
    public = RSA.certificate.public_bytes(Encoding.DER)
    mac = hmac.new(public, canonical(at(root, "SignedInfo")), "sha256").digest()
    at(root, "SignatureValue").text = base64.b64encode(mac).decode()
    assert refusal(canonical(root)) is SubIndication.CRYPTO_CONSTRAINTS_FAILURE


def test_a_truncated_hmac_is_refused() -> None:
    def alter(root: etree._Element) -> None:
        method = at(root, "SignedInfo", "SignatureMethod")
        method.set("Algorithm", "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256")
        method.append(child("HMACOutputLength", "0"))

    assert refusal(resigned(alter)) is SubIndication.CRYPTO_CONSTRAINTS_FAILURE


def test_parameters_of_a_good_method_are_refused() -> None:
    def alter(root: etree._Element) -> None:
        at(root, "SignedInfo", "SignatureMethod").append(child("HMACOutputLength", "0"))

    assert refusal(resigned(alter)) is SubIndication.SIG_CONSTRAINTS_FAILURE


@pytest.mark.parametrize(
    ("path", "algorithm"),
    [
        (("SignatureMethod",), "http://www.w3.org/2000/09/xmldsig#rsa-sha1"),
        (("SignatureMethod",), "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha1"),
        (("Reference", "DigestMethod"), "http://www.w3.org/2000/09/xmldsig#sha1"),
        (("Reference", "DigestMethod"), "http://www.w3.org/2001/04/xmldsig-more#md5"),
    ],
)
def test_sha_1_is_legacy_and_does_not_pass(path: tuple[str, ...], algorithm: str) -> None:
    def alter(root: etree._Element) -> None:
        at(root, "SignedInfo", *path).set("Algorithm", algorithm)

    checked = check_signature(resigned(alter), PARTS)
    assert checked.is_legacy
    assert checked.sub_indication is SubIndication.CRYPTO_CONSTRAINTS_FAILURE
    assert checked.indication is Indication.INDETERMINATE


@pytest.mark.parametrize("type_", [f"{DS}Manifest", f"{DS}Object", "http://uri.etsi.org/01903#SignedProperties"])
def test_a_typed_reference_is_refused(type_: str) -> None:
    def alter(root: etree._Element) -> None:
        at(root, "SignedInfo", "Reference").set("Type", type_)

    assert refusal(resigned(alter)) is SubIndication.SIG_CONSTRAINTS_FAILURE


@pytest.mark.parametrize(
    "path",
    [(), ("SignedInfo",), ("SignatureValue",), ("KeyInfo",), ("SignedInfo", "Reference"), ("KeyInfo", "X509Data")],
)
def test_an_id_inside_the_signature_is_refused(path: tuple[str, ...]) -> None:
    def alter(root: etree._Element) -> None:
        (at(root, *path) if path else root).set("Id", "MessageHeader")

    assert refusal(resigned(alter)) is SubIndication.SIG_CONSTRAINTS_FAILURE


def test_an_object_is_refused() -> None:
    def wrap(root: etree._Element) -> None:
        child_object = child("Object")
        etree.SubElement(child_object, "MessageHeader", Id="MessageHeader")
        root.append(child_object)

    assert refusal(resigned(wrap)) is SubIndication.SIG_CONSTRAINTS_FAILURE


@pytest.mark.parametrize("position", [0, 1, 2, 3])
def test_a_second_signed_info_is_refused(position: int) -> None:
    def alter(root: etree._Element) -> None:
        root.insert(position, etree.fromstring(etree.tostring(at(root, "SignedInfo"))))

    assert refusal(resigned(alter)) is SubIndication.SIG_CONSTRAINTS_FAILURE


def test_a_signature_inside_a_signature_is_refused() -> None:
    outer = etree.Element(tag("Signature"), nsmap={"ds": DS})
    outer.append(etree.fromstring(signed()))
    assert refusal(canonical(outer)) is SubIndication.SIG_CONSTRAINTS_FAILURE


def test_parts_in_another_order_are_refused() -> None:
    def alter(root: etree._Element) -> None:
        root.insert(0, root[2])

    assert refusal(resigned(alter)) is SubIndication.SIG_CONSTRAINTS_FAILURE


def test_elements_of_no_namespace_are_refused() -> None:
    assert refusal(signed().replace(b"ds:", b"").replace(b"xmlns:ds=", b"xmlns=").replace(DS.encode(), b"urn:x")) is (
        SubIndication.SIG_CONSTRAINTS_FAILURE
    )


def test_one_element_of_another_namespace_is_refused() -> None:
    def alter(root: etree._Element) -> None:
        at(root, "SignedInfo").append(etree.Element("{urn:x}Reference", URI="#x"))

    assert refusal(resigned(alter)) is SubIndication.SIG_CONSTRAINTS_FAILURE


def test_text_between_elements_is_refused() -> None:
    def alter(root: etree._Element) -> None:
        at(root, "SignedInfo", "Reference").tail = "x"

    assert refusal(resigned(alter)) is SubIndication.FORMAT_FAILURE


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


# --- making ---


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
