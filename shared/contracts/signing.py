"""What the signing service answers and publishes."""

from enum import StrEnum
from typing import Any, ClassVar

from pydantic import Field

from shared.contracts.base import MAX_ITEMS, Contract, Event, Health, Moment, Nothing, Operation


class Indication(StrEnum):
    """
    Main answer about a signature.

    Source:
        ETSI EN 319 102-1 clause 5.1.3.
    """

    PASSED = "PASSED"
    FAILED = "FAILED"
    INDETERMINATE = "INDETERMINATE"


class PartDigest(Contract):
    """
    One part of a packet that its signature must cover.

    Attributes:
        uri: `#` and the value of the element's `Id`, or `cid:` and the attachment's ContentId.
        sha256: Hex digest; of the exclusive canonical form of an element, of the bytes after base64 of an attachment.
    """

    uri: str
    sha256: str


class SignatureReport(Contract):
    """
    What was found about one signature.

    Attributes:
        indication: PASSED, FAILED or INDETERMINATE.
        sub_indication: ETSI word such as `HASH_FAILURE`, `REVOKED`, `TRY_LATER`; None when passed.
        reason: One sentence for people.
        profile: `axis-1`, or None for any other form.
        algorithm: Signature algorithm URI as found.
        legacy: True where SHA-1 or another outdated algorithm was found.
        signer_subject: Subject of the certificate, RFC 4514.
        certificate_sha256: Hex digest of the DER certificate.
        not_before, not_after: Validity of the certificate.
        revocation: `good`, `revoked` or `unknown`.
    """

    indication: Indication
    sub_indication: str | None = None
    reason: str = ""
    profile: str | None = None
    algorithm: str | None = None
    legacy: bool = False
    signer_subject: str | None = None
    signer_issuer: str | None = None
    certificate_sha256: str | None = None
    not_before: Moment | None = None
    not_after: Moment | None = None
    revocation: str = "unknown"


class VerificationReport(Contract):
    """
    The answer about a packet's signatures; a bad signature is an answer, not an error.

    Attributes:
        checked_at: Moment the certificates were judged at.
        signatures: One entry per signature found; empty when there is none.
    """

    checked_at: Moment
    signatures: tuple[SignatureReport, ...] = ()

    @property
    def indication(self) -> Indication | None:
        """
        The weakest answer over all signatures; None when there is no signature.
        """
        found = {report.indication for report in self.signatures}
        for worst in (Indication.FAILED, Indication.INDETERMINATE, Indication.PASSED):
            if worst in found:
                return worst
        return None


class PacketSignature(Contract):
    """
    What is needed to judge a packet's signature; never the packet.

    Attributes:
        signature: Exclusive canonical form of the `ds:Signature` element as UTF-8 text, at most 64 KiB; None: unsigned.
        foreign: Why a signature that was found is not of profile `axis-1` by its place or namespace.
        parts: Every part that must be covered, in order, computed from the tree the values were read from.
        at: Moment to judge certificates at.
    """

    signature: str | None = Field(default=None, max_length=65_536)
    foreign: str | None = None
    parts: tuple[PartDigest, ...] = ()
    at: Moment


class VerifyPackets(Contract):
    """
    Signatures of 1 to 500 packets to judge.
    """

    items: tuple[PacketSignature, ...] = Field(min_length=1, max_length=MAX_ITEMS)


class PacketReports(Contract):
    """
    One report per item, in the order asked.
    """

    items: tuple[VerificationReport, ...]


class SignStatements(Contract):
    """
    Payloads to sign as compact JWS; the operation fixes key and `typ`.
    """

    payloads: tuple[dict[str, Any], ...] = Field(min_length=1, max_length=MAX_ITEMS)


class Statements(Contract):
    """
    One compact JWS per payload, in the order asked.
    """

    items: tuple[str, ...]


class Keys(Contract):
    """
    What others need to check what we sign.

    Attributes:
        token_keys: JWK Set of access-token keys (public).
        evidence_keys: JWK Set of receipt, evidence, snapshot and tree-head keys (public), each with `x5c`.
        anchors: PEM of the trusted root certificates.
        revocation_lists: PEM of the current revocation lists.
    """

    token_keys: dict[str, Any]
    evidence_keys: dict[str, Any]
    anchors: tuple[str, ...]
    revocation_lists: tuple[str, ...] = ()


class CertificateRequest(Contract):
    """
    A certificate to issue.

    Attributes:
        csr: PKCS#10 request, PEM; its own signature is checked, its subject is not taken.
        common_name: Subject CN to write: the name of the agency or system.
        system_id: System the certificate will be bound to.
        purpose: `seal` for packets, `auth` for client assertions.
        days: Days of validity from now.
    """

    csr: str = Field(max_length=16_384)
    common_name: str
    system_id: str
    purpose: str
    days: int = Field(default=365, ge=1, le=1826)


class IssueCertificates(Contract):
    """
    Certificate requests; refused with `certificate-request-invalid`.
    """

    items: tuple[CertificateRequest, ...] = Field(min_length=1, max_length=MAX_ITEMS)


class IssuedCertificate(Contract):
    """
    A certificate that was issued.

    Attributes:
        certificate: PEM.
        chain: PEM of the issuers up to the root.
        sha256: Hex digest of the DER form.
    """

    certificate: str
    chain: tuple[str, ...]
    sha256: str
    not_before: Moment
    not_after: Moment


class IssuedCertificates(Contract):
    """
    One certificate per request, in the order asked.
    """

    items: tuple[IssuedCertificate, ...]


class RevokeCertificates(Contract):
    """
    Certificates to put on the revocation list; repeating it changes nothing.

    Attributes:
        sha256s: Hex digests of the DER forms.
        reason: RFC 5280 reason such as `keyCompromise` or `cessationOfOperation`.
    """

    sha256s: tuple[str, ...] = Field(min_length=1, max_length=MAX_ITEMS)
    reason: str = "unspecified"


class CertificateFact(Contract):
    """
    One certificate named in an event.
    """

    sha256: str
    system_id: str
    purpose: str
    not_after: Moment


class CertificatesIssued(Event):
    """
    The development authority has issued certificates.
    """

    topic: ClassVar[str] = "signing.certificates_issued.v1"
    items: tuple[CertificateFact, ...]


class CertificatesRevoked(Event):
    """
    Certificates are on the revocation list from now on.
    """

    topic: ClassVar[str] = "signing.certificates_revoked.v1"
    reason: str
    sha256s: tuple[str, ...]


VERIFY_PACKETS = Operation("signing.verify_packets", VerifyPackets, PacketReports)
SIGN_RECEIPTS = Operation("signing.sign_receipts", SignStatements, Statements)
SIGN_EVIDENCE = Operation("signing.sign_evidence", SignStatements, Statements)
SIGN_TOKENS = Operation("signing.sign_tokens", SignStatements, Statements)
SIGN_SNAPSHOTS = Operation("signing.sign_snapshots", SignStatements, Statements)
SIGN_TREE_HEADS = Operation("signing.sign_tree_heads", SignStatements, Statements)
READ_KEYS = Operation("signing.read_keys", Nothing, Keys)
ISSUE_CERTIFICATES = Operation("signing.issue_certificates", IssueCertificates, IssuedCertificates)
REVOKE_CERTIFICATES = Operation("signing.revoke_certificates", RevokeCertificates, Nothing)
READ_HEALTH = Operation("signing.read_health", Nothing, Health)
