from pathlib import Path

import pytest

from shared.client import key_to_pem
from shared.client.keys import keep_key


def test_a_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "seal.pem"

    made = keep_key(file)

    assert key_to_pem(keep_key(file)) == key_to_pem(made) == file.read_text()
    assert file.stat().st_mode & 0o077 == 0


def test_what_is_no_key_of_ours_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "seal.pem"
    file.write_text("not a key")

    with pytest.raises(ValueError, match="PEM"):
        keep_key(file)

    assert file.read_text() == "not a key"
