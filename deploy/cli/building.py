"""
A packet from files at the terminal: header with sane defaults, sealed with the credential's key.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from deploy.embedded.papers import seal_of
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
    Promulgation,
    Signer,
    TraceHeader,
    TraceHeaderList,
    write_packet,
)
from shared.identifiers import VIETNAM


@dataclass(frozen=True)
class Draft:
    """
    What was said about a document; the rest is filled in.

    Attributes:
        code: Số/ký hiệu, `12/UBND-VP`; empty: the time of day and CV.
        promulgated_at: Moment of signing; its day is the day of promulgation.
        document_id: Mã định danh văn bản; empty: `<sender>,<yyyy/MM/dd>,<code>`.
    """

    sender: str
    addressees: Sequence[str]
    subject: str
    files: Sequence[Path]
    promulgated_at: datetime
    code: str = ""
    type_name: str = "Công văn"
    priority: Lane = Lane.ORDINARY
    document_id: str = ""
    signer: str = ""
    place: str = ""

    def header(self) -> MessageHeader:
        """
        Fill the header of the packet.
        """
        now = self.promulgated_at.astimezone(VIETNAM)
        number, _, notation = (self.code or f"{now:%H%M%S}/CV").partition("/")
        code = Code(number=number, notation=notation)
        return MessageHeader(
            sender=Organisation(organ_id=self.sender),
            addressees=tuple(Organisation(organ_id=one) for one in self.addressees),
            code=code,
            promulgation=Promulgation(place=self.place, on=now.date()),
            document_type=DocumentType(name=self.type_name),
            subject=self.subject,
            signer=Signer(full_name=self.signer) if self.signer else None,
            other=OtherInfo(priority=int(self.priority)),
            steering_type=1,
            document_id=self.document_id or f"{self.sender},{now:%Y/%m/%d},{code}",
        )

    def write(self, out: BinaryIO, credential: Credential | None) -> MessageHeader:
        """
        Write the packet.

        Args:
            out: Receives it.
            credential: Whose key seals it; None leaves it unsealed.
        """
        header = self.header()
        sources = [AttachmentSource(file=path, name=path.name) for path in self.files]
        hop = TraceHeader(organ_id=self.sender, at=self.promulgated_at.replace(microsecond=0))
        trace = TraceHeaderList(traces=(hop,), business=Business(type=0))
        write_packet(header, sources, out, trace=trace, seal=None if credential is None else seal_of(credential))
        return header
