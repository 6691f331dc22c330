"""Deployments under test: started in a folder of their own, ended and removed afterwards."""

import asyncio
import contextlib
import ctypes
import os
import random
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Protocol

import httpx

from bench.machine import ROOT
from bench.processes import Meter, command_of, program_of
from deploy.distributed.folder import Folder
from deploy.embedded.home import Home, init_home
from deploy.embedded.postgres import PrivatePostgres

UNLIMITED: Final = {
    # One machine plays all agencies with four credentials; a real one is held to its own rate.
    "GATEWAY_RATE_PER_SECOND": "0",
    "GATEWAY_ADDRESS_RATE_PER_SECOND": "0",
    # Each addressee is nine elements of the header; a packet to a hundred thousand has more than a reader takes else.
    "ROUTING_PACKET_LIMITS__MAX_ELEMENTS": "2000000",
    "ROUTING_PACKET_LIMITS__MAX_SKELETON_BYTES": str(128 * 1024 * 1024),
}
"""What the deployment is told otherwise than by default, so that it is measured and not its limits."""

START_SECONDS: Final = 120.0
DISTRIBUTED_START_SECONDS: Final = 200.0
STOP_SECONDS: Final = 60.0
_PORTS: Final = range(20_000, 32_000)
"""Below the kernel's own range, from which outgoing connections would now and then take one (ip(7))."""

_PR_SET_PDEATHSIG: Final = 1


class Deployment(Protocol):
    """
    Something that takes documents.

    Attributes:
        name: For tables.
        url: Where agencies reach it.
        ca_file: Certificate that its own is checked against; None for plain HTTP or a public one.
        admin_credential: File of an administrator's credential.
        systems: Folder where credentials of systems may be kept.
        meter: What its processes use.
    """

    name: str
    url: str
    ca_file: str | None
    admin_credential: Path
    systems: Path
    meter: Meter

    def database(self, service: str) -> str:
        """
        Address of its database for asyncpg, with every right.
        """


class DidNotStartError(Exception):
    """
    The deployment did not start; the message holds the end of its log.
    """


class Embedded:
    """
    `axis run`: everything in one process, with a private PostgreSQL.

    Args:
        folder: Where it lives.
    """

    name = "embedded"
    ca_file: str | None = None

    def __init__(self, folder: Path) -> None:
        port, admin_port = free_ports(2)
        init_home(folder, node_id="H43", port=port, admin_port=admin_port)
        self._home = Home(folder)
        self._process: asyncio.subprocess.Process | None = None
        self._log = folder.with_name(f"{folder.name}.log")
        self.url = f"http://127.0.0.1:{port}"
        self.admin_credential = self._home.admin_credential
        self.systems = self._home.systems
        heirs = {"node": "sandbox"}
        self.meter = Meter(lambda: [self.pid], self._role, heirs)

    @property
    def pid(self) -> int:
        """
        Number of the node's process.
        """
        assert self._process is not None
        return self._process.pid

    def database(self, service: str) -> str:
        """
        Address of its database for asyncpg; one server serves all services.
        """
        del service
        return PrivatePostgres(self._home.postgres).dsn("postgres", driver="postgresql")

    async def start(self) -> None:
        """
        Start it and wait until it is ready.

        Raises:
            DidNotStartError: It is not, in two minutes.
        """
        words = ["-m", "deploy.cli", "--home", str(self._home.root), "run"]
        self._process = await start_process(words, self._log, UNLIMITED)
        await until_ready(self.url, self._process, self._log)

    async def stop(self) -> None:
        """
        End it and delete its data.
        """
        if self._process is not None:
            await end_process(self._process)
        await PrivatePostgres(self._home.postgres).remove()

    def _role(self, pid: int) -> str:
        if pid == self.pid:
            return "node"
        if program_of(pid).startswith("postgres"):
            return "PostgreSQL"
        return "sandbox" if "shared.sandbox" in command_of(pid) else "node"


@asynccontextmanager
async def embedded() -> AsyncIterator[Embedded]:
    """
    An embedded node for the length of a block.
    """
    with scratch("axis-bench-") as folder:
        node = Embedded(folder / "node")
        try:
            await node.start()
            yield node
        finally:
            await asyncio.shield(node.stop())


