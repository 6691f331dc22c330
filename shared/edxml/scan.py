"""
The first pass over a packet: one streaming look that refuses floods and takes the attachments out.

Nothing of what this pass sees becomes a value. It finds where the base64 text of each attachment stands, decodes and
hashes it on the way, and leaves the rest, the skeleton, to be parsed once as a tree.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, Final, NoReturn
from xml.parsers import expat

from shared.edxml.base64stream import Base64Decoder
from shared.edxml.findings import refuse
from shared.edxml.limits import PacketLimits
from shared.edxml.names import OLD_NAMESPACES, QCVN

CHUNK_BYTES: Final = 64 * 1024

_MAX_TOKEN_BYTES: Final = 256 * 1024
"""One start tag, comment or instruction; a tag with a million attributes is refused before it is held whole."""

_ATTACHMENT: Final = [f"{QCVN} {name}" for name in ("edXML", "AttachmentEncoded", "Attachment")]
_PAYLOAD: Final = [*_ATTACHMENT, f"{QCVN} ContentTransferEncoded"]
_ROOT: Final = _ATTACHMENT[0]
_ZIP_START: Final = b"PK"
_PDF_START: Final = b"%PDF"
_HEAD_BYTES: Final = 16

_SPOILED: Final = b"\xef\xbf\xbd" * 2
"""Two replacement characters in a row do not occur in a PDF by chance."""

_BOMS: Final = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"\x00\x00": "UTF-32"}
_UNDEFINED_ENTITY: Final = 11
_UTF8_NAMES: Final = {"utf-8", "utf8"}

Sinks = Callable[[int], BinaryIO | None]
"""Gives the file an attachment's content is written to, by its index; None: it is not wanted."""


@dataclass(frozen=True)
class Payload:
    """
    What was found in one ContentTransferEncoded.

    Attributes:
        start, end: Range of its text in the packet, in bytes.
        breaks: Line breaks in that range.
        size, sha256: Of the decoded bytes.
        spooled_at: Where the decoded bytes begin in the spool file; None unless they may be an archive.
        head: The first decoded bytes.
        is_spoiled: A PDF whose bytes were passed through text: what was no text became U+FFFD.
    """

    start: int
    end: int
    breaks: int
    size: int
    sha256: str
    spooled_at: int | None
    head: bytes = b""
    is_spoiled: bool = False


@dataclass(frozen=True)
class Scan:
    """
    The result of the first pass.
    """

    payloads: tuple[Payload, ...]
    packet_size: int
    packet_sha256: str


def scan(packet: BinaryIO, limits: PacketLimits, spool: BinaryIO, sinks: Sinks) -> Scan:
    """
    Read a packet once, in pieces of 64 KiB.

    Args:
        packet: Opened at its beginning.
        limits: What is spent on it.
        spool: Receives decoded attachments that look like archives, one after another.
        sinks: Receives every other attachment.

    Raises:
        PacketMalformed: It cannot be read to its end.
    """
    return _Scanner(limits, spool, sinks).run(packet)


