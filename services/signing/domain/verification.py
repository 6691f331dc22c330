"""The report about a packet's signature: what was signed, by whom, and what that is worth."""

from services.signing.domain.authority import certificate_sha256
from services.signing.domain.trust import Judgement, Revocation, TrustStore
from shared.contracts.signing import Indication, PacketSignature, SignatureReport, VerificationReport
from shared.xmldsig import CheckedSignature, SubIndication, check_signature

PROFILE = "axis-1"


def verify_packet(packet: PacketSignature, trust: TrustStore) -> VerificationReport:
    """
    Verify the signature of a packet as it stood at a given moment.

    A bad signature is an answer, not an exception. Does not check that the signer may act for the sender.

    Args:
        packet: The signature, and the digests of what the reader found in the packet.
        trust: Whom we trust.

    Returns:
        PASSED, FAILED or INDETERMINATE with a sub-indication; TRY_LATER when revocation data is out of reach.
    """
    if packet.foreign is not None:
        report = SignatureReport(
            indication=Indication.INDETERMINATE,
            sub_indication=SubIndication.SIG_CONSTRAINTS_FAILURE.value,
            reason=packet.foreign,
        )
        return VerificationReport(checked_at=packet.at, signatures=(report,))
    if packet.signature is None:
        return VerificationReport(checked_at=packet.at)
    checked = check_signature(packet.signature.encode(), packet.parts)
    if checked.certificate is None:
        return VerificationReport(checked_at=packet.at, signatures=(_report(checked, None),))
    judgement = trust.judge_seal(checked.certificate, checked.chain, packet.at)
    return VerificationReport(checked_at=packet.at, signatures=(_report(checked, judgement),))


def _report(checked: CheckedSignature, judgement: Judgement | None) -> SignatureReport:
    indication, sub_indication, reason = checked.indication, checked.sub_indication, checked.reason
    word = None if sub_indication is None else sub_indication.value
    # What is wrong with the signature itself outweighs what is wrong with the certificate.
    if judgement is not None and indication is Indication.PASSED and judgement.sub_indication is not None:
        indication, word, reason = Indication.INDETERMINATE, judgement.sub_indication, judgement.reason
    certificate = checked.certificate
    if certificate is None:
        return SignatureReport(indication=indication, sub_indication=word, reason=reason, legacy=checked.is_legacy)
    return SignatureReport(
        indication=indication,
        sub_indication=word,
        reason=reason,
        profile=PROFILE,
        algorithm=checked.algorithm,
        legacy=checked.is_legacy,
        signer_subject=certificate.subject.rfc4514_string(),
        signer_issuer=certificate.issuer.rfc4514_string(),
        certificate_sha256=certificate_sha256(certificate),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        revocation=(judgement.revocation if judgement is not None else Revocation.UNKNOWN).value,
    )
