"""A SignedInfo of another shape than the profile's, signed by the rightful key."""

import base64
import hmac
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from shared.contracts.signing import Indication
from shared.xmldsig import SubIndication, check_signature
from shared.xmldsig.make import canonical
from shared.xmldsig.profile import DS, EXCLUSIVE_C14N, tag
from tests.unit.xmldsig.signatures import P256, PARTS, RSA, at, child, raw_signature, refusal, resigned, signed


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