class _Scanner:
    def __init__(self, limits: PacketLimits, spool: BinaryIO, sinks: Sinks) -> None:
        self._limits = limits
        self._spool = spool
        self._sinks = sinks
        self._stack: list[str] = []
        self._elements = self._attributes = self._remarks = self._attachments = 0
        self._cut_bytes = 0
        self._payloads: list[Payload] = []
        self._current: _PayloadReader | None = None
        self._parser = parser = expat.ParserCreate("UTF-8", " ")
        parser.buffer_size = CHUNK_BYTES
        parser.buffer_text = False  # setting a size turns it on
        parser.XmlDeclHandler = self._declaration
        parser.StartDoctypeDeclHandler = lambda *_: self._refuse("doctype-refused")
        parser.EntityDeclHandler = lambda *_: self._refuse("entity-refused")
        parser.SkippedEntityHandler = lambda *_: self._refuse("entity-refused")
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CommentHandler = self._remark
        parser.ProcessingInstructionHandler = self._remark

    def run(self, packet: BinaryIO) -> Scan:
        digest = hashlib.sha256()
        fed = 0
        try:
            while chunk := packet.read(CHUNK_BYTES):
                if fed == 0 and chunk[:2] in _BOMS:
                    self._refuse("encoding-refused", found=_BOMS[chunk[:2]])
                fed += len(chunk)
                digest.update(chunk)
                self._parser.Parse(chunk)
                self._check_sizes(fed)
            self._parser.Parse(b"", True)  # noqa: FBT003 - positional only
        except expat.ExpatError as error:
            if error.code == _UNDEFINED_ENTITY:
                refuse("entity-refused", self._pointer(), error.lineno)
            reason = f"{expat.ErrorString(error.code)}, {error.lineno}:{error.offset + 1}"
            refuse("not-xml", self._pointer(), error.lineno, reason=reason)
        finally:
            if self._current is not None:
                self._current.close()
        return Scan(tuple(self._payloads), fed, digest.hexdigest())

    def _check_sizes(self, fed: int) -> None:
        limits = self._limits
        if fed > limits.max_packet_bytes:
            self._refuse_limit("bytes", limits.max_packet_bytes)
        if fed - self._parser.CurrentByteIndex > _MAX_TOKEN_BYTES:
            self._refuse_limit("bytes of one tag", _MAX_TOKEN_BYTES)
        inside = fed - self._current.start if self._current and self._current.start is not None else 0
        if fed - self._cut_bytes - inside > limits.max_skeleton_bytes:
            self._refuse_limit("bytes outside attachments", limits.max_skeleton_bytes)

    def _declaration(self, version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is not None and encoding.lower() not in _UTF8_NAMES:
            self._refuse("encoding-refused", found=encoding)
        if version != "1.0":
            self._refuse("not-xml", reason=f"XML {version}")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        limits = self._limits
        if not self._stack:
            self._check_root(name)
        if self._current is not None:
            self._refuse("markup-refused")
        self._stack.append(name)
        self._elements += 1
        self._attributes += len(attributes)
        for what, count, limit in (
            ("depth", len(self._stack), limits.max_depth),
            ("elements", self._elements, limits.max_elements),
            ("attributes of one element", len(attributes), limits.max_attributes),
            ("attributes", self._attributes, limits.max_attributes_in_all),
        ):
            if count > limit:
                self._refuse_limit(what, limit)
        if self._stack == _ATTACHMENT:
            self._attachments += 1
            if self._attachments > limits.max_attachments:
                self._refuse_limit("attachments", limits.max_attachments)
        elif self._stack == _PAYLOAD:
            self._begin_payload()

    def _check_root(self, name: str) -> None:
        if name.rpartition(" ")[0] in OLD_NAMESPACES:
            self._refuse("old-format")
        if name != _ROOT:
            refuse("namespace-wrong", "/", self._parser.CurrentLineNumber, expected=QCVN)

    def _end(self, _name: str) -> None:
        if self._current is not None:
            self._end_payload(self._current)
        self._stack.pop()

    def _remark(self, *_: str) -> None:
        self._remarks += 1
        if self._remarks > self._limits.max_remarks:
            self._refuse_limit("comments and processing instructions", self._limits.max_remarks)
        if self._current is not None:
            self._refuse("remark-refused")

    def _begin_payload(self) -> None:
        # The start tag ends where the next event begins. Buffered text would be reported late, so buffering waits.
        self._current = _PayloadReader(len(self._payloads), self._spool, self._sinks)
        self._parser.CharacterDataHandler = self._text
        self._parser.StartCdataSectionHandler = self._mark_start

    def _mark_start(self) -> None:
        if self._current is not None and self._current.start is None:
            self._current.start = self._parser.CurrentByteIndex
            self._current.first_line = self._parser.CurrentLineNumber

    def _text(self, text: str) -> None:
        if self._current is None:
            return
        if self._current.start is None:
            self._mark_start()
            self._parser.buffer_text = True
        try:
            self._current.feed(text)
        except ValueError as error:
            self._refuse("base64-invalid", reason=error)

    def _end_payload(self, current: "_PayloadReader") -> None:
        parser = self._parser
        parser.buffer_text = False
        parser.CharacterDataHandler = None
        parser.StartCdataSectionHandler = None
        self._mark_start()
        try:
            payload = current.finish(parser.CurrentByteIndex, parser.CurrentLineNumber)
        except ValueError as error:
            self._refuse("base64-invalid", reason=error)
        self._payloads.append(payload)
        self._cut_bytes += payload.end - payload.start
        self._current = None

    def _pointer(self) -> str:
        names = [name.rpartition(" ")[2] for name in self._stack[:20]]
        if self._attachments and self._stack[:3] == _ATTACHMENT:
            names[2] += f"[{self._attachments}]"
        return "/" + "/".join(names)

    def _refuse(self, code: str, **values: object) -> NoReturn:
        refuse(code, self._pointer(), self._parser.CurrentLineNumber, **values)

    def _refuse_limit(self, what: str, limit: int) -> NoReturn:
        self._refuse("limit-exceeded", what=what, limit=limit)


class _PayloadReader:
    """
    Decodes, hashes and stores one attachment while its text goes by.
    """

    def __init__(self, index: int, spool: BinaryIO, sinks: Sinks) -> None:
        self.start: int | None = None
        self.first_line = 0
        self._index = index
        self._spool = spool
        self._sinks = sinks
        self._decoder = Base64Decoder()
        self._digest = hashlib.sha256()
        self._head = b""
        self._beginning = b""
        self._tail = b""
        self._is_spoiled = False
        self._size = 0
        self._spooled_at: int | None = None
        self._sink: BinaryIO | None = None
        self._decided = False

    def feed(self, text: str) -> None:
        octets = self._decoder.feed(text)
        self._digest.update(octets)
        self._size += len(octets)
        if len(self._beginning) < _HEAD_BYTES:
            self._beginning = (self._beginning + octets)[:_HEAD_BYTES]
        if self._beginning.startswith(_PDF_START) and not self._is_spoiled:
            self._is_spoiled = _SPOILED in self._tail + octets
            self._tail = octets[1 - len(_SPOILED) :]
        if not self._decided:
            self._head += octets
            if len(self._head) < len(_ZIP_START):
                return
            self._decide()
            octets = self._head
        self._store(octets)

    def finish(self, end: int, line: int) -> Payload:
        self._decoder.finish()
        if not self._decided:
            self._decide()
            self._store(self._head)
        self.close()
        start = end if self.start is None else self.start
        breaks = line - self.first_line
        sha256 = self._digest.hexdigest()
        return Payload(start, end, breaks, self._size, sha256, self._spooled_at, self._beginning, self._is_spoiled)

    def close(self) -> None:
        if self._sink is not None:
            self._sink.close()
            self._sink = None

    def _decide(self) -> None:
        # Only what begins like an archive can be one; whether it is to be unzipped is for the tree to say.
        self._decided = True
        if self._head.startswith(_ZIP_START):
            self._spooled_at = self._spool.tell()
        else:
            self._sink = self._sinks(self._index)

    def _store(self, octets: bytes) -> None:
        if self._spooled_at is not None:
            self._spool.write(octets)
        elif self._sink is not None:
            self._sink.write(octets)
