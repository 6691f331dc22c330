"""
Reading a `ds:Signature` as strictly as it was made: what the profile does not name is refused, never skipped.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509
from lxml import etree

from shared.certificates import read_certificate
from shared.xmldsig.make import canonical
from shared.xmldsig.profile import (
    DS,
    ECDSA_SHA256,
    EXCLUSIVE_C14N,
    LEGACY,
    MAX_CERTIFICATES,
    MAX_SIGNATURE_BYTES,
    RSA_SHA256,
    SHA256,
    tag,
)
from shared.xmldsig.report import SignatureRefusedError, SubIndication

_XML_SPACE = " \t\r\n"
_XML_SPACES = re.compile(f"[{_XML_SPACE}]+")


@dataclass(frozen=True)
class ReadReference:
    """
    One reference: the URI as written and the digest it claims.
    """

    uri: str
    digest: bytes


@dataclass(frozen=True)
class ReadSignature:
    """
    A signature in the profile's shape; nothing about it has been checked yet.

    Attributes:
        signed_info: Exclusive canonical form of `SignedInfo`: the bytes that were signed.
    """

    algorithm: str
    references: tuple[ReadReference, ...]
    signed_info: bytes
    value: bytes
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...]


def read_signature(signature: bytes) -> ReadSignature:
    """
    Read a signature.

    Raises:
        SignatureRefusedError: It is malformed, or breaks the profile.
    """
    root = _parse(signature)
    signed_info, value, key_info = _children(root, "SignedInfo", "SignatureValue", "KeyInfo")
    method, signature_method, *references = _children(signed_info, "CanonicalizationMethod", "SignatureMethod", ...)
    _algorithm(method, {EXCLUSIVE_C14N}, SubIndication.SIG_CONSTRAINTS_FAILURE)
    algorithm = _algorithm(signature_method, {RSA_SHA256, ECDSA_SHA256}, SubIndication.CRYPTO_CONSTRAINTS_FAILURE)
    read_references = tuple(_reference(reference) for reference in references)
    certificate, *chain = _certificates(key_info)
    return ReadSignature(
        algorithm=algorithm,
        references=read_references,
        signed_info=canonical(signed_info),
        value=_base64(value),
        certificate=certificate,
        chain=tuple(chain),
    )


def _parse(signature: bytes) -> etree._Element:
    if len(signature) > MAX_SIGNATURE_BYTES:
        raise SignatureRefusedError(SubIndication.FORMAT_FAILURE, f"the signature exceeds {MAX_SIGNATURE_BYTES} bytes")
    # Canonical XML without comments writes neither sign, so no parser need ever see a DOCTYPE, an entity declaration,
    # a comment, CDATA, a processing instruction or an XML declaration.
    if b"<!" in signature or b"<?" in signature:
        raise _format("it holds a declaration, comment, CDATA or processing instruction")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(signature, parser)
        is_canonical = canonical(root) == signature
    except (etree.LxmlError, ValueError) as malformed:
        raise _format("it is not XML that has a canonical form") from malformed
    # One signature has one spelling here: what two parsers could read in two ways never comes as far as the profile.
    if not is_canonical:
        raise _format("it is not in exclusive canonical form")
    if root.tag != tag("Signature"):
        raise _profile(f"the element is {etree.QName(root).text[:100]}, not Signature of {DS}")
    return root


def _children(element: etree._Element, *names: object) -> list[etree._Element]:
    """
    Give the children, which must be exactly those named; a trailing `...` stands for one or more References.
    """
    _no_attributes(element)
    return _elements(element, names)


def _elements(element: etree._Element, names: Sequence[object]) -> list[etree._Element]:
    children = list(element)
    texts = [element.text, *(child.tail for child in children)]
    if any((text or "").strip(_XML_SPACE) for text in texts):
        raise _format(f"{_name(element)} holds text between its elements")
    expected = list(names)
    if expected[-1] is ...:
        expected = [*expected[:-1], *["Reference"] * max(1, len(children) - len(expected) + 1)]
    if [child.tag for child in children] != [tag(str(name)) for name in expected]:
        found = ", ".join(_name(child) for child in children[:8]) or "nothing"
        raise _profile(f"{_name(element)} holds {found}, not what the profile names")
    return children


def _reference(reference: etree._Element) -> ReadReference:
    if list(reference.attrib) != ["URI"]:
        raise _profile("a Reference has other attributes than URI")
    uri = str(reference.attrib["URI"])
    if uri.startswith("#"):
        transforms, method, value = _elements(reference, ("Transforms", "DigestMethod", "DigestValue"))
        (transform,) = _children(transforms, "Transform")
        _algorithm(transform, {EXCLUSIVE_C14N}, SubIndication.SIG_CONSTRAINTS_FAILURE)
    else:
        method, value = _elements(reference, ("DigestMethod", "DigestValue"))
    _algorithm(method, {SHA256}, SubIndication.CRYPTO_CONSTRAINTS_FAILURE)
    digest = _base64(value)
    if len(digest) != 32:
        raise _format("a DigestValue is not a SHA-256 digest")
    return ReadReference(uri, digest)


def _algorithm(element: etree._Element, accepted: set[str], otherwise: SubIndication) -> str:
    if list(element.attrib) != ["Algorithm"]:
        raise _profile(f"{_name(element)} has other attributes than Algorithm")
    algorithm = str(element.attrib["Algorithm"])
    if algorithm in LEGACY:
        raise SignatureRefusedError(
            SubIndication.CRYPTO_CONSTRAINTS_FAILURE, f"the legacy algorithm {algorithm} is used", is_legacy=True
        )
    if algorithm not in accepted:
        raise SignatureRefusedError(otherwise, f"{_name(element)} is {algorithm[:100]}, not one of the profile's")
    # Nothing stands inside: no prefix lists, no XPath, no truncation of an HMAC.
    if len(element) or (element.text or "").strip(_XML_SPACE):
        raise _profile(f"{_name(element)} has parameters")
    return algorithm


def _certificates(key_info: etree._Element) -> list[x509.Certificate]:
    if not len(key_info):
        raise SignatureRefusedError(SubIndication.NO_SIGNING_CERTIFICATE_FOUND, "KeyInfo is empty")
    # A bare key, a name or a key elsewhere would let somebody else decide which key is meant.
    (x509_data,) = _children(key_info, "X509Data")
    if not 1 <= len(x509_data) <= MAX_CERTIFICATES:
        raise SignatureRefusedError(
            SubIndication.NO_SIGNING_CERTIFICATE_FOUND, f"X509Data holds 1 to {MAX_CERTIFICATES} certificates"
        )
    elements = _children(x509_data, *["X509Certificate"] * len(x509_data))
    try:
        return [read_certificate(_base64(element)) for element in elements]
    except ValueError as malformed:
        raise SignatureRefusedError(
            SubIndication.NO_SIGNING_CERTIFICATE_FOUND, "a certificate cannot be read"
        ) from malformed


def _base64(element: etree._Element) -> bytes:
    """
    Decode the text of an element: the plain alphabet, padded, without stray bits; line breaks as XML Schema allows.
    """
    _no_attributes(element)
    if len(element):
        raise _format(f"{_name(element)} holds elements")
    text = _XML_SPACES.sub("", element.text or "")
    try:
        octets = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error) as malformed:
        raise _format(f"{_name(element)} is not base64") from malformed
    if not octets or base64.b64encode(octets).decode("ascii") != text:
        raise _format(f"{_name(element)} is not base64 in its one form")
    return octets


def _no_attributes(element: etree._Element) -> None:
    if element.attrib:
        raise _profile(f"{_name(element)} has attributes")


def _name(element: etree._Element) -> str:
    return etree.QName(element).localname[:60]


def _format(what: str) -> SignatureRefusedError:
    return SignatureRefusedError(SubIndication.FORMAT_FAILURE, what)


def _profile(what: str) -> SignatureRefusedError:
    return SignatureRefusedError(SubIndication.SIG_CONSTRAINTS_FAILURE, what)
