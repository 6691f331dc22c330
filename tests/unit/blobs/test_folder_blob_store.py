import asyncio
import errno
import hashlib
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.blobs import BlobMissing, FolderBlobStore, PacketTooLarge, StorageLow, StoredBlob
from shared.blobs import files as blob_files
from shared.faults import SimulatedCrash

MORNING = datetime(2025, 7, 1, 7, 30, 0, 123457, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(hours=24)
LIMIT = 10 * 1024 * 1024
BIG = os.urandom(3 * 1024 * 1024 + 17)
BIG_IN_PIECES = tuple(BIG[start : start + 65536] for start in range(0, len(BIG), 65536))


class SetClock:
    """
    Shows the time it was set to.
    """

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def now(self) -> datetime:
        return self.moment


class CrashAtPut:
    async def at(self, point: str, key: str) -> None:
        if point == "blob put":
            raise SimulatedCrash(key)

    def copies(self, key: str) -> int:
        return 1


@pytest.fixture
def clock() -> SetClock:
    return SetClock(MORNING)


@pytest.fixture
async def store(tmp_path: Path, clock: SetClock) -> FolderBlobStore:
    store = FolderBlobStore(tmp_path / "blobs", clock)
    await store.start()
    return store


async def put(store: FolderBlobStore, *chunks: bytes) -> StoredBlob:
    async with store.writer(LIMIT) as writer:
        for chunk in chunks:
            await writer.write(chunk)
        return await writer.commit()


async def read(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])


def all_files(root: Path) -> set[str]:
    return {str(place.relative_to(root)) for place in root.rglob("*") if place.is_file()}


@pytest.mark.parametrize("chunks", [(), (b"",), (b"packet",), (b"pac", b"ket"), (BIG,), BIG_IN_PIECES])
async def test_bytes_are_found_under_their_digest(
    store: FolderBlobStore, tmp_path: Path, chunks: tuple[bytes, ...]
) -> None:
    whole = b"".join(chunks)
    digest, size = await put(store, *chunks)
    assert digest == hashlib.sha256(whole).hexdigest()
    assert size == len(whole)
    assert await read(store.open(digest)) == whole
    assert store.path(digest).read_bytes() == whole
    assert all_files(tmp_path / "blobs") == {f"{digest[:2]}/{digest[2:4]}/{digest}"}


@pytest.mark.parametrize(
    ("start", "end"),
    [(0, 0), (0, 1), (5, None), (262_143, 262_145), (262_144, 524_288), (0, len(BIG) + 9), (len(BIG), None), (9, 3)],
)
async def test_a_range_is_read_as_asked(store: FolderBlobStore, start: int, end: int | None) -> None:
    digest, _ = await put(store, BIG)
    assert await read(store.open(digest, start=start, end=end)) == BIG[start:end]


async def test_what_is_not_committed_leaves_no_trace(store: FolderBlobStore, tmp_path: Path) -> None:
    async with store.writer(LIMIT) as writer:
        await writer.write(BIG)
    assert all_files(tmp_path / "blobs") == set()


async def test_a_packet_over_the_limit_is_refused_and_leaves_no_trace(store: FolderBlobStore, tmp_path: Path) -> None:
    async with store.writer(len(BIG) - 1) as writer:
        await writer.write(BIG[:-1])
        with pytest.raises(PacketTooLarge) as refusal:
            await writer.write(BIG[-1:])
    assert refusal.value.problem_code == "packet-too-large"
    assert all_files(tmp_path / "blobs") == set()


async def test_a_packet_of_exactly_the_limit_is_taken(store: FolderBlobStore) -> None:
    async with store.writer(6) as writer:
        await writer.write(b"packet")
        assert (await writer.commit()).size_bytes == 6


async def test_a_writer_that_is_cancelled_leaves_no_trace(store: FolderBlobStore, tmp_path: Path) -> None:
    writing = asyncio.Event()

    async def endless() -> None:
        async with store.writer(2**40) as writer:
            while True:
                await writer.write(BIG)
                writing.set()

    task = asyncio.create_task(endless())
    await writing.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert all_files(tmp_path / "blobs") == set()


async def test_a_crash_at_the_put_leaves_nothing_under_the_name(tmp_path: Path, clock: SetClock) -> None:
    store = FolderBlobStore(tmp_path / "blobs", clock, CrashAtPut())
    await store.start()
    with pytest.raises(SimulatedCrash):
        await put(store, b"packet")
    assert not await store.exists(hashlib.sha256(b"packet").hexdigest())


async def test_many_writers_of_the_same_bytes_store_them_once(store: FolderBlobStore, tmp_path: Path) -> None:
    blobs = await asyncio.gather(*(put(store, BIG) for _ in range(8)))
    assert len(set(blobs)) == 1
    assert await read(store.open(blobs[0].sha256)) == BIG
    assert len(all_files(tmp_path / "blobs")) == 1


