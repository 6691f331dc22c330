"""
The one-off job of a node in containers makes its keys and its first administrator, once.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from deploy.containers.secret_files import Servers, make_secrets
from shared.client import Credential

ROOT = Path(__file__).parents[2]


async def prepare(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "deploy.containers.prepare"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def mounted(tmp_path: Path, urls: dict[str, str]) -> dict[str, str]:
    """
    The secrets as a container would have them, and the variables that docker-compose.yml gives.
    """
    folder, secrets = tmp_path / "run", tmp_path / "secrets"
    folder.mkdir()
    make_secrets(secrets, Servers())
    for process in ("registry", "signing"):
        for file in (secrets / process).iterdir():
            target = folder / file.name
            target.write_text(urls.get(file.name, file.read_text()))
            target.chmod(0o400)
    return {
        "AXIS_NODE_ID": "H43",
        "AXIS_PUBLIC_URL": "https://truc.example.vn",
        "AXIS_SECRETS_FOLDER": str(folder),
        "SIGNING_KEY_FILE": str(tmp_path / "keys" / "keystore.json"),
        "SIGNING_PASSPHRASE_FILE": str(folder / "signing_passphrase"),
        "PREPARE_CREDENTIAL_FILE": str(tmp_path / "admin-credential.json"),
        "PREPARE_ADMIN_URL": "http://axis-gateway-admin:8081",
    }


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def test_keys_and_administrator_are_made_once(database_url: Callable[[str], str], tmp_path: Path) -> None:
    urls = {f"{service}_database_url": database_url(service) for service in ("registry", "signing")}
    environment = mounted(tmp_path, urls)
    done = await prepare(environment)
    assert done.returncode == 0, done.stderr
    credential = Credential.read(tmp_path / "admin-credential.json")
    assert credential.url == "http://axis-gateway-admin:8081"
    assert credential.issuer == "https://truc.example.vn"
    made = contents(tmp_path)
    again = await prepare(environment)
    assert again.returncode == 0, again.stderr
    assert contents(tmp_path) == made


async def test_what_is_missing_is_named(tmp_path: Path) -> None:
    environment = mounted(tmp_path, {})
    del environment["SIGNING_KEY_FILE"]
    done = await prepare(environment)
    assert done.returncode == 1
    assert "SIGNING_KEY_FILE" in done.stderr
    assert "Traceback" not in done.stderr
