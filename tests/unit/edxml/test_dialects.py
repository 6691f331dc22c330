"""
Packets as the systems in use write them: every habit is read, and what may trouble a receiver is said.
"""

import base64
import hashlib
from collections.abc import Callable
from datetime import UTC, date, datetime

import pytest

from shared.edxml import (
    Business,
    BusinessDocumentInfo,
    Packet,
    Receiver,
    Replacement,
    ResponseFor,
    Staff,
)
from shared.edxml.interpret import STATUS_CODES
from shared.errors import Rejected
from shared.testing.packets import a_header, a_packet, a_pdf, a_status_packet

Read = Callable[..., Packet]
QCVN = "http://www.mic.gov.vn/TBT/QCVN_102_2016"
PDF = a_pdf("mau")


def small(*, content: bytes = PDF, name: str = "cv.pdf", content_type: str = "application/pdf") -> bytes:
    """
    The least a Java system sends: prefixed in the envelope, no document type, everything bound late.
    """
    encoded = base64.b64encode(content).decode()
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<edXML xmlns="{QCVN}">
 <edXML:edXMLEnvelope xmlns:edXML="{QCVN}">
  <edXML:edXMLHeader>
   <edXML:MessageHeader>
    <edXML:From><edXML:OrganId>000.00.00.X01</edXML:OrganId><edXML:OrganName>UBND tỉnh Mẫu</edXML:OrganName>
     </edXML:From>
    <edXML:To><edXML:OrganId>000.00.01.X01</edXML:OrganId><edXML:OrganName>Sở Mẫu</edXML:OrganName></edXML:To>
    <edXML:DocumentId>e6ac559e-0000-4000-8000-000000000001</edXML:DocumentId>
    <edXML:Code><edXML:CodeNumber>12</edXML:CodeNumber><edXML:CodeNotation>UBND-VP</edXML:CodeNotation></edXML:Code>
    <edXML:PromulgationInfo><edXML:Place>Tỉnh Mẫu</edXML:Place>
     <edXML:PromulgationDate>2024/05/02</edXML:PromulgationDate></edXML:PromulgationInfo>
    <edXML:Subject>V/v mẫu</edXML:Subject>
    <edXML:ResponseFor/>
    <edXML:SteeringType>0</edXML:SteeringType>
    <edXML:ResponseForTask><edXML:TaskCode>NV-1</edXML:TaskCode><edXML:TaskCode>NV-2</edXML:TaskCode>
     </edXML:ResponseForTask>
    <edXML:ApplicationType>qlvb</edXML:ApplicationType>
   </edXML:MessageHeader>
   <edXML:TraceHeaderList>
    <edXML:TraceHeader><edXML:OrganId>000.00.00.X01</edXML:OrganId>
     <edXML:Timestamp>2024/05/02 08:00:00</edXML:Timestamp></edXML:TraceHeader>
    <edXML:TraceHeader><edXML:OrganId></edXML:OrganId><edXML:Timestamp>2024/05/02 08:00:07</edXML:Timestamp>
     </edXML:TraceHeader>
    <edXML:Bussiness><edXML:BussinessDocType>0</edXML:BussinessDocType><edXML:Paper>0</edXML:Paper>
     <edXML:StaffInfo><edXML:Department>Văn thư</edXML:Department><edXML:DepartmentId>7</edXML:DepartmentId>
     </edXML:StaffInfo>
     <edXML:StaffInfo><edXML:Staff>Lê Thị Mẫu</edXML:Staff><edXML:StaffId>9</edXML:StaffId></edXML:StaffInfo>
    </edXML:Bussiness>
   </edXML:TraceHeaderList>
  </edXML:edXMLHeader>
  <edXML:edXMLBody>
   <edXML:edXMLManifest version="1.0">
    <edXML:Reference><edXML:ContentId>cid:a1</edXML:ContentId>
     <edXML:ContentType>application/zip</edXML:ContentType><edXML:AttachmentName>{name}</edXML:AttachmentName>
     </edXML:Reference>
   </edXML:edXMLManifest>
  </edXML:edXMLBody>
 </edXML:edXMLEnvelope>
 <AttachmentEncoded>
  <Attachment><ContentId>cid:a1</ContentId><AttachmentName>{name}</AttachmentName><FieldName>f</FieldName>
     <MimeType>m/t</MimeType><ContentType>{content_type}</ContentType>
     <edXML:ContentTransferEncoded xmlns:edXML="{QCVN}">{encoded}</edXML:ContentTransferEncoded></Attachment>
 </AttachmentEncoded>
</edXML>
""".encode()


def dotnet() -> bytes:
    """
    What the .NET library writes: attributes of SOAP, links of XLink, an empty signature, identifiers without scheme.
    """
    soap = 'id="1" version="1.0" mustUnderstand="1" actor="http://schemas.xmlsoap.org/soap/actor/next"'
    link = 'xlink:href="cid:7f" xlink:role="r" xlink:type="simple"'
    return (
        f"""<?xml version="1.0" encoding="utf-8"?>
