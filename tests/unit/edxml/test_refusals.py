import re
from collections.abc import Callable

import pytest

from shared.edxml import Packet, PacketLimits
from shared.errors import Rejected
from shared.testing.packets import a_packet, a_pdf, a_status_packet

FILES = [("mot.pdf", a_pdf("mot")), ("hai.pdf", a_pdf("hai"))]
PACKET = a_packet(document_id="D-1", files=FILES)
QCVN = b"http://www.mic.gov.vn/TBT/QCVN_102_2016"


def changed(old: bytes, new: bytes, packet: bytes = PACKET, count: int = -1) -> bytes:
    assert old in packet
    return packet.replace(old, new, count)


def without(name: str, packet: bytes = PACKET) -> bytes:
    start = packet.index(f"<edXML:{name}".encode())
    end = packet.index(f"</edXML:{name}>".encode()) + len(f"</edXML:{name}>")
    return packet[:start] + packet[end:]


def with_doctype(inside: bytes) -> bytes:
    return changed(b"<edXML xmlns", b"<!DOCTYPE edXML [" + inside + b"]><edXML xmlns", count=1)


SOAP = b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Header/></s:Envelope>'
MANY_ATTRIBUTES = b" ".join(b'a%d=""' % number for number in range(1_000_000))
BILLION_LAUGHS = b'<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">'


@pytest.mark.parametrize(
    ("code", "octets"),
    [
        pytest.param("not-xml", b"", id="nothing"),
        pytest.param("not-xml", b"%PDF-1.4 hello", id="a PDF"),
        pytest.param("not-xml", b"\n" + PACKET, id="stray characters before the declaration"),
        pytest.param("not-xml", PACKET[:-20], id="cut off"),
        pytest.param("not-xml", PACKET + b"<more/>", id="two roots"),
        pytest.param("not-xml", changed(b"12</edXML:CodeNumber>", b"\xff</edXML:CodeNumber>"), id="no UTF-8"),
        pytest.param("not-xml", changed(b"edXML:Subject", b"foo:Subject"), id="unknown prefix"),
        pytest.param("not-xml", changed(b'version="1.0" encoding', b'version="1.1" encoding'), id="XML 1.1"),
        pytest.param("not-xml", changed(b'Header Id="', b'Header Id="a" Id="'), id="doubled attribute"),
        pytest.param(
            "not-xml", changed(b"<edXML:Subject>", b'<x:y xmlns:x="rel"/><edXML:Subject>'), id="relative namespace"
        ),
        pytest.param("encoding-refused", PACKET.decode().encode("utf-16"), id="UTF-16"),
        pytest.param("encoding-refused", changed(b'"UTF-8"', b'"windows-1258"'), id="another encoding"),
        pytest.param("namespace-wrong", changed(QCVN, b"urn:other"), id="another namespace"),
        pytest.param("namespace-wrong", b"<edXML/>", id="no namespace"),
        pytest.param("namespace-wrong", b'<e xmlns="%s"/>' % QCVN, id="another root"),
        pytest.param("old-format", SOAP, id="SOAP"),
        pytest.param("old-format", b'<edXML xmlns="http://www.e-doc.vn/Schema/"/>', id="old schema"),
        pytest.param("doctype-refused", with_doctype(b""), id="DOCTYPE"),
        pytest.param("doctype-refused", with_doctype(BILLION_LAUGHS), id="billion laughs"),
        pytest.param("doctype-refused", with_doctype(b'<!ENTITY x SYSTEM "file:///etc/passwd">'), id="external"),
        pytest.param("entity-refused", changed(b"12</edXML:CodeN", b"&what;</edXML:CodeN"), id="undefined entity"),
        pytest.param(
            "limit-exceeded",
            changed(b"<edXML:Subject>", b"<a>" * 10_000 + b"</a>" * 10_000 + b"<edXML:Subject>"),
            id="10,000 deep",
        ),
        pytest.param(
            "limit-exceeded",
            changed(b"<edXML:Subject>", b"<a " + MANY_ATTRIBUTES + b"/><edXML:Subject>"),
            id="a million attributes",
        ),
        pytest.param(
            "limit-exceeded",
            changed(
                b"<edXML:Subject>", b"<a " + MANY_ATTRIBUTES[: MANY_ATTRIBUTES.index(b" a65=")] + b"/><edXML:Subject>"
            ),
            id="too many attributes",
        ),
        pytest.param(
            "limit-exceeded",
            changed(b"<edXML:Subject>", b"<a " + b"x" * 400_000 + b"/><edXML:Subject>"),
            id="an endless tag",
        ),
        pytest.param("limit-exceeded", changed(b"<edXML:Subject>", b"<a/>" * 300_000 + b"<edXML:Subject>"), id="many"),
        pytest.param("limit-exceeded", PACKET + b"<?pi x?>" * 101, id="many instructions"),
        pytest.param("base64-invalid", changed(b"JVBERi", b"JVB*Ri"), id="no base64"),
        pytest.param("base64-invalid", changed(b"JVBERi", "JVBẾi".encode()), id="no base64 nor ASCII"),
        pytest.param("base64-invalid", changed(b"</ContentTransfer", b"A</ContentTransfer"), id="bad padding"),
        pytest.param("base64-invalid", changed(b"</ContentTransfer", b"AA==AAAA</ContentTransfer"), id="padded inside"),
        pytest.param("markup-refused", changed(b"JVBERi", b"<a/>JVBERi"), id="element in base64"),
        pytest.param("remark-refused", changed(b"JVBERi", b"JVB<!-- x -->ERi"), id="comment in base64"),
    ],
)
def test_what_cannot_be_read_is_malformed(refusal: Callable[..., Rejected], code: str, octets: bytes) -> None:
    refused = refusal(octets)
    assert refused.code == "packet-malformed"
    assert [error.code for error in refused.errors] == [code]


