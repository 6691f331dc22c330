"""
Keys of a system: made on its own machine, certified by the node, never sent anywhere.
"""

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


def make_key() -> ec.EllipticCurvePrivateKey:
    """
    Make a P-256 key.
    """
    return ec.generate_private_key(ec.SECP256R1())


def key_to_pem(key: ec.EllipticCurvePrivateKey) -> str:
    """
    Write a private key as PKCS#8 PEM, for a file that only its owner reads.
    """
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")


def certificate_request(key: ec.EllipticCurvePrivateKey, common_name: str) -> str:
    """
    Make a PKCS#10 request, PEM; the node writes a subject of its own into the certificate.
    """
    # RFC 5280 bounds a common name at 64 characters.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return request.public_bytes(Encoding.PEM).decode("ascii")