async def test_putting_again_renews_and_does_not_rewrite(store: FolderBlobStore, clock: SetClock) -> None:
    digest, _ = await put(store, b"packet")
    before = store.path(digest).stat().st_ino
    clock.moment += DAY
    await put(store, b"packet")
    found = await store.stat(digest)
    assert found == (6, MORNING + DAY)
    assert store.path(digest).stat().st_ino == before


async def test_a_damaged_blob_is_replaced_by_the_bytes_put_again(store: FolderBlobStore) -> None:
    digest, _ = await put(store, b"packet")
    store.path(digest).write_bytes(b"pa")
    await put(store, b"packet")
    assert await read(store.open(digest)) == b"packet"


async def test_a_missing_blob_says_so(store: FolderBlobStore) -> None:
    digest = hashlib.sha256(b"never put").hexdigest()
    assert await store.stat(digest) is None
    assert not await store.exists(digest)
    assert not await store.renew(digest)
    assert not await store.restore(digest)
    assert not await store.trash(digest, idle_since=MORNING)
    with pytest.raises(BlobMissing):
        await read(store.open(digest))


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "AA" * 32, "a" * 63, "a" * 65, "a" * 64 + "\n"])
async def test_what_is_no_digest_is_refused(store: FolderBlobStore, name: str) -> None:
    with pytest.raises(ValueError, match="SHA-256"):
        store.path(name)


async def test_only_idle_blobs_are_listed_and_set_aside(store: FolderBlobStore, clock: SetClock) -> None:
    old, _ = await put(store, b"old")
    clock.moment += HOUR
    new, _ = await put(store, b"new")
    assert [sha256 async for sha256 in store.idle(MORNING)] == [old]
    assert await store.trash(old, idle_since=MORNING)
    assert not await store.trash(new, idle_since=MORNING)
    assert not store.path(old).exists()
    assert store.path(new).exists()


async def test_a_blob_renewed_after_it_was_listed_stays(store: FolderBlobStore, clock: SetClock) -> None:
    digest, _ = await put(store, b"packet")
    clock.moment += DAY
    assert await store.renew(digest)
    assert not await store.trash(digest, idle_since=MORNING)
    assert await store.exists(digest)


@pytest.mark.parametrize("ask", ["renew", "restore", "exists", "open", "put"])
async def test_who_asks_for_a_blob_set_aside_has_it_back(store: FolderBlobStore, clock: SetClock, ask: str) -> None:
    digest, _ = await put(store, b"packet")
    clock.moment += DAY
    assert await store.trash(digest, idle_since=MORNING)
    match ask:
        case "renew":
            assert await store.renew(digest)
        case "restore":
            assert await store.restore(digest)
        case "exists":
            assert await store.exists(digest)
        case "open":
            assert await read(store.open(digest)) == b"packet"
        case "put":
            await put(store, b"packet")
    clock.moment += DAY
    await store.purge(clock.moment)
    found = await store.stat(digest)
    assert found == (6, MORNING + DAY)


async def test_purging_spares_what_was_set_aside_lately(store: FolderBlobStore, clock: SetClock) -> None:
    first, _ = await put(store, b"first")
    second, _ = await put(store, b"second")
    clock.moment += DAY
    await store.trash(first, idle_since=MORNING)
    clock.moment += HOUR
    await store.trash(second, idle_since=MORNING)
    assert [sha256 async for sha256 in store.trashed(MORNING + DAY)] == [first]
    assert await store.purge(MORNING + DAY) == 1
    assert not await store.exists(first)
    assert await store.exists(second)


async def test_a_full_disk_is_unavailable_and_leaves_no_trace(
    store: FolderBlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StorageLow) as refusal:
        await put(store, b"packet")
    assert refusal.value.problem_code == "storage-low"
    assert all_files(tmp_path / "blobs") == set()


async def test_starting_removes_leftovers_but_not_what_is_being_written(store: FolderBlobStore, tmp_path: Path) -> None:
    leftover = tmp_path / "blobs" / "incoming" / "leftover"
    leftover.write_bytes(b"half")
    async with store.writer(LIMIT) as writer:
        await writer.write(BIG)
        await store.start()
        assert not leftover.exists()
        digest, _ = await writer.commit()
    assert await read(store.open(digest)) == BIG


async def test_a_sweep_between_opening_and_locking_costs_nobody_a_file(
    store: FolderBlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    incoming = tmp_path / "blobs" / "incoming"
    lock = blob_files.fcntl.flock
    swept = []

    def sweep_first(descriptor: int, operation: int) -> None:
        if not swept:
            swept.append(True)
            blob_files.sweep_unfinished(incoming)
        lock(descriptor, operation)

    monkeypatch.setattr(blob_files.fcntl, "flock", sweep_first)
    digest, _ = await put(store, b"packet")
    assert swept
    assert await read(store.open(digest)) == b"packet"


async def test_free_space_is_told(store: FolderBlobStore) -> None:
    assert await store.free_bytes() > 0
