"""One nginx in a folder of its own: started, told of changes, and ended by its process id."""

import contextlib
import os
import pwd
import random
import signal
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

from deploy.proxy.configuration import ProxyConfiguration
from deploy.proxy.errors import ProxyError
from deploy.proxy.processes import becomes, children, members, takes
from deploy.proxy.programs import find_nginx

_PORTS: Final = range(20_000, 32_000)
"""Below the range that the kernel takes for outgoing connections, or one of those may sit on the port."""

_TRIES: Final = 5
_START_SECONDS: Final = 15.0
_ADDRESS_IN_USE: Final = "Address already in use"


class Proxy:
    """
    The reverse proxy. A second object on the same folder, in another process too, finds the one that runs.

    Args:
        folder: Its own; made if missing.
        gateways: `host:port` of each.
        certificate: PEM file: the server's certificate, then its chain.
        key: PEM file of its key.
        client_ca: PEM file of authorities of client certificates; None passes any on, marked as not verified.
        host: Address to listen on.
        port: Port to listen on; None takes a free one.
        public_url: Address that callers see, if it is another than `url`.
        workers: Worker processes; `auto` for one per core.
        access_log: File, or `/dev/stdout`; None: `access.log` in the folder.
        error_log: File, or `stderr`; None: `error.log` in the folder.
        shutdown_seconds: How long open requests may take to end at a stop or reload.
    """

    def __init__(
        self,
        folder: Path,
        *,
        gateways: Sequence[str],
        certificate: Path,
        key: Path,
        client_ca: Path | None = None,
        host: str = "127.0.0.1",
        port: int | None = None,
        public_url: str | None = None,
        workers: str = "auto",
        access_log: str | None = None,
        error_log: str | None = None,
        shutdown_seconds: int = 65,
    ) -> None:
        self.folder = folder.absolute()
        self.gateways = tuple(gateways)
        self.certificate = certificate.absolute()
        self.key = key.absolute()
        self.client_ca = client_ca.absolute() if client_ca else None
        self._host = host
        self._reached_at = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - read, not bound
        self._wanted_port = port
        self._port = port
        self._public_url = public_url
        self._workers = workers
        self._access_log = access_log
        self._error_log = error_log
        self._shutdown_seconds = shutdown_seconds
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """
        Where it listens.
        """
        host = f"[{self._reached_at}]" if ":" in self._reached_at else self._reached_at
        return f"https://{host}:{self.port}"

    @property
    def port(self) -> int:
        """
        The port it listens on, known once it was started.
        """
        if self._port is None:
            raise ProxyError("The proxy has no port yet.", remedy="Start it first.")
        return self._port

    @property
    def pid(self) -> int | None:
        """
        Process id of its first process; None where none runs.
        """
        pid = self._noted_pid()
        try:
            arguments = Path("/proc", str(pid), "cmdline").read_bytes()
        except OSError:
            return None
        # The number of a dead proxy may be a stranger's by now.
        return pid if os.fsencode(self._file) in arguments else None

    def start(self) -> None:
        """
        Start it; returns when it listens.

        Raises:
            ProxyError: It cannot run, with the remedy.
        """
        if self.pid is not None:
            raise ProxyError(f"A proxy runs in {self.folder} already.", remedy="Stop it first.")
        self._end_orphans()
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        nginx = find_nginx()
        for attempt in range(1, _TRIES + 1):
            self._port = self._wanted_port or _free_port(self._host)
            self._write(nginx)
            problem = self._spawn(nginx)
            if problem is None:
                return
            if self._wanted_port is not None or _ADDRESS_IN_USE not in problem or attempt == _TRIES:
                raise _failure(problem, self._port)

    def reload(self, *, gateways: Sequence[str] | None = None) -> None:
        """
        Read certificates and configuration again, without refusing anybody; open requests go on with the old ones.

        Args:
            gateways: Others than before; None: the same.

        Raises:
            ProxyError: None runs, or the files are wrong; then the old ones stay in use.
        """
        pid = self.pid
        if pid is None:
            raise ProxyError(f"No proxy runs in {self.folder}.", remedy="Start it.")
        former = self.gateways
        self.gateways = former if gateways is None else tuple(gateways)
        try:
            self._write(find_nginx())
        except ProxyError:
            self.gateways = former
            raise
        before = children(pid)
        os.kill(pid, signal.SIGHUP)
        # Workers of the former configuration take connections until they have heard of it.
        if not becomes(lambda: bool(children(pid) - before) and not any(map(takes, before)), _START_SECONDS):
            raise ProxyError("The proxy did not take its new configuration.", remedy=f"Read {self.folder}/error.log.")

    def stop(self, *, seconds: float = 5.0) -> None:
        """
        End it: open requests may end first, for so long.
        """
        pid = self.pid
        if pid is not None:
            for number, patience in ((signal.SIGQUIT, seconds), (signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
                if becomes(lambda: not members(pid), patience):
                    break
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(5.0)
        self._end_orphans()

    def ended(self) -> bool:
        """
        Tell whether the proxy that this object started has ended.
        """
        return self._process is None or self._process.poll() is not None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def _file(self) -> Path:
        return self.folder / "nginx.conf"

    def _write(self, nginx: Path) -> None:
        """Put a new configuration in the place of the old one, if nginx can use it."""
        text = ProxyConfiguration(
            folder=self.folder,
            gateways=self.gateways,
            certificate=self.certificate,
            key=self.key,
            client_ca=self.client_ca,
            public_url=self._public_url or self.url,
            host=self._host,
            port=self.port,
            user=_worker_account(),
            workers=self._workers,
            access_log=self._access_log or "",
            error_log=self._error_log or "",
            shutdown_seconds=self._shutdown_seconds,
        ).render()
        new = self.folder / "nginx.conf.new"
        new.write_text(text, encoding="utf-8")
        tried = subprocess.run(  # noqa: S603 - our own arguments
            [*self._command(nginx, new), "-t", "-q"], capture_output=True, text=True, errors="replace", check=False
        )
        # A port that is taken is found when it is started; here the proxy itself holds it.
        if tried.returncode != 0 and _ADDRESS_IN_USE not in tried.stderr:
            raise _failure(tried.stderr, self.port)
        new.replace(self._file)

    def _spawn(self, nginx: Path) -> str | None:
        """Start nginx; what it said if it ended, None once it listens."""
        output = self.folder / "start.log"
        with output.open("wb") as log:
            inherits = self._error_log is not None or self._access_log is not None
            self._process = subprocess.Popen(  # noqa: S603 - our own arguments
                self._command(nginx, self._file),
                stdin=subprocess.DEVNULL,
                stdout=None if inherits else log,
                stderr=None if inherits else log,
                cwd="/",
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"},
                start_new_session=True,  # out of reach of the terminal's Ctrl-C
            )
        try:
            if becomes(lambda: self.ended() or self._listens(), _START_SECONDS) and not self.ended():
                return None
        except BaseException:
            self.stop(seconds=0)
            raise
        self.stop(seconds=0)
        said = [
            place.read_text(encoding="utf-8", errors="replace")
            for place in (output, self.folder / "error.log")
            if place.exists()
        ]
        return "\n".join(said)

    def _command(self, nginx: Path, file: Path) -> list[str | Path]:
        return [nginx, "-e", self._error_log or self.folder / "error.log", "-p", self.folder, "-c", file]

    def _listens(self) -> bool:
        # The pid file is written after the port is bound, so nobody else's port is taken for ours.
        if self.pid is None or not children(self.pid):
            return False
        with contextlib.suppress(OSError), socket.create_connection((self._reached_at, self.port), timeout=1):
            return True
        return False

    def _noted_pid(self) -> int | None:
        try:
            return int((self.folder / "nginx.pid").read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None

    def _end_orphans(self) -> None:
        """End workers whose first process was killed; they would hold the port for ever."""
        pid = self._noted_pid()
        if pid is not None and self.pid is None:
            for worker in members(pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGKILL)
            becomes(lambda: not members(pid), _START_SECONDS)
            (self.folder / "nginx.pid").unlink(missing_ok=True)


def _worker_account() -> str | None:
    """Whom the workers of root's proxy run as."""
    if os.geteuid() != 0:
        return None
    for name in ("www-data", "nginx", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise ProxyError("There is no account for the proxy's workers.", remedy="Start it as an ordinary user.")


def _free_port(host: str) -> int:
    for port in random.sample(_PORTS, 200):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind((host, port))
                return port
    raise ProxyError(f"No free port was found on {host}.", remedy="Name one.")


def _failure(output: str, port: int | None) -> ProxyError:
    lines = [line for line in output.splitlines() if "[emerg]" in line] or output.splitlines() or ["it gave no reason"]
    reason = lines[-1].partition("[emerg]")[2].partition(": ")[2] or lines[-1]
    remedy = "Read the sentence above."
    if _ADDRESS_IN_USE in output:
        remedy = f"Stop what listens on port {port}, or choose another port."
    elif "Permission denied" in output:
        remedy = "Give the account of the proxy access to that file, or choose a port above 1023."
    elif "key values mismatch" in output:
        remedy = "Give the key that belongs to the certificate."
    elif "BIO_new_file" in output or "PEM" in output:
        remedy = "Give PEM files that exist: the certificate with its chain, and its key."
    elif "host not found in upstream" in output:
        remedy = "Give the gateways' addresses, or names that can be resolved."
    return ProxyError(f"nginx does not start: {reason.strip().rstrip('.')}.", remedy=remedy)
