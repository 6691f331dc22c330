"""What the check of a signature says, in the words of ETSI EN 319 102-1."""

from dataclasses import dataclass
from enum import StrEnum

from cryptography import x509

from shared.contracts.signing import Indication


class SubIndication(StrEnum):
    """
    Why a signature did not pass; the clause is 5.1.3, table 6.
    """

    FORMAT_FAILURE = "FORMAT_FAILURE"
    """It is no XML Signature in the canonical form it must be handed in."""
    HASH_FAILURE = "HASH_FAILURE"
    """A part of the packet is not the one that was signed."""
    SIG_CRYPTO_FAILURE = "SIG_CRYPTO_FAILURE"
    """The value was not made by the certificate's key over this SignedInfo."""
    SIG_CONSTRAINTS_FAILURE = "SIG_CONSTRAINTS_FAILURE"
    """It breaks the profile: other transforms, references or members than it knows."""
    SIGNED_DATA_NOT_FOUND = "SIGNED_DATA_NOT_FOUND"
    """It covers something that is no part of the packet."""
    CRYPTO_CONSTRAINTS_FAILURE = "CRYPTO_CONSTRAINTS_FAILURE"
    """The key or an algorithm is too weak or not one of the profile's."""
    NO_SIGNING_CERTIFICATE_FOUND = "NO_SIGNING_CERTIFICATE_FOUND"
    """It names no certificate that can be read."""


DEFINITE = frozenset({SubIndication.FORMAT_FAILURE, SubIndication.HASH_FAILURE, SubIndication.SIG_CRYPTO_FAILURE})
"""Nothing learnt later could make these pass; every other leaves the answer open."""


@dataclass(frozen=True)
class CheckedSignature:
    """
    The outcome of the pure check; it says nothing yet about what the certificate is worth.

    Attributes:
        indication: PASSED if exactly the parts handed in were signed by the certificate's key.
        sub_indication: None if passed.
        reason: What is wrong, in one sentence; empty if nothing is.
        is_legacy: An algorithm was used that was sound once, such as SHA-1.
        algorithm: URI of the signature algorithm, as far as it could be read.
        certificate: The signer's, as far as it could be read; vouched for by nobody yet.
        chain: The other certificates the signature carries, as given.
    """

    indication: Indication
    sub_indication: SubIndication | None = None
    reason: str = ""
    is_legacy: bool = False
    algorithm: str | None = None
    certificate: x509.Certificate | None = None
    chain: tuple[x509.Certificate, ...] = ()


class SignatureRefusedError(Exception):
    """
    Carries a finding out of the steps of the check; never leaves the package.
    """

    def __init__(self, sub_indication: SubIndication, reason: str, *, is_legacy: bool = False) -> None:
        super().__init__(reason)
        self.sub_indication = sub_indication
        self.reason = reason
        self.is_legacy = is_legacy
