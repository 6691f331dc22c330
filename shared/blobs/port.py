from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, Protocol


class StoredBlob(NamedTuple):
    """
    What a writer has stored.

    Attributes:
        sha256: Digest of the bytes, 64 hexadecimal digits, lower case.
        size_bytes: How many there are.
    """

    sha256: str
    size_bytes: int


class BlobStat(NamedTuple):
    """
    What is known of a blob without reading it.

    Attributes:
        size_bytes: Its length.
        renewed_at: When it was last put or renewed; aware, UTC.
    """

    size_bytes: int
    renewed_at: datetime


class BlobWriter(Protocol):
    """
    Takes the bytes of one blob.
    """

    async def write(self, chunk: bytes) -> None:
        """
        Add bytes.

        Raises:
            PacketTooLarge: The limit is passed.
            StorageLow: The disk is full.
        """

    async def commit(self) -> StoredBlob:
        """
        Store what was written, durable when this returns. A blob that is there already is renewed.

        Raises:
            StorageLow: The disk is full.
        """
        ...


class BlobStore(Protocol):
    """
    Keeps bytes under their SHA-256, once and unchanged.

    Every digest is 64 hexadecimal digits in lower case; anything else is a `ValueError`.
    """

    def writer(self, limit_bytes: int) -> AbstractAsyncContextManager[BlobWriter]:
        """
        Write one blob; what is not committed when the block ends leaves no trace.
        """
        ...

    def open(self, sha256: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """
        Read a blob in chunks.

        Args:
            sha256: Which blob.
            start: First byte, counted from 0.
            end: First byte no longer read; None reads to the end.

        Raises:
            BlobMissing: On the first chunk: there is no such blob.
        """
        ...

    async def stat(self, sha256: str) -> BlobStat | None:
        """
        Look a blob up; None when it is not there.
        """
        ...

    async def exists(self, sha256: str) -> bool: ...

    def path(self, sha256: str) -> Path:
        """
        A file with the blob's bytes, for a worker process to read; whether it is there is not checked.
        """
        ...

    async def renew(self, sha256: str) -> bool:
        """
        Keep a blob from the collector for another while, fetching it back if it was set aside.

        To be called before a reference to the blob is committed; false means that it is not there.
        """
        ...

    def idle(self, since: datetime) -> AsyncIterator[str]:
        """
        Go through the blobs that nobody has put or renewed since a moment.
        """
        ...

    async def trash(self, sha256: str, *, idle_since: datetime) -> bool:
        """
        Set a blob aside, unless it was renewed after that moment; false when it stays, or is not there.

        Whoever still asks for it brings it back.
        """
        ...

    async def restore(self, sha256: str) -> bool:
        """
        Bring a blob back that was set aside; false when it is gone.
        """
        ...

    def trashed(self, before: datetime) -> AsyncIterator[str]:
        """
        Go through what was set aside before a moment.

        A reference may have been committed at the very moment its blob was set aside: restore such blobs, then purge.
        """
        ...

    async def purge(self, trashed_before: datetime) -> int:
        """
        Delete for good what was set aside before a moment; answers how many there were.
        """
        ...

    async def free_bytes(self) -> int:
        """
        Room left for packets, for the watermark at intake.
        """
        ...
