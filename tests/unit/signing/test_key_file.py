"""The development key store."""

import json
import os
import stat
from datetime import timedelta
from pathlib import Path

import pytest

from services.signing.domain.keys import Role
from services.signing.errors import DevelopmentModeWarning, KeyStoreUnusable
from services.signing.repository import key_file
from services.signing.repository.key_file import KeyFile, create_key_file, open_key_file, rotate_key
from shared.certificates import find_path
from shared.testing.pki import MOMENT

URL = "http://127.0.0.1:8080"


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    paths = (tmp_path / "keys" / "keys.json", tmp_path / "keys" / "passphrase")
    create(*paths)
    return paths


def create(path: Path, passphrase: Path) -> None:
    create_key_file(path, passphrase, node_id="H43", public_url=URL, now=MOMENT)


def opened(files: tuple[Path, Path]) -> KeyFile:
    with pytest.warns(DevelopmentModeWarning):
        return open_key_file(*files, production=False)


def test_each_role_has_a_key_of_its_own(files: tuple[Path, Path]) -> None:
    store = opened(files)
    kids = {store.active(role)[0].kid for role in Role}
    assert len(kids) == len(Role)


def test_the_evidence_key_has_a_certificate_under_the_root(files: tuple[Path, Path]) -> None:
    store = opened(files)
    root, evidence = store.active(Role.AUTHORITY)[0].certificate, store.active(Role.EVIDENCE)[0].certificate
    assert root is not None
    assert evidence is not None
    assert find_path(evidence, (), [root], MOMENT).fault is None
    assert URL in evidence.subject.rfc4514_string()
    assert store.active(Role.TOKEN)[0].certificate is None


def test_making_keys_again_changes_nothing(files: tuple[Path, Path]) -> None:
    before = [path.read_bytes() for path in files]
    create(*files)
    assert [path.read_bytes() for path in files] == before


def test_a_passphrase_that_is_there_is_used(tmp_path: Path) -> None:
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("mật khẩu của tôi\n")
    passphrase.chmod(0o600)
    create(tmp_path / "keys.json", passphrase)
    assert passphrase.read_text() == "mật khẩu của tôi\n"
    opened((tmp_path / "keys.json", passphrase))


def test_only_the_owner_can_read_the_files(files: tuple[Path, Path]) -> None:
    assert [path.stat().st_mode & 0o777 for path in files] == [0o600, 0o600]
    assert sorted(path.name for path in files[0].parent.iterdir()) == ["keys.json", "passphrase"]


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.filterwarnings("ignore::services.signing.errors.DevelopmentModeWarning")
def test_a_file_others_can_read_is_refused(files: tuple[Path, Path], index: int) -> None:
    files[index].chmod(0o640)
    with pytest.raises(KeyStoreUnusable, match="chmod 600"):
        open_key_file(*files, production=False)


def test_production_refuses_keys_in_a_file(files: tuple[Path, Path]) -> None:
    with pytest.raises(KeyStoreUnusable, match="hardware"):
        open_key_file(*files, production=True)


@pytest.mark.filterwarnings("ignore::services.signing.errors.DevelopmentModeWarning")
def test_another_passphrase_is_refused(files: tuple[Path, Path]) -> None:
    files[1].write_text("another")
    with pytest.raises(KeyStoreUnusable, match="passphrase"):
        open_key_file(*files, production=False)


@pytest.mark.parametrize(
    "alter",
    [
        lambda e: e["header"]["kdf"].update(n=2**14),
        lambda e: e["header"]["kdf"].update(n=2**30),
        lambda e: e["header"]["kdf"].update(salt="AAAA"),
        lambda e: e["header"]["cipher"].update(nonce="A" * 16),
        lambda e: e["header"]["cipher"].update(nonce="AAAA"),
        lambda e: e["header"].update(format="axis-keys-2"),
        lambda e: e["header"].update(more=1),
        lambda e: e.update(sealed=e["sealed"][:-8]),
        lambda e: e.update(sealed="AAAA" + e["sealed"][4:]),
        lambda e: e.pop("sealed"),
        lambda e: e.clear(),
    ],
)
@pytest.mark.filterwarnings("ignore::services.signing.errors.DevelopmentModeWarning")
def test_an_altered_file_is_refused(files: tuple[Path, Path], alter: object) -> None:
    envelope = json.loads(files[0].read_bytes())
    alter(envelope)  # type: ignore[operator]
    files[0].write_text(json.dumps(envelope))
    with pytest.raises(KeyStoreUnusable):
        open_key_file(*files, production=False)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"null", b"\xff", b"not json"])
@pytest.mark.filterwarnings("ignore::services.signing.errors.DevelopmentModeWarning")
def test_what_is_no_key_file_is_refused(files: tuple[Path, Path], content: bytes) -> None:
    files[0].write_bytes(content)
    with pytest.raises(KeyStoreUnusable):
        open_key_file(*files, production=False)


@pytest.mark.filterwarnings("ignore::services.signing.errors.DevelopmentModeWarning")
def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyStoreUnusable, match="cannot be read"):
        open_key_file(tmp_path / "keys.json", tmp_path / "passphrase", production=False)


@pytest.mark.parametrize("role", [Role.TOKEN, Role.EVIDENCE])
def test_a_new_key_signs_and_the_one_before_it_stays_published(files: tuple[Path, Path], role: Role) -> None:
    (first,) = opened(files).active(role)
    rotate_key(*files, role, public_url=URL, now=MOMENT + timedelta(days=1))
    second, kept = opened(files).active(role)
    assert kept.kid == first.kid
    assert second.kid != first.kid
    rotate_key(*files, role, public_url=URL, now=MOMENT + timedelta(days=2))
    third, kept = opened(files).active(role)
    assert kept.kid == second.kid
    assert (third.certificate is not None) == (role is Role.EVIDENCE)
    assert files[0].stat().st_mode & 0o777 == 0o600


def test_the_authoritys_key_is_not_rotated(files: tuple[Path, Path]) -> None:
    with pytest.raises(ValueError, match="not rotated"):
        rotate_key(*files, Role.AUTHORITY, public_url=URL, now=MOMENT)


@pytest.mark.parametrize(
    ("mode", "owner", "account", "good"),
    [
        (0o440, 0, 10001, True),  # as Kubernetes mounts a secret
        (0o444, 0, 10001, False),
        (0o460, 0, 10001, False),
        (0o440, 10001, 10001, False),
        (0o440, 10002, 10001, False),
        (0o440, 0, 0, False),
    ],
)
def test_a_secret_that_an_orchestrator_mounts_may_be_read_by_our_group(
    mode: int, owner: int, account: int, good: bool
) -> None:
    status = os.stat_result((stat.S_IFREG | mode, 0, 0, 1, owner, 10001, 0, 0, 0, 0))
    assert key_file._is_handed_to_us(status, account=account) is good
