"""The way back: into an empty folder or an empty database, after everything was verified."""

import asyncio
import shutil
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final

import asyncpg
from sqlalchemy import URL, make_url

from deploy.backup.archive import CHUNK_BYTES
from deploy.backup.manifest import Manifest, fits
from deploy.backup.programs import programs_for_restoring
from deploy.backup.save import BLOB_LIST, Notice, connect, count_rows
from deploy.backup.site import APART, Site
from deploy.backup.verify import Backup, verify
from deploy.embedded.errors import NodeError
from deploy.embedded.home import Home
from deploy.embedded.postgres import PrivatePostgres
from deploy.embedded.postgres.seat import lock_folder
from shared.blobs import FolderBlobStore
from shared.clock import SystemClock
from shared.database import Database, upgrade
from shared.durable import replace_private

_MAX_PACKET_BYTES: Final = 1 << 50
_SAY_EVERY: Final = 1_000
_OWN: Final = frozenset({"keys", "lost+found"})
"""What may lie in an empty home: the secrets that were brought there, and what file systems make."""

_FIRST_ROWS: Final = {
    "signing": "issued_certificates",
    "registry": "systems",
    "routing": "documents",
    "delivery": "notifications",
    "audit": "leaves",
}
"""Tables that get rows once a node is used."""

_EMPTY_SCHEMA: Final = """
DO $$ DECLARE one record; BEGIN
    FOR one IN SELECT c.oid::regclass AS name FROM pg_class c
        WHERE c.relnamespace = '{schema}'::regnamespace AND c.relkind IN ('r', 'p') LOOP
        EXECUTE format('DROP TABLE IF EXISTS %s CASCADE', one.name);
    END LOOP;
    FOR one IN SELECT p.oid::regprocedure AS name FROM pg_proc p
        WHERE p.pronamespace = '{schema}'::regnamespace LOOP
        EXECUTE format('DROP ROUTINE IF EXISTS %s CASCADE', one.name);
    END LOOP;
    FOR one IN SELECT c.oid::regclass AS name FROM pg_class c
        WHERE c.relnamespace = '{schema}'::regnamespace AND c.relkind = 'S' LOOP
        EXECUTE format('DROP SEQUENCE IF EXISTS %s CASCADE', one.name);
    END LOOP;
    FOR one IN SELECT t.oid::regtype AS name FROM pg_type t
        WHERE t.typnamespace = '{schema}'::regnamespace AND t.typtype IN ('e', 'd') LOOP
        EXECUTE format('DROP TYPE IF EXISTS %s CASCADE', one.name);
    END LOOP;
END $$
"""


async def restore_embedded(
    source: Path, home: Home, *, secrets: Path | None, force: bool, notice: Notice
) -> tuple[Manifest, Path | None]:
    """
    Make a node's folder from a backup.

    Args:
        source: The backup.
        home: The folder; empty but for `keys/`.
        secrets: Folder with the secrets that are in no backup; None finds them in the home's own `keys`.
        force: Set a home that is not empty aside first.
        notice: Told how far it is.

    Returns:
        What was restored, and where the former home lies now, if there was one.

    Raises:
        NodeError: The backup is damaged or newer, the secrets are others, or the home is not empty or in use.
    """
    backup = await asyncio.to_thread(verify, source, notice)
    if "node.json" not in backup.manifest.files:
        raise NodeError(
            "Bản sao lưu này của hệ thống nhiều tiến trình. / This backup is of a node in several processes.",
            remedy="Dùng / use: axis restore --distributed",
        )
    known = _read_secrets(secrets or home.keys)
    _check_secrets(backup.manifest, known)
    _check_unused(home)
    strangers = [one.name for one in home.root.iterdir() if one.name not in _OWN] if home.root.exists() else []
    if strangers and not force:
        raise NodeError(
            f"{home.root} không trống: {', '.join(sorted(strangers)[:5])}. / It is not empty.",
            remedy="Chọn thư mục trống, hoặc thêm --force để dời nội dung cũ sang bên. / "
            "Choose an empty folder, or set what is there aside with --force.",
        )
    aside = _set_aside(home.root) if strangers else None
    # Written in this order, `node.json` last: a folder without it is no node's, so one cut short cannot be started.
    home.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    home.keys.mkdir(mode=0o700, exist_ok=True)
    for name, secret in known.items():
        replace_private(home.secret_file(name), secret + b"\n")
    async with PrivatePostgres(home.postgres) as postgres:
        await postgres.create_roles_and_schemas(backup.manifest.schemas)
        databases = {service: make_url(postgres.dsn(service)) for service in backup.manifest.schemas}
        small = await _restore(backup, databases, home.blobs, notice)
    replace_private(home.key_file, small["keys/keystore.json"])
    replace_private(home.config_file, small["node.json"])
    return backup.manifest, aside


