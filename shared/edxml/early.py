"""The header of a packet while the rest of it is still on its way."""

import re
from collections.abc import Iterable
from typing import Final, NoReturn
from xml.parsers import expat

from shared.edxml.blocks import MessageHeader, StatusReport
from shared.edxml.findings import refuse
from shared.edxml.interpret import interpret_header
from shared.edxml.names import OLD_NAMESPACES, QCVN
from shared.edxml.skeleton import UTF8_BOM

MAX_HEADER_BYTES: Final = 4 * 1024 * 1024
"""A header of 10,000 addressees is half of this; whoever waits for one holds no more."""

_MAX_DEPTH: Final = 64
_HEADER: Final = [f"{QCVN} {name}" for name in ("edXML", "edXMLEnvelope", "edXMLHeader")]
_NAME: Final = re.compile(rb"<([^\s/>]+)")


def read_header(pieces: Iterable[bytes]) -> MessageHeader | StatusReport:
    """
    Read the header of a packet, taking no more pieces than it stands in.

    What comes after the header is neither read nor judged; `read_packet` does that once all is there.

    Args:
        pieces: The packet from its beginning, in pieces of any size, as they come.

    Raises:
        PacketMalformed: It cannot be read to the end of its header.
        PacketInvalid: Something in the header is missing, doubled or wrong.
        DocumentIdMissing: It has no DocumentId and is well otherwise.
    """
    watch = _Watch()
    for piece in pieces:
        octets = watch.feed(piece)
        if octets is not None:
            return interpret_header(octets)
    return watch.refuse("not-xml", reason="no header")


class _HeaderEnded(Exception):
    """Ends the parsing; nothing is wrong."""


class _Watch:
    def __init__(self) -> None:
        self._held = bytearray()
        self._stack: list[str] = []
        self._raw: list[bytes] = []
        self._ended_at = 0
        self._parser = parser = expat.ParserCreate("UTF-8", " ")
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.StartDoctypeDeclHandler = lambda *_: self.refuse("doctype-refused")
        parser.EntityDeclHandler = lambda *_: self.refuse("entity-refused")

    def feed(self, piece: bytes) -> bytes | None:
        """
        Take the next piece; gives a packet of the header alone once the header is whole.
        """
        self._held += piece
        try:
            self._parser.Parse(piece)
        except _HeaderEnded:
            return self._closed()
        except expat.ExpatError as error:
            self.refuse("not-xml", reason=expat.ErrorString(error.code))
        if len(self._held) > MAX_HEADER_BYTES:
            self.refuse("limit-exceeded", what="bytes before the end of the header", limit=MAX_HEADER_BYTES)
        return None

    def refuse(self, code: str, **values: object) -> NoReturn:
        """
        Give up.
        """
        refuse(code, "/", self._parser.CurrentLineNumber, **values)

    def _start(self, name: str, _attributes: dict[str, str]) -> None:
        if not self._stack:
            if name.rpartition(" ")[0] in OLD_NAMESPACES:
                self.refuse("old-format")
            if name != _HEADER[0]:
                self.refuse("namespace-wrong", expected=QCVN)
        self._stack.append(name)
        if len(self._stack) > _MAX_DEPTH:
            self.refuse("limit-exceeded", what="depth", limit=_MAX_DEPTH)
        if len(self._stack) < len(_HEADER):
            found = _NAME.match(self._held, self._parser.CurrentByteIndex)
            self._raw.append(found[1] if found else b"")

    def _end(self, _name: str) -> None:
        if self._stack == _HEADER:
            self._ended_at = self._parser.CurrentByteIndex
            raise _HeaderEnded
        self._stack.pop()

    def _closed(self) -> bytes:
        end = self._held.index(b">", self._ended_at) + 1
        closing = b"".join(b"</%b>" % name for name in reversed(self._raw))
        return bytes(self._held[:end]).removeprefix(UTF8_BOM) + closing
