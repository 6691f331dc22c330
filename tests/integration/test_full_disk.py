"""
A full disk: whoever writes to it says so in words that name it, keeps nothing half, and goes on once there is room.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import text

from deploy.backup.archive import new_backup
from deploy.embedded.postgres import PrivatePostgres
from services.signing.domain.keys import Role
from services.signing.errors import KeyStoreUnusable
from services.signing.repository.key_file import create_key_file, open_key_file, rotate_key
from shared.blobs import FolderBlobStore, StorageLow, StoredBlob
from shared.clock import SystemClock
from shared.database import Database, DatabaseBusy

MOMENT = datetime(2026, 11, 23, tzinfo=UTC)


class Disk:
    """A small disk of its own, which can be filled and cleared."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._ballast = root / "ballast"

    def fill(self, *, leaving: int = 0) -> None:
        room = os.statvfs(self.root)
        # Real bytes: a file with holes takes no room.
        with self._ballast.open("wb") as file:
            for _ in range(max(0, room.f_bavail * room.f_frsize - leaving) // 4096):
                file.write(bytes(4096))

    def clear(self) -> None:
        self._ballast.unlink()

    def names(self) -> set[str]:
        return {path.name for path in self.root.rglob("*") if path.is_file()} - {"ballast"}


@pytest.fixture
def disk(request: pytest.FixtureRequest) -> Iterator[Disk]:
    mount = shutil.which("mount")
    if os.geteuid() != 0 or mount is None:
        pytest.skip("only root can mount a small disk")
    root = Path(tempfile.mkdtemp(prefix=f"axis-tests-disk-{os.getpid()}-"))
    size = getattr(request, "param", 4 << 20)
    if subprocess.run([mount, "-t", "tmpfs", "-o", f"size={size},mode=0755", "tmpfs", root], check=False).returncode:
        root.rmdir()
        pytest.skip("this machine lets nobody mount a small disk")
    try:
        yield Disk(root)
    finally:
        subprocess.run(["umount", "--lazy", root], check=True)
        root.rmdir()


async def test_a_packet_that_finds_no_room_is_refused_for_now_and_leaves_nothing(disk: Disk) -> None:
    store = FolderBlobStore(disk.root / "blobs", SystemClock())
    await store.start()
    disk.fill(leaving=1 << 20)
    with pytest.raises(StorageLow) as refusal:
        await _put(store, 8 << 20)
    assert refusal.value.retry_after is not None
    assert disk.names() == set()
    disk.clear()
    assert await store.exists((await _put(store, 1 << 20)).sha256)


async def _put(store: FolderBlobStore, size: int) -> StoredBlob:
    async with store.writer(1 << 30) as writer:
        for _ in range(size >> 18):
            await writer.write(os.urandom(1 << 18))
        return await writer.commit()


def test_keys_are_made_and_rotated_whole_or_not_at_all(disk: Disk) -> None:
    key_file, passphrase = disk.root / "keys" / "keystore.json", disk.root / "keys" / "passphrase"
    disk.fill()
    with pytest.raises(KeyStoreUnusable, match="No space left"):
        create_key_file(key_file, passphrase, node_id="H43", public_url="http://node.test", now=MOMENT)
    assert disk.names() == set()
    disk.clear()
    create_key_file(key_file, passphrase, node_id="H43", public_url="http://node.test", now=MOMENT)
    before = key_file.read_bytes()
    disk.fill()
    with pytest.raises(KeyStoreUnusable, match="No space left"):
        rotate_key(key_file, passphrase, Role.EVIDENCE, public_url="http://node.test", now=MOMENT)
    assert key_file.read_bytes() == before
    assert disk.names() == {"keystore.json", "passphrase"}


@pytest.mark.filterwarnings("ignore::services.signing.errors.DevelopmentModeWarning")
def test_keys_open_after_the_disk_was_full(disk: Disk) -> None:
    key_file, passphrase = disk.root / "keystore.json", disk.root / "passphrase"
    create_key_file(key_file, passphrase, node_id="H43", public_url="http://node.test", now=MOMENT)
    disk.fill()
    assert open_key_file(key_file, passphrase, production=False).active(Role.AUTHORITY)


@pytest.mark.parametrize("name", ["backup.tar", "backup"])
def test_a_backup_that_finds_no_room_leaves_nothing_of_its_name(disk: Disk, tmp_path: Path, name: str) -> None:
    source = tmp_path / "dump"
    source.write_bytes(os.urandom(8 << 20))
    with pytest.raises(OSError, match="No space left"):
        _back_up(source, disk.root / name)
    assert list(disk.root.iterdir()) == []


def _back_up(source: Path, target: Path) -> None:
    with new_backup(target) as writer:
        with source.open("rb") as file:
            writer.add("database/routing.dump", file, source.stat().st_size)
        writer.finish()


@pytest.mark.parametrize("disk", [160 << 20], indirect=True)
@pytest.mark.parametrize(("kind", "words"), [("UNLOGGED", "no room"), ("", "out of reach")])
async def test_a_transaction_that_finds_no_room_is_refused_for_now_and_leaves_nothing(
    disk: Disk, kind: str, words: str
) -> None:
    # Rows that are not logged find no room themselves; others fill the log first, and without it the server ends.
    server = PrivatePostgres(disk.root / "postgres", tied=True)
    await server.start()
    try:
        await server.create_roles_and_schemas(["routing"])
        await _execute(server, f"CREATE {kind} TABLE routing.rows (number integer, ballast text)")
        database = Database(server.dsn("routing"), service="routing")
        await _insert(database, 10)
        disk.fill(leaving=24 << 20)
        with pytest.raises(DatabaseBusy) as refusal:
            await _insert(database, 60_000)
        assert words in refusal.value.detail
        disk.clear()
        await database.close()
        # Whether it has ended or not, it begins again with all that was committed.
        await server.stop()
        await server.start()
        database = Database(server.dsn("routing"), service="routing")
        await _insert(database, 1_000)
        async with database.read() as connection:
            assert (await connection.execute(text("SELECT count(*) FROM rows"))).scalar_one() == 1_010
        await database.close()
    finally:
        await server.remove()


async def _insert(database: Database, count: int) -> None:
    statement = text("INSERT INTO rows SELECT n, repeat(md5(n::text), 30) FROM generate_series(1, :count) n")
    async with database.begin() as transaction:
        await transaction.connection.execute(statement, {"count": count})
        await transaction.commit()


async def _execute(server: PrivatePostgres, statement: str) -> None:
    connection = await asyncpg.connect(server.dsn("routing", driver="postgresql"))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
