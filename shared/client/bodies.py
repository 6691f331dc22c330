"""
Bytes on their way out: hashed once, then read from the file in pieces as often as a retry needs.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO, Final

PIECE_BYTES: Final = 256 * 1024
"""What is in memory of a packet of any size."""


class Body:
    """
    A packet to post.

    Args:
        source: Path of a file that does not change meanwhile, or the bytes themselves.

    Attributes:
        sha256: Hex digest.
        size: Bytes; sent as `Content-Length`, which the node demands.
    """

    def __init__(self, source: Path | bytes, *, sha256: str, size: int) -> None:
        self._source = source
        self.sha256 = sha256
        self.size = size

    @classmethod
    async def of(cls, source: Path | bytes) -> "Body":
        """
        Hash what is to be sent.

        Raises:
            OSError: The file cannot be read.
        """
        if isinstance(source, bytes):
            return cls(source, sha256=hashlib.sha256(source).hexdigest(), size=len(source))
        sha256, size = await asyncio.to_thread(_hash_file, source)
        return cls(source, sha256=sha256, size=size)

    async def pieces(self) -> AsyncIterator[bytes]:
        """
        Give the bytes from the beginning.
        """
        if isinstance(self._source, bytes):
            for start in range(0, len(self._source), PIECE_BYTES):
                yield self._source[start : start + PIECE_BYTES]
            return
        file = await asyncio.to_thread(self._source.open, "rb")
        try:
            while piece := await asyncio.to_thread(file.read, PIECE_BYTES):
                yield piece
        finally:
            file.close()


def hash_stream(file: BinaryIO) -> tuple[str, int]:
    """
    Give the hex SHA-256 and the size of what is left in a file.
    """
    digest = hashlib.sha256()
    size = 0
    while piece := file.read(PIECE_BYTES):
        digest.update(piece)
        size += len(piece)
    return digest.hexdigest(), size


def _hash_file(path: Path) -> tuple[str, int]:
    with path.open("rb") as file:
        return hash_stream(file)
