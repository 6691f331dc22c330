"""
One agency's system as a process of its own: `python -m tests.kill.system JOB.json`.

It sends and receives for several agencies and writes down what it does. It is told by lines on its standard input:
`post`, `rest` (answer everything, then send a sample again), and it ends with its end.
"""

import asyncio
import contextlib
import hashlib
import itertools
import json
import random
import ssl
import sys
import uuid
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import uvloop
from pydantic import BaseModel

from deploy.embedded.papers import paper, seal_of
from shared.client import AxisClient, Credential
from shared.contracts.base import Lane
from shared.contracts.routing import InboxItem
from shared.edxml import AttachmentSource
from tests.kill.notes import Notebook
from tests.kill.patience import PATIENT, patiently

PAGE: Final = 100
HANDS: Final = 16
"""Deliveries that a system handles at the same time; more than it sends, or mailboxes would only grow."""

REPEATED: Final = 30
"""Documents that are sent once more when a system comes to rest."""

FAILS: Final = 23
"""Every so many deliveries one cannot be taken: acknowledged as `fail`."""


class Job(BaseModel):
    """
    What a system is to play.

    Attributes:
        name: Begins the number of each of its documents.
        own: Codes and names of its agencies.
        all: Those of every agency that receives.
        circular_every: One document of so many goes to `circular_size` agencies.
    """

    name: str
    url: str
    ca_file: Path
    credential: Path
    own: list[tuple[str, str]]
    all: list[tuple[str, str]]
    notes: Path
    folder: Path
    seed: int
    senders: int
    circular_every: int
    circular_size: int


@dataclass(frozen=True)
class Posted:
    """
    A packet that was accepted.
    """

    sha256: str
    packet: bytes


class System:
    """
    Plays one job.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._notes = Notebook(job.notes)
        self._credential = Credential.read(job.credential)
        self._seal = seal_of(self._credential)
        trust = ssl.create_default_context(cafile=job.ca_file)
        self._client = AxisClient(self._credential, retries=PATIENT, http=httpx.AsyncHTTPTransport(verify=trust))
        self._letter = AttachmentSource(_small_file(job.folder), "thu.txt", "Thư")
        self._posting = asyncio.Event()
        self._hands = asyncio.Semaphore(HANDS)
        self._under_way: set[str] = set()
        self._numbers = itertools.count(1)
        self._posted: deque[Posted] = deque(maxlen=REPEATED)
        self._acknowledged: set[uuid.UUID] = set()
        self._seen: set[uuid.UUID] = set()

    async def run(self) -> None:
        working = [asyncio.ensure_future(self._send_for_ever(slot)) for slot in range(self._job.senders)]
        working.append(asyncio.ensure_future(self._receive_for_ever()))
        obeying = asyncio.ensure_future(self._obey())
        try:
            await asyncio.wait([obeying, *working], return_when=asyncio.FIRST_COMPLETED)
            for task in (obeying, *working):
                if task.done():
                    task.result()
        finally:
            for task in (obeying, *working):
                task.cancel()
            await asyncio.gather(obeying, *working, return_exceptions=True)
            await self._client.close()
            self._notes.close()

    async def _obey(self) -> None:
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while order := (await reader.readline()).strip():
            if order == b"post":
                self._posting.set()
            else:
                await self._rest()

    async def _rest(self) -> None:
        self._posting.clear()
        while self._under_way:
            await asyncio.sleep(0.05)
        for posted in self._posted:
            # Another key: the document is known by its packet.
            await self._post(posted, str(uuid.uuid4()))
        self._notes.write("rest")

    # --- sending ---

    async def _send_for_ever(self, slot: int) -> None:
        chance = random.Random(f"{self._job.seed}-{self._job.name}-{slot}")
        while True:
            await self._posting.wait()
            number = f"{self._job.name}{next(self._numbers)}"
            self._under_way.add(number)
            await self._send(number, chance)
            self._under_way.discard(number)

    async def _send(self, number: str, chance: random.Random) -> None:
        sender, to = self._choose(chance)
        lane = Lane.ORDINARY if chance.random() < 0.8 else chance.choice(list(Lane))
        packet = paper(
            sender=sender,
            to=to,
            number=number,
            subject="Tải",
            lane=lane,
            attachments=(self._letter,),
            seal=self._seal,
        )
        posted, key = Posted(hashlib.sha256(packet).hexdigest(), packet), str(uuid.uuid4())
        self._notes.write("post", sha256=posted.sha256, to=[code for code, _ in to], key=key)
        # Now and then twice at once, so that two gateways and two copies of routing work on the same document.
        times = 2 if chance.random() < 0.03 else 1
        await asyncio.gather(*(self._post(posted, key) for _ in range(times)))
        self._posted.append(posted)

    def _choose(self, chance: random.Random) -> tuple[tuple[str, str], list[tuple[str, str]]]:
        sender = chance.choice(self._job.own)
        others = [one for one in self._job.all if one != sender]
        circular = chance.randrange(self._job.circular_every) == 0
        count = min(self._job.circular_size if circular else chance.choice([1, 1, 1, 1, 2]), len(others))
        return sender, chance.sample(others, count)

    async def _post(self, posted: Posted, key: str) -> None:
        sent = await patiently(lambda: self._client.send(posted.packet, idempotency_key=key), self._complain)
        if sent is not None:
            receipt = hashlib.sha256(sent.body).hexdigest()
            self._notes.write(
                "accept", sha256=posted.sha256, document_id=str(sent.document_id), receipt=receipt, created=sent.created
            )

    # --- receiving ---

    async def _receive_for_ever(self) -> None:
        while True:
            page = await patiently(lambda: self._client.inbox(wait=2, limit=PAGE), self._complain)
            if page is not None:
                await asyncio.gather(*map(self._take, page.items))

    async def _take(self, item: InboxItem) -> None:
        delivery_id = item.delivery_id
        if delivery_id in self._acknowledged:
            self._notes.write("list again", delivery_id=str(delivery_id))
            return
        if delivery_id not in self._seen:
            self._seen.add(delivery_id)
            known: dict[str, Any] = {"document_id": str(item.document_id), "agency": item.agency}
            self._notes.write("list", delivery_id=str(delivery_id), sha256=item.packet_sha256, **known)
        async with self._hands:
            into = self._job.folder / f"{delivery_id}.edxml"
            fetched = await patiently(lambda: self._client.fetch(delivery_id, into), self._complain)
            if fetched is None:
                return
            self._notes.write("fetch", delivery_id=str(delivery_id), sha256=fetched.file.sha256)
            into.unlink()
            fails = delivery_id.int % FAILS == 0
            result, reason = ("fail", "Không lưu được") if fails else ("done", "")
            done = await patiently(
                lambda: self._client.acknowledge(delivery_id, "fail" if fails else "done", reason), self._complain
            )
            if done is not None:
                self._acknowledged.add(delivery_id)
                self._notes.write("acknowledge", delivery_id=str(delivery_id), result=result)

    def _complain(self, what: str) -> None:
        self._notes.write("wrong", what=what)


def _small_file(folder: Path) -> Path:
    file = folder / "thu.txt"
    file.write_text("Kính gửi các cơ quan.\n" * 40, encoding="utf-8")
    return file


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(System(Job.model_validate(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))).run())
