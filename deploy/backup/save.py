"""Taking a backup while the node runs: one snapshot of the database first, then every packet it refers to."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from typing import Final

import asyncpg
from sqlalchemy import URL

from deploy.backup.archive import Damaged, Writer, new_backup
from deploy.backup.manifest import Manifest, Member, Packets, Schema, fingerprint
from deploy.backup.programs import programs_for_saving
from deploy.backup.site import Site
from deploy.embedded.errors import NodeError
from gateway.api.node import VERSION
from shared.blobs import BlobMissing, FolderBlobStore
from shared.clock import SystemClock
from shared.database.migrations import VERSION_TABLE

BLOB_LIST: Final = "blobs.txt"
_SAY_EVERY: Final = 1_000
_PORT: Final = 5432

Notice = Callable[[str, str], None]
"""Told how far it is, in Vietnamese and in English."""


async def save(site: Site, target: Path, *, notice: Notice) -> Manifest:
    """
    Take a backup. The node need not stop.

    The database is read in one snapshot for all services. A packet is stored before its reference is committed, and
    kept for a day without one, so a copy that is made afterwards finds every packet of the snapshot.

    Args:
        site: What to save.
        target: A new file ending in `.tar`, or a new folder.
        notice: Told how far it is.

    Returns:
        What was saved; `packets.missing` names what could not be.

    Raises:
        NodeError: The database cannot be read, or the target cannot be written.
    """
    with new_backup(target) as writer:
        snapshot = await _save_database(site, writer, notice)
        store = FolderBlobStore(site.blobs, SystemClock())
        packets = await _save_packets(store, writer, writer.workshop / BLOB_LIST, notice)
        files = dict(snapshot.files)
        kept = {
            "keys/keystore.json": site.key_file,
            "node.json": site.config_file,
            BLOB_LIST: writer.workshop / BLOB_LIST,
        }
        for name, path in kept.items():
            if path is not None:
                files[name] = await asyncio.to_thread(_add, writer, name, path)
        manifest = Manifest(
            release=VERSION,
            snapshot_at=snapshot.at,
            node_id=site.node_id,
            public_url=site.public_url,
            postgres=snapshot.server,
            programs=snapshot.programs,
            schemas=snapshot.schemas,
            packets=packets,
            files=files,
            secrets={name: fingerprint(secret) for name, secret in site.secrets.items()},
        )
        last = writer.workshop / "manifest.json"
        await asyncio.to_thread(last.write_text, manifest.model_dump_json(indent=2), encoding="utf-8")
        await asyncio.to_thread(_add, writer, last.name, last)
        await asyncio.to_thread(writer.finish)
    return manifest


class _Snapshot:
    """What was read of the database."""

    def __init__(self, at: datetime, server: int, programs: int) -> None:
        self.at = at
        self.server = server
        self.programs = programs
        self.schemas: dict[str, Schema] = {}
        self.files: dict[str, Member] = {}


async def _save_database(site: Site, writer: Writer, notice: Notice) -> _Snapshot:
    async with AsyncExitStack() as stack:
        first = await connect(site.databases["routing"])
        stack.push_async_callback(first.close)
        # Held open until the last dump has ended: the snapshot lives as long as the transaction that exported it.
        await stack.enter_async_context(first.transaction(isolation="repeatable_read", readonly=True))
        exported = await first.fetchval("SELECT pg_export_snapshot()")
        programs = await asyncio.to_thread(programs_for_saving, first.get_server_version().major)
        at = await first.fetchval("SELECT now()")
        snapshot = _Snapshot(at, first.get_server_version().major, programs.major)
        await _list_packets(first, writer.workshop / BLOB_LIST)
        for service, url in site.databases.items():
            notice(f"Cơ sở dữ liệu: {service} …", f"database: {service}")
            snapshot.schemas[service] = await _describe(service, url, exported)
            dump = writer.workshop / f"{service}.dump"
            arguments = ("--format=custom", "--no-owner", "--no-privileges", f"--schema={service}")
            await programs.run(
                "pg_dump", *arguments, f"--snapshot={exported}", f"--file={dump}", "--no-password", database=url
            )
            name = f"database/{service}.dump"
            snapshot.files[name] = await asyncio.to_thread(_add, writer, name, dump)
            dump.unlink()
    return snapshot


async def connect(url: URL) -> asyncpg.Connection:
    """
    Connect as a service does.

    Raises:
        NodeError: The database cannot be reached.
    """
    address = url.set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        return await asyncpg.connect(address, timeout=10)
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise NodeError(
            f"Không vào được cơ sở dữ liệu với vai trò {url.username}: {error}. / The database cannot be reached.",
            remedy="Kiểm tra địa chỉ, tài khoản và máy chủ bằng `axis doctor`. / "
            "Check address, account and server with `axis doctor`.",
        ) from error


async def count_rows(connection: asyncpg.Connection, service: str) -> dict[str, int]:
    """
    Count the rows of every table in a schema.
    """
    tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = $1 ORDER BY 1", service)
    return {
        table: await connection.fetchval(f'SELECT count(*) FROM "{service}"."{table}"')  # noqa: S608 - names of tables
        for (table,) in tables
    }


async def _describe(service: str, url: URL, exported: str) -> Schema:
    connection = await connect(url)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            await connection.execute(f"SET TRANSACTION SNAPSHOT '{exported}'")
            migration = await connection.fetchval(f"SELECT version_num FROM {service}.{VERSION_TABLE}")  # noqa: S608
            return Schema(migration=migration, rows=await count_rows(connection, service))
    except asyncpg.UndefinedTableError as error:
        raise NodeError(
            f"Cơ sở dữ liệu chưa có bảng của {service}. / The database holds no tables of {service}.",
            remedy="Khởi động nút một lần. / Start the node once.",
        ) from error
    finally:
        await connection.close()


async def _list_packets(connection: asyncpg.Connection, place: Path) -> None:
    with place.open("w", encoding="ascii") as file:
        async for digest, size in connection.cursor(
            "SELECT digest, max(size) FROM ("
            " SELECT packet_sha256 AS digest, packet_bytes AS size FROM routing.documents"
            " UNION ALL SELECT bytes_sha256, bytes_size FROM routing.status_items WHERE bytes_sha256 IS NOT NULL"
            ") AS kept GROUP BY 1 ORDER BY 1",
            prefetch=10_000,
        ):
            file.write(f"{digest} {size}\n")


async def _save_packets(store: FolderBlobStore, writer: Writer, listed: Path, notice: Notice) -> Packets:
    count = saved = size_saved = 0
    missing: list[str] = []
    with listed.open(encoding="ascii") as lines:
        for line in lines:
            digest, size = line.split()
            # Looked up through the store, which brings back what its collector has set aside.
            if await store.exists(digest) and await asyncio.to_thread(_add_packet, writer, store, digest, int(size)):
                saved, size_saved = saved + 1, size_saved + int(size)
            else:
                missing.append(digest)
                notice(f"Gói tin thiếu hoặc hỏng: {digest}", f"packet missing or damaged: {store.path(digest)}")
            count += 1
            if count % _SAY_EVERY == 0:
                notice(f"Gói tin: {count} …", f"packets: {size_saved / (1 << 20):.0f} MiB")
    return Packets(count=saved, size_bytes=size_saved, missing=tuple(missing))


def packet_name(digest: str) -> str:
    """
    The name of a packet in a backup.
    """
    return f"blobs/{digest[:2]}/{digest[2:4]}/{digest}"


def _add_packet(writer: Writer, store: FolderBlobStore, digest: str, size_bytes: int) -> bool:
    try:
        with store.path(digest).open("rb") as file:
            writer.add(packet_name(digest), file, size_bytes, sha256=digest)
    except (Damaged, FileNotFoundError, BlobMissing):
        return False
    return True


def _add(writer: Writer, name: str, path: Path) -> Member:
    size = path.stat().st_size
    with path.open("rb") as file:
        return Member(sha256=writer.add(name, file, size), size_bytes=size)
