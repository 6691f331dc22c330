"""What can be seen of nginx's processes from outside; it sends no signal when it is ready, reloaded or gone."""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

_POLL_SECONDS: Final = 0.02


def children(pid: int) -> set[int]:
    """
    Give the workers of a first process.
    """
    try:
        return {int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()}
    except OSError:
        return set()


def takes(worker: int) -> bool:
    """
    Tell whether a worker still takes connections.
    """
    try:
        title = Path("/proc", str(worker), "cmdline").read_bytes()
    except OSError:
        return False
    return bool(title) and b"shutting down" not in title


def members(session: int) -> set[int]:
    """
    Give the processes of nginx in the session that its first process began, even one that was killed.
    """
    found = set()
    for place in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            before, _, after = place.read_text(encoding="utf-8", errors="replace").rpartition(")")
            state, _, _, its_session = after.split()[:4]
            if before.endswith("(nginx") and state != "Z" and int(its_session) == session:
                found.add(int(place.parent.name))
    return found


def becomes(condition: Callable[[], bool], seconds: float) -> bool:
    """
    Wait for something; false when it is not so after that many seconds.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True