@pytest.mark.parametrize(
    "limits",
    [
        PacketLimits(max_packet_bytes=1000),
        PacketLimits(max_skeleton_bytes=1000),
        PacketLimits(max_attachments=1),
        PacketLimits(max_depth=4),
        PacketLimits(max_attributes=1),
        PacketLimits(max_attributes_in_all=3),
        PacketLimits(max_elements=20),
    ],
)
def test_every_limit_is_held(refusal: Callable[..., Rejected], limits: PacketLimits) -> None:
    assert refusal(PACKET, limits).errors[0].code == "limit-exceeded"


def test_unzipped_attachments_are_limited_together(refusal: Callable[..., Rejected]) -> None:
    packet = a_packet(files=[("a.txt", b"x" * 6000), ("b.txt", b"y" * 6000)])
    assert refusal(packet, PacketLimits(max_content_bytes_in_all=10_000)).errors[0].code == "limit-exceeded"
    assert refusal(packet, PacketLimits(max_content_bytes=5_000)).errors[0].code == "zip-refused"


def block(name: str, packet: bytes = PACKET) -> bytes:
    start = min(packet.find(f"<edXML:{name}{end}".encode()) % len(packet) for end in (">", " "))
    return packet[start : packet.index(f"</edXML:{name}>".encode(), start) + len(f"</edXML:{name}>")]


ATTACHMENT = PACKET[PACKET.index(b"<Attachment>") : PACKET.index(b"</Attachment>") + len(b"</Attachment>")]
REFERENCE = block("Reference")
TO = block("To")
HEADER = block("MessageHeader")


