import asyncio
import contextlib
import json
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from deploy.distributed.broker.ports import Ports, free_port, is_free, is_open
from deploy.embedded.errors import NodeError
from deploy.embedded.postgres.account import Account, server_account

PROGRAMS: Final = Path("/usr/lib/rabbitmq/bin")
_ERLANG: Final = Path("/usr/lib/erlang/bin")
_START_SECONDS = 90
_STOP_SECONDS = 30
_SHELF = Path("/var/lib")
_PREFIX = "document-axis-rabbitmq-"
_LOG_TAIL_BYTES = 4096
# RabbitMQ 3.10 keeps a quorum queue's number and term for some seconds in memory. Killed in that time, a lone broker
# comes back with a queue that elects nobody, or with an empty one: so both are written at once, and who has no leader
# is told to elect one.
_SETTLE = """
    [dets:sync(Table) || Table <- dets:all()],
    [catch ra:trigger_election({Queue, node()})
     || {Queue, _} <- ra_directory:list_registered(quorum_queues), ra_leaderboard:lookup_leader(Queue) =:= undefined],
    [dets:sync(Table) || Table <- dets:all()].
"""
# Ends broker and name server when the process that holds the other end of its standard input is gone, however it went.
_WATCHER = 'cat >/dev/null; for pid in "$@"; do kill -KILL "$pid" 2>/dev/null; done'


