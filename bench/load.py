"""
The load generator, a process of its own: `python -m bench.load JOB.json`.

It prepares everything, writes a line `ready`, waits for a line on its standard input, plays, and writes one line of
JSON. Its CPU is thus its own, and packets are made before any clock starts.
"""

import asyncio
import contextlib
import json
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import uvloop
from pydantic import BaseModel

from bench.agents import System, UnexpectedAnswerError
from bench.connection import Address
from bench.packets import Mould, Seal, SealedPacket
from shared.client import Credential
from shared.edxml import AttachmentSource

_POLL_SECONDS: Final = 20
_LAST_SECONDS: Final = 60.0
"""How long the last documents may take to arrive everywhere."""

_BUSY_PAUSE: Final = 0.05


class Job(BaseModel):
    """
    What the generator is to play.

    Attributes:
        kind: `closed` keeps a number of documents under way; `open` sends at random moments, whatever happens.
        url, ca_file: The deployment under test.
        sender: Credential file of the system that sends; it sends for `sender_code`.
        receivers: Credential files of the systems that receive.
        addressees: Codes that each receiver acts for; a document goes to one agency of each receiver.
        series: Digits that begin the numbers of these documents; no other job on the same node may have them.
        documents: Packets made beforehand; the play ends when they are used up.
        seconds: Longest time to send for.
        under_way: Documents in flight at once (closed).
        rate: Documents per second (open).
        attachment: The file that packets carry.
        connections: Connections on which a receiver fetches and acknowledges.
        shards: Workers that share each receiver's mailboxes.
    """

    kind: Literal["closed", "open"]
    url: str
    ca_file: str | None = None
    sender: Path
    sender_code: str
    receivers: list[Path]
    addressees: list[list[str]]
    series: str
    documents: int
    seconds: float
    under_way: int = 64
    rate: float = 0.0
    attachment: Path
    connections: int = 8
    shards: int = 1


class Outcome(BaseModel):
    """
    What came of it.

    Attributes:
        documents: Accepted, fetched and acknowledged by all their addressees.
        until_last: Time until the last acknowledgement.
        refused: Answers 429 and 503; the document was sent again (closed) or dropped (open).
        packet_bytes: Size of one packet.
        bytes_in, bytes_out: Packets posted and fetched.
        listings: Looks into mailboxes.
        accept_ms: Time from the start of a POST to its answer; in an open job from the moment it was due.
        listed_ms: From the same moment until a receiver's list named the delivery.
        done_ms: From the same moment to the last acknowledgement.
        cpu_seconds: Of the generator itself while it played.
    """

    documents: int
    until_last: float
    refused: int
    packet_bytes: int
    bytes_in: int
    bytes_out: int
    listings: int
    accept_ms: list[float]
    listed_ms: list[float]
    done_ms: list[float]
    cpu_seconds: float


@dataclass
class _Under:
    """A document under way; its addressees may see it before its sender has the answer."""

    missing: int
    begun: float = 0.0
    listed: list[float] = field(default_factory=list)
    done: float = 0.0
    arrived: asyncio.Event = field(default_factory=asyncio.Event)


