"""
One process by settings alone: set up by an administrator, checked at its start, drained at its end.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import asyncpg
import httpx
import pytest

from deploy.cli.errors import ExitCode
from deploy.composition import PROCESSES, SERVICES, create_keys
from deploy.distributed.broker import ADMIN, PrivateRabbit
from deploy.distributed.ports import free_ports
from deploy.embedded.postgres import PrivatePostgres
from shared.clock import SystemClock
from shared.messaging.rabbitmq.topology import AXIS
from shared.testing.postgres import run_apart

PATIENCE = 60.0
ROOT = Path(__file__).parents[2]

Variables = dict[str, str]


def axis(*words: str, variables: Variables) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "deploy.cli", *words],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "COLUMNS": "400"} | variables,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.fixture(scope="module")
def variables(
    postgres: PrivatePostgres, rabbit: PrivateRabbit, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Variables]:
    """
    What an operator would set, after `axis db upgrade` and `axis broker setup` have run.
    """
    folder = tmp_path_factory.mktemp("serve")
    database, vhost = f"serve_{uuid4().hex[:8]}", f"serve-{uuid4().hex[:8]}"

    run_apart(lambda: rabbit.add_vhosts([vhost], AXIS))
    admin = postgres.dsn("postgres", "postgres", driver="postgresql")
    secrets = folder / "secrets"
    secrets.mkdir()
    (secrets / "axis_database_admin_url").write_text(admin)
    (secrets / "axis_broker_admin_url").write_text(rabbit.url(ADMIN, vhost))
    for service in SERVICES:
        (secrets / f"{service}_database_url").write_text(postgres.dsn(service, database))
    for process in PROCESSES:
        (secrets / f"{process}_broker_url").write_text(rabbit.url(process, vhost))
    (secrets / "registry_pepper").write_text("p" * 43)
    (secrets / "registry_webhook_key").write_text("w" * 43)
    given = {
        "AXIS_NODE_ID": "H43",
        "AXIS_PUBLIC_URL": "https://truc.example.vn",
        "AXIS_SECRETS_FOLDER": str(secrets),
        "AXIS_BLOB_FOLDER": str(folder / "packets"),
        "AXIS_HOME": str(folder / "no-home"),
        "SIGNING_KEY_FILE": str(folder / "keys.json"),
        "SIGNING_PASSPHRASE_FILE": str(folder / "passphrase"),
    }
    for words in (("db", "upgrade"), ("broker", "setup")):
        ran = axis(*words, variables=given)
        assert ran.returncode == 0, ran.stderr
    keys = {
        "node_id": "H43",
        "public_url": "https://truc.example.vn",
        "key_file": folder / "keys.json",
        "passphrase_file": folder / "passphrase",
        "database_url": "postgresql://unused",
    }
    run_apart(lambda: create_keys(keys, SystemClock()))
    yield given

    async def drop() -> None:
        connection = await asyncpg.connect(admin)
        await connection.execute(f'DROP DATABASE "{database}" WITH (FORCE)')
        await connection.close()

    run_apart(drop)
    run_apart(lambda: rabbit.remove_vhost(vhost))


@pytest.mark.parametrize("process", SERVICES)
async def test_a_process_is_ready_by_settings_alone_and_ends_in_order(
    variables: Variables, process: str, tmp_path: Path
) -> None:
    (port,) = free_ports(1)
    own = variables | {f"{process.upper()}_HEALTH_PORT": str(port)}
    with (tmp_path / "log").open("wb") as log:
        running = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "deploy.cli", "serve", process),
            cwd=ROOT,
            env={"PATH": os.environ["PATH"]} | own,
            stdout=log,
            stderr=log,
        )
    try:
        async with asyncio.timeout(PATIENCE), httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
            while not await is_ready(http):
                assert running.returncode is None, (tmp_path / "log").read_text()
                await asyncio.sleep(0.1)
            assert (await http.get("/health/live")).json() == {"alive": True}
            assert "process_resident_memory_bytes" in (await http.get("/metrics")).text
        running.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            assert await running.wait() == 0, (tmp_path / "log").read_text()
    finally:
        if running.returncode is None:
            running.kill()
            await running.wait()


async def is_ready(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("/health/ready")).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


@pytest.mark.parametrize(
    ("process", "change", "words"),
    [
        (
            "routing",
            {"ROUTING_BROKER_URL": "amqp://routing:wrong@127.0.0.1:{port}/{vhost}"},
            "refuses the name or password",
        ),
        ("routing", {"AXIS_NODE_ID": "H44"}, "belongs to node H43"),
        ("routing", {"AXIS_BLOB_FOLDER": "/dev/null/packets"}, "AXIS_BLOB_FOLDER"),
        ("routing", {"ROUTING_LANE_WINDOW": "many"}, "ROUTING_LANE_WINDOW"),
        ("registry", {"REGISTRY_PEPPER": "short"}, "REGISTRY_PEPPER"),
        ("signing", {"SIGNING_KEY_FILE": "/dev/null/keys"}, "/dev/null/keys"),
        (
            "delivery",
            {"DELIVERY_DATABASE_URL": "postgresql+asyncpg://delivery@/nowhere?host={socket}"},
            "axis db upgrade",
        ),
        ("gateway", {"AXIS_NODE_ID": "H44"}, "axis broker setup"),
        ("nobody", {}, "Choose one of"),
    ],
)
def test_what_is_wrong_is_said_at_the_start_with_the_remedy(
    variables: Variables, rabbit: PrivateRabbit, postgres: PrivatePostgres, process: str, change: Variables, words: str
) -> None:
    broker = (Path(variables["AXIS_SECRETS_FOLDER"]) / "routing_broker_url").read_text()
    socket = quote(postgres.dsn("x").partition("host=")[2].partition("&")[0], safe="/%")
    places = {"port": str(rabbit.port), "vhost": broker.rpartition("/")[2], "socket": socket}
    ran = axis("serve", process, variables=variables | {name: text.format(**places) for name, text in change.items()})
    assert ran.returncode == ExitCode.LOCAL, ran.stderr
    assert words in ran.stderr
    assert "Traceback" not in ran.stderr
    assert "wrong" not in ran.stderr
