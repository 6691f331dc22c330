"""Sealed packets, many and quickly: one is written by the book, the others are cast in its mould."""

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final, NamedTuple

from cryptography import x509
from lxml import etree

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
    Signer,
    TraceHeader,
    TraceHeaderList,
    write_packet,
)
from shared.edxml import (
    Seal as MakeSeal,
)
from shared.xmldsig import sign_parts
from shared.xmldsig.make import SigningKey, canonical

_NUMBER: Final = "70707070"
_ADDRESSEE: Final = "Z99.7{:03d}"
_SIGNATURE: Final = b"<!--signature-->"
_TAIL: Final = b"</edXML:edXMLHeader>"


class SealedPacket(NamedTuple):
    """
    A packet in two pieces; the second, with the attachments, is one object for all of a mould.
    """

    head: bytes
    tail: bytes

    @property
    def size(self) -> int:
        """
        Bytes of the whole.
        """
        return len(self.head) + len(self.tail)


@dataclass(frozen=True)
class Seal:
    """
    The key and certificates that a system seals with.
    """

    key: SigningKey
    certificates: tuple[x509.Certificate, ...]

    def sign(self, parts: Sequence[PartDigest]) -> bytes:
        """
        Make the signature element.
        """
        return sign_parts(parts, self.key, self.certificates[0], self.certificates[1:])


def write_document(
    sender: Organisation,
    addressees: Sequence[Organisation],
    *,
    number: str,
    notation: str,
    kind: DocumentType,
    subject: str,
    attachment: AttachmentSource,
    seal: MakeSeal,
) -> bytes:
    """
    Write a packet by the book.
    """
    today = date.today()  # noqa: DTZ011 - the date on a paper is the sender's own calendar
    header = MessageHeader(
        sender=sender,
        addressees=tuple(addressees),
        code=Code(number=number, notation=notation),
        promulgation=Promulgation(place="Ninh Thuận", on=today),
        document_type=kind,
        subject=subject,
        signer=Signer(competence="TM.", position="Chủ tịch", full_name="Người Ký Mẫu"),
        other=OtherInfo(priority=0),
        document_id=f"{sender.organ_id},{today:%Y/%m/%d},{number}/{notation}",
    )
    hop = TraceHeader(organ_id=sender.organ_id, at=datetime.now(UTC).replace(microsecond=0))
    out = io.BytesIO()
    trace = TraceHeaderList(traces=(hop,), business=Business())
    write_packet(header, [attachment], out, trace=trace, seal=seal)
    return out.getvalue()


class Mould:
    """
    Casts packets of one sender that differ in number and addressees, each with a seal of its own.

    Args:
        sender: Code of the sending agency.
        addressees: How many each packet has.
        attachment: The file they all carry.
        seal: Of the sender's system.
    """

    def __init__(self, sender: str, addressees: int, attachment: AttachmentSource, seal: Seal) -> None:
        self._seal = seal
        self._places = [_ADDRESSEE.format(place) for place in range(addressees)]
        parts: list[PartDigest] = []

        def leave_room(found: Sequence[PartDigest]) -> bytes:
            parts.extend(found)
            return _SIGNATURE

        whole = write_document(
            Organisation(organ_id=sender, name=f"Cơ quan {sender}"),
            [Organisation(organ_id=code, name="Cơ quan nhận") for code in self._places],
            number=_NUMBER,
            notation="BC-UBND",
            kind=DocumentType(type=2, detail=14, name="Báo cáo"),
            subject="Báo cáo tình hình sản xuất và đời sống nhân dân",
            attachment=attachment,
            seal=leave_room,
        )
        self._parts = parts
        self._start, _, self._tail = whole.partition(_SIGNATURE)
        self._header = _canonical_header(whole)

    def cast(self, number: str, addressees: Sequence[str]) -> SealedPacket:
        """
        Make one packet.

        Args:
            number: Digits; with the sender's code they make the DocumentId, so each only once.
            addressees: As many codes as the mould has places.
        """
        replaced = [(_NUMBER, number), *zip(self._places, addressees, strict=True)]
        start, header = self._start, self._header
        for old, new in replaced:
            start = start.replace(old.encode(), new.encode())
            header = header.replace(old.encode(), new.encode())
        digest = hashlib.sha256(header).hexdigest()
        parts = [
            part.model_copy(update={"sha256": digest}) if part.uri == "#MessageHeader" else part for part in self._parts
        ]
        return SealedPacket(start + self._seal.sign(parts), self._tail)


def _canonical_header(packet: bytes) -> bytes:
    root = etree.fromstring(packet, etree.XMLParser(resolve_entities=False, huge_tree=True))
    (header,) = root.iter("{*}MessageHeader")
    return canonical(header)
