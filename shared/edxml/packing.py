"""How a file becomes an attachment."""

import hashlib
import io
import tempfile
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from shared.edxml.scan import CHUNK_BYTES

_NAMESPACE: Final = uuid.UUID("5f6e2f39-9b0e-5c0c-8d6b-0c5b8f2f4a10")
"""Names of attachments are derived, so the same files give the same packet."""

_WORD: Final = "application/vnd.openxmlformats-officedocument"

_PLAIN: Final = {
    ".pdf": "application/pdf",
    ".doc": "application/msword",
    ".docx": f"{_WORD}.wordprocessingml.document",
    ".xls": "application/vnd.ms-excel",
    ".xlsx": f"{_WORD}.spreadsheetml.sheet",
    ".ppt": "application/vnd.ms-powerpoint",
    ".pptx": f"{_WORD}.presentationml.presentation",
    ".odt": "application/vnd.oasis.opendocument.text",
    ".ods": "application/vnd.oasis.opendocument.spreadsheet",
    ".zip": "application/zip",
}
"""Formats that travel as they are; every system at the axis opens them."""

_ZIP: Final = "application/zip"
_NO_TIME: Final = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class AttachmentSource:
    """
    A file to attach.

    Attributes:
        file: Its path, or its content.
        name: Name with extension; formats other than PDF, office documents and ZIP are zipped for the way.
        description: What it is.
        content_id: Identifier in the packet without `cid:`; derived from place and content when empty.
    """

    file: Path | bytes
    name: str
    description: str = ""
    content_id: str = ""

    def open(self) -> BinaryIO:
        """
        Open the file for reading.
        """
        return io.BytesIO(self.file) if isinstance(self.file, bytes) else self.file.open("rb")


@dataclass(frozen=True)
class PackedAttachment:
    """
    A file in the form it travels in, before base64.
    """

    source: AttachmentSource
    content_id: str
    content_type: str
    size: int
    sha256: str
    archive: BinaryIO | None

    def pieces(self) -> Iterator[bytes]:
        """
        Give the bytes in pieces; may be called again.
        """
        if self.archive is None:
            with self.source.open() as file:
                yield from _pieces(file)
        else:
            self.archive.seek(0)
            yield from _pieces(self.archive)

    def close(self) -> None:
        """
        Drop what was made for the way.
        """
        if self.archive is not None:
            self.archive.close()


class Packing(AbstractContextManager["Packing"]):
    """
    Packs the files of one packet and cleans up after it.
    """

    def __init__(self) -> None:
        self.attachments: list[PackedAttachment] = []

    def __exit__(self, *_: object) -> None:
        for attachment in self.attachments:
            attachment.close()

    def add(self, source: AttachmentSource) -> None:
        """
        Pack a file and compute its digest.
        """
        suffix = PurePosixPath(source.name).suffix.lower()
        content_type = _PLAIN.get(suffix, _ZIP)
        archive = None if suffix in _PLAIN else _zipped(source, suffix)
        packed = PackedAttachment(source, "", content_type, 0, "", archive)
        digest = hashlib.sha256()
        size = 0
        for octets in packed.pieces():
            digest.update(octets)
            size += len(octets)
        place = f"{len(self.attachments)}/{source.name}/{digest.hexdigest()}"
        content_id = source.content_id or str(uuid.uuid5(_NAMESPACE, place))
        self.attachments.append(PackedAttachment(source, content_id, content_type, size, digest.hexdigest(), archive))


def _zipped(source: AttachmentSource, suffix: str) -> BinaryIO:
    archive = tempfile.TemporaryFile()  # noqa: SIM115 - the packing closes it
    # The entry's name says nothing about the file but its kind; receivers use AttachmentName.
    extension = suffix if suffix[1:].isalnum() and suffix.isascii() else ""
    entry = zipfile.ZipInfo(f"{uuid.uuid5(_NAMESPACE, source.name)}{extension}", date_time=_NO_TIME)
    entry.compress_type = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(archive, "w") as opened, opened.open(entry, "w") as into, source.open() as file:
        for octets in _pieces(file):
            into.write(octets)
    return archive


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while octets := file.read(CHUNK_BYTES):
        yield octets
