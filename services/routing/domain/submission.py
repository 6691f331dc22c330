"""Rules of acceptance: who may be addressed, what a signature must be worth, what the receipt says."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import rfc8785

from services.routing.domain.register import Register
from services.routing.errors import (
    AddresseesRefused,
    SignatureFailed,
    SignatureMissing,
    SignerNotBound,
)
from shared.contracts.base import MAX_ITEMS, Lane, write_moment
from shared.contracts.registry import AgencyEntry
from shared.contracts.signing import Indication, VerificationReport
from shared.errors import FieldError

PROFILE: Final = "axis-1"
SIGNATURE_PLACE: Final = "/edXML/edXMLEnvelope/edXMLHeader/Signature"
_TRY_LATER: Final = "TRY_LATER"


@dataclass(frozen=True)
class Addressees:
    """
    Whom a dispatch goes to, fixed at acceptance.

    Attributes:
        entries: In the order of the packet, each agency once.
        warnings: Addressees that were named twice in different forms.
    """

    entries: tuple[AgencyEntry, ...]
    warnings: tuple[FieldError, ...] = ()

    @property
    def keys(self) -> tuple[UUID, ...]:
        """
        Their keys.
        """
        return tuple(entry.key for entry in self.entries)

    @property
    def sha256(self) -> str:
        """
        Digest of the set: hex SHA-256 over the sorted keys, one per line.
        """
        return digest_of_set(str(key) for key in self.keys)


def resolve_addressees(register: Register, codes: Sequence[str], *, node_id: str, at: datetime) -> Addressees:
    """
    Find every addressee in the register.

    Raises:
        AddresseesRefused: Some are unknown, closed or not served; all of them are named.
    """
    entries: dict[UUID, AgencyEntry] = {}
    errors: list[FieldError] = []
    warnings: list[FieldError] = []
    for index, code in enumerate(codes):
        pointer = f"/edXML/edXMLEnvelope/edXMLHeader/MessageHeader/To[{index + 1}]/OrganId"
        entry = register.find(code, at)
        reason = _why_not(register, code, entry, node_id)
        if entry is None or reason is not None:
            reason_code, detail = reason or _UNKNOWN
            errors.append(FieldError(pointer=pointer, code=reason_code, detail=detail))
        elif entry.key in entries:
            detail = f"Nơi nhận {code} được ghi nhiều lần, chỉ tính một lần. / Addressee {code} counts once."
            warnings.append(FieldError(pointer=pointer, code="addressee-repeated", detail=detail))
        else:
            entries[entry.key] = entry
    if errors:
        raise AddresseesRefused(
            f"{len(errors)} nơi nhận không gửi được. / {len(errors)} addressees cannot be sent to.", errors=errors
        )
    return Addressees(tuple(entries.values()), tuple(warnings))


_UNKNOWN: Final = ("addressee-unknown", "Không có trong danh bạ. / Not in the register.")


def _why_not(register: Register, code: str, entry: AgencyEntry | None, node_id: str) -> tuple[str, str] | None:
    if entry is None and register.all_with(code):
        detail = f"{code}: cơ quan đã ngừng hoạt động hoặc chưa hoạt động. / The agency is closed or not open yet."
        return "addressee-closed", detail
    if entry is None:
        return "addressee-unknown", f"{code}: không có trong danh bạ. / Not in the register."
    if entry.serving_node != node_id:
        node = entry.serving_node
        detail = f"{code}: nút {node} phục vụ, chưa có liên kết. / Served by node {node}, to which there is no link."
        return "addressee-not-served", detail
    return None


def digest_of_set(members: Iterable[str]) -> str:
    """
    Digest of a set of texts, whatever their order: hex SHA-256 over them sorted, one per line.
    """
    return hashlib.sha256("\n".join(sorted(members)).encode()).hexdigest()


def asked_digest(codes: Iterable[str]) -> str:
    """
    Digest of the codes as asked for, by which a repeat is known before the register is looked at.
    """
    return digest_of_set({code.strip().upper() for code in codes})


def judge_signature(
    report: VerificationReport, *, must_sign: bool, register: Register, sender_key: UUID, at: datetime
) -> tuple[FieldError, ...]:
    """
    Decide whether the signatures found are enough.

    Args:
        report: What signing found.
        must_sign: Whether a good seal of the sender is needed; else what is wrong becomes a warning.
        register: To see whose seal it is.
        sender_key: The packet's `From`.
        at: Moment of acceptance.

    Returns:
        Warnings for the receipt.

    Raises:
        SignatureMissing: There is none of the profile.
        SignatureFailed: It did not pass; revocation unknown is not a pass.
        SignerNotBound: The certificate is no seal of the sender.
    """
    try:
        _demand_seal(report, register, sender_key, at)
    except (SignatureMissing, SignatureFailed, SignerNotBound) as refusal:
        if must_sign:
            raise
        return (FieldError(pointer=SIGNATURE_PLACE, code=refusal.code, detail=refusal.detail),)
    return ()


def _demand_seal(report: VerificationReport, register: Register, sender_key: UUID, at: datetime) -> None:
    if not report.signatures:
        raise SignatureMissing("Gói tin chưa được ký số theo hồ sơ axis-1. / The packet has no axis-1 signature.")
    errors = []
    later = False
    for signature in report.signatures:
        if signature.indication is not Indication.PASSED:
            word = signature.sub_indication or signature.indication.value
            later = later or word == _TRY_LATER
            detail = f"{word}: {signature.reason}" if signature.reason else word
            errors.append(FieldError(pointer=SIGNATURE_PLACE, code=word.lower().replace("_", "-"), detail=detail))
    if errors:
        advice = " Hãy gửi lại sau. / Send it again later." if later else ""
        raise SignatureFailed(
            f"Chữ ký không hợp lệ. / The signature did not pass. {errors[0].detail}{advice}", errors=errors
        )
    seals = [signature for signature in report.signatures if signature.profile == PROFILE]
    if not seals:
        raise SignatureMissing("Không có chữ ký theo hồ sơ axis-1. / No signature of profile axis-1 was found.")
    for seal in seals:
        if seal.certificate_sha256 and register.may_seal(seal.certificate_sha256, sender_key, at):
            return
    raise SignerNotBound(
        "Chứng thư ký chưa gắn với hệ thống được gửi thay cơ quan này. / "
        f"The certificate {seals[0].certificate_sha256} is not bound as a seal for this sender."
    )


def priority_warning(asked: Lane | None, found: Lane) -> tuple[FieldError, ...]:
    """
    Warn when the request header and the packet disagree about urgency; the packet decides.
    """
    if asked is None or asked == found:
        return ()
    detail = (
        f"Axis-Priority là {int(asked)} nhưng độ khẩn trong gói tin là {int(found)}; tính theo gói tin. / "
        f"Axis-Priority says {int(asked)}, the packet {int(found)}; the packet decides."
    )
    return (FieldError(pointer="/Axis-Priority", code="priority-mismatch", detail=detail),)


def split(keys: Sequence[UUID]) -> list[tuple[UUID, ...]]:
    """
    Cut a list of addressees into chunks of at most 500.
    """
    return [tuple(keys[start : start + MAX_ITEMS]) for start in range(0, len(keys), MAX_ITEMS)]


@dataclass(frozen=True)
class Acceptance:
    """
    Everything a receipt vouches for.
    """

    document_id: UUID
    dispatch_id: UUID
    receipt_id: UUID
    sender_code: str
    sender_document_id: str
    packet_sha256: str
    addressees: Addressees
    warnings: tuple[FieldError, ...]
    report: VerificationReport
    registry_version: int
    accepted_at: datetime

    def claims(self, issuer: str) -> dict[str, Any]:
        """
        Payload of the receipt.

        Source:
            ETSI EN 319 522-1, event SubmissionAcceptance.
        """
        return {
            "iss": issuer,
            "jti": str(self.receipt_id),
            "iat": int(self.accepted_at.timestamp()),
            "event": "SubmissionAcceptance",
            "document_id": str(self.document_id),
            "dispatch_id": str(self.dispatch_id),
            "sender": self.sender_code,
            "sender_document_id": self.sender_document_id,
            "packet_sha256": self.packet_sha256,
            "addressees": [entry.code for entry in self.addressees.entries],
            "warnings": [warning.model_dump(mode="json", exclude_none=True) for warning in self.warnings],
            "report_sha256": report_digest(self.report),
            "registry_version": self.registry_version,
            "accepted_at": write_moment(self.accepted_at),
        }

    def answer(self, receipt: str) -> str:
        """
        The answer to the sender as JSON text; these very bytes are what every repeat gets.
        """
        body = {
            "document_id": str(self.document_id),
            "dispatch_id": str(self.dispatch_id),
            "accepted_at": write_moment(self.accepted_at),
            "packet_sha256": self.packet_sha256,
            "addressees": [entry.code for entry in self.addressees.entries],
            "warnings": [warning.model_dump(mode="json", exclude_none=True) for warning in self.warnings],
            "receipt": receipt,
        }
        return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


def report_digest(report: VerificationReport) -> str:
    """
    Digest of a verification report: hex SHA-256 over its RFC 8785 form.
    """
    return hashlib.sha256(rfc8785.dumps(report.model_dump(mode="json"))).hexdigest()
