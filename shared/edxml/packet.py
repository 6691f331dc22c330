"""The packet as data."""

from typing import Annotated, Any, Literal

from shared.edxml.blocks import Business, MessageHeader, Organisation, StatusReport, TraceHeaderList
from shared.edxml.layout import Block, El
from shared.errors import FieldError


class Reference(Block):
    """
    A line of the manifest.

    Attributes:
        content_id: Without `cid:`.
    """

    content_id: Annotated[str, El("ContentId")] = ""
    content_type: Annotated[str, El("ContentType")] = ""
    description: Annotated[str, El("Description")] = ""
    name: Annotated[str, El("AttachmentName")] = ""


class Attachment(Block):
    """
    An attached file.

    Attributes:
        content_id: Without `cid:`.
        content_type: As the sender labels it, which need not be true.
        field_name, mime_type: Further labels of one library, which say nothing more.
        transfer_size, transfer_sha256: The bytes after base64; these are what a signature covers.
        content_size, content_sha256: The file itself; differs where the sender had zipped it.
        unzipped: The file was taken out of an archive of one entry.
    """

    content_id: Annotated[str, El("ContentId")] = ""
    name: Annotated[str, El("AttachmentName")] = ""
    description: Annotated[str, El("Description")] = ""
    content_type: Annotated[str, El("ContentType")] = ""
    field_name: Annotated[str, El("FieldName")] = ""
    mime_type: Annotated[str, El("MimeType")] = ""
    transfer_size: int
    transfer_sha256: str
    content_size: int
    content_sha256: str
    unzipped: bool = False


class PartDigest(Block):
    """
    One part of a packet that its signature must cover.

    Attributes:
        uri: `#` and the value of the element's `Id`, or `cid:` and the attachment's ContentId; empty when the element
            has no `Id`, which no signature can name.
        sha256: Hex digest; of the exclusive canonical form of an element, of the bytes after base64 of an attachment.
    """

    uri: str
    sha256: str


class NamedValue(Block):
    """
    An element by its local name and its text.
    """

    name: str
    value: str


class Packet(Block):
    """
    Everything read from one packet. `model_dump(mode="json")` is its JSON form.

    Attributes:
        kind: `document` has a header, `status` a status report.
        packet_size, packet_sha256: Of the bytes as received.
        trace: Hops and business block; None where the packet has none.
        manifest: References in order of appearance.
        attachments: Attachments in order of appearance.
        warnings: What the sender should know of although the packet is taken.
        secrecy_elements: Elements of the header that may mark a state secret; see `find_secrecy_mark`.
        signature: Exclusive canonical form of `ds:Signature`, the last child of the header; None when there is none
            or when it is foreign.
        foreign_signature: Why a signature that was found is not taken, as a word such as `namespace` or `several`.
        parts: What a signature must cover, in order.
    """

    kind: Literal["document", "status"]
    packet_size: int
    packet_sha256: str
    header: MessageHeader | None = None
    status: StatusReport | None = None
    trace: TraceHeaderList | None = None
    manifest: tuple[Reference, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    warnings: tuple[FieldError, ...] = ()
    secrecy_elements: tuple[NamedValue, ...] = ()
    signature: bytes | None = None
    foreign_signature: str | None = None
    parts: tuple[PartDigest, ...] = ()

    @property
    def business(self) -> Business:
        """
        The business block; a packet without one carries a new document.
        """
        found = self.trace.business if self.trace else None
        return found or Business()

    @property
    def sender(self) -> Organisation:
        """
        Who the packet says it is from.
        """
        return (self.header or self._status).sender

    @property
    def _status(self) -> StatusReport:
        if self.status is None:
            raise ValueError("a packet has a header or a status")
        return self.status

    def to_json(self) -> dict[str, Any]:
        """
        Give the JSON form that `Packet.model_validate` reads back.
        """
        return self.model_dump(mode="json")
