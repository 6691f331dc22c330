"""
The steps on the disk, each safe to be cut short by a crash. They block: call them in a thread.
"""

import errno
import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from shared.blobs.errors import StorageLow
from shared.durable import sync_folder
from shared.errors import Unavailable

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@contextmanager
def storage_errors() -> Iterator[None]:
    """
    Turn what the disk says into what a caller can act on.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageLow("The disk that holds the packets is full.", retry_after=60) from error
        raise Unavailable(f"The packets' storage cannot be used: {error.strerror}.") from error


def make_folder(folder: Path) -> None:
    """
    Make a folder, durable in its parent.
    """
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    sync_folder(folder.parent)


def write_all(descriptor: int, chunks: list[bytes]) -> None:
    """
    Write every byte.
    """
    for chunk in chunks:
        rest = memoryview(chunk)
        while rest:
            rest = rest[os.write(descriptor, rest) :]


def open_unfinished(folder: Path) -> tuple[int, Path]:
    """
    Open a new file that is locked as long as its writer lives, so that a sweep can tell it from a leftover.
    """
    while True:
        place = folder / secrets.token_hex(16)
        descriptor = os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        # A sweep may have seen the file before it was locked: then it is gone, or about to be, and we take another.
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_nlink:
                return descriptor, place
        os.close(descriptor)


def sweep_unfinished(folder: Path) -> None:
    """
    Remove the files whose writers have died.
    """
    for place in folder.iterdir():
        with suppress(FileNotFoundError, BlockingIOError):
            descriptor = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                place.unlink()
            finally:
                os.close(descriptor)


def touch(place: Path, moment: datetime) -> bool:
    """
    Give a file the time of a moment; false when it is not there.
    """
    # In whole numbers: the float of a moment is not always the moment again.
    nanoseconds = (moment - _EPOCH) // _MICROSECOND * 1000
    try:
        os.utime(place, ns=(nanoseconds, nanoseconds))
    except FileNotFoundError:
        return False
    return True


def look_up(place: Path) -> tuple[int, datetime] | None:
    """
    Size and time of a file; None when it is not there.
    """
    try:
        status = place.stat()
    except FileNotFoundError:
        return None
    return status.st_size, _EPOCH + status.st_mtime_ns // 1000 * _MICROSECOND


def move(place: Path, target: Path) -> bool:
    """
    Give a file another name; false when it is not there.
    """
    try:
        place.replace(target)
    except FileNotFoundError:
        return False
    return True
