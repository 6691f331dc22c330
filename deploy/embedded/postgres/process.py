import asyncio
import contextlib
import errno
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.embedded.errors import NodeError
from deploy.embedded.postgres.account import Account

# Short enough that nobody notices; the files and processes watched here have no better signal.
POLL_SECONDS = 0.02
_LOG_TAIL_BYTES = 8192
_FULL_DISK_BYTES = 1024 * 1024
_LOG_PREFIX = re.compile(r"^.*?[-0-9]+ [0-9:.]+ UTC \[\d+\] ?@? *")
# Left alone, these are the sentences of PostgreSQL's log; the second column is for a person who does not know it.
_REMEDIES = (
    ("No space left on device", "Free some room on that disk and start again."),
    ("Disk quota exceeded", "Free some room within the quota and start again."),
    ("Permission denied", "Give the account that runs the server access to that place, or choose another home."),
    ("Operation not permitted", "Start the node as an ordinary user instead of root."),
    ("Read-only file system", "Choose a home on a file system that can be written."),
    ("database files are incompatible", "Use the PostgreSQL release that made the data, or move the data with a dump."),
    ("too long for Unix-domain socket", "Choose a home with a shorter path."),
    ("could not map anonymous shared memory", "Give the machine more memory or stop other programs."),
    ("pre-existing shared memory block", "Wait until the processes of the former server have ended, then start again."),
    ("lock file", "Stop the other server that uses this folder, then start again."),
)


@dataclass(frozen=True)
class PidFile:
    """
    What a running server says about itself in its data folder.

    Attributes:
        pid: Number of its first process.
        socket: Folder of its socket; None before it has one.
        state: `starting`, `ready`, `stopping` or empty.
    """

    pid: int
    socket: Path | None
    state: str


def read_pid_file(data: Path) -> PidFile | None:
    """
    Read the note of the server that runs, or ran, on a data folder.
    """
    try:
        lines = (data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        pid = abs(int(lines[0]))
    except (FileNotFoundError, NotADirectoryError, IndexError, ValueError):
        return None  # none, or one that its writer has not finished
    socket = Path(lines[4]) if len(lines) > 4 and lines[4] else None
    return PidFile(pid, socket, lines[7].strip() if len(lines) > 7 else "")


def serves(pid: int, data: Path) -> bool:
    """
    Tell whether a process is a server on this data folder, and not a stranger who was given its old number.
    """
    process = Path("/proc") / str(pid)
    try:
        return (process / "cwd").samefile(data)  # a server works in its data folder, even one that was moved
    except PermissionError:
        pass  # root in a container may not look there, but may read the command line
    except OSError:
        return False
    try:
        arguments = (process / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return os.fsencode(data) in arguments


def has_workers(data: Path) -> bool:
    """
    Tell whether any process still works in the data folder, as far as we may look.
    """
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cwd").samefile(data):
                return True
    return False


def drop_stale_notes(data: Path, socket: Path, pid: int) -> None:
    """
    Remove what a dead server wrote of itself, where PostgreSQL would take another for it.

    That is when its number belongs to a stranger, or to its own remains that no parent has collected. Otherwise the
    note in the data folder stays: by it PostgreSQL sees whether processes of the dead server hold its memory.
    """
    if Path("/proc", str(pid)).exists():
        (data / "postmaster.pid").unlink(missing_ok=True)
        for lock in socket.glob(".s.PGSQL.*.lock"):
            lock.unlink()


def spawn(
    arguments: Sequence[str | Path], account: Account, *, output: Path, cwd: Path, watched: bool = False
) -> subprocess.Popen[bytes]:
    """
    Start a program as the account, out of reach of the terminal's Ctrl-C.

    Args:
        arguments: Program and its arguments.
        account: Who it runs as.
        output: File that what it prints is added to.
        cwd: Working folder, reachable by the account.
        watched: Give it a pipe as standard input that closes when this process dies.

    Raises:
        NodeError: It could not be started.
    """
    hands_over = not account.is_own
    try:
        with output.open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - programs of the wheel, arguments of ours
                arguments,
                stdin=subprocess.PIPE if watched else subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=cwd,
                # Nothing of ours: PG* variables would change what the programs do.
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
                start_new_session=True,
                user=account.uid if hands_over else None,
                group=account.gid if hands_over else None,
                extra_groups=[] if hands_over else None,
            )
    except OSError as error:
        program = Path(arguments[0]).name
        raise failure(f"{program} could not be started as {account.name}", str(error)) from error


def signal_process(pid: int, number: signal.Signals) -> None:
    """
    Send a signal to a process that may have ended already.
    """
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


async def becomes(condition: Callable[[], bool], seconds: float) -> bool:
    """
    Wait for something that sends no signal; false when it is not so after that many seconds.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not condition():
        if loop.time() > deadline:
            return False
        await asyncio.sleep(POLL_SECONDS)
    return True


def failure(what: str, output: str) -> NodeError:
    """
    Say in clear words what a program's last words mean.
    """
    lines = [_LOG_PREFIX.sub("", line).strip() for line in output.splitlines() if line.strip()]
    known = ((line, remedy) for words, remedy in _REMEDIES for line in lines if words in line)
    errors = [line for line in lines if any(mark in line for mark in ("FATAL", "PANIC", "error:"))]
    last = (errors or lines or ["it gave no reason"])[-1]
    reason, remedy = next(known, (last, "Read the sentence above, and the log."))
    return NodeError(f"{what}: {reason.rstrip('.')}.", remedy=remedy)


def tail(log: Path) -> str:
    """
    The end of a log, as far as it can be read; on a full disk nothing may have been written to it.
    """
    try:
        with log.open("rb") as handle:
            handle.seek(max(0, log.stat().st_size - _LOG_TAIL_BYTES))
            text = handle.read().decode("utf-8", "replace")
        if not text and shutil.disk_usage(log.parent).free < _FULL_DISK_BYTES:
            text = os.strerror(errno.ENOSPC)
    except OSError as error:
        text = str(error)
    return text
