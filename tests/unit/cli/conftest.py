from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import SecretStr
from typer.testing import CliRunner, Result

from deploy.cli.connections import Place
from deploy.cli.main import app
from deploy.cli.output import problems, terminal
from shared.client import Credential, RetryPolicy, key_to_pem
from shared.testing.pki import an_authority, to_pem
from shared.testing.stand_in import URL, StandInNode

Axis = Callable[..., Result]


@pytest.fixture(autouse=True)
def _nothing_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AXIS_CREDENTIAL", "AXIS_HOME"):
        monkeypatch.delenv(name, raising=False)
    # What is printed must not depend on the terminal of whoever runs the tests; the consoles remember the one they
    # were made at.
    monkeypatch.setenv("COLUMNS", "200")
    for console in (terminal, problems):
        monkeypatch.setattr(console, "_width", 200)


@pytest.fixture
def node() -> StandInNode:
    authority = an_authority()
    return StandInNode(authority, authority.issue("Axis H43, evidence"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "var"
    home.mkdir()
    Credential(url="http://admin.test", issuer=URL, system_id="admin", secret=SecretStr("a")).write(
        home / "admin-credential.json"
    )
    return home


@pytest.fixture
def credential(tmp_path: Path, node: StandInNode) -> Path:
    signer = node.authority.issue("UBND xã Phước Đại")
    assert isinstance(signer.key, ec.EllipticCurvePrivateKey)
    (tmp_path / "seal.pem").write_text(key_to_pem(signer.key))
    path = tmp_path / "credential.json"
    Credential(
        url=URL,
        system_id="qlvb.example",
        secret=SecretStr("s3cret"),
        seal_key_file="seal.pem",
        seal_certificate=to_pem([signer.certificate]),
        agencies=("H43.31.01",),
    ).write(path)
    return path


@pytest.fixture
def axis(node: StandInNode, home: Path, credential: Path) -> Axis:
    async def at_once(_seconds: float) -> None:
        return

    place = Place(home=home, http=httpx.MockTransport(node.handle), retries=RetryPolicy(attempts=2, sleep=at_once))

    def run(*arguments: str) -> Result:
        environment = {"AXIS_CREDENTIAL": str(credential), "AXIS_HOME": str(home)}
        return CliRunner().invoke(app, [str(one) for one in arguments], obj=place, env=environment)

    return run
