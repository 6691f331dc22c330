"""Signatures over the parts of a packet, and what is done to them."""

import base64
import hashlib
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from lxml import etree

from shared.contracts.signing import Indication, PartDigest
from shared.testing.pki import Signer, an_authority, an_rsa_key
from shared.xmldsig import SubIndication, check_signature, sign_parts
from shared.xmldsig.make import canonical
from shared.xmldsig.profile import DS, tag

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
