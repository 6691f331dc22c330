"""
The packet (gói tin edXML): read and written, nothing more.

Reading takes constant memory whatever the size, refuses what is hostile, and names everything that is wrong at once.
Writing is done in one dialect. Neither decides about documents or agencies.
"""

from shared.edxml.blocks import (
    Business,
    BusinessDocumentInfo,
    Code,
    DocumentType,
    MessageHeader,
    Organisation,
    OtherInfo,
    Promulgation,
    Receiver,
    Replacement,
    ResponseFor,
    Signer,
    Staff,
    StatusReport,
    StatusResponse,
    TraceHeader,
    TraceHeaderList,
)
from shared.edxml.early import read_header
from shared.edxml.errors import DocumentIdMissing, PacketInvalid, PacketMalformed
from shared.edxml.findings import FINDING_SENTENCES
from shared.edxml.form import AttachmentForm, PacketForm, form_schema
from shared.edxml.limits import PacketLimits
from shared.edxml.packet import Attachment, Packet, PartDigest, Reference
from shared.edxml.packing import AttachmentSource
from shared.edxml.reading import read_packet
from shared.edxml.secrecy import SECRECY_WORDS, find_secrecy_mark
from shared.edxml.writing import Seal, write_packet, write_status

__all__ = [
    "FINDING_SENTENCES",
    "SECRECY_WORDS",
    "Attachment",
    "AttachmentForm",
    "AttachmentSource",
    "Business",
    "BusinessDocumentInfo",
    "Code",
    "DocumentIdMissing",
    "DocumentType",
    "MessageHeader",
    "Organisation",
    "OtherInfo",
    "Packet",
    "PacketForm",
    "PacketInvalid",
    "PacketLimits",
    "PacketMalformed",
    "PartDigest",
    "Promulgation",
    "Receiver",
    "Reference",
    "Replacement",
    "ResponseFor",
    "Seal",
    "Signer",
    "Staff",
    "StatusReport",
    "StatusResponse",
    "TraceHeader",
    "TraceHeaderList",
    "find_secrecy_mark",
    "form_schema",
    "read_header",
    "read_packet",
    "write_packet",
    "write_status",
]
