"""The deployments that are hurt: many processes under a supervisor, on one broker of their own or on three."""

import asyncio
import ctypes
import os
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

from deploy.composition import PROCESSES, SERVICES
from deploy.distributed.broker import ADMIN, PrivateCluster, PrivateRabbit
from deploy.distributed.broker_checks import claim_broker
from deploy.distributed.database import upgrade_all
from deploy.distributed.folder import Folder, ProcessNote
from deploy.distributed.ports import free_ports
from deploy.embedded.home import init_home
from deploy.embedded.postgres import PrivatePostgres
from shared.messaging.rabbitmq.topology import VHOST

ROOT: Final = Path(__file__).parents[2]
PREFIX: Final = "axis-kill-"
START_SECONDS: Final = 240.0
STOP_SECONDS: Final = 150.0
BACK_SECONDS: Final = 150.0
"""Until something that was killed is back: its pauses, its start on a busy machine, recovery."""

_PR_SET_PDEATHSIG: Final = 1
_QUEUES: Final = ("events.audit.everything", "events.routing.")
"""Queues that are always busy: everything for the journal, chunks for their lanes."""


class Deployment:
    """
    Everything that `make up` starts, in a folder that is thrown away.

    Use it as a context manager. Its processes and servers end with this process, however that ends.
    """

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix=PREFIX))
        self.root.chmod(0o755)  # as root the servers' accounts must get through
        self.folder = Folder(self.root / "node")
        port, admin_port = free_ports(2)
        self.url = f"https://127.0.0.1:{port}"
        init_home(self.folder.root, node_id="H43", port=port, admin_port=admin_port, public_url=self.url)
        self._supervisor: asyncio.subprocess.Process | None = None
        self._log = self.root / "supervisor.log"

    async def __aenter__(self) -> Self:
        try:
            await self._start({})
        except BaseException:
            await asyncio.shield(self._remove())
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.shield(self._remove())

    @property
    def database(self) -> str:
        """
        Its database for asyncpg, with every right.
        """
        return PrivatePostgres(self.folder.home.postgres).dsn("postgres", driver="postgresql")

    @property
    def processes(self) -> tuple[ProcessNote, ...]:
        """
        Everything the supervisor looks after, as it last saw it.
        """
        note = self.folder.read_note()
        return note.processes if note is not None else ()

    def copies(self, name: str) -> list[ProcessNote]:
        return [one for one in self.processes if one.name == name]

    def broker_url(self, process: str) -> str:
        """
        The broker as a process reaches it, read from one that runs.
        """
        variable = f"{process.upper()}_BROKER_URL=".encode()
        for one in self.copies(process):
            if one.pid is not None:
                for line in Path("/proc", str(one.pid), "environ").read_bytes().split(b"\0"):
                    if line.startswith(variable):
                        return line.removeprefix(variable).decode()
        raise AssertionError(f"no {process} runs")

    async def end(self, victim: ProcessNote, number: signal.Signals) -> None:
        """
        End a process or server, and wait until the supervisor has started it again.
        """
        assert victim.pid is not None
        os.kill(victim.pid, number)
        await self.until_back(victim)

    async def until_back(self, victim: ProcessNote) -> None:
        """
        Wait until another process is in a dead one's place, and takes work.
        """
        async with asyncio.timeout(BACK_SECONDS):
            while True:
                for one in self.copies(victim.name):
                    if one.copy_number == victim.copy_number and one.ready and one.pid not in {None, victim.pid}:
                        return
                await asyncio.sleep(0.1)

    async def until_whole(self) -> None:
        """
        Wait until everything takes work.
        """
        async with asyncio.timeout(BACK_SECONDS):
            while not all(one.ready for one in self.processes):
                await asyncio.sleep(0.2)

    def tail(self) -> str:
        """
        The end of every log, for whoever must find out what went wrong.
        """
        logs = [self._log, *sorted(self.folder.logs.glob("*.log"))]
        texts = [(log.name, log.read_text(encoding="utf-8", errors="replace")[-3_000:]) for log in logs if log.exists()]
        return "\n".join(f"--- {name} ---\n{text}" for name, text in texts)

    def keep_logs(self, place: Path) -> None:
        """
        Save the logs before the folder goes.
        """
        shutil.copytree(self.folder.logs, place, dirs_exist_ok=True)

    async def _start(self, variables: Mapping[str, str]) -> None:
        words = ["-m", "deploy.cli", "--home", str(self.folder.root), "supervise", "--passing"]
        with self._log.open("ab") as output:
            self._supervisor = await asyncio.create_subprocess_exec(
                *(sys.executable, *words),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=ROOT,
                env={**os.environ, **variables},
                preexec_fn=end_with_parent,
            )
        async with asyncio.timeout(START_SECONDS):
            while (note := self.folder.read_note()) is None or note.phase != "ready":
                if self._supervisor.returncode is not None or (note is not None and note.phase == "failed"):
                    raise AssertionError(f"the deployment did not start: {note}\n{self.tail()}")
                await asyncio.sleep(0.2)

    async def _stop(self) -> None:
        if self._supervisor is None:
            return
        if self._supervisor.returncode is None:
            self._supervisor.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._supervisor.wait()
        except TimeoutError:
            self._supervisor.kill()
            await self._supervisor.wait()

    async def _remove(self) -> None:
        await self._stop()
        # For the case that its supervisor was ended before it could.
        await PrivateRabbit(self.folder.rabbitmq).remove()
        await PrivatePostgres(self.folder.home.postgres).remove()
        await asyncio.to_thread(shutil.rmtree, self.root, ignore_errors=True)


