"""
The two shapes of a backup: a folder, or the same files in one tar archive.

Both are written beside their final place and renamed when complete, so that what has the name is whole.
"""

import hashlib
import os
import secrets
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final, Protocol, cast

from deploy.embedded.errors import NodeError
from shared.durable import sync_folder

TAR: Final = ".tar"
CHUNK_BYTES: Final = 1 << 20


class Damaged(Exception):
    """
    Bytes do not have the digest they should have.
    """


class Hashing:
    """
    Reads a stream and hashes what it has read.
    """

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._digest = hashlib.sha256()
        self.size_bytes = 0

    def read(self, size: int = CHUNK_BYTES) -> bytes:
        chunk = self._source.read(size)
        self._digest.update(chunk)
        self.size_bytes += len(chunk)
        return chunk

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


class Writer(Protocol):
    """
    Takes the members of a backup one after the other.

    Attributes:
        workshop: A folder for what must lie on disk before it can be added.
    """

    workshop: Path

    def add(self, name: str, source: BinaryIO, size_bytes: int, *, sha256: str | None = None) -> str:
        """
        Add a member.

        Args:
            name: Its name.
            source: Its bytes.
            size_bytes: How many are expected.
            sha256: Their digest, if it is known.

        Returns:
            Their digest.

        Raises:
            Damaged: There are fewer bytes, or others; nothing of them is kept.
        """
        ...

    def finish(self) -> None:
        """
        Make everything durable and give the backup its name.
        """

    def close(self) -> None:
        """
        Let go of what is open.
        """


@contextmanager
def new_backup(target: Path) -> Iterator[Writer]:
    """
    Begin a backup: one file if the name ends in `.tar`, else a folder. What is not finished leaves no trace.

    Raises:
        NodeError: Something of that name is there, or its folder cannot be written to.
    """
    target = target.absolute()
    if target.exists() and not (target.is_dir() and target.suffix != TAR and not any(target.iterdir())):
        raise NodeError(
            f"{target} đã có. / {target} exists already.",
            remedy="Chọn tên khác; bản sao lưu cũ không bị ghi đè. / Choose another name; no backup is overwritten.",
        )
    workshop = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        workshop.mkdir(mode=0o700, parents=True)
    except OSError as error:
        raise NodeError(
            f"Không ghi được vào {target.parent}: {error.strerror}. / {target.parent} cannot be written to.",
            remedy="Chọn nơi khác còn chỗ trống. / Choose another place, with room.",
        ) from error
    writer: Writer | None = None
    try:
        writer = _TarWriter(target, workshop) if target.suffix == TAR else _FolderWriter(target, workshop)
        yield writer
    finally:
        if writer is not None:
            writer.close()
        shutil.rmtree(workshop, ignore_errors=True)


class _FolderWriter:
    def __init__(self, target: Path, workshop: Path) -> None:
        self._target = target
        self._root = workshop / "backup"
        self._root.mkdir(mode=0o700)
        self.workshop = workshop

    def add(self, name: str, source: BinaryIO, size_bytes: int, *, sha256: str | None = None) -> str:
        place = self._root / name
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        hashing = Hashing(source)
        descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            while chunk := hashing.read():
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        if hashing.size_bytes != size_bytes or sha256 not in {None, hashing.sha256}:
            place.unlink()
            raise Damaged(name)
        return hashing.sha256

    def finish(self) -> None:
        for folder, _, _ in os.walk(self._root):
            sync_folder(Path(folder))
        self._root.replace(self._target)
        sync_folder(self._target.parent)

    def close(self) -> None:
        pass  # nothing stays open between two members


class _TarWriter:
    def __init__(self, target: Path, workshop: Path) -> None:
        self._target = target
        self._place = workshop / "backup.tar"
        descriptor = os.open(self._place, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = os.fdopen(descriptor, "w+b")
        self._tar = tarfile.open(mode="w", fileobj=self._file, format=tarfile.PAX_FORMAT)  # noqa: SIM115 - see finish
        self.workshop = workshop

    def add(self, name: str, source: BinaryIO, size_bytes: int, *, sha256: str | None = None) -> str:
        start = self._tar.offset
        info = tarfile.TarInfo(name)
        info.size, info.mode = size_bytes, 0o600
        hashing = Hashing(source)
        try:
            self._tar.addfile(info, cast("BinaryIO", hashing))
            whole = not source.read(1) and sha256 in {None, hashing.sha256}
        except OSError as error:
            if error.errno is not None:
                raise
            whole = False  # tarfile's own: the source ended early
        finally:
            # Kept by tarfile for whoever lists an archive; here it would grow with every packet.
            self._tar.members = []  # type: ignore[attr-defined]  # typeshed leaves it out
        if not whole:
            self._file.seek(start)
            self._file.truncate()
            self._tar.offset = start
            raise Damaged(name)
        return hashing.sha256

    def finish(self) -> None:
        self._tar.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._place.replace(self._target)
        sync_folder(self._target.parent)

    def close(self) -> None:
        # On a full disk the rest of an unfinished archive cannot be written, and is not wanted.
        with suppress(OSError):
            self._file.close()


def read_backup(source: Path) -> Iterator[tuple[str, BinaryIO]]:
    """
    Go through the members of a backup, each with its bytes; a stream is good until the next one is asked for.

    Raises:
        NodeError: There is no backup, or it cannot be read as one.
    """
    try:
        if source.is_dir():
            for place in sorted(source.rglob("*")):
                if place.is_file():
                    with place.open("rb") as file:
                        yield place.relative_to(source).as_posix(), file
            return
        with source.open("rb") as file, tarfile.open(fileobj=file, mode="r|") as tar:
            for info in tar:
                stream = tar.extractfile(info) if info.isfile() else None
                if stream is None:
                    raise NodeError(
                        f"{source} chứa mục lạ {info.name}. / {source} holds something strange: {info.name}.",
                        remedy="Đây không phải bản sao lưu của axis. / It is no backup made by axis.",
                    )
                yield info.name, cast("BinaryIO", stream)
                tar.members = []  # type: ignore[attr-defined]  # see above
    except (OSError, tarfile.TarError) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise NodeError(
            f"Không đọc được bản sao lưu {source}: {said}. / The backup {source} cannot be read.",
            remedy="Chỉ đúng tệp hoặc thư mục; nếu tệp hỏng, dùng bản khác. / Name the right one, or take another.",
        ) from error