class Distributed:
    """
    `make up`: every process by itself, two copies of nearly each, on RabbitMQ and PostgreSQL, behind a proxy.

    Args:
        folder: Where it lives.
    """

    name = "distributed"

    def __init__(self, folder: Path) -> None:
        port, admin_port = free_ports(2)
        self.url = f"https://127.0.0.1:{port}"
        init_home(folder, node_id="H43", port=port, admin_port=admin_port, public_url=self.url)
        self._folder = Folder(folder)
        self._process: asyncio.subprocess.Process | None = None
        self._log = folder.with_name(f"{folder.name}.log")
        self._names: dict[int, str] = {}
        self.ca_file: str | None = str(self._folder.authority)
        self.admin_credential = self._folder.home.admin_credential
        self.systems = self._folder.home.systems
        self.meter = Meter(self._roots, self._role, {"routing": "sandbox"})

    def database(self, service: str) -> str:
        """
        Address of its database for asyncpg; one server serves all services.
        """
        del service
        return PrivatePostgres(self._folder.home.postgres).dsn("postgres", driver="postgresql")

    async def start(self) -> None:
        """
        Start it and wait until it is ready.

        Raises:
            DidNotStartError: It is not.
        """
        words = ["-m", "deploy.cli", "--home", str(self._folder.root), "supervise", "--passing"]
        self._process = await start_process(words, self._log, UNLIMITED)
        end = time.monotonic() + DISTRIBUTED_START_SECONDS
        note = None
        while self._process.returncode is None and time.monotonic() < end:
            note = self._folder.read_note()
            if note is not None and note.phase == "ready":
                return
            await asyncio.sleep(0.2)
        raise DidNotStartError(f"{note.step} {note.problem} {note.remedy}" if note else "the supervisor said nothing")

    async def stop(self) -> None:
        """
        End it and delete its data.
        """
        if self._process is not None:
            await end_process(self._process)

    def _roots(self) -> list[int]:
        assert self._process is not None
        note = self._folder.read_note()
        processes = note.processes if note is not None else ()
        self._names |= {one.pid: one.name for one in processes if one.pid is not None}
        return [self._process.pid, *self._names]

    def _role(self, pid: int) -> str:
        program = program_of(pid)
        for begin, role in (("postgres", "PostgreSQL"), ("nginx", "proxy")):
            if program.startswith(begin):
                return role
        if pid in self._names and self._names[pid] != "rabbitmq":
            return self._names[pid]
        command = command_of(pid)
        if "shared.sandbox" in command:
            return "sandbox"
        return "supervisor" if "supervise" in command else "RabbitMQ"


@asynccontextmanager
async def distributed() -> AsyncIterator[Distributed]:
    """
    A deployment of many processes for the length of a block.
    """
    with scratch("axis-bench-") as folder:
        node = Distributed(folder / "node")
        try:
            await node.start()
            yield node
        finally:
            await asyncio.shield(node.stop())


@contextlib.contextmanager
def scratch(prefix: str) -> Iterator[Path]:
    """
    A folder that is deleted afterwards; as root other accounts' servers must get through it.
    """
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def free_ports(count: int) -> list[int]:
    """
    Find ports nobody listens on just now.
    """
    found: list[int] = []
    for port in random.sample(_PORTS, len(_PORTS)):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            return found
    raise DidNotStartError("no free port was found")


async def start_process(
    words: list[str], log: Path, environment: Mapping[str, str] | None = None
) -> asyncio.subprocess.Process:
    """
    Start one of our programs; it gets SIGTERM when this process dies, however that happens.
    """
    with log.open("ab") as output:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            preexec_fn=end_with_parent,
        )


def end_with_parent() -> None:
    """
    Run in a new process: have the kernel tell it when its parent has died (prctl(2)).
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


async def end_process(process: asyncio.subprocess.Process) -> None:
    """
    End a process in order, or else at once.
    """
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


async def until_ready(url: str, process: asyncio.subprocess.Process, log: Path, ca_file: str | None = None) -> None:
    """
    Wait until a node says that it is ready.

    Raises:
        DidNotStartError: It ended, or is not in two minutes.
    """
    async with httpx.AsyncClient(verify=ca_file or True) as http:
        try:
            async with asyncio.timeout(START_SECONDS):
                while process.returncode is None:
                    with contextlib.suppress(httpx.HTTPError):
                        if (await http.get(f"{url}/health/ready")).status_code == httpx.codes.OK:
                            return
                    await asyncio.sleep(0.1)
        except TimeoutError:
            pass
    words = await asyncio.to_thread(log.read_text, encoding="utf-8", errors="replace")
    raise DidNotStartError(words[-2_000:])