<edXML xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
 xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns="{QCVN}">
 <edXML:edXMLEnvelope xmlns:edXML="{QCVN}">
  <edXML:edXMLHeader>
   <edXML:MessageHeader>
    <edXML:From><edXML:OrganId>000.00.00.X01</edXML:OrganId></edXML:From>
    <edXML:To><edXML:OrganId>000.00.01.X01</edXML:OrganId></edXML:To>
    <edXML:Code><edXML:CodeNumber>12</edXML:CodeNumber><edXML:CodeNotation>UBND-VP</edXML:CodeNotation></edXML:Code>
    <edXML:PromulgationInfo><edXML:Place>M</edXML:Place>
     <edXML:PromulgationDate>02/05/2024</edXML:PromulgationDate></edXML:PromulgationInfo>
    <edXML:DocumentType><edXML:Type>18</edXML:Type><edXML:TypeDetail>0</edXML:TypeDetail>
     <edXML:TypeName>Công văn</edXML:TypeName></edXML:DocumentType>
    <edXML:Subject>V/v mẫu</edXML:Subject>
    <edXML:SteeringType>1</edXML:SteeringType>
    <edXML:DocumentId>000.00.00.X01,2024/05/02,12/UBND-VP</edXML:DocumentId>
   </edXML:MessageHeader>
   <edXML:TraceHeaderList {soap}>
    <edXML:TraceHeader><edXML:OrganId>000.00.00.X01</edXML:OrganId>
     <edXML:Timestamp>02/05/2024 08:00:00</edXML:Timestamp></edXML:TraceHeader>
    <edXML:Business><edXML:BusinessDocType>0</edXML:BusinessDocType></edXML:Business>
   </edXML:TraceHeaderList>
   <edXML:DigitalSignature/>
  </edXML:edXMLHeader>
  <edXML:edXMLBody>
   <edXML:edXMLManifest version="1.0">
    <edXML:Reference xmlns:xlink="http://www.w3.org/1999/xlink" {link}>
     <edXML:AttachmentName>cv.pdf</edXML:AttachmentName></edXML:Reference>
   </edXML:edXMLManifest>
  </edXML:edXMLBody>
 </edXML:edXMLEnvelope>
 <AttachmentEncoded>
  <Attachment><ContentId>7f</ContentId><AttachmentName>cv.pdf</AttachmentName>
     <ContentType>application/pdf</ContentType><ContentTransferEncoded>
"""
        + base64.encodebytes(PDF).decode().replace("\n", "\r\n")
        + """</ContentTransferEncoded></Attachment>
 </AttachmentEncoded>
