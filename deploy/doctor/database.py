"""The database: can each service work with it, is it this release's and this node's, and does anything stand still."""

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

import asyncpg
from alembic.util import CommandError

from deploy.distributed.database import Identity, connect
from deploy.doctor.finding import Finding, bad, good, sample
from deploy.doctor.machine import CERTIFICATE_WARNING
from deploy.doctor.subject import Subject
from deploy.embedded.errors import NodeError
from shared.blobs import FolderBlobStore
from shared.clock import Clock, SystemClock
from shared.database import Database, MigrationMismatch, check_migrations
from shared.database.migrations import VERSION_TABLE, scripts_of

CLOCK_TOLERANCE: Final = timedelta(seconds=5)
OUTBOX_WARNING: Final = timedelta(minutes=2)
PAUSE_WARNING: Final = timedelta(hours=4)
SAMPLE: Final = 200
"""Packets looked for on the disk, from a random place on."""


async def look_at_database(subject: Subject, clock: Clock) -> AsyncIterator[Finding]:
    """
    Look at every service's schema.
    """
    reached = False
    for service, url in subject.databases.items():
        try:
            connection = await connect(url, service)
        except NodeError as error:
            yield _refused(service, error)
            continue
        try:
            if not reached:
                reached = True
                yield await _clock(connection, clock)
            migrated = await _migration(connection, service, url)
            yield migrated
            if migrated.ok:
                async for finding in _look_inside(connection, service, subject, clock.now()):
                    yield finding
        except (asyncpg.PostgresError, OSError) as error:
            yield bad(
                "database",
                (f"{service}: cơ sở dữ liệu báo lỗi", f"the database fails: {error}"),
                ("Xem nhật ký của PostgreSQL.", "Read the log of PostgreSQL."),
            )
        finally:
            await connection.close()


def _refused(service: str, error: NodeError) -> Finding:
    variable = f"{service.upper()}_DATABASE_URL"
    cause = error.__cause__
    if isinstance(cause, asyncpg.InvalidPasswordError | asyncpg.InvalidAuthorizationSpecificationError):
        vi = (f"cơ sở dữ liệu từ chối tên hoặc mật khẩu của {service}", f"Sửa {variable}; `axis db upgrade` đặt lại.")
        return bad("database-credentials", (vi[0], error.problem), (vi[1], error.remedy))
    if isinstance(cause, asyncpg.InvalidCatalogNameError):
        vi = ("máy chủ không có cơ sở dữ liệu này", "Tạo bằng `axis db upgrade`.")
    elif isinstance(cause, asyncpg.TooManyConnectionsError):
        vi = ("cơ sở dữ liệu hết kết nối", "Tăng max_connections của PostgreSQL.")
    else:
        vi = (
            f"{service} không tới được cơ sở dữ liệu",
            f"Khởi động PostgreSQL, hoặc sửa máy chủ, cổng trong {variable}.",
        )
    return bad("database", (vi[0], error.problem), (vi[1], error.remedy))


async def _clock(connection: asyncpg.Connection, clock: Clock) -> Finding:
    before = clock.now()
    theirs: datetime = await connection.fetchval("SELECT clock_timestamp()")
    return clock_finding("cơ sở dữ liệu", "the database", theirs, before, clock.now())


def clock_finding(vi: str, en: str, theirs: datetime, before: datetime, after: datetime) -> Finding:
    """
    Compare another clock, read between two moments of ours.
    """
    off = max(before - theirs, theirs - after, timedelta(0))
    seconds = f"{off.total_seconds():.0f}"
    if off <= CLOCK_TOLERANCE:
        return good("clock", f"đồng hồ khớp với {vi}", f"this clock and that of {en} agree")
    return bad(
        "clock",
        (f"đồng hồ máy này lệch {seconds} giây so với {vi}", f"this clock and that of {en} are {seconds} s apart"),
        _SYNCHRONISE,
    )


_SYNCHRONISE: Final = (
    "Đồng bộ đồng hồ cả hai máy: systemctl enable --now systemd-timesyncd (hoặc chrony).",
    "Synchronise both clocks: systemctl enable --now systemd-timesyncd (or chrony).",
)