@pytest.mark.parametrize(
    ("expected", "octets"),
    [
        pytest.param({"addressee-missing"}, without("To"), id="no addressee"),
        pytest.param({"element-missing"}, changed(b">H43.31<", b"><"), id="addressee without identifier"),
        pytest.param({"element-missing"}, without("From"), id="no sender"),
        pytest.param({"element-missing"}, without("Subject"), id="no subject"),
        pytest.param({"element-missing"}, without("MessageHeader"), id="no header"),
        pytest.param({"element-missing"}, without("edXMLEnvelope"), id="no envelope"),
        pytest.param({"element-missing"}, without("PromulgationDate"), id="no date"),
        pytest.param({"element-missing"}, without("CodeNumber", without("CodeNotation")), id="no number"),
        pytest.param({"date-invalid"}, changed(b">2024/12/30<", b">2024/02/30<"), id="30 February"),
        pytest.param({"date-invalid"}, changed(b">2024/12/30<", b">2024-12-30<"), id="another form of date"),
        pytest.param({"date-invalid"}, changed(b">2024/12/30<", b">soon<"), id="no date at all"),
        pytest.param({"timestamp-invalid"}, changed(b" 08:30:00<", b" 25:30:00<"), id="25 o'clock"),
        pytest.param({"value-invalid"}, changed(b"<edXML:Priority>0", b"<edXML:Priority>7"), id="priority 7"),
        pytest.param({"value-invalid"}, changed(b"<edXML:Priority>0", b"<edXML:Priority>x"), id="priority x"),
        pytest.param({"value-invalid"}, changed(b"DocType>0", b"DocType>9"), id="business type 9"),
        pytest.param({"element-doubled"}, changed(block("Subject"), block("Subject") * 2), id="two subjects"),
        pytest.param({"value-expected"}, changed(b"<edXML:Subject>", b"<edXML:Subject><a/>"), id="element as value"),
        pytest.param({"attachment-missing"}, changed(ATTACHMENT, b""), id="attachment missing"),
        pytest.param({"attachment-unreferenced"}, changed(REFERENCE, b""), id="attachment unreferenced"),
        pytest.param({"attachment-doubled"}, changed(ATTACHMENT, ATTACHMENT * 2), id="attachment doubled"),
        pytest.param({"reference-doubled"}, changed(REFERENCE, REFERENCE * 2), id="reference doubled"),
        pytest.param({"document-id-missing"}, changed(b">D-1<", b"> <"), id="no document identifier"),
        pytest.param({"element-doubled"}, changed(HEADER, HEADER * 2), id="two headers"),
        pytest.param({"element-misplaced"}, changed(b"<edXML:edXMLBody>", HEADER + b"<edXML:edXMLBody>"), id="moved"),
        pytest.param(
            {"element-misplaced"}, changed(b"</edXML>", b"<a:MessageHeader xmlns:a='urn:a'/></edXML>"), id="wrapped"
        ),
        pytest.param(
            {"element-misplaced"}, changed(b"</edXML>", b"<Other/></edXML>"), id="unknown beside the envelope"
        ),
        pytest.param(
            {"element-doubled"}, changed(b"</edXML>", b"<AttachmentEncoded/></edXML>"), id="attachments twice"
        ),
        pytest.param({"remark-refused"}, changed(b">H43.31<", b">H43<!-- -->.31<"), id="comment in a value"),
        pytest.param({"remark-refused"}, changed(TO, b"<!-- -->" + TO), id="comment in the header"),
        pytest.param({"remark-refused"}, changed(b"<AttachmentName>", b"<AttachmentName><?x?>"), id="instruction"),
    ],
)
def test_what_is_wrong_in_a_packet_is_named(
    refusal: Callable[..., Rejected], expected: set[str], octets: bytes
) -> None:
    refused = refusal(octets)
    assert {error.code for error in refused.errors} == expected
    assert refused.code == ("document-id-missing" if expected == {"document-id-missing"} else "packet-invalid")
    assert all(error.pointer.startswith("/edXML") for error in refused.errors)


def test_everything_wrong_is_named_at_once(refusal: Callable[..., Rejected]) -> None:
    octets = changed(b">D-1<", b"><", changed(b">2024/12/30<", b">x<", changed(b"Priority>0", b"Priority>9")))
    refused = refusal(octets)
    assert refused.code == "packet-invalid"
    assert {error.code for error in refused.errors} == {"date-invalid", "value-invalid", "document-id-missing"}