async def restore_distributed(source: Path, site: Site, *, force: bool, notice: Notice) -> Manifest:
    """
    Fill an empty database and folder of packets, found by the settings of the processes, which must not run.

    Args:
        source: The backup.
        site: Where the parts go.
        force: Empty the schemas first; take the place of another key file.
        notice: Told how far it is.

    Raises:
        NodeError: The backup is damaged or newer, the settings are another node's, or something is there already.
    """
    backup = await asyncio.to_thread(verify, source, notice)
    manifest = backup.manifest
    _check_secrets(manifest, site.secrets)
    for what, ours, theirs in (
        ("node_id", site.node_id, manifest.node_id),
        ("public_url", site.public_url, manifest.public_url),
    ):
        if ours != theirs:
            raise NodeError(
                f"Bản sao lưu của nút khác: {what} {theirs}, cấu hình ghi {ours}. / It is another node's backup.",
                remedy="Sửa cấu hình cho khớp; biên nhận cũ nêu tên và địa chỉ cũ. / "
                "Mend the settings; receipts name the old ones.",
            )
    for service, url in site.databases.items():
        await _check_empty(service, url, force=force)
    if site.key_file.exists() and not force:
        raise NodeError(
            f"{site.key_file} đã có. / There is a key file already.",
            remedy="Dời nó đi, hoặc thêm --force. / Move it away, or add --force.",
        )
    for service, url in site.databases.items():
        await _empty(service, url)
    small = await _restore(backup, site.databases, site.blobs, notice)
    if site.key_file.exists():
        site.key_file.replace(site.key_file.with_name(f"{site.key_file.name}.{_stamp()}"))
    site.key_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_private(site.key_file, small["keys/keystore.json"])
    return manifest


async def _restore(backup: Backup, databases: Mapping[str, URL], blobs: Path, notice: Notice) -> dict[str, bytes]:
    """Restore what is big; give back the small files, which the caller writes where they belong."""
    manifest = backup.manifest
    connection = await connect(databases["routing"])
    try:
        server = connection.get_server_version().major
    finally:
        await connection.close()
    programs = await asyncio.to_thread(programs_for_restoring, server, manifest.programs)
    store = FolderBlobStore(blobs, SystemClock())
    await store.start()
    small: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory(prefix=".axis-restore-", dir=blobs.parent) as workshop:
        count = 0
        for name, stream in backup.members():
            folder, _, rest = name.partition("/")
            if folder == "blobs":
                await _restore_packet(store, rest.rpartition("/")[2], stream)
                count += 1
                if count % _SAY_EVERY == 0:
                    notice(f"Gói tin: {count} …", f"packets: {count} of {manifest.packets.count}")
            elif folder == "database":
                service = rest.removesuffix(".dump")
                notice(f"Cơ sở dữ liệu: {service} …", f"database: {service}")
                dump = Path(workshop) / rest
                with dump.open("wb") as file:
                    await asyncio.to_thread(shutil.copyfileobj, stream, file, CHUNK_BYTES)
                # Only what is in the schema: the schema itself is there, and its owner may not make one.
                options = ("--exit-on-error", "--single-transaction", "--no-owner", "--no-privileges", "--no-password")
                where = ("--schema", service, "--dbname", databases[service].database or "")
                await programs.run("pg_restore", *options, *where, str(dump), database=databases[service])
                dump.unlink()
            elif name in manifest.files and name != BLOB_LIST:
                small[name] = stream.read()
    for service, url in databases.items():
        await _complete(service, url, manifest)
    return small


async def _restore_packet(store: FolderBlobStore, digest: str, stream: BinaryIO) -> None:
    async with store.writer(_MAX_PACKET_BYTES) as writer:
        while chunk := await asyncio.to_thread(stream.read, CHUNK_BYTES):
            await writer.write(chunk)
        if (await writer.commit()).sha256 != digest:
            raise NodeError(
                f"Gói tin {digest} đã đổi trong khi khôi phục. / A packet changed while it was restored.",
                remedy="Kiểm tra đĩa chứa bản sao lưu rồi làm lại. / Look at the disk of the backup, then do it again.",
            )


