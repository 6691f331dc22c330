"""What an administrator does that cannot be taken back is asked for twice; and the doctor's word in JSON."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from typer.testing import CliRunner, Result

from deploy.cli.errors import ExitCode
from deploy.cli.main import app
from deploy.embedded.home import Home, init_home
from services.signing.domain.keys import Role
from services.signing.repository.key_file import create_key_file, open_key_file
from shared.testing.pki import to_pem
from shared.testing.stand_in import StandInNode, a_problem

Axis = Callable[..., Result]
DIGEST = "5f" * 32
SYSTEM = {
    "id": "qlvb",
    "name": "QLVB",
    "dialect": "rest",
    "status": "active",
    "grants": [],
    "credentials": ["c1"],
    "seals": [],
}


def revoking(digest: str) -> tuple[str, str]:
    return "POST", f"/v1/admin/certificates/{digest}/revoke"


def test_a_certificate_is_revoked_by_its_digest_however_it_was_copied(axis: Axis, node: StandInNode) -> None:
    node.on(*revoking(DIGEST), httpx.Response(200, json=SYSTEM))
    shown = ":".join([DIGEST[:2].upper()] * 32)
    ran = axis("systems", "certificates", "revoke", shown, "--reason", "keyCompromise", "--yes")
    assert ran.exit_code == ExitCode.DONE
    assert "qlvb" in ran.stdout
    (request,) = node.called(*revoking(DIGEST))
    assert json.loads(request.content) == {"reason": "keyCompromise"}


def test_a_certificate_is_revoked_by_its_file(axis: Axis, node: StandInNode, tmp_path: Path) -> None:
    certificate = node.authority.issue("UBND xã Phước Đại").certificate
    digest = certificate.fingerprint(hashes.SHA256()).hex()
    (tmp_path / "seal.pem").write_text(to_pem([certificate]), encoding="ascii")
    node.on(*revoking(digest), httpx.Response(200, json=SYSTEM))
    path = str(tmp_path / "seal.pem")
    assert axis("systems", "certificates", "revoke", path, "--reason", "superseded", "--yes").exit_code == 0
    (tmp_path / "seal.pem").write_text("nothing of the kind", encoding="ascii")
    ran = axis("systems", "certificates", "revoke", path, "--reason", "superseded", "--yes")
    assert ran.exit_code == ExitCode.LOCAL
    assert "SHA-256" in ran.stderr


def test_nothing_is_revoked_without_a_yes(axis: Axis, node: StandInNode) -> None:
    node.on(*revoking(DIGEST), httpx.Response(200, json=SYSTEM))
    assert axis("systems", "certificates", "revoke", DIGEST, "--reason", "superseded").exit_code != ExitCode.DONE
    assert node.called(*revoking(DIGEST)) == []


def test_a_certificate_that_nobody_knows_is_said_to_be_so(axis: Axis, node: StandInNode) -> None:
    node.on(*revoking(DIGEST), a_problem(404, "not-found"))
    ran = axis("systems", "certificates", "revoke", DIGEST, "--reason", "superseded", "--yes")
    assert ran.exit_code == ExitCode.REFUSED


def test_seals_in_use_are_listed_with_their_end(axis: Axis, node: StandInNode) -> None:
    seal = {
        "certificate_sha256": DIGEST,
        "valid_from": "2024-12-31T03:00:00.000000Z",
        "valid_to": "2025-12-31T03:00:00.000000Z",
    }
    node.on("GET", "/v1/admin/systems", httpx.Response(200, json={"items": [{**SYSTEM, "seals": [seal]}]}))
    ran = axis("systems", "certificates", "list", "--json")
    assert json.loads(ran.stdout) == [{"system_id": "qlvb", **seal}]


@pytest.fixture
def home_with_keys(tmp_path: Path) -> Home:
    home = Home(tmp_path / "node")
    config = init_home(home.root, node_id="H43", port=0, admin_port=0).config
    now = datetime(2026, 11, 1, tzinfo=UTC)
    create_key_file(home.key_file, home.secret_file("passphrase"), node_id="H43", public_url=config.public_url, now=now)
    return home


def of_the_node(home: Home, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["--home", str(home.root), *arguments])


@pytest.mark.filterwarnings("ignore::services.signing.errors.DevelopmentModeWarning")
@pytest.mark.parametrize("kind", [Role.EVIDENCE, Role.TOKEN])
def test_a_key_of_the_node_is_rotated_and_the_one_before_it_stays(home_with_keys: Home, kind: Role) -> None:
    def active() -> list[str]:
        files = home_with_keys.key_file, home_with_keys.secret_file("passphrase")
        return [key.kid for key in open_key_file(*files, production=False).active(kind)]

    before = active()
    assert of_the_node(home_with_keys, "keys", "rotate", kind.value).exit_code != ExitCode.DONE
    assert active() == before
    assert of_the_node(home_with_keys, "keys", "rotate", kind.value, "--yes").exit_code == ExitCode.DONE
    assert active()[1:] == before
    assert of_the_node(home_with_keys, "keys", "rotate", Role.AUTHORITY.value, "--yes").exit_code == ExitCode.USAGE


def test_the_doctor_tells_scripts_what_it_tells_people(home_with_keys: Home) -> None:
    home_with_keys.key_file.chmod(0o644)
    ran = of_the_node(home_with_keys, "doctor", "--json")
    assert ran.exit_code == ExitCode.LOCAL
    faults = [one for one in json.loads(ran.stdout) if not one["ok"]]
    assert {one["check"] for one in faults} == {"secrets", "keys", "node"}
    assert all(one["remedy"] for one in faults)


def test_a_backup_of_nothing_says_what_to_do(tmp_path: Path, home_with_keys: Home) -> None:
    ran = of_the_node(home_with_keys, "backup", str(tmp_path / "backup.tar"))
    assert ran.exit_code == ExitCode.LOCAL
    assert not (tmp_path / "backup.tar").exists()
    ran = of_the_node(home_with_keys, "restore", str(tmp_path / "backup.tar"), "--home", str(tmp_path / "new"))
    assert ran.exit_code == ExitCode.LOCAL
    assert "backup.tar" in ran.stderr
