import hashlib
import os
import re
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

from shared.blobs import files
from shared.blobs.errors import BlobMissing, PacketTooLarge
from shared.blobs.port import BlobStat, StoredBlob
from shared.blobs.threads import OneAtATime, in_thread
from shared.clock import Clock
from shared.durable import sync_folder
from shared.faults import NO_FAULTS, Faults

_DIGEST = re.compile(r"[0-9a-f]{64}")
# A packet up to this size costs one visit to a thread; bigger ones one per so many bytes.
_BATCH_BYTES = 256 * 1024
_INCOMING = "incoming"
_TRASH = "trash"


class FolderBlobStore:
    """
    Blobs as files `aa/bb/<sha256>` of one folder, which several processes may share.

    Bytes are first written under `incoming`, made durable, and only then renamed to their digest. What nobody refers
    to is renamed into `trash` before it is deleted.

    Args:
        root: The folder; `start` makes it.
        clock: Dates what is put, renewed and set aside.
        faults: What goes wrong at which point.
    """

    def __init__(self, root: Path, clock: Clock, faults: Faults = NO_FAULTS) -> None:
        self._root = root
        self._clock = clock
        self._faults = faults
        self._durable_folders: set[Path] = set()

    async def start(self) -> None:
        """
        Make the folders and remove what writers that have died left unfinished.
        """
        await in_thread(self._prepare)

    def path(self, sha256: str) -> Path:
        if not _DIGEST.fullmatch(sha256):
            raise ValueError(f"{sha256!r} is not a SHA-256 in lower case hexadecimal digits")
        return self._root / sha256[:2] / sha256[2:4] / sha256

    @asynccontextmanager
    async def writer(self, limit_bytes: int) -> AsyncIterator["FolderBlobWriter"]:
        writer = FolderBlobWriter(self, limit_bytes, self._faults)
        try:
            yield writer
        finally:
            await writer.close()

    async def open(self, sha256: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        reader = _Reader(lambda: self._open_stored(sha256))
        try:
            position = start
            size = _BATCH_BYTES
            while size == _BATCH_BYTES:
                wanted = _BATCH_BYTES if end is None else max(0, min(_BATCH_BYTES, end - position))
                chunk = await reader.read(wanted, position)
                if chunk:
                    yield chunk
                size = len(chunk)
                position += size
        finally:
            await reader.close()

    async def stat(self, sha256: str) -> BlobStat | None:
        found = await in_thread(lambda: self._find(sha256))
        return None if found is None else BlobStat(*found)

    async def exists(self, sha256: str) -> bool:
        return await self.stat(sha256) is not None

    async def renew(self, sha256: str) -> bool:
        place, now = self.path(sha256), self._clock.now()
        return await in_thread(lambda: files.touch(place, now) or self._bring_back(sha256))

    async def idle(self, since: datetime) -> AsyncIterator[str]:
        for number in range(256):
            places = (self._root / f"{number:02x}").glob("*/*")
            for sha256 in await in_thread(partial(_dated, places, since)):
                yield sha256

    async def trash(self, sha256: str, *, idle_since: datetime) -> bool:
        place, now = self.path(sha256), self._clock.now()

        def set_aside() -> bool:
            found = files.look_up(place)
            if found is None or found[1] > idle_since:
                return False
            # Dated before it is moved: cut short here, the blob is only renewed, never deleted early.
            return files.touch(place, now) and files.move(place, self._trashed(sha256))

        return await in_thread(set_aside)

    async def trashed(self, before: datetime) -> AsyncIterator[str]:
        for sha256 in await in_thread(lambda: _dated((self._root / _TRASH).iterdir(), before)):
            yield sha256

    async def restore(self, sha256: str) -> bool:
        return await in_thread(lambda: self._bring_back(sha256))

    async def purge(self, trashed_before: datetime) -> int:
        def delete() -> int:
            names = _dated((self._root / _TRASH).iterdir(), trashed_before)
            for sha256 in names:
                self._trashed(sha256).unlink(missing_ok=True)
            return len(names)

        return await in_thread(delete)

    async def free_bytes(self) -> int:
        status = await in_thread(lambda: os.statvfs(self._root))
        return status.f_bavail * status.f_frsize

    def open_unfinished(self) -> tuple[int, Path]:
        """
        Open a file for a writer; blocks.
        """
        return files.open_unfinished(self._root / _INCOMING)

    def keep(self, blob: StoredBlob, unfinished: Callable[[], tuple[int, Path]]) -> None:
        """
        Give a writer's bytes their name, or renew the blob that has it; durable when this returns. Blocks.

        Args:
            blob: What was written.
            unfinished: Writes what is not yet in the file; answers its descriptor and place.
        """
        place = self.path(blob.sha256)
        self._make_folders(place)
        found = files.look_up(place)
        if found is None or found[0] != blob.size_bytes or not files.touch(place, self._clock.now()):
            descriptor, source = unfinished()
            files.touch(source, self._clock.now())
            os.fsync(descriptor)
            source.replace(place)
        # Also for a blob that was there: its writer may have been stopped just before this step.
        sync_folder(place.parent)

    def _trashed(self, sha256: str) -> Path:
        return self._root / _TRASH / sha256

    def _make_folders(self, place: Path) -> None:
        for folder in (place.parent.parent, place.parent):
            if folder not in self._durable_folders:
                files.make_folder(folder)
                self._durable_folders.add(folder)

    def _prepare(self) -> None:
        self._root.parent.mkdir(parents=True, exist_ok=True)
        for folder in (self._root, self._root / _INCOMING, self._root / _TRASH):
            files.make_folder(folder)
        files.sweep_unfinished(self._root / _INCOMING)

    def _open_stored(self, sha256: str) -> int:
        if self._find(sha256) is None:
            raise BlobMissing(f"The stored bytes {sha256} are not there.")
        return os.open(self.path(sha256), os.O_RDONLY | os.O_CLOEXEC)

    def _find(self, sha256: str) -> tuple[int, datetime] | None:
        place = self.path(sha256)
        return files.look_up(place) or (files.look_up(place) if self._bring_back(sha256) else None)

    def _bring_back(self, sha256: str) -> bool:
        place, trashed = self.path(sha256), self._trashed(sha256)
        if files.look_up(trashed) is None:
            return files.look_up(place) is not None
        self._make_folders(place)
        if not files.move(trashed, place):
            return files.look_up(place) is not None  # another was faster
        files.touch(place, self._clock.now())
        sync_folder(place.parent)
        return True


class FolderBlobWriter:
    """
    Writes one blob of a folder; made by `FolderBlobStore.writer`.
    """

    def __init__(self, store: FolderBlobStore, limit_bytes: int, faults: Faults) -> None:
        self._store = store
        self._limit_bytes = limit_bytes
        self._faults = faults
        self._digest = hashlib.sha256()
        self._size = 0
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._file: tuple[int, Path] | None = None
        self._thread = OneAtATime()

    async def write(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size > self._limit_bytes:
            raise PacketTooLarge(f"A packet may have at most {self._limit_bytes} bytes.")
        self._waiting.append(chunk)
        self._waiting_bytes += len(chunk)
        if self._waiting_bytes >= _BATCH_BYTES:
            batch = self._take()
            await self._thread.run(lambda: self._flush(batch, hashing=True))

    async def commit(self) -> StoredBlob:
        batch = self._take()
        for chunk in batch:  # less than a batch: a quarter of a millisecond
            self._digest.update(chunk)
        blob = StoredBlob(self._digest.hexdigest(), self._size)
        await self._faults.at("blob put", blob.sha256)
        await self._thread.run(lambda: self._keep(blob, batch))
        return blob

    async def close(self) -> None:
        """
        Give up what was not committed.
        """
        # Nothing is left of a packet that was committed, so that a small one costs one visit to a thread.
        if self._file is not None or self._thread.at_work:
            await self._thread.finish(self._discard)

    def _keep(self, blob: StoredBlob, batch: list[bytes]) -> None:
        self._store.keep(blob, lambda: self._flush(batch, hashing=False))
        self._discard()

    def _take(self) -> list[bytes]:
        batch, self._waiting, self._waiting_bytes = self._waiting, [], 0
        return batch

    def _flush(self, batch: list[bytes], *, hashing: bool) -> tuple[int, Path]:
        if self._file is None:
            self._file = self._store.open_unfinished()
        if hashing:
            for chunk in batch:
                self._digest.update(chunk)
        files.write_all(self._file[0], batch)
        return self._file

    def _discard(self) -> None:
        if self._file is not None:
            descriptor, place = self._file
            self._file = None
            place.unlink(missing_ok=True)  # a committed file no longer has this name
            os.close(descriptor)


class _Reader:
    """
    Reads one file at positions; opened by the first read, and closed by one that reaches the end.
    """

    def __init__(self, open_file: Callable[[], int]) -> None:
        self._open_file = open_file
        self._descriptor: int | None = None
        self._thread = OneAtATime()

    async def read(self, size: int, position: int) -> bytes:
        return await self._thread.run(lambda: self._read(size, position))

    async def close(self) -> None:
        if self._descriptor is not None or self._thread.at_work:
            await self._thread.finish(self._close)

    def _read(self, size: int, position: int) -> bytes:
        if self._descriptor is None:
            self._descriptor = self._open_file()
        chunk = os.pread(self._descriptor, size, position)
        if len(chunk) < size:
            self._close()
        return chunk

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _dated(places: Iterable[Path], until: datetime) -> list[str]:
    return [place.name for place in places if (found := files.look_up(place)) is not None and found[1] <= until]