async def _complete(service: str, url: URL, manifest: Manifest) -> None:
    """
    Compare what arrived, have sent events sent again, and bring the schema to this release.

    What was on the bus when the snapshot was taken is on no bus now. Sent events are kept for a day, and whoever has
    consumed one knows it by its identity, so all of them go out once more.
    """
    connection = await connect(url)
    try:
        rows = await count_rows(connection, service)
        if rows != manifest.schemas[service].rows:
            raise NodeError(
                f"Số dòng của {service} không khớp bản sao lưu. / The rows of {service} are not those of the backup.",
                remedy="Làm lại vào chỗ trống. / Do it again, into an empty place.",
            )
        await connection.execute(
            f"UPDATE {service}.outbox SET sent_at = NULL, due_at = now(), attempts = 0 WHERE sent_at IS NOT NULL"  # noqa: S608
        )
        await connection.execute("ANALYZE")
    finally:
        await connection.close()
    database = Database(url.render_as_string(hide_password=False), service=service, pool_size=1)
    try:
        await upgrade(database.engine, service)
    finally:
        await database.close()


def _read_secrets(folder: Path) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for name in APART:
        try:
            found[name] = (folder / name).read_bytes().strip()
        except OSError as error:
            raise NodeError(
                f"Không đọc được {folder / name}: {error.strerror}. / The secret {name} cannot be read.",
                remedy=f"Đặt {', '.join(APART)} (giữ riêng, ngoài bản sao lưu) vào thư mục keys, hoặc chỉ ra bằng "
                "--secrets. / Put them, which are kept apart from every backup, into keys/, or name their folder with "
                "--secrets.",
            ) from error
    return found


def _check_secrets(manifest: Manifest, secrets: Mapping[str, bytes]) -> None:
    others = [name for name in APART if not fits(secrets[name], manifest.secrets[name])]
    if others:
        raise NodeError(
            f"Không phải bí mật của bản sao lưu này: {', '.join(others)}. / These secrets are not this backup's.",
            remedy="Dùng các bí mật của chính nút đó. / Bring the secrets of that very node.",
        )


def _check_unused(home: Home) -> None:
    if home.postgres.is_dir():
        lock_folder(home.postgres).close()


def _set_aside(root: Path) -> Path:
    aside = root.with_name(f"{root.name}.{_stamp()}")
    try:
        root.rename(aside)
    except OSError as error:
        raise NodeError(
            f"Không dời được {root} sang bên: {error.strerror}. / It cannot be set aside.",
            remedy="Chọn thư mục khác, hoặc tự dời nội dung cũ. / Choose another folder, or move what is there.",
        ) from error
    return aside


async def _check_empty(service: str, url: URL, *, force: bool) -> None:
    connection = await connect(url)
    try:
        others = await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = current_user"
            " AND pid <> pg_backend_pid()"
        )
        used = await _is_used(connection, service)
        schema = await connection.fetchval("SELECT count(*) FROM pg_namespace WHERE nspname = $1", service)
    finally:
        await connection.close()
    if not schema:
        raise NodeError(
            f"Cơ sở dữ liệu không có lược đồ {service}. / The database has no schema {service}.",
            remedy="Tạo vai trò và lược đồ như khi cài đặt. / Make roles and schemas as for an installation.",
        )
    if others:
        raise NodeError(
            f"{service} đang chạy: {others} kết nối. / {service} is running: {others} connections.",
            remedy="Dừng mọi tiến trình trước. / Stop every process first.",
        )
    if used and not force:
        raise NodeError(
            f"Lược đồ {service} không trống. / The schema {service} is not empty.",
            remedy="Dùng cơ sở dữ liệu trống, hoặc thêm --force để xóa các bảng cũ. / "
            "Use an empty database, or have the old tables dropped with --force.",
        )


async def _is_used(connection: asyncpg.Connection, service: str) -> bool:
    """Tell whether a schema holds more than what `axis db upgrade` makes."""
    table = _FIRST_ROWS[service]
    if await connection.fetchval("SELECT to_regclass($1)", f"{service}.{table}") is None:
        return False
    found: bool = await connection.fetchval(f"SELECT EXISTS (SELECT FROM {service}.{table})")  # noqa: S608 - ours
    return found


async def _empty(service: str, url: URL) -> None:
    connection = await connect(url)
    try:
        await connection.execute(_EMPTY_SCHEMA.format(schema=service))
    finally:
        await connection.close()


def _stamp() -> str:
    return datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