def test_no_more_than_fifty_findings_are_given(refusal: Callable[..., Rejected]) -> None:
    octets = changed(TO, b"<edXML:To/>" * 200)
    assert len(refusal(octets).errors) == 50


@pytest.mark.parametrize(
    ("element", "longest"),
    [("DocumentId", 500), ("OrganId", 100), ("Subject", 2_000), ("TypeName", 2_000), ("Content", 1_000_000)],
)
def test_no_value_is_longer_than_lists_and_indexes_can_bear(
    read: Callable[..., Packet], refusal: Callable[..., Rejected], element: str, longest: int
) -> None:
    def packet(length: int) -> bytes:
        text = f"<edXML:{element}>{'đ' * length}</edXML:{element}>".encode()
        return re.sub(rb"<edXML:%b>[^<]*</edXML:%b>" % (element.encode(), element.encode()), text, PACKET, count=1)

    assert read(packet(longest)).header is not None
    (error,) = refusal(packet(longest + 1)).errors
    assert (error.code, error.pointer.rpartition("/")[2]) == ("text-too-long", element)


def test_comments_between_the_blocks_do_no_harm(read: Callable[..., Packet]) -> None:
    octets = changed(b"<edXML:edXMLHeader>", b"<!-- a --><edXML:edXMLHeader><?b c?>", PACKET + b"<!-- end -->")
    assert read(octets).header.document_id == "D-1"


STATUS = a_status_packet()


@pytest.mark.parametrize(
    ("expected", "octets"),
    [
        pytest.param({"value-invalid"}, changed(b"StatusCode>01", b"StatusCode>07", STATUS), id="code 07"),
        pytest.param({"element-missing"}, changed(b"StatusCode>01", b"StatusCode>", STATUS), id="no code"),
        pytest.param({"element-missing"}, without("ResponseFor", STATUS), id="no document"),
        pytest.param({"element-missing"}, without("Timestamp", STATUS), id="no time"),
        pytest.param({"timestamp-invalid"}, changed(b" 08:30:00<", b"<", STATUS), id="no time of day"),
        pytest.param(
            {"element-misplaced"},
            changed(
                b"</edXML:edXMLEnvelope>",
                b"</edXML:edXMLEnvelope><AttachmentEncoded><Attachment/></AttachmentEncoded>",
                STATUS,
            ),
            id="attachment",
        ),
    ],
)
def test_what_is_wrong_in_a_status_package_is_named(
    refusal: Callable[..., Rejected], expected: set[str], octets: bytes
) -> None:
    refused = refusal(octets)
    assert refused.code == "packet-invalid"
    assert {error.code for error in refused.errors} == expected


def test_a_status_may_name_its_document_by_the_code_alone(read: Callable[..., Packet]) -> None:
    packet = read(without("DocumentId", STATUS))
    assert packet.status is not None
    assert (packet.status.response_for.document_id, packet.status.response_for.code) == ("", "12/UBND-VP")
    assert [warning.code for warning in packet.warnings] == ["element-absent"]


def test_ten_thousand_attachments_are_refused_and_a_thousand_are_read(
    read: Callable[..., Packet], refusal: Callable[..., Rejected]
) -> None:
    def packet(count: int) -> bytes:
        references, attachments = (
            b"".join(re.sub(rb"cid:[^<]+", b"cid:%d" % number, one) for number in range(count))
            for one in (REFERENCE, ATTACHMENT)
        )
        bare = a_packet(files=[])
        return bare.replace(b"</edXML:edXMLManifest>", references + b"</edXML:edXMLManifest>").replace(
            b"</edXML>", b"<AttachmentEncoded>" + attachments + b"</AttachmentEncoded></edXML>"
        )

    assert len(read(packet(1000)).attachments) == 1000
    (error,) = refusal(packet(10_000)).errors
    assert (error.code, error.pointer) == ("limit-exceeded", "/edXML/AttachmentEncoded/Attachment[1001]")
