"""Looks after all processes of a deployment on one machine, from the first to the last."""

import asyncio
import contextlib
import fcntl
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import IO, Final

import httpx

from deploy.composition import GATEWAY, create_keys, ensure_administrator
from deploy.distributed.child import Child
from deploy.distributed.folder import COPIES, Folder, Note, Phase, ProcessNote, processes_of
from deploy.distributed.ports import free_ports
from deploy.distributed.servers import Servers, secrets_of_others
from deploy.embedded.errors import NodeError
from deploy.proxy.certificates import make_certificate
from deploy.proxy.nginx import Proxy
from shared.clock import SystemClock
from shared.errors import AxisError
from shared.identifiers import Uuid7Source
from shared.telemetry import configure_logs, get_logger

START_SECONDS: Final = 180.0
"""Eleven processes on two cores, each with its imports; recovery of a killed PostgreSQL or RabbitMQ included."""

DRAIN_SECONDS: Final = 20.0
_LOOK_SECONDS: Final = 1.0
_HOPELESS_RESTARTS: Final = 3
"""A process that has ended this often without ever having been ready will not get there by itself."""

_STOP_ORDER: Final = ((GATEWAY,), ("routing", "delivery"), ("registry",), ("audit",), ("signing",))
"""Whoever gives work stops before whoever does it; audit has its last head signed."""

_logger = get_logger(__name__)