</edXML>"""
    ).encode("utf-8-sig")


def codes(packet: Packet) -> set[str]:
    return {warning.code for warning in packet.warnings}


def test_the_least_packet_of_the_java_library_is_read(read: Read) -> None:
    packet = read(small() + b"\r\n")
    assert packet.header.document_id == "e6ac559e-0000-4000-8000-000000000001"
    assert packet.header.response_for == ()
    assert packet.header.response_for_task == ("NV-1", "NV-2")
    assert packet.header.application_type == "qlvb"
    assert packet.business.staff == (
        Staff(department="Văn thư", department_id="7"),
        Staff(staff="Lê Thị Mẫu", staff_id="9"),
    )
    (attachment,) = packet.attachments
    assert (attachment.field_name, attachment.mime_type) == ("f", "m/t")
    assert attachment.content_sha256 == hashlib.sha256(PDF).hexdigest()
    # No DocumentType, and a relay that did not write its code.
    assert [(warning.code, warning.pointer.rpartition("/")[2]) for warning in packet.warnings] == [
        ("element-absent", "DocumentType"),
        ("element-absent", "OrganId"),
    ]


def test_the_packet_of_the_dotnet_library_is_read(read: Read) -> None:
    packet = read(dotnet())
    assert packet.header.promulgation.on == date(2024, 5, 2)
    assert packet.trace.traces[0].at == datetime(2024, 5, 2, 1, tzinfo=UTC)
    assert packet.business.type == 0
    assert packet.manifest[0].content_id == packet.attachments[0].content_id == "7f"
    assert packet.attachments[0].content_sha256 == hashlib.sha256(PDF).hexdigest()
    assert packet.signature is None
    assert packet.foreign_signature is None
    assert codes(packet) == {"date-day-first"}


BUSINESSES = {
    "new": Business(type=0),
    "recall": Business(type=1, reason="Gửi nhầm", document_id="D-0"),
    "update": Business(
        type=2,
        document_id="D-0",
        info=BusinessDocumentInfo(
            content_changed=True,
            receivers_changed=True,
            receivers=(Receiver(organ_id="H43.31", receiver_type=0), Receiver(organ_id="H43.02", receiver_type=1)),
        ),
        staff=(Staff(department="Văn thư", staff="An", mobile="1", email="a@b.example"),),
        paper=1,
    ),
    "replacement": Business(
        type=3,
        replacements=(
            Replacement(document_id="D-0", organ_ids=("H43.31", "H43.02")),
            Replacement(document_id="D-9", organ_ids=("H43.31",)),
        ),
    ),
}


@pytest.mark.parametrize("business", BUSINESSES.values(), ids=BUSINESSES.keys())
def test_every_business_type_is_read_with_all_its_blocks(read: Read, business: Business) -> None:
    packet = read(a_packet(business=business))
    assert packet.business == business
    assert not packet.warnings


@pytest.mark.parametrize(
    ("business", "code"),
    [
        (Business(type=1, reason="x"), "target-missing"),
        (Business(type=1, document_id="D"), "reason-missing"),
        (Business(type=2, document_id="D"), "update-extent-missing"),
        (Business(type=2, info=BusinessDocumentInfo(content_changed=True)), "target-missing"),
        (Business(type=3), "replacement-missing"),
    ],
)
def test_what_a_business_leaves_open_is_a_warning(read: Read, business: Business, code: str) -> None:
    assert codes(read(a_packet(business=business))) == {code}


def test_a_recall_may_name_its_document_for_each_addressee(read: Read) -> None:
    answered = tuple(ResponseFor(organ_id=to, code="1/UB", document_id="D-0") for to in ("H43.31", "H43.02"))
    header = a_header(to=["H43.31", "H43.02"]).model_copy(update={"response_for": answered})
    packet = read(a_packet(header=header, business=Business(type=1, reason="Gửi nhầm")))
    assert packet.header.response_for == answered
    assert not packet.warnings


@pytest.mark.parametrize("code", sorted(STATUS_CODES))
def test_every_status_code_is_read(read: Read, code: str) -> None:
    assert read(a_status_packet(code=code)).status.code == code


def test_a_status_package_carries_what_readers_in_use_insist_on() -> None:
    octets = a_status_packet(description="")
    assert b"<edXML:StaffInfo></edXML:StaffInfo>" in octets
    assert b"<edXML:Description></edXML:Description>" in octets


def test_a_status_package_without_its_code_is_still_none_of_a_document(refusal: Callable[..., Rejected]) -> None:
    octets = a_status_packet().replace(b"<edXML:StatusCode>01</edXML:StatusCode>", b"")
    assert [error.pointer.rpartition("/")[2] for error in refusal(octets).errors] == ["StatusCode"]


def spoiled() -> bytes:
    return (PDF[:40] + bytes(range(128, 256)) * 8 + PDF[40:]).decode("utf-8", "replace").encode()


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        pytest.param(small(content=spoiled()), "attachment-spoiled", id="a PDF passed through text"),
        pytest.param(small(content=b""), "attachment-empty", id="nothing in it"),
        pytest.param(small(content=b"hello"), "content-not-as-named", id="no PDF in a PDF"),
        pytest.param(small(content=b"PK\x03\x04"), "content-not-as-named", id="an archive in a PDF"),
        pytest.param(small(content_type=""), "content-type-missing", id="no type"),
        pytest.param(
            small().replace(b"<AttachmentName>cv", b"<AttachmentName>other"), "attachment-name-differs", id="two names"
        ),
        pytest.param(
            small().replace(b"SteeringType>0<", b"SteeringType><"), "steering-type-empty", id="empty steering type"
        ),
        pytest.param(small().replace(b"2024/05/02<", b"02/05/2024<"), "date-day-first", id="day first"),
        pytest.param(
            a_packet(business=BUSINESSES["update"]).replace(b"ReceiverType>1<", b"ReceiverType>2<"),
            "value-unusual",
            id="receiver type 2",
        ),
        pytest.param(
            a_packet(business=BUSINESSES["update"]).replace(b"DocumentInfo>1<", b"DocumentInfo>yes<"),
            "value-unusual",
            id="a flag in words",
        ),
    ],
)
def test_what_may_trouble_a_receiver_is_a_warning(read: Read, octets: bytes, code: str) -> None:
    packet = read(octets)
    assert code in codes(packet)
    assert all(warning.line for warning in packet.warnings)


def test_a_pdf_is_found_spoiled_wherever_the_packet_is_cut_in_pieces(read: Read) -> None:
    for filling in range(4):
        content = b"%PDF" + b"x" * (49_146 + filling) + b"\xef\xbf\xbd\xef\xbf\xbd" + b"x" * 10
        assert "attachment-spoiled" in codes(read(small(content=content)))


def test_single_replacement_characters_spoil_nothing(read: Read) -> None:
    assert "attachment-spoiled" not in codes(read(small(content=PDF + b"\xef\xbf\xbd \xef\xbf\xbd")))


@pytest.mark.parametrize(
    "octets",
    [
        b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Header/></s:Envelope>',
        b'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"/>',
        b'<edXML:Status xmlns:edXML="http://www.e-doc.vn/Schema/"/>',
    ],
)
def test_the_older_soap_form_is_refused_by_its_name(refusal: Callable[..., Rejected], octets: bytes) -> None:
    refused = refusal(octets)
    assert [error.code for error in refused.errors] == ["old-format"]
    assert "SOAP" in refused.detail
    assert "QCVN 102:2016" in refused.detail
