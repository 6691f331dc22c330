"""The machine: programs, room on every disk that is written to, and the files that hold secrets."""

import os
import stat
import sys
import warnings
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509

from deploy.doctor.finding import Finding, bad, good
from deploy.doctor.subject import Subject
from deploy.embedded.errors import NodeError
from deploy.embedded.postgres.account import server_account
from deploy.embedded.postgres.binaries import find_binaries
from services.signing.domain.keys import Role
from services.signing.errors import KeyStoreUnusable
from services.signing.repository.key_file import open_key_file

MIN_FREE_BYTES: Final = 1 << 30
"""At least; twice the gateway's watermark where that is more, so that this is said before intake stops."""

MIN_FREE_FILES: Final = 10_000
CERTIFICATE_WARNING: Final = timedelta(days=30)


def look_at_machine(subject: Subject, *, watermark: int) -> Iterator[Finding]:
    """
    Look at programs and disks.
    """
    version = ".".join(str(part) for part in sys.version_info[:3])
    yield good("python", f"Python {version}", "the interpreter")
    if subject.is_private:
        try:
            find_binaries(None, server_account())
            yield good("postgresql", "có đủ chương trình PostgreSQL", "the programs of PostgreSQL are there")
        except NodeError as error:
            yield bad(
                "postgresql",
                ("thiếu chương trình PostgreSQL", error.problem),
                ("Cài lại các gói của phần mềm.", error.remedy),
            )
    for (vi, en), folder in subject.writers.items():
        yield from _disk(vi, en, folder, max(MIN_FREE_BYTES, 2 * watermark))


def _disk(vi: str, en: str, folder: Path, least: int) -> Iterator[Finding]:
    place = folder
    while not place.exists():
        place = place.parent  # made at the first start
    room = os.statvfs(place)
    free, files = room.f_bavail * room.f_frsize, room.f_favail
    # Some file systems count no files and say 0 of 0.
    few = room.f_files > 0 and files < MIN_FREE_FILES
    gib = free / (1 << 30)
    if free < least or few:
        left = f"{gib:.2f} GiB" if not few else f"{files} inode"
        yield bad(
            "disk",
            (f"đĩa chứa {vi} ({folder}) sắp đầy: còn {left}", f"the disk of the {en} is nearly full: {left} left"),
            (
                "Thêm chỗ trống hoặc chuyển sang đĩa lớn hơn; dưới ngưỡng nút ngừng nhận văn bản (503) nhưng vẫn phát.",
                "Make room or take a bigger disk; below the watermark intake stops (503) and draining goes on.",
            ),
        )
    else:
        yield good("disk", f"còn {gib:.1f} GiB cho {vi}", f"{gib:.1f} GiB are free for the {en}")
    if not os.access(place, os.W_OK):
        yield bad(
            "disk",
            (f"không ghi được vào {place}", f"{place} cannot be written to"),
            ("Chạy bằng tài khoản chủ thư mục.", "Run as the owner of the folder."),
        )


def look_at_secrets(subject: Subject, now: datetime) -> Iterator[Finding]:
    """
    Look at the files that nobody else may read, and open the key store.
    """
    for path in subject.secret_files:
        if not path.exists():
            if path == subject.key_file:
                yield good("secrets", f"{path} chưa có: tạo lúc khởi động đầu", "it is made at the first start")
                continue
            yield bad(
                "secrets",
                (f"không có {path}", "it does not exist"),
                (
                    "Chép lại thư mục keys từ bản giữ riêng (không có trong bản sao lưu).",
                    "Bring the keys folder back from where it is kept apart; it is in no backup.",
                ),
            )
        elif _is_open(path.stat()):
            yield bad(
                "secrets", (f"{path} người khác đọc được", "it is readable by others"), (f"chmod 600 {path}",) * 2
            )
        elif not os.access(path, os.R_OK):
            yield bad(
                "secrets",
                (f"không đọc được {path}", "it cannot be read by this account"),
                ("Giao tệp cho tài khoản chạy nút: chown.", "Give it to the account that runs the node: chown."),
            )
        else:
            yield good("secrets", f"chỉ chủ đọc được {path}", "readable by its owner alone")
    if subject.key_file is not None and subject.passphrase_file is not None and subject.key_file.exists():
        yield from _key_store(subject.key_file, subject.passphrase_file, now)


def _is_open(status: os.stat_result) -> bool:
    # An orchestrator mounts secrets as root's, readable by the group of the one account they are for.
    handed_to_us = status.st_uid == 0 != os.geteuid()
    return bool(stat.S_IMODE(status.st_mode) & (0o037 if handed_to_us else 0o077))


def _key_store(key_file: Path, passphrase_file: Path, now: datetime) -> Iterator[Finding]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            keys = open_key_file(key_file, passphrase_file, production=False)
    except KeyStoreUnusable as error:
        yield bad(
            "keys",
            (f"không mở được kho khóa {key_file}", f"the key store cannot be opened: {error}"),
            (
                f"Kiểm tra quyền (chmod 600) và mật khẩu trong {passphrase_file}; tệp hỏng: lấy lại từ bản sao lưu.",
                "Check rights (chmod 600) and that the passphrase is this file's; a damaged file is in your backup.",
            ),
        )
        return
    yield good("keys", "kho khóa mở được", "the key store opens")
    for role in (Role.AUTHORITY, Role.EVIDENCE):
        newest = keys.active(role)[0].certificate
        if newest is not None:
            yield certificate_finding(
                "node-certificate",
                newest,
                now,
                (
                    "Gia hạn trước ngày đó: `axis keys rotate evidence`; chứng thư gốc phải lập lại cùng các cơ quan.",
                    "Renew it before: `axis keys rotate evidence`; a root must be made anew with all agencies.",
                ),
            )


def look_at_files_of_certificates(subject: Subject, now: datetime) -> Iterator[Finding]:
    """
    Look at the proxy's certificate, where it lies on this machine.
    """
    for path in subject.certificates:
        try:
            certificates = x509.load_pem_x509_certificates(path.read_bytes())
        except (OSError, ValueError) as error:
            yield bad(
                "proxy-certificate",
                (f"không đọc được chứng thư {path}", f"the certificate cannot be read: {error}"),
                ("Sửa PROXY_CERTIFICATE_FILE.", "Mend PROXY_CERTIFICATE_FILE."),
            )
            continue
        for certificate in certificates:
            yield certificate_finding("proxy-certificate", certificate, now, PROXY_REMEDY)


PROXY_REMEDY: Final = (
    "Thay chứng thư của proxy trước ngày đó; proxy tự nhận tệp mới.",
    "Replace the proxy's certificate before that day; the proxy takes a new file up by itself.",
)


def certificate_finding(check: str, certificate: x509.Certificate, now: datetime, remedy: tuple[str, str]) -> Finding:
    """
    Judge how long a certificate lasts.
    """
    left = certificate.not_valid_after_utc - now
    name, days = certificate.subject.rfc4514_string(), left.days
    if certificate.not_valid_before_utc > now:
        return bad(check, (f"chứng thư {name} chưa có hiệu lực", "it is not valid yet"), remedy)
    if left <= CERTIFICATE_WARNING:
        return bad(
            check,
            (f"chứng thư {name} hết hạn sau {max(days, 0)} ngày", f"the certificate ends in {max(days, 0)} days"),
            remedy,
        )
    return good(check, f"chứng thư {name} còn {days} ngày", f"the certificate lasts {days} days")
