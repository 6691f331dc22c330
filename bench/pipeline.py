"""
The bare pipeline that the product is compared with: `python -m bench.pipeline TASK.json`.

Verify a signature, commit document, three deliveries and an outbox row in groups, publish in packs with confirms,
consume, mark. No HTTP, no rules, no receipts, no journal: what nobody can leave out who wants the same promise.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any, Final, Generic, Literal, TypeVar
from uuid import UUID, uuid4

import aio_pika
import asyncpg
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from lxml import etree
from pydantic import BaseModel

GROUP: Final = 64
"""Documents in one transaction, items in one message: the sizes the product uses."""

QUEUE: Final = "floor"
DELIVERIES: Final = 3
_PREFETCH: Final = 4

SCHEMA_DDL: Final = """
CREATE TABLE documents (id uuid PRIMARY KEY, sender text NOT NULL, sender_document_id text NOT NULL,
    packet_sha256 text NOT NULL, accepted_at timestamptz NOT NULL DEFAULT now(), UNIQUE (sender, sender_document_id));
CREATE TABLE deliveries (id uuid PRIMARY KEY, document_id uuid NOT NULL REFERENCES documents, mailbox text NOT NULL,
    state text NOT NULL, changed_at timestamptz NOT NULL DEFAULT now());
CREATE INDEX ON deliveries (mailbox, changed_at) WHERE state = 'queued';
CREATE TABLE outbox (id uuid PRIMARY KEY, data text NOT NULL);
CREATE TABLE inbox (id uuid PRIMARY KEY);
"""
_ACCEPT: Final = """
WITH kept AS (
    INSERT INTO documents (id, sender, sender_document_id, packet_sha256)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[])
), opened AS (
    INSERT INTO deliveries (id, document_id, mailbox, state)
    SELECT id, document_id, mailbox, 'queued'
    FROM unnest($5::uuid[], $6::uuid[], $7::text[]) AS d(id, document_id, mailbox)
)
INSERT INTO outbox SELECT * FROM unnest($8::uuid[], $9::text[])
"""
_SENT: Final = "DELETE FROM outbox WHERE id = ANY($1::uuid[])"
_MARK: Final = """
WITH fresh AS (INSERT INTO inbox SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING)
UPDATE deliveries SET state = 'delivered', changed_at = now() WHERE id = ANY($2::uuid[])
"""

T = TypeVar("T")
_DS: Final = "{http://www.w3.org/2000/09/xmldsig#}"


class Task(BaseModel):
    """
    What a process of the pipeline does.

    Attributes:
        part: `accept` and `mark` are two processes with a broker between them; `both` is one without.
        dsn: For asyncpg.
        broker: AMQP address; none for `both`.
        packets: File with sealed packets, as a JSON list of texts.
        seconds: Time to accept for.
        documents: Most documents to accept.
    """

    part: Literal["accept", "mark", "both"]
    dsn: str
    broker: str | None = None
    packets: Path
    seconds: float
    documents: int
    under_way: int = 64


class Result(BaseModel):
    """
    What a process did.

    Attributes:
        documents: Accepted, or marked.
        seconds: From the start until the last of them.
    """

    documents: int
    seconds: float


class Packer(Generic[T]):
    """
    Natural batching: while one group is worked at, the next gathers.
    """

    def __init__(self, work: Callable[[Sequence[T]], Awaitable[None]]) -> None:
        self._work = work
        self._waiting: list[tuple[T, asyncio.Future[None]]] = []
        self._running: asyncio.Task[None] | None = None

    def put(self, one: T) -> "asyncio.Future[None]":
        """
        Add one; the future is done when its group is.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((one, done))
        if self._running is None:
            self._running = asyncio.ensure_future(self._run())
        return done

    async def _run(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting[:GROUP], self._waiting[GROUP:]
            try:
                await self._work([one for one, _ in group])
            except Exception as error:  # noqa: BLE001 - whoever waits is told, whatever it is
                for _, done in group:
                    done.set_exception(error)
            else:
                for _, done in group:
                    done.set_result(None)
        self._running = None


def verify(packet: bytes) -> None:
    """
    Verify a packet's signature with nothing but the checks that make it one.

    Raises:
        ValueError: It does not hold.
    """
    root = etree.fromstring(packet, etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True))
    (signature,) = root.iter(f"{_DS}Signature")
    signed_info, value, key_info = signature
    digests = {f"#{element.get('Id')}": _digest(_canonical(element)) for element in root.iterfind(".//*[@Id]")}
    for attachment in root.iter("{*}Attachment"):
        content = base64.b64decode(attachment.findtext("{*}ContentTransferEncoded", ""))
        digests[attachment.findtext("{*}ContentId", "")] = _digest(content)
    for reference in signed_info.iterfind(f"{_DS}Reference"):
        claimed = base64.b64decode(reference.findtext(f"{_DS}DigestValue", ""))
        if not hmac.compare_digest(claimed, digests.pop(reference.get("URI", ""))):
            raise ValueError("a part is not the one signed")
    if digests:
        raise ValueError("a part is not signed")
    (text,) = (element.text for element in key_info.iter(f"{_DS}X509Certificate"))
    key = x509.load_der_x509_certificate(base64.b64decode(text or "")).public_key()
    raw = base64.b64decode(value.text or "")
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(der, _canonical(signed_info), ec.ECDSA(hashes.SHA256()))


