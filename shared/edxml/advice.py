"""What stops nothing but will trouble a receiver: said to the sender as warnings."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Final

from lxml import etree

from shared.edxml.blocks import Business, MessageHeader
from shared.edxml.layout import BlockReader
from shared.edxml.names import tag
from shared.edxml.packet import Attachment, Reference
from shared.edxml.scan import Payload

RECALL: Final = 1
UPDATE: Final = 2
REPLACEMENT: Final = 3

_STARTS: Final[Mapping[str, tuple[bytes, ...]]] = {
    ".pdf": (b"%PDF",),
    ".zip": (b"PK",),
    ".docx": (b"PK",),
    ".xlsx": (b"PK",),
    ".pptx": (b"PK",),
    ".doc": (b"\xd0\xcf\x11\xe0", b"{\\rtf", b"PK"),
}
"""How files of these names begin; programs write rich text under the name of a Word document."""


def advise_on_header(blocks: BlockReader, element: etree._Element) -> None:
    """
    Say what readers in use stumble over in a header.
    """
    steering = element.find(tag("SteeringType"))
    if steering is not None and not (steering.text or "").strip():
        # The SDK's reader loses the whole packet; an absent element it takes.
        blocks.warn("steering-type-empty", steering)


def advise_on_business(
    blocks: BlockReader, element: etree._Element | None, business: Business, header: MessageHeader
) -> None:
    """
    Say what a recall, an update or a replacement leaves open.

    Args:
        blocks: Takes the warnings.
        element: The business block.
        business: What was read from it.
        header: Names documents too, by ResponseFor.
    """
    if element is None:
        return
    named = business.document_id or any(answered.document_id for answered in header.response_for)
    if business.type in {RECALL, UPDATE} and not named:
        blocks.warn("target-missing", element, "DocumentId")
    if business.type == RECALL and not business.reason:
        blocks.warn("reason-missing", element, "BussinessDocReason")
    if business.type == UPDATE and business.info is None:
        blocks.warn("update-extent-missing", element, "BussinessDocumentInfo")
    if business.type == REPLACEMENT and not business.replacements:
        blocks.warn("replacement-missing", element, "ReplacementInfoList")


def advise_on_attachment(
    blocks: BlockReader,
    element: etree._Element,
    attachment: Attachment,
    payload: Payload,
    reference: Reference | None,
) -> None:
    """
    Say what is odd about an attached file.

    Args:
        blocks: Takes the warnings.
        element: Its element.
        attachment: What was read from it.
        payload: What its text decoded to.
        reference: Its line of the manifest.
    """
    name = attachment.name
    if not payload.size:
        blocks.warn("attachment-empty", element, value=name)
    if payload.is_spoiled:
        blocks.warn("attachment-spoiled", element, value=name)
    if not attachment.content_type:
        blocks.warn("content-type-missing", element, "ContentType", value=name)
    elif attachment.content_type.lower() != "application/zip" and payload.head:
        starts = _STARTS.get(PurePosixPath(name).suffix.lower())
        if starts is not None and not payload.head.startswith(starts):
            blocks.warn("content-not-as-named", element, value=name)
    if reference is not None and reference.name and reference.name != name:
        blocks.warn("attachment-name-differs", element, "AttachmentName", value=name)
