"""The node's own keys."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from shared.jose import thumbprint


class Role(StrEnum):
    """
    What a key is for; no key has two roles.
    """

    TOKEN = "token"  # noqa: S105 - the name of a role
    """Access tokens."""
    EVIDENCE = "evidence"
    """Receipts, evidence, snapshots and tree heads."""
    AUTHORITY = "ca"
    """Certificates and revocation lists of the development authority."""


MAX_ACTIVE = 2
"""Keys of a role that are published at once: the one that signs and the one before it."""


@dataclass(frozen=True)
class NodeKey:
    """
    One key of the node.

    Attributes:
        key: P-256. It signs; it need not hold the secret itself, a hardware module's handle serves.
        created_at: The newest key of a role signs.
        certificate: None for token keys, which are published as a key set only.
    """

    role: Role
    key: ec.EllipticCurvePrivateKey
    created_at: datetime
    certificate: x509.Certificate | None = None

    @cached_property
    def kid(self) -> str:
        """
        RFC 7638 thumbprint.
        """
        return thumbprint(self.key.public_key())