class Play:
    """
    One job being played.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        address = Address(job.url, job.ca_file)
        self._credential = Credential.read(job.sender)
        self._sender = System(address, self._credential)
        self._receivers = [System(address, Credential.read(file)) for file in job.receivers]
        self._packets: list[SealedPacket] = []
        self._documents: dict[str, _Under] = {}
        self._accept: list[float] = []
        self._done: list[tuple[float, float]] = []
        self._refused = 0
        self._bytes_in = 0
        self._bytes_out = 0
        self._listings = 0
        self._idle = asyncio.Event()

    async def prepare(self) -> None:
        """
        Make packets, sign in.
        """
        job = self._job
        seal = Seal(self._credential.seal_key(), tuple(self._credential.seal_certificates()))
        attachment = AttachmentSource(job.attachment, job.attachment.name, "Báo cáo")
        mould = Mould(job.sender_code, len(job.addressees), attachment, seal)
        for number in range(job.documents):
            to = [codes[number % len(codes)] for codes in job.addressees]
            self._packets.append(mould.cast(f"{job.series}{number:07d}", to))
        for system in (self._sender, *self._receivers):
            await system.sign_in()

    async def run(self) -> Outcome:
        """
        Play.
        """
        used = time.process_time()
        begun = time.perf_counter()
        receiving = [
            asyncio.ensure_future(self._receive(system, f"{shard}/{self._job.shards}"))
            for system in self._receivers
            for shard in range(self._job.shards)
        ]
        sending = asyncio.ensure_future(self._send_all(begun))
        try:
            await self._unless_failed(sending, receiving)
            await self._unless_failed(asyncio.ensure_future(self._wait_for_the_last()), receiving)
        finally:
            for task in (sending, *receiving):
                task.cancel()
            await asyncio.gather(sending, *receiving, return_exceptions=True)
            for system in (self._sender, *self._receivers):
                system.pool.close()
        seen = self._documents.values()
        return Outcome(
            documents=len(self._done),
            until_last=max((at for at, _ in self._done), default=begun) - begun,
            refused=self._refused,
            packet_bytes=self._packets[0].size,
            bytes_in=self._bytes_in,
            bytes_out=self._bytes_out,
            listings=self._listings,
            accept_ms=[1000 * seconds for seconds in self._accept],
            listed_ms=[1000 * (at - under.begun) for under in seen for at in under.listed],
            done_ms=[1000 * seconds for _, seconds in self._done],
            cpu_seconds=time.process_time() - used,
        )

    async def _unless_failed(self, work: "asyncio.Future[None]", receiving: Sequence["asyncio.Future[None]"]) -> None:
        await asyncio.wait({work, *receiving}, return_when=asyncio.FIRST_COMPLETED)
        for task in receiving:
            if task.done():
                task.result()
        await work

    async def _send_all(self, begun: float) -> None:
        end = begun + self._job.seconds
        packets = iter(self._packets)
        if self._job.kind == "closed":
            await asyncio.gather(*(self._send_in_turn(packets, end) for _ in range(self._job.under_way)))
            return
        await self._send_at_random(packets, begun, end)

    async def _send_in_turn(self, packets: Iterator[SealedPacket], end: float) -> None:
        for packet in packets:
            under = None
            while under is None and (start := time.perf_counter()) < end:
                under = await self._post(packet, start)
                if under is None:
                    await asyncio.sleep(_BUSY_PAUSE)
            if under is None:
                return
            # A slot that waits at the end of sending leaves its document to `_wait_for_the_last`.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, end - time.perf_counter())):
                    await under.arrived.wait()

    async def _send_at_random(self, packets: Iterator[SealedPacket], begun: float, end: float) -> None:
        chance = random.Random(self._job.series)  # noqa: S311 - arrivals, not secrets
        due = begun
        posting: set[asyncio.Future[_Under | None]] = set()
        for packet in packets:
            due += chance.expovariate(self._job.rate)
            if due >= end:
                break
            if (pause := due - time.perf_counter()) > 0:
                await asyncio.sleep(pause)
            posting.add(asyncio.ensure_future(self._post(packet, due)))
        await asyncio.gather(*posting)

    async def _post(self, packet: SealedPacket, start: float) -> _Under | None:
        async with self._sender.pool.take() as connection:
            answer = await self._sender.send(connection, packet)
        if answer.status in {429, 503}:
            self._refused += 1
            return None
        if answer.status != 201:
            raise UnexpectedAnswerError("sending", answer)
        self._accept.append(time.perf_counter() - start)
        self._bytes_in += packet.size
        under = self._under(json.loads(answer.body)["document_id"])
        under.begun = start
        self._finish(under)
        return under

    async def _receive(self, system: System, shard: str) -> None:
        places = asyncio.Semaphore(max(1, self._job.connections // self._job.shards))

        async def take(item: dict[str, Any]) -> None:
            async with places, system.pool.take() as connection:
                self._bytes_out += await system.take(connection, item)
            under = self._under(item["document_id"])
            under.missing -= 1
            under.done = time.perf_counter()
            self._finish(under)

        while True:
            async with system.pool.take() as connection:
                items = await system.list_inbox(connection, wait=_POLL_SECONDS, shard=shard)
            self._listings += 1
            now = time.perf_counter()
            for item in items:
                self._under(item["document_id"]).listed.append(now)
            await asyncio.gather(*map(take, items))

    def _under(self, document_id: str) -> _Under:
        under = self._documents.get(document_id)
        if under is None:
            under = self._documents[document_id] = _Under(missing=len(self._receivers))
        return under

    def _finish(self, under: _Under) -> None:
        if under.missing == 0 and under.begun:
            self._done.append((under.done, under.done - under.begun))
            under.arrived.set()
            if len(self._done) == len(self._accept):
                self._idle.set()

    async def _wait_for_the_last(self) -> None:
        end = time.perf_counter() + _LAST_SECONDS
        while len(self._done) < len(self._accept):
            self._idle.clear()
            async with asyncio.timeout(max(0.0, end - time.perf_counter())):
                await self._idle.wait()


async def _main(job: Job, wait: Callable[[], object]) -> Outcome:
    play = Play(job)
    await play.prepare()
    await asyncio.to_thread(wait)
    return await play.run()


def main(file: str) -> int:
    """
    Play the job in a file.
    """
    job = Job.model_validate_json(Path(file).read_text(encoding="utf-8"))

    def wait() -> None:
        print("ready", flush=True)
        sys.stdin.readline()

    try:
        outcome = uvloop.run(_main(job, wait))
    except (UnexpectedAnswerError, OSError, TimeoutError) as error:
        print(json.dumps({"failed": str(error) or type(error).__name__}), flush=True)
        return 1
    print(outcome.model_dump_json(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
