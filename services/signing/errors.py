"""
What signing raises.

    AxisError
    ├── Rejected
    │   ├── CertificateRequestInvalid
    │   └── CertificateUnknown
    └── KeyStoreUnusable
    UserWarning
    └── DevelopmentModeWarning
"""

from typing import ClassVar

from shared.errors import AxisError, Rejected


class CertificateRequestInvalid(Rejected):
    """
    The certificate request was refused. Make a fresh key (RSA from 2048 bits, or P-256) and a PKCS#10 request signed
    with it, and ask again.
    """

    code: ClassVar[str] = "certificate-request-invalid"


class CertificateUnknown(Rejected):
    """
    The authority of this node has not issued the certificate, so it cannot revoke it. Check the digest.
    """

    code: ClassVar[str] = "certificate-unknown"


class KeyStoreUnusable(AxisError):
    """
    The key store cannot be opened: wrong passphrase, damaged, readable by others, or not allowed in production.
    """


class DevelopmentModeWarning(UserWarning):
    """
    Something stands in for what production needs, such as keys in a file instead of a hardware module.
    """
