"""CPU and memory of process trees, read from `/proc`."""

import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_TICK: Final = 1 / os.sysconf("SC_CLK_TCK")
_RESET_PEAK: Final = "5"
"""Written to `clear_refs`, it sets the peak of resident memory back to what is resident now (proc(5))."""


@dataclass(frozen=True)
class Process:
    """
    A process as `/proc/<pid>/stat` shows it.

    Attributes:
        own_seconds: CPU of all its threads.
        ended_seconds: CPU of children that ended and were waited for, and of theirs.
    """

    pid: int
    parent: int
    own_seconds: float
    ended_seconds: float


Classify = Callable[[int], str]
"""Gives the role of a process by its number."""


@dataclass(frozen=True)
class Usage:
    """
    What roles have used since their processes began.

    Attributes:
        cpu_seconds: By role.
        peak_bytes: Highest resident memory of one process of the role.
    """

    cpu_seconds: Mapping[str, float] = field(default_factory=dict)
    peak_bytes: Mapping[str, int] = field(default_factory=dict)

    @property
    def total_cpu_seconds(self) -> float:
        """
        CPU of all roles.
        """
        return sum(self.cpu_seconds.values())

    def since(self, before: "Usage") -> "Usage":
        """
        What was used after another look; peaks are those of now.
        """
        spent = {role: seconds - before.cpu_seconds.get(role, 0.0) for role, seconds in self.cpu_seconds.items()}
        return Usage(spent, self.peak_bytes)

    def less(self, other: "Usage", times: float) -> "Usage":
        """
        What is left when so many times another's CPU is taken off; never less than nothing.
        """
        left = {
            role: max(0.0, seconds - times * other.cpu_seconds.get(role, 0.0))
            for role, seconds in self.cpu_seconds.items()
        }
        return Usage(left, self.peak_bytes)


class Meter:
    """
    Reads what the processes of a deployment use, those that they start included.

    Args:
        roots: The processes it was started as.
        classify: Role of each process found below them.
        heir: Role under which the CPU of a process's ended children is counted, by the role of that process; workers
            that are replaced now and then would otherwise be counted as their parent's own work.
    """

    def __init__(
        self, roots: Callable[[], Sequence[int]], classify: Classify, heir: Mapping[str, str] | None = None
    ) -> None:
        self._roots = roots
        self._classify = classify
        self._heir = heir or {}
        self._known: dict[int, str] = {}

    def read(self) -> Usage:
        """
        Look once.
        """
        seconds: defaultdict[str, float] = defaultdict(float)
        peaks: defaultdict[str, int] = defaultdict(int)
        for process in tree_of(self._roots()):
            role = self._role(process.pid)
            seconds[role] += process.own_seconds
            seconds[self._heir.get(role, role)] += process.ended_seconds
            peaks[role] = max(peaks[role], peak_of(process.pid))
        return Usage(dict(seconds), dict(peaks))

    def reset_peaks(self) -> None:
        """
        Forget how much memory was resident before.
        """
        for process in tree_of(self._roots()):
            try:
                Path(f"/proc/{process.pid}/clear_refs").write_text(_RESET_PEAK, encoding="ascii")
            except OSError:
                # Ended, or another account's: then the peak is that of its whole life, which is no smaller.
                continue

    def _role(self, pid: int) -> str:
        if pid not in self._known:
            self._known[pid] = self._classify(pid)
        return self._known[pid]


def tree_of(roots: Sequence[int]) -> list[Process]:
    """
    Give the processes of some numbers and everything below them.
    """
    children: defaultdict[int, list[Process]] = defaultdict(list)
    by_pid: dict[int, Process] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit() and (process := _read(int(entry.name))) is not None:
            by_pid[process.pid] = process
            children[process.parent].append(process)
    found: dict[int, Process] = {}
    rest = [by_pid[pid] for pid in roots if pid in by_pid]
    while rest:
        process = rest.pop()
        if process.pid not in found:
            found[process.pid] = process
            rest += children[process.pid]
    return list(found.values())


def command_of(pid: int) -> str:
    """
    The words a process was started with; empty where it has ended.
    """
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def program_of(pid: int) -> str:
    """
    Name of the program a process runs; empty where it has ended.
    """
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def peak_of(pid: int) -> int:
    """
    Highest resident memory in bytes; 0 where the process has ended.
    """
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


def _read(pid: int) -> Process | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name stands in parentheses and may hold anything, so counting begins after the last one.
    words = text.rpartition(")")[2].split()
    own, ended = int(words[11]) + int(words[12]), int(words[13]) + int(words[14])
    return Process(pid, int(words[1]), own * _TICK, ended * _TICK)
