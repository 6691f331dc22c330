"""The checks a packet passes before it is accepted; submission stops at the first refusal, validation collects them."""

from dataclasses import dataclass
from datetime import datetime

from services.routing.domain.register import Mandate
from services.routing.domain.submission import Addressees, judge_signature, resolve_addressees
from services.routing.errors import AgencyNotYours, SecrecyMark, SenderNotYours
from services.routing.usecases.context import Context
from shared.contracts.base import Lane
from shared.contracts.registry import AgencyEntry, Role
from shared.contracts.signing import VerificationReport
from shared.edxml import MessageHeader, Packet, PacketInvalid, find_secrecy_mark
from shared.errors import FieldError

HEADER = "/edXML/edXMLEnvelope/edXMLHeader/MessageHeader"


@dataclass(frozen=True)
class ReadDocument:
    """
    A packet that carries a document.
    """

    packet: Packet
    header: MessageHeader

    @property
    def lane(self) -> Lane:
        """
        Its urgency, which the packet alone decides.
        """
        return Lane(self.header.priority)

    @property
    def codes(self) -> tuple[str, ...]:
        """
        Whom the packet names, as written.
        """
        return tuple(to.organ_id for to in self.header.addressees)


async def read_document(context: Context, packet_sha256: str, *, urgent: bool = False) -> ReadDocument:
    """
    Read a packet in a worker; it must carry a document.

    Raises:
        PacketMalformed, PacketInvalid, DocumentIdMissing: As the packet deserves.
        Unavailable: The bytes or a worker are out of reach.
    """
    packet = await context.packets.read(packet_sha256, urgent=urgent)
    if packet.header is None:
        detail = "Đây là gói trạng thái, không phải văn bản. / This is a status package, not a document."
        raise PacketInvalid(detail, errors=[FieldError(pointer=HEADER, code="status-package", detail=detail)])
    return ReadDocument(packet, packet.header)


def check_sender(mandate: Mandate, document: ReadDocument, *, named: str | None = None) -> AgencyEntry:
    """
    Find the sender among the agencies the caller may send for; as `check_from`.
    """
    return check_from(mandate, document.header.sender.organ_id, Role.SENDER, named=named)


def check_from(mandate: Mandate, code: str, role: Role, *, named: str | None = None) -> AgencyEntry:
    """
    Find the agency a packet is from among those the caller may act for.

    Args:
        mandate: Of the caller.
        code: `From` as the packet has it.
        role: What the caller must be for it.
        named: What the request itself calls the sender; None where it does not.

    Raises:
        SenderNotYours: It is unknown, closed, not granted to the system, or another agency than the request names.
        AgencyNotYours: The token was narrowed to others.
    """
    entry = mandate.register.find(code, mandate.at)
    if named is not None and mandate.register.find(named, mandate.at) != entry:
        detail = (
            f"Nơi gửi {named} khác với From {code} của gói tin. / The sender {named} is not the packet's From, {code}."
        )
        error = FieldError(pointer=f"{HEADER}/From/OrganId", code="sender-differs", detail=detail)
        raise SenderNotYours(detail, errors=[error])
    if entry is None or not mandate.has_role(entry.key, role):
        detail = f"Hệ thống không được gửi thay cơ quan {code} (From). / Your system may not send for {code} (From)."
        error = FieldError(pointer=f"{HEADER}/From/OrganId", code="sender-not-yours", detail=detail)
        raise SenderNotYours(detail, errors=[error])
    if not mandate.may(entry.key, role):
        raise AgencyNotYours(
            f"Token không bao gồm cơ quan {code}. / The token was narrowed to other agencies than {code}."
        )
    return entry


def check_secrecy(context: Context, document: ReadDocument) -> None:
    """
    Refuse what is marked as a state secret.

    Raises:
        SecrecyMark: Names what matched.
    """
    mark = find_secrecy_mark(document.packet, context.settings.secrecy_words)
    if mark is not None:
        detail = f"Văn bản mật không được gửi qua trục ({mark}). / Secrets must not travel on the axis ({mark})."
        raise SecrecyMark(detail, errors=[FieldError(pointer=HEADER, code="secrecy-mark", detail=detail)])


def check_addressees(context: Context, mandate: Mandate, codes: tuple[str, ...]) -> Addressees:
    """
    Resolve whom the packet goes to.

    Raises:
        AddresseesRefused: Names every wrong one.
    """
    return resolve_addressees(mandate.register, codes, node_id=context.settings.node_id, at=mandate.at)


async def verify_signature(context: Context, document: ReadDocument, at: datetime) -> VerificationReport:
    """
    Ask signing what the packet's signature is worth.

    Raises:
        Unavailable: Signing is out of reach.
    """
    return await context.signing.verify(document.packet, at=at, lane=document.lane)


def check_signature(
    context: Context, mandate: Mandate, sender: AgencyEntry, report: VerificationReport
) -> tuple[FieldError, ...]:
    """
    Judge the report; which dialects must sign is a setting.

    Raises:
        SignatureMissing, SignatureFailed, SignerNotBound: The seal is not good enough.
    """
    must_sign = mandate.system.dialect in context.settings.dialects_that_must_sign
    return judge_signature(
        report, must_sign=must_sign, register=mandate.register, sender_key=sender.key, at=report.checked_at
    )
