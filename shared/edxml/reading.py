"""Reading a packet of any size in constant memory."""

import hashlib
import tempfile
from pathlib import Path
from typing import BinaryIO

from shared.edxml.findings import refuse
from shared.edxml.interpret import interpret
from shared.edxml.limits import PacketLimits
from shared.edxml.packet import Attachment, Packet
from shared.edxml.scan import CHUNK_BYTES, Payload, Sinks, scan
from shared.edxml.skeleton import read_skeleton
from shared.edxml.unzip import ArchiveRefused, open_window, unzip_single


def read_packet(path: Path, limits: PacketLimits | None = None, attachments_into: Sinks | None = None) -> Packet:
    """
    Read a packet.

    Twice over the file: once as a stream, refusing floods and decoding attachments on the way; once as a tree of
    everything but attachments, from which every value and every signed digest is taken.

    Args:
        path: The packet as received; it must not change meanwhile.
        limits: What is spent on it.
        attachments_into: Opens the file for the content of an attachment, by its index from 0; None leaves it out. The
            file is written in pieces and closed. After an error what was written is worthless.

    Raises:
        PacketMalformed: It cannot be read to its end.
        PacketInvalid: Something in it is missing, doubled or wrong; `errors` names all.
        DocumentIdMissing: It has no DocumentId and is well otherwise.
    """
    limits = limits or PacketLimits()
    sinks = attachments_into or _nowhere
    with path.open("rb") as packet, tempfile.TemporaryFile() as spool:
        scanned = scan(packet, limits, spool, sinks)
        read = interpret(read_skeleton(packet, scanned.payloads), scanned)
        attachments = _Unwrapper(limits, spool, sinks).unwrap(read.attachments, scanned.payloads)
    return read.model_copy(update={"attachments": attachments})


def _nowhere(_index: int) -> BinaryIO | None:
    return None


class _Unwrapper:
    """
    Takes attachments out of the archives senders wrapped around them.
    """

    def __init__(self, limits: PacketLimits, spool: BinaryIO, sinks: Sinks) -> None:
        self._limits = limits
        self._spool = spool
        self._sinks = sinks
        self._unzipped_bytes = 0

    def unwrap(self, attachments: tuple[Attachment, ...], payloads: tuple[Payload, ...]) -> tuple[Attachment, ...]:
        return tuple(
            self._one(index, attachment, payload)
            for index, (attachment, payload) in enumerate(zip(attachments, payloads, strict=True))
        )

    def _one(self, index: int, attachment: Attachment, payload: Payload) -> Attachment:
        if is_wrapped(attachment.content_type, attachment.name):
            return self._unzip(index, attachment, payload)
        if payload.spooled_at is not None:
            self._copy(index, payload.spooled_at, payload.size)
        return attachment

    def _copy(self, index: int, start: int, size: int) -> None:
        sink = self._sinks(index)
        if sink is None:
            return
        with sink, open_window(self._spool, start, size) as window:
            while octets := window.read(CHUNK_BYTES):
                sink.write(octets)

    def _unzip(self, index: int, attachment: Attachment, payload: Payload) -> Attachment:
        pointer = f"/edXML/AttachmentEncoded/Attachment[{index + 1}]"
        if payload.spooled_at is None:
            refuse("zip-refused", pointer, reason="not a ZIP")
        digest = hashlib.sha256()
        size = 0
        sink = self._sinks(index)
        try:
            with open_window(self._spool, payload.spooled_at, payload.size) as window:
                for octets in unzip_single(window, payload.size, self._limits):
                    digest.update(octets)
                    size += len(octets)
                    self._count(len(octets), pointer)
                    if sink is not None:
                        sink.write(octets)
        except ArchiveRefused as error:
            refuse("zip-refused", pointer, reason=error)
        finally:
            if sink is not None:
                sink.close()
        return attachment.model_copy(
            update={"content_size": size, "content_sha256": digest.hexdigest(), "unzipped": True}
        )

    def _count(self, octets: int, pointer: str) -> None:
        self._unzipped_bytes += octets
        limit = self._limits.max_content_bytes_in_all
        if self._unzipped_bytes > limit:
            refuse("limit-exceeded", pointer, what="bytes after unzipping", limit=limit)


def is_wrapped(content_type: str, name: str) -> bool:
    """
    Say whether a sender zipped the file only for the way.

    A file that was a ZIP from the start looks the same except for its name.
    """
    return content_type.strip().lower() == "application/zip" and not name.strip().lower().endswith(".zip")
