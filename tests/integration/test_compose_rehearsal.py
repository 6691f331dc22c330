"""
The commands, variables and secrets of docker-compose.yml, played without Docker: they make a node that works.
"""

import asyncio
import contextlib
import os
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.composition import PROCESSES, SERVICES
from deploy.containers.secret_files import Servers, make_secrets
from deploy.distributed.broker import PrivateRabbit
from deploy.embedded.errors import NodeError
from deploy.embedded.postgres import PrivatePostgres
from deploy.proxy.errors import ProxyError
from deploy.proxy.programs import find_nginx
from shared.client import Credential, Transport
from tests.architecture.test_compose import COMPOSE

ROOT = Path(__file__).parents[2]
JOBS = ("database-upgrade", "broker-setup", "prepare")
DATABASE = "rehearsal"
PATIENCE_SECONDS = 120


@dataclass
class Rehearsal:
    """
    A machine's folder in the place of containers.
    """

    folder: Path
    secrets: Path
    ports: dict[str, int] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def port(self, name: str) -> int:
        if name not in self.ports:
            self.ports[name] = _free_port(set(self.ports.values()))
        return self.ports[name]

    def environment(self, name: str) -> dict[str, str]:
        """
        What the file gives a service, with places of this machine for those of a container.
        """
        given = {key: self._place(name, str(value)) for key, value in COMPOSE["services"][name]["environment"].items()}
        given |= {key: "127.0.0.1" for key, value in given.items() if value == "0.0.0.0"}
        if "AXIS_PUBLIC_URL" in given:
            given |= {"AXIS_HEALTH_PORT": str(self.port(name)), "AXIS_ADMIN_PORT": str(self.port("operators"))}
        if name == "gateway":
            given |= {"AXIS_LISTEN_PORT": str(self.port(name)), "GATEWAY_TRUSTED_PROXIES": "127.0.0.1/32"}
        if name == "proxy":
            given |= {"PROXY_PORT": str(self.port(name)), "PROXY_GATEWAYS": f"127.0.0.1:{self.port('gateway')}"}
            given |= {"PROXY_SHUTDOWN_SECONDS": "2"}
        if name == "prepare":
            given |= {"PREPARE_ADMIN_URL": f"http://127.0.0.1:{self.port('operators')}"}
        return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(self.folder), **given}

    def mount(self, name: str) -> None:
        """
        Put the secrets of a service where it looks for them, and no others.
        """
        folder = self.folder / "run" / name
        folder.mkdir(parents=True)
        for secret in COMPOSE["services"][name]["secrets"]:
            source = self.secrets / COMPOSE["secrets"][secret]["file"].partition("}/")[2]
            target = folder / secret
            target.write_bytes(source.read_bytes())
            target.chmod(0o400)

    def start(self, name: str) -> subprocess.Popen[bytes]:
        self.mount(name)
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                self._command(COMPOSE["services"][name]["command"]),
                cwd=ROOT,
                env=self.environment(name),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.processes[name] = process
        return process

    async def finished(self, name: str) -> None:
        code = await asyncio.to_thread(self.start(name).wait, PATIENCE_SECONDS)
        assert code == 0, self.log(name)

    async def healthy(self, name: str) -> None:
        """
        Wait until the check that stands in the file succeeds.
        """
        check = COMPOSE["services"][name]["healthcheck"]["test"]
        assert check[0] == "CMD"
        words = [word.replace("9090", str(self.port(name))) for word in check[1:]]
        words = [word.replace("8080", str(self.port(name))).replace("8443", str(self.port(name))) for word in words]
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (await asyncio.to_thread(_succeeds, self._command(words))) is False:
                assert self.processes[name].poll() is None, self.log(name)
                await asyncio.sleep(0.5)

    async def stop(self) -> None:
        for name in reversed(self.processes):
            self.processes[name].terminate()
        for name in reversed(self.processes):
            try:
                await asyncio.to_thread(self.processes[name].wait, 45)
            except subprocess.TimeoutExpired:
                self.processes[name].kill()

    def log(self, name: str) -> str:
        return f"{name}: {(self.folder / f'{name}.log').read_text(encoding='utf-8', errors='replace')[-3000:]}"

    def _place(self, name: str, value: str) -> str:
        value = value.replace("/run/secrets", str(self.folder / "run" / name))
        value = value.replace("/srv/axis", str(self.folder / "srv")).replace("/tmp/proxy", str(self.folder / "proxy"))
        if value.startswith("${"):  # the file's own default
            return value.partition(":-")[2].removesuffix("}")
        return value

    @staticmethod
    def _command(words: list[str]) -> list[str]:
        program = {"axis": [sys.executable, "-m", "deploy.cli"], "python": [sys.executable]}[words[0]]
        return [*program, *words[1:]]


@pytest.fixture
async def rehearsal(postgres: PrivatePostgres, tmp_path: Path) -> AsyncIterator[Rehearsal]:
    try:
        find_nginx()
        rabbit = PrivateRabbit(tmp_path / "rabbit", tied=True)
        await rabbit.start()
    except (ProxyError, NodeError) as error:
        pytest.skip(f"LEFT OUT: docker-compose.yml without Docker. {error}")
    secrets = tmp_path / "secrets"
    make_secrets(secrets, Servers())
    for service in SERVICES:
        _write(secrets / service / f"{service}_database_url", postgres.dsn(service, DATABASE))
    for process in PROCESSES:
        _write(secrets / process / f"{process}_broker_url", rabbit.url(process))
    _write(secrets / "setup/axis_database_admin_url", postgres.dsn("postgres", "postgres", driver="postgresql"))
    _write(secrets / "setup/axis_broker_admin_url", rabbit.url("admin"))
    (tmp_path / "srv" / "operator").mkdir(parents=True)
    made = Rehearsal(tmp_path, secrets)
    try:
        yield made
    finally:
        await made.stop()
        await rabbit.remove()


async def test_docker_compose_describes_a_node_that_works(rehearsal: Rehearsal) -> None:
    for job in JOBS:
        await rehearsal.finished(job)
    for process in (*SERVICES, "gateway"):
        rehearsal.start(process)
    for process in (*SERVICES, "gateway"):
        await rehearsal.healthy(process)
    rehearsal.start("proxy")
    await rehearsal.healthy("proxy")

    trusting = ssl.create_default_context(cafile=rehearsal.secrets / "proxy-for-tries" / "authority.pem")
    async with httpx.AsyncClient(base_url=f"https://127.0.0.1:{rehearsal.port('proxy')}", verify=trusting) as http:
        ready = await http.get("/health/ready")
        node: dict[str, Any] = (await http.get("/.well-known/axis")).json()
    assert (ready.status_code, ready.json()["ready"]) == (200, True)
    assert (node["node_id"], node["issuer"]) == ("H43", "https://localhost:8443")

    credential = Credential.read(rehearsal.folder / "srv" / "operator" / "admin-credential.json")
    async with Transport(credential.url, credential) as admin:
        from shared.client import Call

        answer = await admin.send(Call("GET", "/v1/admin/queues"))
    assert answer.status_code == 200

    for process in ("proxy", "gateway", *SERVICES):
        rehearsal.processes[process].terminate()
        code = await asyncio.to_thread(rehearsal.processes[process].wait, 60)
        assert code == 0, rehearsal.log(process)


def _succeeds(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _write(path: Path, text: str) -> None:
    path.chmod(0o600)
    path.write_text(text + "\n", encoding="utf-8")


def _free_port(taken: set[int]) -> int:
    import socket

    for port in range(21_000 + os.getpid() % 5_000, 32_000):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            if port not in taken:
                return port
    raise AssertionError("no port is free")