class ClusteredDeployment(Deployment):
    """
    The same on a cluster of three brokers, of which each quorum queue has a copy.
    """

    def __init__(self) -> None:
        super().__init__()
        self._postgres = PrivatePostgres(self.folder.home.postgres, tied=True)
        self.cluster = PrivateCluster(self.root / "cluster", tied=True)

    async def __aenter__(self) -> Self:
        try:
            await self._postgres.start()
            await self.cluster.start()
            await self._start(await self._prepare())
        except BaseException:
            await asyncio.shield(self._remove())
            raise
        return self

    async def kill_leader(self, chance: random.Random) -> Any:
        """
        Kill the broker that leads a busy queue.

        Returns:
            The broker, to be started again.
        """
        prefix = chance.choice(_QUEUES)
        for asked in self.cluster.nodes:
            if asked.pid is None:
                continue
            columns = ("--no-table-headers", "name", "leader")
            for line in (await asked.control("list_queues", "--vhost", VHOST, *columns)).splitlines():
                name, _, leader = line.partition("\t")
                if name.startswith(prefix):
                    (node,) = (one for one in self.cluster.nodes if f"{one.log.name}" == f"{leader.strip()}.log")
                    await node.kill()
                    return node
        raise AssertionError("no busy queue has a leader")

    async def _prepare(self) -> Mapping[str, str]:
        databases = {service: self._postgres.dsn(service) for service in SERVICES}
        admin = self._postgres.dsn("postgres", "postgres", driver="postgresql")
        identity = await upgrade_all(admin, databases, node_id="H43", public_url=self.url)
        await claim_broker(self.cluster.urls(ADMIN)[0], identity)
        brokers = {name: ",".join(_turned(self.cluster.urls(name), at)) for at, name in enumerate(PROCESSES)}
        return {
            **{f"{name.upper()}_DATABASE_URL": url for name, url in databases.items()},
            **{f"{name.upper()}_BROKER_URL": url for name, url in brokers.items()},
        }

    async def _remove(self) -> None:
        await self._stop()
        await self.cluster.remove()
        await self._postgres.remove()
        await super()._remove()


def end_with_parent() -> None:
    """
    Run in a new process: have the kernel tell it when its parent has died (prctl(2)).
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _turned(urls: Sequence[str], by: int) -> list[str]:
    at = by % len(urls)
    return [*urls[at:], *urls[:at]]
