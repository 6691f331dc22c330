import base64
import hashlib
import io
import re
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from shared.edxml import Packet
from shared.edxml.jobs import extract_attachment_job, read_packet_job
from shared.errors import Rejected
from shared.testing.packets import a_packet, a_pdf, a_status_packet

QCVN = "http://www.mic.gov.vn/TBT/QCVN_102_2016"


def national(
    *, prefix: str = "edXML:", payload: str = "QUJD", reference: str = "cid:209", attached: str = "cid:209"
) -> bytes:
    """
    A packet in the manner of the national sample: another child order, a signature without namespace declaration.
    """
    text = f"""<?xml version="1.0" encoding="utf-8"?>
<edXML xmlns="{QCVN}" xmlns:edXML="{QCVN}">
 <P:edXMLEnvelope>
  <P:edXMLHeader>
   <P:MessageHeader>
    <P:Subject>Về việc &amp; nội dung</P:Subject>
    <P:From><P:OrganId>000.00.00.G22</P:OrganId><P:OrganName>VPCP</P:OrganName></P:From>
    <P:To><P:OrganId>000.00.00.H43</P:OrganId></P:To>
    <P:To><P:OrganId>000.00.01.H43</P:OrganId></P:To>
    <P:DocumentId>000.00.00.G22,2015/09/30,7816/VPCP-TTĐT</P:DocumentId>
    <P:Code><P:CodeNumber>7816</P:CodeNumber><P:CodeNotation>VPCP-TTĐT</P:CodeNotation></P:Code>
    <P:PromulgationInfo><P:Place>Hà Nội</P:Place>
    <P:PromulgationDate>30/09/2015</P:PromulgationDate></P:PromulgationInfo>
    <P:DocumentType><P:Type>18</P:Type><P:TypeDetail></P:TypeDetail><P:TypeName>Công văn</P:TypeName></P:DocumentType>
    <P:DueDate/>
    <P:ToPlaces><P:Place>Như trên</P:Place><P:Place>Lưu VT</P:Place></P:ToPlaces>
    <P:OtherInfo><P:Priority>3</P:Priority><P:Appendixes><P:Appendix>A</P:Appendix></P:Appendixes><P:PageAmount>hai</P:PageAmount></P:OtherInfo>
    <P:ResponseFor><P:OrganId>000.00.00.H43</P:OrganId><P:Code>1/UB</P:Code></P:ResponseFor>
    <P:SteeringType>0</P:SteeringType>
    <P:SomethingNewer><P:Within>x</P:Within></P:SomethingNewer>
   </P:MessageHeader>
   <P:TraceHeaderList id="1" version="1.0">
    <P:TraceHeader><P:OrganId>000.00.00.G22</P:OrganId><P:Timestamp>30/09/2015 08:00:00</P:Timestamp></P:TraceHeader>
    <P:Business><P:BusinessDocType>0</P:BusinessDocType><P:Paper>1</P:Paper></P:Business>
   </P:TraceHeaderList>
   <Signature><SignedInfo/></Signature>
  </P:edXMLHeader>
  <P:edXMLBody>
   <P:edXMLManifest version="1.0">
    <P:Reference><P:ContentId>{reference}</P:ContentId><P:AttachmentName>a.pdf</P:AttachmentName></P:Reference>
   </P:edXMLManifest>
  </P:edXMLBody>
 </P:edXMLEnvelope>
 <AttachmentEncoded>
  <Attachment>
   <ContentTransferEncoded>{payload}</ContentTransferEncoded>
   <ContentId>{attached}</ContentId>
   <AttachmentName>a.pdf</AttachmentName>
   <ContentType>application/pdf</ContentType>
  </Attachment>
 </AttachmentEncoded>
</edXML>
"""
    return text.replace("P:", prefix).encode()


@pytest.mark.parametrize("prefix", ["edXML:", ""])
def test_prefixed_and_unprefixed_elements_are_alike(read: Callable[..., Packet], prefix: str) -> None:
    packet = read(national(prefix=prefix))
    header = packet.header
    assert header.sender.organ_id == "000.00.00.G22"
    assert [to.organ_id for to in header.addressees] == ["000.00.00.H43", "000.00.01.H43"]
    assert header.subject == "Về việc & nội dung"
    assert str(header.code) == "7816/VPCP-TTĐT"
    assert header.promulgation.on == date(2015, 9, 30)
    assert header.document_type.type == 18
    assert header.due_on is None
    assert header.to_places == ("Như trên", "Lưu VT")
    assert header.priority == 3
    assert header.other.appendixes == ("A",)
    assert header.response_for[0].code == "1/UB"
    assert packet.trace.traces[0].at == datetime(2015, 9, 30, 1, tzinfo=UTC)
    assert packet.business.paper == 1
    assert {warning.code for warning in packet.warnings} == {
        "number-unreadable",
        "date-day-first",
        "content-not-as-named",
    }
    assert packet.foreign_signature == "namespace"
    assert packet.signature is None


