"""(8) The national dialect: a large package by it and by REST, and how much memory that takes."""

import hashlib
import json
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from statistics import median
from typing import Final

from bench.agents import System, UnexpectedAnswerError
from bench.connection import Address, Answer
from bench.driver import MeasurementFailedError
from bench.large import MB, write_attachment
from bench.measures import Bench
from bench.packets import Mould, Seal, SealedPacket
from bench.stage import SENDER, open_ways
from services.delivery.clients.vxp.signing import Credentials, sign, write_hash
from shared.client import Call, Credential
from shared.contracts.registry import Credential as Issued
from shared.contracts.registry import Role
from shared.edxml import AttachmentSource

_BASE64: Final = 4 / 3
_SIZES: Final = (1, 40)
"""Sizes in MB; the ratios are those of the last."""

_ROUNDS: Final = 7
_QUICK_ROUNDS: Final = 3
_CREDENTIALS: Final = Credentials("measured.centre", "a secret for measurements, 40 letters long")
_LOOKS: Final = 12
_LOOK_SECONDS: Final = 5
"""How often and how long a mailbox is looked into for what was sent."""

_CRLF: Final = b"\r\n"

Fetch = Callable[[str], Awaitable[Answer]]


class Centre:
    """
    A client of the national dialect as the load generator plays it: a fresh connection for each call, as the real one.

    Args:
        address: Of the node.
    """

    def __init__(self, address: Address) -> None:
        self._address = address

    async def send(self, packet: SealedPacket, sha256: str) -> str:
        """
        Send a document and give what the node calls it.
        """
        parameters = {"servicetype": "eDoc", "messagetype": "edoc", "hash-file": write_hash(sha256), "from": SENDER}
        content = (packet.head, packet.tail, _CRLF)
        answer = await self._call("POST", "sendEdoc", parameters, *content, content_type="application/octet-stream")
        found = json.loads(answer.body)
        if found.get("status") != "OK":
            raise UnexpectedAnswerError("sendEdoc", answer)
        return str(found["DocId"])

    async def download(self, doc_id: str) -> Answer:
        """
        Fetch the bytes of a package.
        """
        return await self._call("GET", "downloadEdoc", {"docId": doc_id})

    async def get(self, doc_id: str) -> Answer:
        """
        Fetch a package as base64 in JSON.
        """
        return await self._call("POST", "getEdoc", {"docId": doc_id}, b"{}")

    async def _call(
        self,
        method: str,
        operation: str,
        parameters: dict[str, str],
        *body: bytes,
        content_type: str = "application/json",
    ) -> Answer:
        headers = sign(_CREDENTIALS, parameters, content_type=content_type, now=datetime.now(UTC))
        headers |= {"Host": self._address.name, "Content-Length": str(sum(map(len, body)))}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        connection = await self._address.connect()
        try:
            return await connection.request(f"{method} /vxp/{operation} HTTP/1.1\r\n{lines}\r\n".encode(), *body)
        finally:
            connection.close()


async def measure_dialect(bench: Bench) -> None:
    """
    Send packages of two sizes by the dialect, and fetch each by REST, by `downloadEdoc` and by `getEdoc`.
    """
    stage, deployment = bench.stage, bench.deployment
    addressee = stage.addressees[0][0]
    await _add_centre(bench, addressee)
    address = Address(deployment.url, deployment.ca_file)
    centre, reader = Centre(address), System(address, Credential.read(stage.receivers[0]))
    await reader.sign_in()

    async def by_rest(delivery_id: str) -> Answer:
        connection = await address.connect()
        try:
            return await reader.get(connection, f"/v1/inbox/{delivery_id}/packet")
        finally:
            connection.close()

    ways: dict[str, Fetch] = {"REST": by_rest, "downloadEdoc": centre.download, "getEdoc": centre.get}
    peaks: defaultdict[str, list[float]] = defaultdict(list)
    for megabytes in _SIZES:
        packet, sha256 = _make_packet(bench, megabytes, addressee)
        deployment.meter.reset_peaks()
        begun = time.perf_counter()
        await centre.send(packet, sha256)
        sent = time.perf_counter() - begun
        seconds = await _fetch_in_turn(
            ways, await _find(reader, packet.size), packet.size, _QUICK_ROUNDS if bench.options.quick else _ROUNDS
        )
        for role, peak in deployment.meter.read().peak_bytes.items():
            peaks[role].append(peak / MB)
        if megabytes == _SIZES[-1]:
            bench.put(8, f"sendEdoc, {megabytes} MB, ms", 1000 * sent, digits=0)
            bench.put(8, f"fetching {megabytes} MB by REST, ms", 1000 * seconds["REST"], digits=0)
            for way in ("downloadEdoc", "getEdoc"):
                bench.put(8, f"{way} of the same, ms", 1000 * seconds[way], digits=0)
                bench.put(8, f"{way} ÷ REST", seconds[way] / seconds["REST"], digits=2)
    reader.pool.close()
    sizes = " / ".join(str(megabytes) for megabytes in _SIZES)
    for role in sorted(peaks):
        bench.put(8, f"peak memory of one {role} process at {sizes} MB by the dialect, MB", *peaks[role], digits=0)


async def _add_centre(bench: Bench, addressee: str) -> None:
    body = {
        "system_id": _CREDENTIALS.system_id,
        "name": "Centre",
        "dialect": "vxp",
        "agencies": [SENDER, addressee],
        "roles": [Role.SENDER.value, Role.READER.value],
        "secret": _CREDENTIALS.secret,
    }
    admin, public = open_ways(bench.deployment)
    async with admin, public:
        await admin.ask(Call("POST", "/v1/admin/systems", json=body), Issued)


def _make_packet(bench: Bench, megabytes: int, addressee: str) -> tuple[SealedPacket, str]:
    file = bench.folder / f"{megabytes}-mb-vxp.pdf"
    write_attachment(file, round(megabytes * MB / _BASE64))
    credential = Credential.read(bench.stage.sender)
    seal = Seal(credential.seal_key(), tuple(credential.seal_certificates()))
    mould = Mould(SENDER, 1, AttachmentSource(file, file.name, "Báo cáo"), seal)
    file.unlink()
    packet = mould.cast(f"8{megabytes:07d}", [addressee])
    digest = hashlib.sha256(packet.head)
    digest.update(packet.tail)
    return packet, digest.hexdigest()


async def _find(reader: System, size: int) -> str:
    async with reader.pool.take() as connection:
        for _ in range(_LOOKS):
            for item in await reader.list_inbox(connection, wait=_LOOK_SECONDS, shard="0/1"):
                if item["packet_bytes"] == size:
                    return str(item["delivery_id"])
    raise MeasurementFailedError("the package did not arrive")


async def _fetch_in_turn(ways: dict[str, Fetch], item: str, size: int, rounds: int) -> dict[str, float]:
    # In turn, so that what else happens on the machine meets all of them alike; the first round is not counted.
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(rounds + 1):
        for way, fetch in ways.items():
            begun = time.perf_counter()
            answer = await fetch(item)
            took = time.perf_counter() - begun
            if answer.status != 200 or answer.size < size:
                raise UnexpectedAnswerError(way, answer)
            if number:
                seconds[way].append(took)
    return {way: median(taken) for way, taken in seconds.items()}
