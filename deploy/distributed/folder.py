"""The folder of a distributed deployment on one machine, and the note by which its supervisor tells how things are."""

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from deploy.composition import GATEWAY
from deploy.embedded.home import Home

DEFAULT_FOLDER: Final = Path("var/distributed")

COPIES: Final = {"signing": 2, "registry": 2, "routing": 2, "delivery": 2, "audit": 1, GATEWAY: 2}
"""How many of each, in the order they start; audit is one sequencer."""

Phase = Literal["starting", "ready", "stopping", "failed"]


class ProcessNote(BaseModel):
    """
    One process as the supervisor sees it.

    Attributes:
        name: Which.
        copy_number: Which of its copies; 0 where there is but one by nature.
        pid: Its number; None while it does not run.
        since: When this run of it began.
        ready: It takes work.
        restarts: How often it was started again since the supervisor began.
        port: Where its health is told.
        said: Its last words, where it ended badly.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    copy_number: int = 0
    pid: int | None = None
    since: datetime | None = None
    ready: bool = False
    restarts: int = 0
    port: int | None = None
    said: str = ""


class Note(BaseModel):
    """
    What the supervisor last wrote of itself.

    Attributes:
        pid: Its number.
        phase: Where it stands.
        step: What it is doing, for whoever waits.
        problem: Why it failed.
        remedy: What to do about it.
        url: Address of the node.
        processes: Everything it looks after.
    """

    model_config = ConfigDict(frozen=True)

    pid: int
    phase: Phase
    step: str = ""
    problem: str = ""
    remedy: str = ""
    url: str = ""
    processes: tuple[ProcessNote, ...] = ()


@dataclass(frozen=True)
class Folder:
    """
    The places in it; what it shares with an embedded node's folder is in `home`.
    """

    root: Path

    @property
    def home(self) -> Home:
        return Home(self.root)

    @property
    def rabbitmq(self) -> Path:
        return self.root / "rabbitmq"

    @property
    def proxy(self) -> Path:
        return self.root / "proxy"

    @property
    def authority(self) -> Path:
        """
        What clients must trust to reach the proxy.
        """
        return self.proxy / "certificate" / "authority.pem"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def lock(self) -> Path:
        """
        Held by the supervisor as long as it lives.
        """
        return self.root / "supervisor.lock"

    @property
    def note(self) -> Path:
        return self.root / "supervisor.json"

    def log_of(self, name: str, copy_number: int) -> Path:
        """
        The log of one process.
        """
        return self.logs / (f"{name}.{copy_number}.log" if copy_number else f"{name}.log")

    def write_note(self, note: Note) -> None:
        """
        Write how things are; a reader sees the old note or the new one.
        """
        fresh = self.note.with_suffix(".new")
        fresh.write_text(note.model_dump_json(indent=1), encoding="utf-8")
        fresh.replace(self.note)

    def read_note(self) -> Note | None:
        """
        Read how things were when the supervisor last wrote; None where it never did.
        """
        try:
            return Note.model_validate_json(self.note.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValidationError):
            return None


def arguments_of(pid: int) -> list[str]:
    """
    Read the command line of a process; empty where it is gone.
    """
    try:
        return os.fsdecode(Path("/proc", str(pid), "cmdline").read_bytes()).split("\0")[:-1]
    except OSError:
        return []


def processes_of(root: Path, command: str) -> list[int]:
    """
    Find the processes that run a command of ours for a folder: by what they are, not by a number somebody noted.
    """
    found = []
    wanted = ["--home", str(root), command]
    for place in Path("/proc").glob("[0-9]*"):
        arguments = arguments_of(int(place.name))
        begin = arguments.index("--home") if "--home" in arguments else len(arguments)
        if arguments[begin : begin + 3] == wanted:
            found.append(int(place.name))
    return found