@pytest.mark.parametrize(
    ("reference", "attached"),
    [("cid:209", "cid:209"), ("cid:3f-1", "3f-1"), ("3f-1", "cid:3f-1"), (" cid:a ", "a")],
)
def test_content_ids_match_with_and_without_their_scheme(
    read: Callable[..., Packet], reference: str, attached: str
) -> None:
    packet = read(national(reference=reference, attached=attached))
    assert packet.manifest[0].content_id == packet.attachments[0].content_id == attached.removeprefix("cid:")


def test_a_reference_may_name_its_attachment_by_xlink(read: Callable[..., Packet]) -> None:
    octets = national(reference="").replace(
        b"<edXML:Reference>", b'<edXML:Reference xmlns:xlink="http://www.w3.org/1999/xlink" xlink:href="cid:209">'
    )
    assert read(octets).manifest[0].content_id == "209"


@pytest.mark.parametrize(
    "payload",
    [
        "QUJD",
        "\n QU\r\n JD \t",
        "<![CDATA[QUJD]]>",
        "QU<![CDATA[J]]>D",
        "QUJ&#68;",
        "QU&#13;\nJD",
    ],
)
def test_base64_is_read_however_it_is_broken(read: Callable[..., Packet], payload: str) -> None:
    packet = read(national(payload=payload))
    assert packet.attachments[0].transfer_size == 3
    assert packet.attachments[0].transfer_sha256 == hashlib.sha256(b"ABC").hexdigest()


@pytest.mark.parametrize("payload", ["", "   "])
def test_an_empty_attachment_is_an_attachment(read: Callable[..., Packet], payload: str) -> None:
    assert read(national(payload=payload)).attachments[0].content_size == 0


def test_a_byte_order_mark_and_windows_line_ends_are_accepted(read: Callable[..., Packet]) -> None:
    octets = b"\xef\xbb\xbf" + national(payload="QU\nJD").replace(b"\n", b"\r\n")
    packet = read(octets)
    assert packet.header.subject == "Về việc & nội dung"
    assert packet.attachments[0].transfer_size == 3
    assert packet.packet_sha256 == hashlib.sha256(octets).hexdigest()
    assert packet.packet_size == len(octets)


def test_a_packet_survives_its_json_form(read: Callable[..., Packet]) -> None:
    packet = read(national())
    assert Packet.model_validate(packet.to_json()) == packet


def test_a_status_package_is_read(read: Callable[..., Packet]) -> None:
    packet = read(a_status_packet(code="03"))
    assert packet.kind == "status"
    assert packet.status.code == "03"
    assert packet.status.response_for.organ_id == "H43.31.01"
    assert packet.status.reported_at == datetime(2024, 12, 31, 1, 30, tzinfo=UTC)
    assert packet.sender.organ_id == "H43.31"
    assert [part.uri for part in packet.parts] == ["#MessageHeader"]
    assert Packet.model_validate(packet.to_json()) == packet


def test_a_status_code_written_as_a_number_gets_its_two_digits(read: Callable[..., Packet]) -> None:
    octets = a_status_packet(code="03").replace(b"StatusCode>03<", b"StatusCode>3<")
    assert read(octets).status.code == "03"


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2024/12/31 08:30:00", datetime(2024, 12, 31, 1, 30, tzinfo=UTC)),
        ("31/12/2024 08:30:00", datetime(2024, 12, 31, 1, 30, tzinfo=UTC)),
        ("2024/12/31 08:30:00Z", datetime(2024, 12, 31, 8, 30, tzinfo=UTC)),
        ("2024/12/31 08:30:00 +09:00", datetime(2024, 12, 30, 23, 30, tzinfo=UTC)),
    ],
)
def test_moments_are_vietnamese_unless_they_say_otherwise(
    read: Callable[..., Packet], written: str, moment: datetime
) -> None:
    octets = a_status_packet().replace(b"2024/12/31 08:30:00", written.encode())
    assert read(octets).status.reported_at == moment


def test_an_addressee_given_twice_counts_once_with_a_warning(read: Callable[..., Packet]) -> None:
    packet = read(a_packet(to=["H43.31", "H43.02", "H43.31"]))
    assert [to.organ_id for to in packet.header.addressees] == ["H43.31", "H43.02"]
    (warning,) = packet.warnings
    assert warning.code == "addressee-repeated"
    assert warning.pointer.endswith("/To[3]")


def test_an_addressee_given_ten_thousand_times_is_read_as_fast_as_many_addressees(read: Callable[..., Packet]) -> None:
    once = re.search(rb"<edXML:To>.*?</edXML:To>", octets := a_packet(), re.DOTALL)
    assert once is not None
    packet = read(octets.replace(once[0], once[0] * 10_000))
    assert len(packet.header.addressees) == 1
    assert len(packet.warnings) == 50


def test_a_packet_without_traces_and_business_carries_a_new_document(read: Callable[..., Packet]) -> None:
    octets = a_packet(files=[])
    start, end = octets.index(b"<edXML:TraceHeaderList"), octets.index(b"</edXML:edXMLHeader>")
    packet = read(octets[:start] + octets[end:])
    assert packet.trace is None
    assert packet.business.type == 0


