"""`make up`, `make down`, `make status`: the deployment of one machine, from outside its supervisor."""

import asyncio
import fcntl
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from deploy.distributed.folder import Folder, Note, processes_of
from deploy.distributed.ports import free_ports, is_free
from deploy.distributed.servers import Servers
from deploy.distributed.supervisor import DRAIN_SECONDS, START_SECONDS, end_leftovers
from deploy.embedded.errors import NodeError
from deploy.embedded.home import init_home
from deploy.proxy.nginx import Proxy

PUBLIC_PORT: Final = 8443
ADMIN_PORT: Final = 8444

_POLL_SECONDS: Final = 0.2
_DYING_SECONDS: Final = 10.0
_DOWN_SECONDS: Final = 6 * DRAIN_SECONDS
"""Longer than every stage of an orderly stop together."""

Report = Callable[[Note], None]


@dataclass(frozen=True)
class State:
    """
    How a deployment is.

    Attributes:
        running: Its supervisor lives.
        note: What that wrote last; None where there is nothing to tell.
        answers: The node answers through the proxy that it is ready.
    """

    running: bool
    note: Note | None
    answers: bool = False


def up(root: Path, report: Report, *, node_id: str = "H43", passing: bool = False) -> Note:
    """
    Start everything and wait until it is ready; where it runs already, only wait.

    Args:
        root: The deployment's folder; made if missing.
        report: Told whenever something has changed.
        node_id: Code of the agency that runs the node, for a folder that is made now.
        passing: True for a deployment that is thrown away: its servers end with the supervisor.

    Raises:
        NodeError: It cannot run; nothing is left running.
    """
    folder = Folder(root.absolute())
    if not folder.home.config_file.exists():
        port, admin_port = _ports(passing=passing)
        init_home(
            folder.root, node_id=node_id, port=port, admin_port=admin_port, public_url=f"https://127.0.0.1:{port}"
        )
    else:
        folder.home.config()
    if not _is_running(folder):
        folder.note.unlink(missing_ok=True)
        _launch(folder, passing=passing)
    deadline = time.monotonic() + START_SECONDS + DRAIN_SECONDS
    told: Note | None = None
    while time.monotonic() < deadline:
        note = folder.read_note()
        if note is not None and note != told:
            told = note
            report(note)
        if note is not None and note.phase == "ready":
            return note
        if not processes_of(folder.root, "supervise"):
            raise _failure(folder, folder.read_note())
        time.sleep(_POLL_SECONDS)
    down(root, report)
    raise NodeError("It was not ready in time.", remedy=f"Read the logs in {folder.logs}.")


def down(root: Path, report: Report) -> bool:
    """
    Stop everything in order; the data stay.

    Returns:
        False where nothing ran.
    """
    folder = Folder(root.absolute())
    found = False
    told: Note | None = None
    deadline = time.monotonic() + _DOWN_SECONDS
    while supervisors := processes_of(folder.root, "supervise"):
        for pid in supervisors if not found or time.monotonic() > deadline else ():
            os.kill(pid, signal.SIGTERM if not found else signal.SIGKILL)
        found = True
        note = folder.read_note()
        if note is not None and note != told:
            told = note
            report(note)
        time.sleep(_POLL_SECONDS)
    return asyncio.run(_end_remains(folder)) or found


def state(root: Path) -> State:
    """
    Look how a deployment is.
    """
    folder = Folder(root.absolute())
    running = _is_running(folder)
    note = folder.read_note()
    if not running or note is None or note.phase != "ready":
        return State(running, note if running or (note is not None and note.phase == "failed") else None)
    return State(running, note, _answers(folder, note.url))


def _ports(*, passing: bool) -> tuple[int, int]:
    wanted = (PUBLIC_PORT, ADMIN_PORT)
    if not passing and all(is_free(port) for port in wanted):
        return wanted
    first, second = free_ports(2)
    return first, second


def _launch(folder: Folder, *, passing: bool) -> None:
    folder.logs.mkdir(mode=0o700, exist_ok=True)
    command = [sys.executable, "-m", "deploy.cli", "--home", str(folder.root), "supervise", "--detached"]
    with (folder.logs / "supervisor.log").open("ab") as log:
        # It leaves us at once, so that nobody has to wait for its end.
        subprocess.run(  # noqa: S603 - ourselves
            [*command, *(["--passing"] if passing else [])],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            check=True,
        )


def _is_running(folder: Folder) -> bool:
    """
    Tell whether a supervisor lives: it holds the lock, which the kernel drops with its last thread. One that was killed
    a moment ago may hold it a little longer than it lives.
    """
    deadline = time.monotonic() + _DYING_SECONDS
    while _is_locked(folder):
        if processes_of(folder.root, "supervise") or time.monotonic() > deadline:
            return True
        time.sleep(_POLL_SECONDS)
    return False


def _is_locked(folder: Folder) -> bool:
    try:
        with folder.lock.open("a", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


async def _end_remains(folder: Folder) -> bool:
    """End what a supervisor that was killed has left; true where there was something."""
    if not folder.home.config_file.exists():
        return False
    proxy = Proxy(folder.proxy, gateways=(), certificate=folder.authority, key=folder.authority)
    found = proxy.pid is not None
    proxy.stop()
    found |= await end_leftovers(folder)
    found |= await Servers(folder).end_leftovers()
    folder.note.unlink(missing_ok=True)
    return found


def _failure(folder: Folder, note: Note | None) -> NodeError:
    if note is not None and note.phase == "failed":
        return NodeError(note.problem, remedy=note.remedy)
    log = folder.logs / "supervisor.log"
    return NodeError("The supervisor has ended.", remedy=f"Read {log}.")


def _answers(folder: Folder, url: str) -> bool:
    try:
        trust = ssl.create_default_context(cafile=folder.authority)
        with httpx.Client(verify=trust, timeout=5.0) as http:
            return http.get(f"{url}/health/ready").status_code == httpx.codes.OK
    except (httpx.HTTPError, OSError):
        return False
