"""What a run was made on, and how much of the machine others took meanwhile."""

import os
import platform
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from pydantic import BaseModel

ROOT: Final = Path(__file__).parents[1]
PACKAGES: Final = (
    "document-axis",
    "fastapi",
    "uvicorn",
    "uvloop",
    "httptools",
    "sqlalchemy",
    "asyncpg",
    "aio-pika",
    "cryptography",
)
_STEAL: Final = 7
"""Column of `/proc/stat` that counts what the hypervisor gave to others."""


class Machine(BaseModel):
    """
    The machine and the versions.

    Attributes:
        load_before: Load average over a minute when the run began; others on the machine spoil a measurement.
    """

    started_at: datetime
    commit: str
    cpu: str
    cores: int
    memory_gib: float
    system: str
    load_before: float
    versions: dict[str, str]


@dataclass(frozen=True)
class Noise:
    """
    Shares of all cores, over some time.

    Attributes:
        busy: Whoever used it.
        stolen: What the hypervisor gave to other machines.
    """

    busy: float
    stolen: float


class NoiseMeter:
    """
    Watches the whole machine from its making on.
    """

    def __init__(self) -> None:
        self._begun = _ticks()

    def read(self) -> Noise:
        """
        Give the shares since the beginning.
        """
        spent = [after - before for before, after in zip(self._begun, _ticks(), strict=True)]
        total = sum(spent) or 1
        idle = spent[3] + spent[4]
        return Noise(busy=(total - idle - spent[_STEAL]) / total, stolen=spent[_STEAL] / total)


def describe_machine() -> Machine:
    """
    Look at this machine.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Machine(
        started_at=datetime.now(UTC).replace(microsecond=0),
        commit=_commit(),
        cpu=_cpu_model(),
        cores=len(os.sched_getaffinity(0)),
        memory_gib=round(memory / 2**30, 1),
        system=f"{_distribution()}, Linux {platform.release()}",
        load_before=os.getloadavg()[0],
        versions=_versions(),
    )


def _ticks() -> list[int]:
    first = Path("/proc/stat").read_text(encoding="ascii").partition("\n")[0]
    return [int(word) for word in first.split()[1:9]]


def _cpu_model() -> str:
    fields: dict[str, str] = {}
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    name = fields.get("model name") or platform.machine()
    megahertz = fields.get("cpu MHz")
    return f"{name}, {float(megahertz) / 1000:.1f} GHz" if megahertz and "GHz" not in name else name


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()


def _commit() -> str:
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=7", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603 - fixed words
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
