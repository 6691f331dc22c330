"""Taking the one file out of an archive that a sender wrapped around an attachment."""

import io
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, BinaryIO, Final

from shared.edxml.limits import PacketLimits

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer as Buffer

_END_RECORD: Final = b"PK\x05\x06"
_ZIP64_LOCATOR: Final = b"PK\x06\x07"
_END_RECORD_BYTES: Final = 22
_ZIP64_LOCATOR_BYTES: Final = 20
_MAX_COMMENT_BYTES: Final = 65_535
_MAX_DIRECTORY_BYTES: Final = 128 * 1024
_RATIO_FROM_BYTES: Final = 1024 * 1024
_ENCRYPTED: Final = 0x1
_CHUNK_BYTES: Final = 64 * 1024


class ArchiveRefused(ValueError):
    """
    The archive is not one plain file in a ZIP, or is a bomb.
    """


def unzip_single(archive: BinaryIO, size: int, limits: PacketLimits) -> Iterator[bytes]:
    """
    Give the content of the only entry of an archive, in pieces.

    Args:
        archive: Seekable, beginning with the archive and ending with it.
        size: Its size in bytes.
        limits: Bounds of the content's size and of its ratio to the archive's.

    Raises:
        ArchiveRefused: No ZIP, several entries, a path as name, encryption, ZIP64, a foreign method, a broken or
            oversized content.
    """
    _check_directory(archive, size)
    try:
        with zipfile.ZipFile(archive) as opened:
            entry = _only_entry(opened)
            with opened.open(entry) as content:
                yield from _bounded(content, size, limits)
    except ArchiveRefused:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError) as error:
        # zipfile answers hostile input with any of these; its words are for people, ours name the place.
        raise ArchiveRefused(f"ZIP: {error}") from error


class Window(io.RawIOBase):
    """
    A stretch of a file that reads as a file of its own.
    """

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        super().__init__()
        self._file = file
        self._start = start
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError("before the beginning")
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: "Buffer", /) -> int:
        view = memoryview(buffer)
        self._file.seek(self._start + self._position)
        octets = self._file.read(min(len(view), max(0, self._size - self._position)))
        view[: len(octets)] = octets
        self._position += len(octets)
        return len(octets)


def _check_directory(archive: BinaryIO, size: int) -> None:
    # zipfile loads the whole directory before it can be asked anything, so its size and count are looked at first.
    tail_size = min(size, _END_RECORD_BYTES + _ZIP64_LOCATOR_BYTES + _MAX_COMMENT_BYTES)
    archive.seek(size - tail_size)
    tail = archive.read(tail_size)
    at = tail.rfind(_END_RECORD)
    if at < 0 or len(tail) - at < _END_RECORD_BYTES:
        raise ArchiveRefused("not a ZIP")
    entries = int.from_bytes(tail[at + 10 : at + 12], "little")
    directory_bytes = int.from_bytes(tail[at + 12 : at + 16], "little")
    if tail[max(0, at - _ZIP64_LOCATOR_BYTES) : at].startswith(_ZIP64_LOCATOR):
        raise ArchiveRefused("ZIP64")
    if entries != 1:
        raise ArchiveRefused(f"{entries} entries instead of 1")
    if directory_bytes > _MAX_DIRECTORY_BYTES:
        raise ArchiveRefused("directory too large")


def _only_entry(opened: zipfile.ZipFile) -> zipfile.ZipInfo:
    entries = opened.infolist()
    if len(entries) != 1:
        raise ArchiveRefused(f"{len(entries)} entries instead of 1")
    (entry,) = entries
    name = entry.orig_filename
    if not name or name in {".", ".."} or any(character in name for character in "/\\:\0"):
        raise ArchiveRefused("the entry's name is a path")
    if entry.flag_bits & _ENCRYPTED:
        raise ArchiveRefused("encrypted")
    if entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise ArchiveRefused("neither stored nor deflated")
    return entry


def _bounded(content: IO[bytes], archive_size: int, limits: PacketLimits) -> Iterator[bytes]:
    given = 0
    while octets := content.read(_CHUNK_BYTES):
        given += len(octets)
        if given > limits.max_content_bytes:
            raise ArchiveRefused(f"more than {limits.max_content_bytes} bytes")
        if given > _RATIO_FROM_BYTES and given > archive_size * limits.max_zip_ratio:
            raise ArchiveRefused(f"zip bomb: more than {limits.max_zip_ratio} times its size")
        yield octets


def open_window(file: BinaryIO, start: int, size: int) -> BinaryIO:
    """
    Give a buffered view of a stretch of a file.
    """
    return io.BufferedReader(Window(file, start, size), _CHUNK_BYTES)
