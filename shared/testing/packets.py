"""Packets and files for tests, as small as they can be and valid."""

import io
from collections.abc import Sequence
from datetime import UTC, date, datetime

from shared.edxml import (
    AttachmentSource,
    Business,
    Code,
    DocumentType,
    MessageHeader,
    Organisation,
    OtherInfo,
    Promulgation,
    Seal,
    Signer,
    StatusReport,
    StatusResponse,
    TraceHeader,
    TraceHeaderList,
    write_packet,
    write_status,
)

PROMULGATED_ON = date(2024, 12, 30)
SENT_AT = datetime(2024, 12, 31, 1, 30, tzinfo=UTC)

_FORBIDDEN_IN_PDF_STRINGS = str.maketrans({"\\": r"\\", "(": r"\(", ")": r"\)"})


def a_header(
    *,
    sender: str = "H43.31.01",
    to: Sequence[str] = ("H43.31",),
    document_id: str | None = None,
    subject: str = "Về việc báo cáo tình hình sản xuất",
    type_name: str = "Công văn",
    priority: int = 0,
    number: str = "12",
    notation: str = "UBND-VP",
) -> MessageHeader:
    """
    Make the header of a document; `document_id=None` derives one from sender, date, number and notation.
    """
    return MessageHeader(
        sender=Organisation(organ_id=sender, name=f"Cơ quan {sender}"),
        addressees=tuple(Organisation(organ_id=one, name=f"Cơ quan {one}") for one in to),
        code=Code(number=number, notation=notation),
        promulgation=Promulgation(place="Ninh Thuận", on=PROMULGATED_ON),
        document_type=DocumentType(type=1, detail=0, name=type_name),
        subject=subject,
        content=subject,
        signer=Signer(competence="TM.", position="Chủ tịch", full_name="Nguyễn Văn An"),
        other=OtherInfo(priority=priority),
        document_id=f"{sender},{PROMULGATED_ON:%Y/%m/%d},{number}/{notation}" if document_id is None else document_id,
    )


def a_packet(
    *,
    sender: str = "H43.31.01",
    to: Sequence[str] = ("H43.31",),
    document_id: str | None = None,
    subject: str = "Về việc báo cáo tình hình sản xuất",
    type_name: str = "Công văn",
    priority: int = 0,
    number: str = "12",
    notation: str = "UBND-VP",
    files: Sequence[AttachmentSource | tuple[str, bytes]] | None = None,
    seal: Seal | None = None,
    header: MessageHeader | None = None,
    business: Business | None = None,
) -> bytes:
    """
    Make a document package; without `files` it carries one small PDF, with `header` the fields before are not used.
    """
    made = header or a_header(
        sender=sender,
        to=to,
        document_id=document_id,
        subject=subject,
        type_name=type_name,
        priority=priority,
        number=number,
        notation=notation,
    )
    given = [("cong-van.pdf", a_pdf(made.subject))] if files is None else files
    sources = [one if isinstance(one, AttachmentSource) else AttachmentSource(one[1], one[0]) for one in given]
    trace = TraceHeaderList(
        traces=(TraceHeader(organ_id=made.sender.organ_id, at=SENT_AT),), business=business or Business()
    )
    out = io.BytesIO()
    write_packet(made, sources, out, trace=trace, seal=seal)
    return out.getvalue()


def a_status_packet(
    *,
    sender: str = "H43.31",
    to: str = "H43.31.01",
    document_id: str = "H43.31.01,2024/12/30,12/UBND-VP",
    code: str = "01",
    description: str = "Đã đến",
    at: datetime = SENT_AT,
    seal: Seal | None = None,
) -> bytes:
    """
    Make a status package: `sender` reports to `to` what became of a document.
    """
    status = StatusReport(
        sender=Organisation(organ_id=sender, name=f"Cơ quan {sender}"),
        response_for=StatusResponse(
            organ_id=to, code="12/UBND-VP", promulgated_on=PROMULGATED_ON, document_id=document_id
        ),
        code=code,
        description=description,
        reported_at=at,
    )
    out = io.BytesIO()
    write_status(status, out, seal=seal)
    return out.getvalue()


def a_pdf(text: str = "Công văn") -> bytes:
    """
    Make a valid PDF of one page that shows the ASCII part of a text.
    """
    shown = "".join(character if 32 <= ord(character) < 127 else "?" for character in text)
    content = f"BT /F1 12 Tf 72 720 Td ({shown.translate(_FORBIDDEN_IN_PDF_STRINGS)}) Tj ET".encode("ascii")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources 6 0 R >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Font << /F1 5 0 R >> >>",
    ]
    pdf = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(pdf))
        pdf += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = len(pdf)
    pdf += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    for offset in offsets:
        pdf += b"%010d 00000 n \n" % offset
    pdf += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, table)
    return bytes(pdf)
