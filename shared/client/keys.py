"""
Keys of a system: made on its own machine, certified by the node, never sent anywhere.
"""

from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

from shared.client.credential import write_private

PURPOSES: Final = ("seal", "auth")
"""What a system has a key for: sealing packets, and proving itself for access tokens."""


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


def keep_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """
    Read the key in a file, or make one there; a key that is there is never replaced.

    Raises:
        CredentialInvalid: A new key cannot be written there.
        ValueError: What is there is no P-256 key.
    """
    if not path.exists():
        write_private(path, key_to_pem(make_key()))
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except TypeError as encrypted:
        raise ValueError(f"{path} is encrypted") from encrypted
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError(f"{path} is no P-256 key")  # noqa: TRY004 - it is about the file, not about a caller's type
    return key


def certificate_request(key: ec.EllipticCurvePrivateKey, common_name: str) -> str:
    """
    Make a PKCS#10 request, PEM; the node writes a subject of its own into the certificate.
    """
    # RFC 5280 bounds a common name at 64 characters.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return request.public_bytes(Encoding.PEM).decode("ascii")