async def _migration(connection: asyncpg.Connection, service: str, url: str) -> Finding:
    scripts = scripts_of(service)
    head = scripts.get_current_head()
    try:
        found = await connection.fetchval(f"SELECT version_num FROM {service}.{VERSION_TABLE}")  # noqa: S608 - ours
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError, asyncpg.InsufficientPrivilegeError):
        found = None
    if found == head:
        return good("migration", f"lược đồ {service} đúng bản ({head})", "the schema is this release's")
    upgrade = ("Nâng lên: `axis db upgrade`.", "Bring it to this release: `axis db upgrade`.")
    if found is None:
        return bad("migration", (f"chưa có lược đồ {service}", "there is no such schema yet"), upgrade)
    try:
        scripts.get_revision(found)
    except CommandError:
        # While one release takes over from another the older one goes on, where the newer schema lets it.
        if await _suits(service, url):
            return good("migration", f"lược đồ {service} mới hơn ({found}) nhưng dùng được", "newer, and usable")
        return bad(
            "migration",
            (
                f"lược đồ {service} ở bản {found}, mới hơn phần mềm này ({head})",
                "the schema is newer than this software",
            ),
            (
                "Cài bản axis mới hơn; không thể quay lại, trừ khi khôi phục từ bản sao lưu.",
                "Install the newer release; there is no way back but a backup.",
            ),
        )
    return bad(
        "migration",
        (f"lược đồ {service} ở bản cũ {found}, cần {head}", "the schema is of an older release"),
        upgrade,
    )


async def _suits(service: str, url: str) -> bool:
    database = Database(url, service=service, pool_size=1)
    try:
        await check_migrations(database.engine, service)
    except MigrationMismatch:
        return False
    finally:
        await database.close()
    return True


async def _look_inside(
    connection: asyncpg.Connection, service: str, subject: Subject, now: datetime
) -> AsyncIterator[Finding]:
    yield await _outbox(connection, service, now, is_stopped=subject.is_stopped)
    match service:
        case "routing":
            async for finding in _owner(connection, subject):
                yield finding
            yield await _pauses(connection, now)
            if subject.blobs is not None:
                yield await _packets(connection, subject.blobs)
        case "registry":
            yield await _seals(connection, now)


async def _outbox(connection: asyncpg.Connection, service: str, now: datetime, *, is_stopped: bool) -> Finding:
    newest, oldest, count = await connection.fetchrow(
        "SELECT (SELECT created_at FROM outbox ORDER BY seq DESC LIMIT 1), min(created_at), count(*)"
        " FROM outbox WHERE sent_at IS NULL"
    )
    if newest is not None and newest - now > CLOCK_TOLERANCE:
        off = f"{(newest - now).total_seconds():.0f}"
        return bad(
            "clock",
            (f"{service} đã lưu sự kiện của {off} giây sau này", f"{service} has stored events of {off} s from now"),
            _SYNCHRONISE,
        )
    if oldest is not None and not is_stopped and now - oldest > OUTBOX_WARNING:
        minutes = f"{(now - oldest) / timedelta(minutes=1):.0f}"
        return bad(
            "outbox",
            (
                f"hộp gửi của {service} không vơi: {count} sự kiện, cũ nhất {minutes} phút",
                f"its outbox does not drain: {count} events, the oldest of {minutes} minutes",
            ),
            (
                f"Xem {service} có chạy và nối được tới RabbitMQ không (`axis queues`, nhật ký); sự kiện không mất.",
                f"See whether {service} runs and reaches the broker (`axis queues`, the log); no event is lost.",
            ),
        )
    return good("outbox", f"hộp gửi của {service} vơi đều", "its outbox drains")


async def _owner(connection: asyncpg.Connection, subject: Subject) -> AsyncIterator[Finding]:
    identity = await read_owner(connection)
    node_ids = set(subject.node_id.values())
    if identity is not None and identity.node_id not in node_ids:
        yield bad(
            "identity",
            (
                f"cơ sở dữ liệu là của nút {identity.node_id}, cấu hình ghi {', '.join(sorted(node_ids))}",
                "the database belongs to another node than the settings name",
            ),
            (
                "Sửa …_NODE_ID, hoặc dùng cơ sở dữ liệu khác: hai nút không chung một cơ sở dữ liệu.",
                "Mend …_NODE_ID, or name another database: two nodes never share one.",
            ),
        )


