"""The load: several agencies' systems as processes, told when to post and when to rest, and what they all wrote."""

import asyncio
import csv
import os
import ssl
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import httpx
from cryptography import x509

from deploy.embedded.systems import ensure_system, import_table
from shared.client import Credential, Transport
from tests.kill.deployment import ROOT, Deployment
from tests.kill.notes import Ledger, NotesReader
from tests.kill.system import Job

REST_SECONDS: Final = 120.0
PROGRESS_SECONDS: Final = 120.0
"""So long nothing may happen at all: a broker needs half a minute to come back, on a busy machine more."""

TABLE: Final = ROOT / "deploy" / "data" / "agencies-2024.csv"


@dataclass(frozen=True)
class Shape:
    """
    What the load is made of.

    Attributes:
        systems: Processes; each has its share of the agencies of a province.
        senders: Documents that each has under way.
        circular_every: One document of so many goes to `circular_size` agencies.
    """

    systems: int = 3
    senders: int = 4
    circular_every: int = 100
    circular_size: int = 40
    seed: int = 20


class Load:
    """
    All systems together. Use it as a context manager.

    Args:
        deployment: Which they use, through its proxy.
        shape: How many, and what they send.

    Attributes:
        ledger: What all of them have written.
        anchors: Root certificates that they trust.
    """

    def __init__(self, deployment: Deployment, shape: Shape) -> None:
        self._deployment = deployment
        self._shape = shape
        self._folder = deployment.root / "clients"
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._readers: dict[str, NotesReader] = {}
        self.ledger = Ledger()
        self.anchors: list[x509.Certificate] = []

    async def __aenter__(self) -> Self:
        self._folder.mkdir()
        for job in await self._prepare():
            self._readers[job.name] = NotesReader(job.notes)
            file = self._folder / f"{job.name}.json"
            file.write_text(job.model_dump_json(), encoding="utf-8")
            with (self._folder / f"{job.name}.log").open("wb") as log:
                self._processes[job.name] = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "tests.kill.system", str(file)),
                    stdin=asyncio.subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    cwd=ROOT,
                    env=os.environ | {"PYTHONPATH": str(ROOT)},
                )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes.values():
            if process.returncode is None:
                process.kill()
            await process.wait()

    def read(self) -> Ledger:
        """
        Read what was written since the last time.
        """
        for name, reader in self._readers.items():
            for note in reader.read():
                self.ledger.enter(name, note)
        for name, process in self._processes.items():
            if process.returncode is not None:
                log = (self._folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")
                raise AssertionError(f"the client {name} ended: {log[-3_000:]}")
        return self.ledger

    async def post(self) -> None:
        """
        Have everyone post.
        """
        self.ledger.resting.clear()
        await self._tell(b"post\n")

    async def rest(self) -> None:
        """
        Have everyone stop posting, answer what is under way, and send some again; receiving goes on.
        """
        await self._tell(b"rest\n")
        await self.until(lambda ledger: len(ledger.resting) == len(self._processes), REST_SECONDS, "come to rest")

    async def progress(self, documents: int = 5) -> None:
        """
        Wait until so many more documents are accepted and taken.
        """
        ledger = self.read()
        accepted, taken = ledger.accepted + documents, len(ledger.taken_at) + documents
        await self.until(lambda now: now.accepted >= accepted and len(now.taken_at) >= taken, PROGRESS_SECONDS, "go on")

    async def until(self, condition: Callable[[Ledger], bool], seconds: float, what: str) -> None:
        """
        Wait for something in the notes, as long as there is progress.

        Raises:
            AssertionError: For so many seconds nothing went on, or for ten times as long it did not come.
        """
        begun = moved = time.monotonic()
        last = self._counts()
        while not condition(self.read()):
            now = time.monotonic()
            if (counts := self._counts()) != last:
                last, moved = counts, now
            if now - moved > seconds or now - begun > 10 * seconds:
                raise AssertionError(
                    f"the clients do not {what} in {seconds:.0f} s; {self.ledger.accepted} documents, "
                    f"at rest: {sorted(self.ledger.resting)}, without answer: {self.ledger.unanswered()[:5]}, "
                    f"untaken: {sorted(self.ledger.missing)[:5]}, faults: {self.ledger.faults}\n"
                    f"{self._deployment.tail()}"
                )
            await asyncio.sleep(0.1)

    def _counts(self) -> tuple[int, int, int]:
        return self.ledger.accepted, len(self.ledger.taken_at), self.ledger.repeats

    async def _tell(self, order: bytes) -> None:
        for process in self._processes.values():
            assert process.stdin is not None
            process.stdin.write(order)
            await process.stdin.drain()

    async def _prepare(self) -> list[Job]:
        """Import the agencies of a province, and make systems that act for them."""
        agencies = _agencies("H43")
        deployment, home = self._deployment, self._deployment.folder.home
        credential = Credential.read(home.admin_credential)
        jobs = []
        http = httpx.AsyncHTTPTransport(verify=ssl.create_default_context(cafile=deployment.folder.authority))
        async with Transport(credential.url, credential) as admin, Transport(deployment.url, http=http) as public:
            await import_table(admin, TABLE.read_bytes(), as_of="2024-12-31", under="H43")
            for number in range(self._shape.systems):
                own, name = agencies[number :: self._shape.systems], chr(ord("A") + number)
                system = await ensure_system(
                    admin,
                    public,
                    home.systems,
                    system_id=f"qlvb-{name.lower()}",
                    name=f"Hệ thống {name}",
                    agencies=[code for code, _ in own],
                )
                self.anchors = system.anchor_certificates()
                jobs.append(self._job(name, own, agencies))
        return jobs

    def _job(self, name: str, own: list[tuple[str, str]], agencies: list[tuple[str, str]]) -> Job:
        place = self._folder / name
        place.mkdir()
        return Job(
            name=name,
            url=self._deployment.url,
            ca_file=self._deployment.folder.authority,
            credential=self._deployment.folder.home.systems / f"qlvb-{name.lower()}" / "credential.json",
            own=own,
            all=agencies,
            notes=self._folder / f"{name}.notes",
            folder=place,
            seed=self._shape.seed,
            senders=self._shape.senders,
            circular_every=self._shape.circular_every,
            circular_size=self._shape.circular_size,
        )


def _agencies(under: str) -> list[tuple[str, str]]:
    with TABLE.open(encoding="utf-8", newline="") as file:
        return [(row["code"], row["name"]) for row in csv.DictReader(file) if row["code"].startswith(f"{under}.")]