def _canonical(element: etree._Element) -> bytes:
    return etree.tostring(element, method="c14n", exclusive=True, with_comments=False)


def _digest(octets: bytes) -> bytes:
    return hashlib.sha256(octets).digest()


class Pipeline:
    """
    One process of the pipeline.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._packets = [text.encode() for text in json.loads(task.packets.read_text(encoding="utf-8"))]
        self._committing: Packer[dict[str, Any]] = Packer(self._commit)
        self._publishing: Packer[dict[str, Any]] = Packer(self._publish)
        self._marked = 0
        self._marked_at = 0.0
        self._total: int | None = None
        self._all_marked = asyncio.Event()

    async def open(self) -> None:
        """
        Connect.
        """
        self._database = await asyncpg.create_pool(self._task.dsn, min_size=3, max_size=3)
        if self._task.broker is not None:
            self._connection = await aio_pika.connect(self._task.broker)
            self._channel = await self._connection.channel(publisher_confirms=True, on_return_raises=True)
            self._queue = await self._channel.declare_queue(QUEUE, durable=True, arguments={"x-queue-type": "quorum"})

    async def close(self) -> None:
        """
        Hang up.
        """
        if self._task.broker is not None:
            await self._connection.close()
        await self._database.close()

    async def accept(self) -> Result:
        """
        Take documents in for the time given.
        """
        begun = time.perf_counter()
        end = begun + self._task.seconds
        packets = cycle(self._packets)
        numbers = iter(range(self._task.documents))
        accepted = 0

        async def one_by_one() -> None:
            nonlocal accepted
            for number in numbers:
                if time.perf_counter() >= end:
                    return
                packet = next(packets)
                verify(packet)
                # Others get a turn between two of these, or answers would leave in waves.
                await asyncio.sleep(0)
                document = self._describe(packet, number)
                await self._committing.put(document)
                await self._publishing.put(document)
                accepted += 1

        await asyncio.gather(*(one_by_one() for _ in range(self._task.under_way)))
        seconds = time.perf_counter() - begun
        return Result(documents=accepted, seconds=self._marked_at - begun if self._task.part == "both" else seconds)

    async def mark(self, total: Awaitable[int]) -> Result:
        """
        Consume until as many as were accepted are marked.
        """
        begun = time.perf_counter()
        await self._channel.set_qos(prefetch_count=_PREFETCH)

        async def consume(message: aio_pika.abc.AbstractIncomingMessage) -> None:
            await self._mark(json.loads(message.body))
            await message.ack()
            self._end_if_all()

        await self._queue.consume(consume)
        self._total = await total
        self._end_if_all()
        await self._all_marked.wait()
        return Result(documents=self._marked, seconds=self._marked_at - begun)

    def _describe(self, packet: bytes, number: int) -> dict[str, Any]:
        return {
            "id": str(uuid4()),
            "document": str(uuid4()),
            "number": f"H43,{number}",
            "sha256": hashlib.sha256(packet).hexdigest(),
            "deliveries": [str(uuid4()) for _ in range(DELIVERIES)],
        }

    async def _commit(self, group: Sequence[dict[str, Any]]) -> None:
        deliveries = [(one, document["document"]) for document in group for one in document["deliveries"]]
        await self._database.execute(
            _ACCEPT,
            [UUID(one["document"]) for one in group],
            ["H43"] * len(group),
            [one["number"] for one in group],
            [one["sha256"] for one in group],
            [UUID(one) for one, _ in deliveries],
            [UUID(document) for _, document in deliveries],
            [f"H43.{place % DELIVERIES}" for place in range(len(deliveries))],
            [UUID(one["id"]) for one in group],
            [json.dumps(one) for one in group],
        )

    async def _publish(self, group: Sequence[dict[str, Any]]) -> None:
        if self._task.broker is None:
            await self._mark(group)
        else:
            body = json.dumps(group).encode()
            message = aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
            await self._channel.default_exchange.publish(message, QUEUE, mandatory=True)
        await self._database.execute(_SENT, [UUID(one["id"]) for one in group])

    async def _mark(self, group: Sequence[dict[str, Any]]) -> None:
        ids = [UUID(one["id"]) for one in group]
        deliveries = [UUID(delivery) for one in group for delivery in one["deliveries"]]
        await self._database.execute(_MARK, ids, deliveries)
        self._marked += len(group)
        self._marked_at = time.perf_counter()

    def _end_if_all(self) -> None:
        if self._total is not None and self._marked >= self._total:
            self._all_marked.set()


async def _main(task: Task) -> Result:
    pipeline = Pipeline(task)
    await pipeline.open()
    try:
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        if task.part != "mark":
            return await pipeline.accept()
        total = asyncio.to_thread(sys.stdin.readline)
        return await pipeline.mark(_number(total))
    finally:
        await pipeline.close()


async def _number(line: Awaitable[str]) -> int:
    return int(await line)


if __name__ == "__main__":
    result = uvloop.run(_main(Task.model_validate_json(Path(sys.argv[1]).read_text(encoding="utf-8"))))
    print(result.model_dump_json(), flush=True)