async def read_owner(connection: asyncpg.Connection) -> Identity | None:
    """
    Read whose database it is; None where nobody has claimed it, as in an embedded node.
    """
    try:
        row = await connection.fetchrow("SELECT node_id, installation FROM public.node")
    except (asyncpg.UndefinedTableError, asyncpg.InsufficientPrivilegeError):
        return None
    return None if row is None else Identity(row["node_id"], UUID(str(row["installation"])))


async def _pauses(connection: asyncpg.Connection, now: datetime) -> Finding:
    rows = await connection.fetch(
        "SELECT 'làn / lane ' || lane AS what, reason FROM lane_controls"
        " WHERE paused_at < $1 AND (paused_until IS NULL OR paused_until > $2) ORDER BY 1",
        now - PAUSE_WARNING,
        now,
    )
    if rows:
        return bad(
            "paused",
            (
                f"tạm dừng đã lâu: {sample([f'{row[0]} ({row[1]})' for row in rows])}",
                "paused for long; what is accepted waits there",
            ),
            ("Mở lại: `axis queues resume LÀN`, hoặc đặt --until.", "Resume it, or pause it with --until."),
        )
    return good("paused", "không làn nào bị dừng lâu", "no lane is paused for long")


async def _packets(connection: asyncpg.Connection, blobs: Path) -> Finding:
    rows = await connection.fetch(
        "(SELECT packet_sha256, packet_bytes FROM documents WHERE packet_sha256 >= $1"
        " ORDER BY packet_sha256 LIMIT $2) UNION ALL"
        " (SELECT packet_sha256, packet_bytes FROM documents ORDER BY packet_sha256 LIMIT $2) LIMIT $2",
        os.urandom(32).hex(),
        SAMPLE,
    )
    store = FolderBlobStore(blobs, SystemClock())

    def wrong() -> list[str]:
        found = []
        for digest, size in rows:
            place = store.path(digest)
            aside = blobs / "trash" / digest
            if not any(one.exists() and one.stat().st_size == size for one in (place, aside)):
                found.append(digest)
        return found

    gone = sorted(set(await asyncio.to_thread(wrong)))
    if gone:
        return bad(
            "packets",
            (
                f"gói tin của văn bản đã nhận không còn nguyên trong {blobs}: {sample(gone)}",
                "packets of accepted documents are missing or cut short",
            ),
            (
                "Kiểm tra đúng thư mục (AXIS_BLOB_FOLDER) và ổ đĩa đã gắn; chép lại từ bản sao lưu, mục blobs/.",
                "Check the folder (AXIS_BLOB_FOLDER) and that its disk is mounted; copy them from a backup, blobs/.",
            ),
        )
    return good("packets", f"{len(rows)} gói tin lấy mẫu đều có", "every packet of a sample is there")


async def _seals(connection: asyncpg.Connection, now: datetime) -> Finding:
    rows = await connection.fetch(
        "SELECT c.system_id, c.purpose, max(c.valid_to) FROM certificates c JOIN systems s ON s.id = c.system_id"
        " WHERE c.revoked_at IS NULL AND s.status = 'active' GROUP BY 1, 2"
        " HAVING max(c.valid_to) BETWEEN $1 AND $2 ORDER BY 3",
        now - CERTIFICATE_WARNING,
        now + CERTIFICATE_WARNING,
    )
    if rows:
        names = [f"{system} ({purpose}, {moment:%d/%m/%Y})" for system, purpose, moment in rows]
        return bad(
            "system-certificate",
            (f"chứng thư của hệ thống sắp hết hạn: {sample(names)}", "certificates bound to systems are about to end"),
            (
                "Báo cơ quan; cấp lại bằng `axis systems rotate MÃ --out TỆP-MỚI`.",
                "Tell the agency; issue new ones with `axis systems rotate ID --out NEW-FILE`.",
            ),
        )
    return good("system-certificate", "chứng thư của các hệ thống còn hạn", "certificates of systems last")
