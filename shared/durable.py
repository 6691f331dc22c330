"""Small files that are there whole or not at all, also after the power went, and that only their owner may read."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def replace_private(path: Path, content: bytes) -> None:
    """
    Write a file, in the place of one that may be there.

    Raises:
        OSError: It cannot be written; what was there is as it was.
    """
    with _written_beside(path, content) as whole:
        whole.replace(path)


def create_private(path: Path, content: bytes) -> None:
    """
    Write a file where there is none.

    Raises:
        FileExistsError: There is one, made by somebody else a moment ago perhaps; it is as it was.
        OSError: It cannot be written.
    """
    with _written_beside(path, content) as whole:
        path.hardlink_to(whole)  # unlike a renaming it never takes the place of another


def sync_folder(folder: Path) -> None:
    """
    Make the names in a folder durable.
    """
    if os.name != "posix":
        return  # a client's system may be another one, where folders cannot be opened
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _written_beside(path: Path, content: bytes) -> Iterator[Path]:
    # mkstemp makes the file 0600 from its first moment on.
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    whole = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield whole
        sync_folder(path.parent)
    finally:
        whole.unlink(missing_ok=True)