def test_errors_name_the_line_as_sent_although_attachments_were_cut_out(refusal: Callable[..., Rejected]) -> None:
    octets = national(payload="\n".join(["QUJD"] * 30)).replace(b"<AttachmentName>a.pdf</AttachmentName>", b"")
    lines = octets.split(b"\n")
    (error,) = refusal(octets).errors
    assert error.pointer == "/edXML/AttachmentEncoded/Attachment/AttachmentName"
    assert b"<Attachment>" in lines[error.line - 1]


def zipped(*entries: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return out.getvalue()


def labelled_zip(archive: bytes, name: str = "bang.png") -> bytes:
    octets = national(payload=base64.b64encode(archive).decode())
    return octets.replace(b"a.pdf", name.encode()).replace(b"application/pdf", b"application/zip")


def test_a_file_zipped_for_the_way_is_unwrapped(read: Callable[..., Packet]) -> None:
    archive = zipped(("x.png", b"picture"))
    packet = read(labelled_zip(archive))
    (attachment,) = packet.attachments
    assert attachment.unzipped
    assert attachment.content_sha256 == hashlib.sha256(b"picture").hexdigest()
    assert attachment.content_size == 7
    assert attachment.transfer_sha256 == hashlib.sha256(archive).hexdigest()
    assert packet.parts[-1].sha256 == attachment.transfer_sha256


def test_a_file_that_was_an_archive_stays_one(read: Callable[..., Packet]) -> None:
    archive = zipped(("a", b"1"), ("b", b"2"))
    (attachment,) = read(labelled_zip(archive, "HoSo.ZIP")).attachments
    assert not attachment.unzipped
    assert attachment.content_sha256 == hashlib.sha256(archive).hexdigest()


def _encrypted() -> bytes:
    archive = bytearray(zipped(("x", b"secret")))
    archive[6] |= 1
    archive[archive.index(b"PK\x01\x02") + 8] |= 1
    return bytes(archive)


def _broken() -> bytes:
    archive = bytearray(zipped(("x", b"content" * 9), method=zipfile.ZIP_STORED))
    archive[40] ^= 1
    return bytes(archive)


@pytest.mark.parametrize(
    "archive",
    [
        pytest.param(zipped(("a", b"1"), ("b", b"2")), id="several entries"),
        pytest.param(zipped(), id="no entry"),
        pytest.param(zipped(("../a", b"1")), id="path upwards"),
        pytest.param(zipped(("/etc/passwd", b"1")), id="absolute path"),
        pytest.param(zipped(("a\\b", b"1")), id="path of Windows"),
        pytest.param(zipped(("a/", b"")), id="folder"),
        pytest.param(zipped(("x", b"\0" * 20_000_000)), id="bomb"),
        pytest.param(zipped(("x", b"1"), method=zipfile.ZIP_LZMA), id="foreign method"),
        pytest.param(_encrypted(), id="encrypted"),
        pytest.param(_broken(), id="broken content"),
        pytest.param(zipped(("x", b"1"))[:-5], id="cut off"),
        pytest.param(b"PK", id="only its beginning"),
        pytest.param(b"%PDF-1.4", id="no archive"),
    ],
)
def test_an_archive_that_is_not_one_plain_file_is_refused(refusal: Callable[..., Rejected], archive: bytes) -> None:
    refused = refusal(labelled_zip(archive))
    assert refused.code == "packet-malformed"
    assert refused.errors[0].code == "zip-refused"
    assert refused.errors[0].pointer == "/edXML/AttachmentEncoded/Attachment[1]"


def test_attachments_are_written_where_the_caller_says(tmp_path: Path) -> None:
    pdf, picture, archive = a_pdf("x"), b"\x89PNG" * 50_000, zipped(("a", b"1"), ("b", b"2"))
    packet = tmp_path / "p.edxml"
    packet.write_bytes(a_packet(files=[("a.pdf", pdf), ("b.png", picture), ("c.zip", archive), ("d.txt", b"")]))
    folder = tmp_path / "out"
    folder.mkdir()
    described = read_packet_job({"path": str(packet), "attachments_folder": str(folder)})
    for content, attachment in zip((pdf, picture, archive, b""), described["attachments"], strict=True):
        assert (folder / attachment["content_sha256"]).read_bytes() == content
    assert len(list(folder.iterdir())) == 4

    target = tmp_path / "one"
    one = extract_attachment_job({"path": str(packet), "index": 1, "target": str(target)})
    assert target.read_bytes() == picture
    assert one == described["attachments"][1]


def test_a_refused_packet_leaves_no_files(tmp_path: Path) -> None:
    packet = tmp_path / "p.edxml"
    packet.write_bytes(a_packet(files=[("a.pdf", a_pdf()), ("b.zip", b"PK")])[:-300])
    folder = tmp_path / "out"
    folder.mkdir()
    with pytest.raises(Exception, match="XML"):
        read_packet_job({"path": str(packet), "attachments_folder": str(folder)})
    assert not list(folder.iterdir())
