"""What a certificate is worth at a moment: the way to an anchor, and revocation on the way."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from shared.certificates import PathFault, find_path

REVOKED_NO_POE: Final = "REVOKED_NO_POE"
"""Revoked by then, and nothing proves that it signed before: ETSI EN 319 102-1 table 6."""

TRY_LATER: Final = "TRY_LATER"
"""Whether it is revoked cannot be said now."""

_ONLY_FOR_CONNECTIONS = frozenset({ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH})


class Revocation(StrEnum):
    """
    What is known about revocation; unknown is never good.
    """

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Judgement:
    """
    What a certificate is worth.

    Attributes:
        sub_indication: ETSI word; None if it is trusted.
        reason: One sentence; empty if it is trusted.
    """

    sub_indication: str | None
    reason: str
    revocation: Revocation


@dataclass(frozen=True)
class TrustStore:
    """
    Whom we trust, and whom no more.

    Attributes:
        anchors: Roots.
        revocation_lists: At most one per issuer is used: the one with the highest number that its issuer signed.
    """

    anchors: tuple[x509.Certificate, ...]
    revocation_lists: tuple[x509.CertificateRevocationList, ...]

    def judge_seal(self, certificate: x509.Certificate, chain: Sequence[x509.Certificate], at: datetime) -> Judgement:
        """
        Judge the certificate of a seal as it stood at a given moment.

        An untrusted certificate is an answer, not an exception. Does not ask to whom it is bound.

        Args:
            certificate: Any certificate, by a stranger.
            chain: Certificates that came with it; nothing in them is trusted.
            at: Moment to judge at; aware, UTC.

        Source:
            ETSI EN 319 102-1 clause 5.2.6; RFC 5280 sections 6.1 and 6.3.
        """
        path = find_path(certificate, chain, self.anchors, at)
        if path.fault is not None:
            return Judgement(path.fault.value, path.reason, Revocation.UNKNOWN)
        if not _may_seal(certificate):
            reason = "the certificate is not one for signatures of content"
            return Judgement(PathFault.CHAIN_CONSTRAINTS_FAILURE.value, reason, Revocation.UNKNOWN)
        states = [
            self._revocation(subject, issuer, at)
            for subject, issuer in zip(path.certificates, path.certificates[1:], strict=False)
        ]
        if Revocation.REVOKED in states:
            return Judgement(REVOKED_NO_POE, "a certificate in the chain is revoked", Revocation.REVOKED)
        if Revocation.UNKNOWN in states:
            return Judgement(TRY_LATER, "no current revocation list of its issuer is at hand", Revocation.UNKNOWN)
        return Judgement(None, "", Revocation.GOOD)

    def _revocation(self, subject: x509.Certificate, issuer: x509.Certificate, at: datetime) -> Revocation:
        usable = [one for one in self.revocation_lists if _covers(one, issuer, at)]
        if not usable:
            return Revocation.UNKNOWN
        newest = max(usable, key=_number)
        entry = newest.get_revoked_certificate_by_serial_number(subject.serial_number)
        if entry is not None and entry.revocation_date_utc <= at:
            return Revocation.REVOKED
        return Revocation.GOOD


def _covers(revocation_list: x509.CertificateRevocationList, issuer: x509.Certificate, at: datetime) -> bool:
    """
    Tell whether a list speaks for an issuer at a moment; one signed later does too, it only knows more.
    """
    next_update = revocation_list.next_update_utc
    if revocation_list.issuer != issuer.subject or next_update is None or at > next_update:
        return False
    # A list with a critical extension, such as one for some reasons only, is not the whole truth.
    if any(extension.critical for extension in revocation_list.extensions):
        return False
    public_key = issuer.public_key()
    try:
        return revocation_list.is_signature_valid(public_key)  # type: ignore[arg-type]  # other kinds raise TypeError
    except (TypeError, ValueError):
        return False


def _number(revocation_list: x509.CertificateRevocationList) -> tuple[int, datetime]:
    try:
        number = revocation_list.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except x509.ExtensionNotFound:
        number = 0
    return number, revocation_list.last_update_utc


def _may_seal(certificate: x509.Certificate) -> bool:
    extensions = certificate.extensions
    try:
        usage = extensions.get_extension_for_class(x509.KeyUsage).value
        if not (usage.digital_signature or usage.content_commitment):
            return False
    except x509.ExtensionNotFound:
        pass
    try:
        extended = set(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return True
    # A key that answers challenges on connections could be made to sign content unseen.
    return not extended <= _ONLY_FOR_CONNECTIONS
