"""Files that are there whole or not at all."""

from collections.abc import Callable
from pathlib import Path

import pytest

from shared.durable import create_private, replace_private


@pytest.mark.parametrize("write", [create_private, replace_private])
def test_a_file_is_its_owners_only_and_nothing_else_is_left(
    write: Callable[[Path, bytes], None], tmp_path: Path
) -> None:
    write(tmp_path / "file", b"content")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"content")]
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600


def test_a_file_takes_the_place_of_another(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before")
    replace_private(path, b"after")
    assert path.read_bytes() == b"after"


def test_a_file_that_somebody_made_stays(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"theirs")
    with pytest.raises(FileExistsError):
        create_private(path, b"ours")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"theirs")]


def test_a_place_that_cannot_be_taken_leaves_nothing_beside_it(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(OSError, match="directory"):
        replace_private(tmp_path / "file", b"content")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
