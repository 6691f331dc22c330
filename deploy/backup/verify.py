"""Reading a backup whole before anything is touched: every byte, every digest, every name."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from alembic.util import CommandError
from pydantic import ValidationError

from deploy.backup.archive import CHUNK_BYTES, Hashing, read_backup
from deploy.backup.manifest import Manifest
from deploy.backup.save import BLOB_LIST, Notice
from deploy.embedded.errors import NodeError
from shared.database.migrations import scripts_of

MANIFEST: Final = "manifest.json"
_MAX_MANIFEST_BYTES: Final = 16 << 20
_PACKET: Final = re.compile(r"blobs/([0-9a-f]{2})/([0-9a-f]{2})/(\1\2[0-9a-f]{60})")
_SAY_EVERY: Final = 1_000


@dataclass(frozen=True)
class Backup:
    """
    A backup that was read to its end and found whole.
    """

    source: Path
    manifest: Manifest

    def members(self) -> Iterator[tuple[str, BinaryIO]]:
        """
        Go through its members again.
        """
        return read_backup(self.source)


def verify(source: Path, notice: Notice) -> Backup:
    """
    Read a backup to its end.

    Raises:
        NodeError: It is unfinished, damaged, of another format, or made by a newer release.
    """
    seen = _Seen()
    written = b""
    for name, stream in read_backup(source):
        if name == MANIFEST:
            written = stream.read(_MAX_MANIFEST_BYTES)
        elif not seen.take(name, stream):
            raise _damaged(source, name)
        elif seen.count and seen.count % _SAY_EVERY == 0:
            notice(f"Kiểm tra: {seen.count} gói tin …", f"verifying: {seen.size_bytes / (1 << 20):.0f} MiB")
    manifest = _read_manifest(source, written)
    if seen.files != {name: (member.sha256, member.size_bytes) for name, member in manifest.files.items()}:
        expected = {(name, member.sha256, member.size_bytes) for name, member in manifest.files.items()}
        others = expected ^ {(name, *rest) for name, rest in seen.files.items()}
        raise _damaged(source, min(name for name, *_ in others))
    # The list and the packets are in one order, so that one digest compares them however many there are.
    if seen.packets.digest() != _listed(source, frozenset(manifest.packets.missing)):
        raise _damaged(source, BLOB_LIST)
    _refuse_newer(manifest)
    return Backup(source, manifest)


class _Seen:
    """What a reading has come across."""

    def __init__(self) -> None:
        self.files: dict[str, tuple[str, int]] = {}
        self.packets = hashlib.sha256()
        self.count = 0
        self.size_bytes = 0

    def take(self, name: str, stream: BinaryIO) -> bool:
        """Read a member to its end; false when it is a packet that is not what its name says."""
        reader = Hashing(stream)
        while reader.read(CHUNK_BYTES):
            pass
        packet = _PACKET.fullmatch(name)
        if packet is None:
            self.files[name] = (reader.sha256, reader.size_bytes)
            return True
        self.count, self.size_bytes = self.count + 1, self.size_bytes + reader.size_bytes
        self.packets.update(f"{reader.sha256} {reader.size_bytes}\n".encode())
        return packet[3] == reader.sha256


def _listed(source: Path, missing: frozenset[str]) -> bytes:
    listed = hashlib.sha256()
    for name, stream in read_backup(source):
        if name == BLOB_LIST:
            for line in stream:
                if line.split()[0].decode("ascii") not in missing:
                    listed.update(line)
            break
    return listed.digest()


def _read_manifest(source: Path, written: bytes) -> Manifest:
    if not written:
        raise NodeError(
            f"{source} không có manifest.json: bản sao lưu dở dang hoặc không phải của axis. / "
            "It has no manifest.json: it is unfinished, or no backup.",
            remedy="Dùng bản khác. / Take another one.",
        )
    try:
        return Manifest.model_validate_json(written)
    except ValidationError as error:
        raise NodeError(
            f"manifest.json của {source} không đọc được. / Its manifest.json cannot be read.",
            remedy="Dùng bản axis đã tạo nó, hoặc bản mới hơn. / Use the release that made it, or a newer one.",
        ) from error


def _refuse_newer(manifest: Manifest) -> None:
    for service, schema in manifest.schemas.items():
        try:
            scripts_of(service).get_revision(schema.migration)
        except CommandError:
            raise NodeError(
                f"Bản sao lưu mới hơn phần mềm này: {service} ở {schema.migration} (axis {manifest.release}). / "
                "The backup is of a newer release than this software.",
                remedy=f"Cài axis {manifest.release} hoặc mới hơn rồi làm lại. / Install that release or a newer one.",
            ) from None


def _damaged(source: Path, name: str) -> NodeError:
    return NodeError(
        f"Bản sao lưu {source} bị hỏng ở {name}. / The backup is damaged there.",
        remedy="Chưa có gì bị thay đổi. Dùng bản khác. / Nothing was changed. Take another one.",
    )
