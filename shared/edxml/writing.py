"""
Writing packets: one dialect, one order.

Inside the envelope every element has the prefix `edXML:`, which the national side insists on; the attachments after it
have none, as in the national sample. What is written is read back before anything leaves, so a packet we would refuse
is never made.
"""

from collections.abc import Callable, Sequence
from typing import BinaryIO, Final

from shared.edxml.base64stream import Base64Encoder
from shared.edxml.blocks import MessageHeader, StatusReport, TraceHeaderList
from shared.edxml.errors import PacketInvalid
from shared.edxml.findings import finding
from shared.edxml.interpret import interpret
from shared.edxml.layout import BlockWriter, escape
from shared.edxml.names import QCVN
from shared.edxml.packet import Packet, PartDigest, Reference
from shared.edxml.packing import AttachmentSource, PackedAttachment, Packing
from shared.edxml.scan import Payload, Scan

Seal = Callable[[Sequence[PartDigest]], bytes]
"""Makes the `ds:Signature` element over the parts of a packet."""

_START: Final = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    f'<edXML xmlns="{QCVN}" xmlns:edXML="{QCVN}"><edXML:edXMLEnvelope><edXML:edXMLHeader>'
)
_END: Final = "</edXML>\n"


def write_packet(
    header: MessageHeader,
    attachments: Sequence[AttachmentSource],
    out: BinaryIO,
    *,
    trace: TraceHeaderList,
    seal: Seal | None = None,
) -> None:
    """
    Write a document package in constant memory; each file is read twice.

    Args:
        header: With at least one addressee and a DocumentId.
        attachments: In the order of the manifest.
        out: Receives the packet.
        trace: The first hop and the business block.
        seal: Signs the parts; None leaves the packet unsigned.

    Raises:
        PacketInvalid: The header would be refused by a reader; nothing was written.
        DocumentIdMissing: The header has none.
    """
    with Packing() as packing:
        for source in attachments:
            packing.add(source)
        before = BlockWriter()
        before.block("MessageHeader", header, Id="MessageHeader")
        before.open("TraceHeaderList", version="1.0")
        for hop in trace.traces:
            before.block("TraceHeader", hop)
        if trace.business is not None:
            before.block("Bussiness", trace.business, Id="Bussiness")
        before.close("TraceHeaderList")
        after = BlockWriter()
        after.open("edXMLBody")
        after.open("edXMLManifest", version="1.0", Id="edXMLManifest")
        for packed in packing.attachments:
            after.block("Reference", _reference(packed))
        after.close("edXMLManifest")
        after.close("edXMLBody")
        _write(str(before), str(after), packing.attachments, out, seal)


def write_status(status: StatusReport, out: BinaryIO, *, seal: Seal | None = None) -> None:
    """
    Write a status package.

    Raises:
        PacketInvalid: It would be refused by a reader; nothing was written.
    """
    header = BlockWriter()
    header.block("MessageHeader", status, Id="MessageHeader")
    _write(str(header), "", [], out, seal)


def _write(before: str, after: str, attachments: Sequence[PackedAttachment], out: BinaryIO, seal: Seal | None) -> None:
    start = _START + before
    end = f"</edXML:edXMLHeader>{after}</edXML:edXMLEnvelope>"
    packet = _read_back(start + end, attachments)
    signature = b"" if seal is None else seal(packet.parts)
    out.write(start.encode() + signature + end.encode())
    if attachments:
        out.write(b"<AttachmentEncoded>")
        for packed in attachments:
            out.write(_attachment_start(packed).encode())
            encoder = Base64Encoder()
            out.writelines(encoder.feed(octets) for octets in packed.pieces())
            out.write(encoder.finish())
            out.write(_ATTACHMENT_END.encode())
        out.write(b"</AttachmentEncoded>")
    out.write(_END.encode())


def _read_back(envelope: str, attachments: Sequence[PackedAttachment]) -> Packet:
    unreadable = next((character for character in envelope if not _is_xml(character)), None)
    if unreadable is not None:
        one = finding("not-xml", "/edXML", reason=f"U+{ord(unreadable):04X}")
        raise PacketInvalid(one.detail, errors=[one])
    encoded = "".join(_attachment_start(packed) + _ATTACHMENT_END for packed in attachments)
    skeleton = f"{envelope}<AttachmentEncoded>{encoded}</AttachmentEncoded>" if attachments else envelope
    payloads = tuple(Payload(0, 0, 0, packed.size, packed.sha256, None) for packed in attachments)
    return interpret((skeleton + _END).encode(), Scan(payloads, 0, ""))


def _reference(packed: PackedAttachment) -> Reference:
    return Reference(
        content_id=f"cid:{packed.content_id}",
        content_type=packed.content_type,
        description=packed.source.description,
        name=packed.source.name,
    )


def _attachment_start(packed: PackedAttachment) -> str:
    fields = (
        ("ContentId", f"cid:{packed.content_id}"),
        ("AttachmentName", packed.source.name),
        ("Description", packed.source.description),
        ("ContentType", packed.content_type),
    )
    written = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in fields)
    return f"<Attachment>{written}<ContentTransferEncoded>"


_ATTACHMENT_END: Final = "</ContentTransferEncoded></Attachment>"


def _is_xml(character: str) -> bool:
    # The characters XML 1.0 allows (section 2.2).
    code = ord(character)
    return code in {0x9, 0xA, 0xD} or 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or code >= 0x10000
