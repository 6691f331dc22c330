"""Sample packets with two real PDF files, sealed by whoever sends them."""

import io
from collections.abc import Sequence
from datetime import UTC, date, datetime
from importlib.resources import files
from pathlib import Path
from typing import Final

from shared.client import Credential
from shared.contracts.base import Lane
from shared.edxml import (
    AttachmentSource,
    Business,
    Code,
    DocumentType,
    MessageHeader,
    Organisation,
    OtherInfo,
    PartDigest,
    Promulgation,
    ResponseFor,
    Seal,
    Signer,
    TraceHeader,
    TraceHeaderList,
    write_packet,
)
from shared.xmldsig import sign_parts

SAMPLES: Final = Path(str(files("deploy") / "data" / "samples"))
REPORT: Final = AttachmentSource(SAMPLES / "bao-cao.pdf", "bao-cao.pdf", "Báo cáo")
ANNEX: Final = AttachmentSource(SAMPLES / "phu-luc.pdf", "phu-luc.pdf", "Phụ lục")


def seal_of(credential: Credential) -> Seal:
    """
    Make the seal of a system from its credential; the key is read once.
    """
    key, certificates = credential.seal_key(), credential.seal_certificates()

    def seal(parts: Sequence[PartDigest]) -> bytes:
        return sign_parts(parts, key, certificates[0], certificates[1:])

    return seal


def paper(
    *,
    sender: tuple[str, str],
    to: Sequence[tuple[str, str]],
    number: str,
    subject: str,
    lane: Lane = Lane.ORDINARY,
    attachments: Sequence[AttachmentSource] = (REPORT, ANNEX),
    answers: ResponseFor | None = None,
    seal: Seal | None,
) -> bytes:
    """
    Write a packet.

    Args:
        sender: Code and name of the sending agency.
        to: Codes and names of the addressees.
        number: Number of the document; its notation is fixed.
        subject: Trích yếu.
        lane: Urgency.
        attachments: Its files.
        answers: The document this one answers.
        seal: Signs it; None leaves it unsigned.
    """
    today = date.today()  # noqa: DTZ011 - the date on a paper is the sender's own calendar
    notation = "BC-UBND"
    header = MessageHeader(
        sender=Organisation(organ_id=sender[0], name=sender[1]),
        addressees=tuple(Organisation(organ_id=code, name=name) for code, name in to),
        code=Code(number=number, notation=notation),
        promulgation=Promulgation(place="Ninh Thuận", on=today),
        document_type=DocumentType(type=2, detail=14, name="Báo cáo"),
        subject=subject,
        signer=Signer(competence="TM.", position="Chủ tịch", full_name="Người Ký Mẫu"),
        other=OtherInfo(priority=int(lane)),
        response_for=(answers,) if answers else (),
        document_id=f"{sender[0]},{today:%Y/%m/%d},{number}/{notation}",
    )
    hop = TraceHeader(organ_id=sender[0], at=datetime.now(UTC).replace(microsecond=0))
    out = io.BytesIO()
    write_packet(header, attachments, out, trace=TraceHeaderList(traces=(hop,), business=Business()), seal=seal)
    return out.getvalue()