class Supervisor:
    """
    Starts everything, keeps it running, and stops it in order.

    Args:
        folder: Of the deployment.
        passing: True for a deployment that is thrown away: its servers end with this process.
    """

    def __init__(self, folder: Folder, *, passing: bool = False) -> None:
        self._folder = folder
        self._config = folder.home.config()
        self._servers = Servers(folder, passing=passing)
        self._children: list[Child] = []
        self._proxy: Proxy | None = None
        self._proxy_restarts = 0
        self._note = Note(pid=os.getpid(), phase="starting", url=self._config.public_url)
        self._lock: IO[str] | None = None

    async def run(self, told: asyncio.Event) -> int:
        """
        Run until told to stop.

        Returns:
            Exit code: 0 after an orderly stop.
        """
        self._take_lock()
        working = asyncio.ensure_future(self._work())
        waiting = asyncio.ensure_future(told.wait())
        await asyncio.wait([working, waiting], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        failed = None
        if working.done():
            failed = _as_problem(working.exception())
        else:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
        if failed is None:
            self._say("stopping", "Đang dừng / stopping")
        await self._stop()
        if failed is not None:
            self._tell(phase="failed", problem=failed.problem, remedy=failed.remedy, processes=())
            return 1
        self._folder.note.unlink(missing_ok=True)
        return 0

    def _take_lock(self) -> None:
        self._folder.logs.mkdir(mode=0o700, exist_ok=True)
        self._lock = self._folder.lock.open("a", encoding="utf-8")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise NodeError(
                f"Another supervisor looks after {self._folder.root}.", remedy="See it with `axis status`."
            ) from error

    async def _work(self) -> None:
        await self._start()
        self._say("ready", "")
        async with asyncio.TaskGroup() as looking:
            # A broker may take a minute to come back; nothing else must wait for it.
            for look_after in (
                self._servers.look_after_database,
                self._servers.look_after_broker,
                self._look_after_proxy,
            ):
                looking.create_task(_keep_looking_after(look_after))
            looking.create_task(self._keep_looking())

    async def _keep_looking(self) -> None:
        async with httpx.AsyncClient(timeout=2.0) as http:
            while True:
                await asyncio.sleep(_LOOK_SECONDS)
                await self._look(http)

    async def _start(self) -> None:
        self._say("starting", "Dọn tiến trình cũ / ending what a former supervisor left")
        await end_leftovers(self._folder)
        home, clock = self._folder.home, SystemClock()
        await create_keys(home.values_for("signing") | {"database_url": "postgresql://unused"}, clock)
        self._say("starting", "PostgreSQL")
        await self._servers.start_database()
        self._say("starting", "RabbitMQ")
        await self._servers.start_broker()
        self._say("starting", "Cấu trúc dữ liệu, hàng đợi / schemas, topology")
        await self._servers.set_up()
        registry = home.values_for("registry") | {
            "database_url": self._servers.variables_for("registry").get("REGISTRY_DATABASE_URL")
            or os.environ["REGISTRY_DATABASE_URL"]
        }
        await ensure_administrator(
            registry,
            file=home.admin_credential,
            url=f"http://127.0.0.1:{self._config.admin_port}",
            clock=clock,
            new_id=Uuid7Source(clock),
        )
        gateways = self._hire()
        for child in self._children:
            child.start()
        await self._become_ready()
        await asyncio.to_thread(self._start_proxy, gateways)

    def _hire(self) -> list[str]:
        """Make every child; the addresses of the gateways for the proxy."""
        ports = iter(free_ports(sum(COPIES.values()) + 2 * COPIES[GATEWAY]))
        gateways = []
        for name, copies in COPIES.items():
            for number in range(1, copies + 1):
                port = next(ports)
                own = {**self._servers.variables_for(name), "AXIS_DRAIN_SECONDS": str(DRAIN_SECONDS - 5)}
                if name == GATEWAY:
                    # The command line knows one address: that of the first copy.
                    admin = self._config.admin_port if number == 1 else next(ports)
                    own |= {"GATEWAY_LISTEN_PORT": str(port), "GATEWAY_ADMIN_PORT": str(admin)}
                    own["GATEWAY_TRUSTED_PROXIES"] = "127.0.0.1/32"
                    gateways.append(f"127.0.0.1:{port}")
                else:
                    own[f"{name.upper()}_HEALTH_PORT"] = str(port)
                hidden = secrets_of_others(name)
                environment = {key: value for key, value in os.environ.items() if key not in hidden} | own
                log = self._folder.log_of(name, number)
                command = [
                    *(sys.executable, "-m", "deploy.cli", "--home", str(self._folder.root)),
                    *("serve", name, "--copy", str(number)),
                ]
                self._children.append(Child(name, number, command=command, environment=environment, log=log, port=port))
        return gateways

    async def _become_ready(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + START_SECONDS
        async with httpx.AsyncClient(timeout=2.0) as http:
            while True:
                await self._look(http)
                notes = [child.note for child in self._children]
                if all(note.ready for note in notes):
                    return
                hopeless = [note for note in notes if not note.ready and note.restarts >= _HOPELESS_RESTARTS]
                late = [note for note in notes if not note.ready] if loop.time() > deadline else []
                for note in hopeless or late:
                    log = self._folder.log_of(note.name, note.copy_number)
                    raise NodeError(
                        f"{note.name}.{note.copy_number}: {note.said or 'it is not ready'}", remedy=f"Read {log}."
                    )
                count = sum(note.ready for note in notes)
                self._say("starting", f"Các tiến trình / processes: {count}/{len(notes)}")
                await asyncio.sleep(0.3)

    def _start_proxy(self, gateways: Sequence[str]) -> None:
        self._say("starting", "Proxy")
        files = make_certificate(self._folder.authority.parent)
        self._proxy = Proxy(
            self._folder.proxy,
            gateways=gateways,
            certificate=files.certificate,
            key=files.key,
            host=self._config.host,
            port=self._config.port,
            public_url=self._config.public_url,
            shutdown_seconds=10,
        )
        if self._proxy.pid is not None:
            self._proxy.stop(seconds=1)
        self._proxy.start()

    async def _look(self, http: httpx.AsyncClient) -> None:
        await asyncio.gather(*(child.look(http) for child in self._children))
        self._tell()

    async def _look_after_proxy(self) -> None:
        if self._proxy is not None and self._proxy.pid is None:
            self._proxy_restarts += 1
            await asyncio.to_thread(self._proxy.start)

    async def _stop(self) -> None:
        if self._proxy is not None:
            await asyncio.to_thread(self._proxy.stop)
        for names in _STOP_ORDER:
            await asyncio.gather(*(child.stop(DRAIN_SECONDS) for child in self._children if child.name in names))
            self._tell()
        await self._servers.stop()

    def _say(self, phase: Phase, step: str) -> None:
        self._tell(phase=phase, step=step)

    def _tell(self, **changes: object) -> None:
        notes = {"processes": self._notes()} | changes
        self._note = self._note.model_copy(update=notes)
        self._folder.write_note(self._note)

    def _notes(self) -> tuple[ProcessNote, ...]:
        proxy = []
        if self._proxy is not None:
            pid = self._proxy.pid
            proxy = [ProcessNote(name="proxy", pid=pid, ready=pid is not None, restarts=self._proxy_restarts)]
        return (*self._servers.notes, *(child.note for child in self._children), *proxy)


async def _keep_looking_after(look_after: Callable[[], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        try:
            await look_after()
        except AxisError as error:
            _logger.warning("a server does not come back", error=str(error))


async def end_leftovers(folder: Folder) -> bool:
    """
    End the processes of a deployment whose supervisor was killed: asked first, then ended; true where there were any.
    """
    found = bool(processes_of(folder.root, "serve"))
    for number, seconds in ((signal.SIGTERM, DRAIN_SECONDS), (signal.SIGKILL, 5.0)):
        left = processes_of(folder.root, "serve")
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        if not left or await _become(lambda: not processes_of(folder.root, "serve"), seconds):
            break
    return found


async def supervise(root: Path, *, passing: bool = False) -> int:
    """
    Look after a deployment until SIGTERM.
    """
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told.set)
    return await Supervisor(Folder(root), passing=passing).run(told)


def supervise_until_told(root: Path, *, passing: bool = False) -> int:
    """
    The supervisor's own process.
    """
    configure_logs()
    return asyncio.run(supervise(root.absolute(), passing=passing))


async def _become(condition: Callable[[], bool], seconds: float) -> bool:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not condition():
        if loop.time() > deadline:
            return False
        await asyncio.sleep(0.1)
    return True


def _as_problem(error: BaseException | None) -> NodeError:
    match error:
        case NodeError():
            return error
        case None:
            return NodeError("The supervisor ended by itself.", remedy="Read the log of the supervisor.")
        case _:
            _logger.error("the supervisor met a defect", exc_info=error)
            return NodeError(f"{type(error).__name__}: {error}", remedy="Read the log of the supervisor.")
