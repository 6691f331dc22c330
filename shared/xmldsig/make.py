"""Making packet signatures."""

import base64
import re
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from shared.certificates import key_weakness
from shared.xmldsig.profile import (
    DS,
    ECDSA_SHA256,
    EXCLUSIVE_C14N,
    MAX_SIGNATURE_BYTES,
    RSA_SHA256,
    SHA256,
    PartDigest,
    tag,
)

SigningKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

_SAME_DOCUMENT = re.compile(r"#[A-Za-z_][\w.-]*")
_ATTACHMENT = re.compile(r"cid:\S+")


def sign_parts(
    parts: Sequence[PartDigest],
    key: SigningKey,
    certificate: x509.Certificate,
    chain: Sequence[x509.Certificate] = (),
) -> bytes:
    """
    Sign the parts of a packet.

    Args:
        parts: Every part the signature must cover, in the order of the packet.
        key: RSA of at least 2048 bits, or P-256.
        certificate: The signer's; of the same key.
        chain: Its issuers, nearest first.

    Returns:
        The element `ds:Signature` in exclusive canonical form, ready to stand as the last child of the header.

    Raises:
        ValueError: No parts, a part named twice or by a URI of no known form, a weak key, a certificate of another
            key, or a signature over 64 KiB.
    """
    _refuse_unfit(parts, key, certificate)
    algorithm = RSA_SHA256 if isinstance(key, rsa.RSAPrivateKey) else ECDSA_SHA256

    signature = etree.Element(tag("Signature"), nsmap={"ds": DS})
    signed_info = etree.SubElement(signature, tag("SignedInfo"))
    etree.SubElement(signed_info, tag("CanonicalizationMethod"), Algorithm=EXCLUSIVE_C14N)
    etree.SubElement(signed_info, tag("SignatureMethod"), Algorithm=algorithm)
    for part in parts:
        reference = etree.SubElement(signed_info, tag("Reference"), URI=part.uri)
        if part.uri.startswith("#"):
            transforms = etree.SubElement(reference, tag("Transforms"))
            etree.SubElement(transforms, tag("Transform"), Algorithm=EXCLUSIVE_C14N)
        etree.SubElement(reference, tag("DigestMethod"), Algorithm=SHA256)
        digest = etree.SubElement(reference, tag("DigestValue"))
        digest.text = _base64(bytes.fromhex(part.sha256))

    value = etree.SubElement(signature, tag("SignatureValue"))
    value.text = _base64(_sign(key, canonical(signed_info)))
    x509_data = etree.SubElement(etree.SubElement(signature, tag("KeyInfo")), tag("X509Data"))
    for one in (certificate, *chain):
        etree.SubElement(x509_data, tag("X509Certificate")).text = _base64(one.public_bytes(Encoding.DER))

    made = canonical(signature)
    if len(made) > MAX_SIGNATURE_BYTES:
        raise ValueError(f"the signature has {len(made)} bytes; {MAX_SIGNATURE_BYTES} are allowed")
    return made


def canonical(element: etree._Element) -> bytes:
    """
    Give the exclusive canonical form of an element, without comments.
    """
    return etree.tostring(element, method="c14n", exclusive=True, with_comments=False)


def _refuse_unfit(parts: Sequence[PartDigest], key: SigningKey, certificate: x509.Certificate) -> None:
    uris = [part.uri for part in parts]
    if not uris or len(set(uris)) != len(uris):
        raise ValueError("a signature covers at least one part and each part once")
    for part in parts:
        if not (_SAME_DOCUMENT.fullmatch(part.uri) or _ATTACHMENT.fullmatch(part.uri)):
            raise ValueError(f"not the URI of a part: {part.uri!r}")
        if len(bytes.fromhex(part.sha256)) != 32:
            raise ValueError(f"not a SHA-256 digest: {part.sha256!r}")
    public_key = key.public_key()
    weakness = key_weakness(public_key)
    if weakness is not None or (isinstance(key, ec.EllipticCurvePrivateKey) and key.key_size != 256):
        raise ValueError(f"the profile takes RSA from 2048 bits and P-256, not {weakness or 'another curve'}")
    if certificate.public_key() != public_key:
        raise ValueError("the certificate is of another key")


def _sign(key: SigningKey, octets: bytes) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(octets, padding.PKCS1v15(), hashes.SHA256())
    # XML Signature wants r and s side by side (RFC 4050), not the DER that everybody else uses.
    r, s = decode_dss_signature(key.sign(octets, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")
