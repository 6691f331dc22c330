"""The same checks without sending: everything that would be refused, at once."""

from collections.abc import Callable
from typing import TypeVar

from services.routing.domain.register import Mandate
from services.routing.errors import DocumentIdReused
from services.routing.repository import documents as repository
from services.routing.usecases import checks
from services.routing.usecases.access import authorize
from services.routing.usecases.checks import ReadDocument
from services.routing.usecases.context import Context
from shared.contracts.base import Lane
from shared.contracts.routing import CheckPacket, PacketFindings
from shared.contracts.signing import PartDigest, VerificationReport
from shared.errors import FieldError, Rejected

_T = TypeVar("_T")


class _Findings:
    """
    Refusals met so far; the first one names the problem, all give their errors.
    """

    def __init__(self) -> None:
        self.refusals: list[Rejected] = []

    def collect(self, check: Callable[[], _T]) -> _T | None:
        try:
            return check()
        except Rejected as refusal:
            self.refusals.append(refusal)
            return None

    @property
    def errors(self) -> tuple[FieldError, ...]:
        found: list[FieldError] = []
        for refusal in self.refusals:
            plain = FieldError(pointer="", code=refusal.problem_code, detail=refusal.detail)
            found += refusal.errors or (plain,)
        return tuple(found)


async def validate_packet(context: Context, request: CheckPacket) -> PacketFindings:
    """
    Say whether a packet would be accepted now, and everything that stands in the way.

    Raises:
        Unavailable: Something is out of reach.
    """
    mandate = await authorize(context, request.token, "send")
    try:
        document = await checks.read_document(context, request.packet_sha256)
    except Rejected as refusal:
        return PacketFindings(
            accepted=False, problem_code=refusal.problem_code, detail=refusal.detail, errors=refusal.errors
        )
    return await _check(context, mandate, document)


async def _check(context: Context, mandate: Mandate, document: ReadDocument) -> PacketFindings:
    findings = _Findings()
    sender = findings.collect(lambda: checks.check_sender(mandate, document))
    findings.collect(lambda: checks.check_secrecy(context, document))
    addressees = findings.collect(lambda: checks.check_addressees(context, mandate, document.codes))
    report = await checks.verify_signature(context, document, context.clock.now())
    signature_warnings = None
    if sender is not None:
        signature_warnings = findings.collect(lambda: checks.check_signature(context, mandate, sender, report))
        async with context.store.read() as connection:
            earlier = await repository.find_document(connection, sender.key, document.header.document_id)
        if earlier is not None and earlier.packet_sha256 != document.packet.packet_sha256:
            detail = "DocumentId đã dùng cho gói tin khác. / This DocumentId was used for another packet."
            findings.refusals.append(DocumentIdReused(detail))
    warnings = document.packet.warnings + (addressees.warnings if addressees else ()) + (signature_warnings or ())
    first = next(iter(findings.refusals), None)
    return PacketFindings(
        accepted=first is None,
        problem_code=None if first is None else first.problem_code,
        detail="" if first is None else first.detail,
        errors=findings.errors,
        warnings=warnings,
        report=report,
        parts=tuple(PartDigest(uri=part.uri, sha256=part.sha256) for part in document.packet.parts),
    )


async def verify_packet(context: Context, request: CheckPacket) -> VerificationReport:
    """
    Say what a packet's signature is worth, without asking who sends it; a status package will do too.

    Raises:
        PacketMalformed, PacketInvalid, DocumentIdMissing: It cannot be read.
        Unavailable: Something is out of reach.
    """
    mandate = await authorize(context, request.token)
    packet = await context.packets.read(request.packet_sha256)
    return await context.signing.verify(packet, at=mandate.at, lane=Lane.ORDINARY)