class BrokerNode:
    """
    One Erlang node with a name server (epmd) of its own, or one shared with its peers.

    Args:
        folder: Where its owner keeps things.
        name: Of the Erlang node.
        tied: End it when this process dies.
        peers: Names of all nodes of a cluster.
        cookie: What the nodes of a cluster know one another by.
        names_port: Port of a shared name server.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        *,
        tied: bool,
        peers: tuple[str, ...] = (),
        cookie: str = "",
        names_port: int | None = None,
    ) -> None:
        self._folder = folder
        self._name = name
        self._tied = tied
        self._peers = peers
        self._cookie = cookie or secrets.token_hex(16)
        self._names_port = names_port
        self._ports: Ports | None = None
        self._broker: subprocess.Popen[bytes] | None = None
        self._names: subprocess.Popen[bytes] | None = None
        self._watcher: subprocess.Popen[bytes] | None = None

    @property
    def ports(self) -> Ports:
        if self._ports is None:
            raise RuntimeError("the broker was never started")
        return self._ports

    @property
    def pid(self) -> int | None:
        return self._broker.pid if self._broker is not None and self._broker.poll() is None else None

    @property
    def log(self) -> Path:
        return self._place() / "log" / f"{self._name}@localhost.log"

    def password(self, user: str) -> str:
        """
        The password of a user; kept beside the data, readable by the owner of the folder only.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / "passwords.json"
        known: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        if user not in known:
            known[user] = secrets.token_urlsafe(18)
            path.touch(mode=0o600)
            path.write_text(json.dumps(known, indent=1), encoding="utf-8")
        return known[user]

    async def start(self, definitions: Mapping[str, Any]) -> None:
        if self.pid is not None:
            return
        if self._broker is not None:
            await self.kill()  # one that died by itself has left its name server, and the watcher over both
        if not (PROGRAMS / "rabbitmq-server").exists():
            raise NodeError(
                "Máy này không có RabbitMQ. There is no RabbitMQ on this machine.",
                remedy="Cài bằng lệnh: apt-get install rabbitmq-server; hoặc chỉ đến một máy chủ RabbitMQ có sẵn. "
                "Install it (apt-get install rabbitmq-server), or point the settings at one that runs elsewhere.",
            )
        await asyncio.to_thread(self._end_leftovers)
        account = _account()
        place = self._prepare(account, definitions)
        if self._ports is None or not all(is_free(port) for port in (self._ports.amqp, self._ports.distribution)):
            self._ports = Ports(free_port(), free_port(), self._names_port or free_port())
        self._write(place / "rabbitmq.conf", self._configuration(place), account)
        try:
            if not is_open(self.ports.names):
                command = [_ERLANG / "epmd", "-port", str(self.ports.names), "-address", "127.0.0.1"]
                self._names = self._spawn(command, account, place)
            self._broker = self._spawn([PROGRAMS / "rabbitmq-server"], account, place)
            self._note()
            if self._tied:
                self._watch()
            await self._becomes_ready()
            if not self._peers:
                await self.control("eval", _SETTLE)
        except BaseException:
            await asyncio.shield(self.kill())
            raise

    async def stop(self) -> None:
        await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        await self._end(signal.SIGKILL)

    async def end_leftovers(self) -> bool:
        """
        End what a killed owner left running; true where there was something.
        """
        return await asyncio.to_thread(self._end_leftovers)

    def remove(self) -> None:
        shutil.rmtree(self._place(), ignore_errors=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    async def load(self, definitions: Mapping[str, Any]) -> None:
        """
        Add definitions to the running broker.
        """
        place, account = self._place(), _account()
        path = place / f"definitions-{secrets.token_hex(4)}.json"
        self._write(path, json.dumps(definitions), account)
        try:
            await self.control("import_definitions", str(path))
        finally:
            path.unlink()

    async def control(self, *arguments: str) -> str:
        """
        Run `rabbitmqctl` for this node and give what it printed.
        """
        place = self._place()
        command = [str(PROGRAMS / "rabbitmqctl"), "--quiet", *arguments]

        def run() -> subprocess.CompletedProcess[str]:
            return subprocess.run(  # noqa: S603 - a program of the packages, arguments of ours
                command,
                capture_output=True,
                text=True,
                check=False,
                stdin=subprocess.DEVNULL,
                cwd=place,
                env=self._environment(place),
                timeout=_START_SECONDS,
                **_identity(_account()),
            )

        try:
            process = await asyncio.to_thread(run)
        except subprocess.TimeoutExpired as error:
            raise NodeError(
                f"rabbitmqctl {arguments[0]}: no answer in {_START_SECONDS} s",
                remedy=f"Máy có quá tải không? Is the machine overloaded? {self.log}.",
            ) from error
        if process.returncode != 0:
            raise NodeError(
                f"rabbitmqctl {arguments[0]}: {(process.stderr or process.stdout).strip()[-500:]}",
                remedy=f"Xem {self.log}. Read {self.log}.",
            )
        return process.stdout

    # --- files --------------------------------------------------------------------------------------------------------

    def _place(self) -> Path:
        pointer = self._folder / "place"
        return Path(pointer.read_text(encoding="utf-8")) if pointer.exists() else self._folder / "server"

    def _prepare(self, account: Account, definitions: Mapping[str, Any]) -> Path:
        """Make the broker's own folder, elsewhere where its account cannot get into ours."""
        self._folder.mkdir(parents=True, exist_ok=True)
        pointer = self._folder / "place"
        if not pointer.exists() and not account.is_own and not account.can_enter(self._folder):
            temporary = Path(tempfile.gettempdir()).resolve()
            shelf = temporary if self._folder.is_relative_to(temporary) or not os.access(_SHELF, os.W_OK) else _SHELF
            _sweep(shelf)
            elsewhere = tempfile.mkdtemp(prefix=_PREFIX, dir=shelf)
            pointer.write_text(elsewhere, encoding="utf-8")
            Path(elsewhere, "owner").write_text(str(self._folder), encoding="utf-8")
        place = self._place()
        for folder in (place, place / "mnesia", place / "log"):
            folder.mkdir(mode=0o700, exist_ok=True)
            account.take(folder)
        cookie = place / ".erlang.cookie"
        if not cookie.exists():
            self._write(cookie, self._cookie, account, mode=0o400)
        self._write(place / "plugins", "[].", account)
        self._write(place / "environment", "", account)
        self._write(place / "definitions.json", json.dumps(definitions, indent=1), account)
        return place

    def _write(self, path: Path, text: str, account: Account, *, mode: int = 0o600) -> None:
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        account.take(path)

    def _configuration(self, place: Path) -> str:
        lines = [
            f"listeners.tcp.1 = 127.0.0.1:{self.ports.amqp}",
            f"load_definitions = {place / 'definitions.json'}",
            "log.console = false",
            "log.file.level = info",
            # A folder on a nearly full disk must stop intake before it stops the broker.
            "disk_free_limit.absolute = 200MB",
        ]
        if self._peers:
            lines += [
                "cluster_formation.peer_discovery_backend = rabbit_peer_discovery_classic_config",
                "cluster_partition_handling = pause_minority",
                *(
                    f"cluster_formation.classic_config.nodes.{n} = {peer}@localhost"
                    for n, peer in enumerate(self._peers, 1)
                ),
            ]
        return "\n".join([*lines, ""])

    def _environment(self, place: Path) -> dict[str, str]:
        # Nothing of ours and nothing of /etc/rabbitmq: this broker knows only its own folder.
        return {
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "HOME": str(place),
            "RABBITMQ_NODENAME": f"{self._name}@localhost",
            "RABBITMQ_MNESIA_BASE": str(place / "mnesia"),
            "RABBITMQ_LOG_BASE": str(place / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(place / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(place / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(place / "environment"),
            "RABBITMQ_PID_FILE": str(place / "pid"),
            "RABBITMQ_DIST_PORT": str(self.ports.distribution),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self.ports.names),
            # Has the start script become the broker instead of watching it, so that our child's number is its number.
            "RUNNING_UNDER_SYSTEMD": "true",
        }

    # --- processes ----------------------------------------------------------------------------------------------------

    def _spawn(self, command: list[Any], account: Account, place: Path) -> subprocess.Popen[bytes]:
        with (place / "output").open("ab") as output:
            return subprocess.Popen(  # noqa: S603 - programs of the packages, arguments of ours
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=place,
                env=self._environment(place),
                start_new_session=True,
                **_identity(account),
            )

    def _watch(self) -> None:
        numbers = [str(process.pid) for process in (self._broker, self._names) if process is not None]
        self._watcher = subprocess.Popen(  # noqa: S603 - a script of ours
            ["/bin/sh", "-c", _WATCHER, "watcher", *numbers], stdin=subprocess.PIPE, start_new_session=True
        )

    async def _becomes_ready(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _START_SECONDS
        while loop.time() < deadline:
            assert self._broker is not None
            if self._broker.poll() is not None:
                raise NodeError(
                    f"RabbitMQ không khởi động được. RabbitMQ did not start: {self._last_words()}",
                    remedy=f"Xem {self._place() / 'output'}. Read {self._place() / 'output'}.",
                )
            if is_open(self.ports.amqp):
                return
            await asyncio.sleep(0.1)
        raise NodeError(
            f"RabbitMQ chưa sẵn sàng sau {_START_SECONDS} giây. RabbitMQ was not ready after {_START_SECONDS} s.",
            remedy=f"Xem {self.log}. Read {self.log}.",
        )

    def _last_words(self) -> str:
        try:
            text = (self._place() / "output").read_bytes()[-_LOG_TAIL_BYTES:].decode("utf-8", "replace")
        except OSError as error:
            return str(error)
        lines = [line.strip() for line in text.splitlines() if "error" in line.lower()]
        return (lines or text.splitlines() or ["it gave no reason"])[-1]

    async def _end(self, number: signal.Signals) -> None:
        if self._watcher is not None:
            self._watcher.kill()
            self._watcher.wait()
            assert self._watcher.stdin is not None
            self._watcher.stdin.close()
            self._watcher = None
        for process, how in ((self._broker, number), (self._names, signal.SIGKILL)):
            if process is not None:
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(how)
                try:
                    await asyncio.to_thread(process.wait, _STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        self._broker = self._names = None
        (self._folder / "processes").unlink(missing_ok=True)

    def _note(self) -> None:
        """Write down what runs, for an owner that comes after one who was killed."""
        pids = [process.pid for process in (self._broker, self._names) if process is not None]
        (self._folder / "processes").write_text("\n".join(map(str, pids)), encoding="utf-8")

    def _end_leftovers(self) -> bool:
        note = self._folder / "processes"
        if not note.exists():
            return False
        found = False
        place = str(self._place()).encode()
        for word in note.read_text(encoding="utf-8").split():
            environment = Path("/proc", word, "environ")
            with contextlib.suppress(OSError):
                # Ours, and not a stranger who was given its old number.
                while place in environment.read_bytes():
                    found = True
                    os.kill(int(word), signal.SIGKILL)
                    time.sleep(0.05)
        note.unlink()
        return found


def _sweep(shelf: Path) -> None:
    """Remove what brokers left here whose owners were deleted without them: a killed try, an emptied folder."""
    for place in shelf.glob(f"{_PREFIX}*"):
        owner = place / "owner"
        if owner.exists() and not Path(owner.read_text(encoding="utf-8"), "place").exists():
            shutil.rmtree(place, ignore_errors=True)


def _account() -> Account:
    """As root the packages' own user; else whoever we are."""
    if os.geteuid() == 0:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam("rabbitmq")
            return Account(name="rabbitmq", uid=entry.pw_uid, gid=entry.pw_gid, is_own=False)
    return server_account()


def _identity(account: Account) -> dict[str, Any]:
    return {} if account.is_own else {"user": account.uid, "group": account.gid, "extra_groups": []}
