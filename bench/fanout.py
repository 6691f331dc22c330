"""(5) Fan-out: how fast the mailboxes of 1 to 100,000 addressees get a circular."""

import asyncio
import json
import time
from itertools import count
from statistics import median
from typing import Final

from bench.agents import System, UnexpectedAnswerError
from bench.connection import Address
from bench.driver import MeasurementFailedError, until_quiet
from bench.measures import ORDINARY, Bench
from bench.packets import Seal, SealedPacket, write_document
from bench.stage import SENDER, agency_code, import_agencies
from shared.client import Credential
from shared.edxml import AttachmentSource, DocumentType, Organisation

FEW: Final = (1, 100, 1_000, 10_000)
MANY: Final = (*FEW, 100_000)
_TIMES: Final = {1: 9, 100: 5, 1_000: 3}
"""Small circulars are over in a moment, so several are sent one after another and the median counts."""

_PATIENCE_SECONDS: Final = 180.0
_LOOK_SHARE: Final = 0.03
"""Asking costs the deployment too: a look is taken each time so much more time is over."""


async def measure_fanout(bench: Bench) -> None:
    """
    Send circulars of growing size and wait until each lies in every mailbox.
    """
    sizes = FEW if bench.options.quick else MANY
    await import_agencies(bench.deployment, max(sizes))
    # The import is announced and taken over by the other services; that is not what is measured.
    await until_quiet(bench.deployment.meter)
    credential = Credential.read(bench.stage.sender)
    seal = Seal(credential.seal_key(), tuple(credential.seal_certificates()))
    address = Address(bench.deployment.url, bench.deployment.ca_file)
    sender = System(address, credential)
    numbers = count(1)
    for size in sizes:
        times = _TIMES.get(size, 1)
        packets = [await asyncio.to_thread(circular, f"9{next(numbers):06d}", size, seal) for _ in range(times)]
        # Preparing a large one may outlive a token.
        await sender.sign_in()
        await until_quiet(bench.deployment.meter)
        before = bench.deployment.meter.read()
        rates = [size / await _send(sender, packet, size) for packet in packets]
        waited = await until_quiet(bench.deployment.meter)
        used = bench.deployment.meter.read().since(before).less(bench.idle, waited).total_cpu_seconds
        bench.put(5, f"{size:,} addressees, deliveries/s until all are available", median(rates))
        bench.put(5, f"{size:,} addressees, CPU core-ms per delivery", 1000 * used / (size * times), digits=2)
    sender.pool.close()


def circular(number: str, addressees: int, seal: Seal) -> SealedPacket:
    """
    Write a packet to the first agencies of the register.
    """
    packet = write_document(
        Organisation(organ_id=SENDER, name="Tỉnh đo hiệu năng"),
        [Organisation(organ_id=agency_code(place), name=f"Xã {place}") for place in range(addressees)],
        number=number,
        notation="CV-UBND",
        kind=DocumentType(type=1, detail=0, name="Công văn"),
        subject="Công văn gửi nhiều nơi nhận",
        attachment=AttachmentSource(ORDINARY, ORDINARY.name),
        seal=seal.sign,
    )
    return SealedPacket(packet, b"")


async def _send(sender: System, packet: SealedPacket, addressees: int) -> float:
    """Post a circular; seconds until it is in all mailboxes."""
    begun = time.perf_counter()
    async with sender.pool.take() as connection:
        answer = await sender.send(connection, packet)
        if answer.status != 201:
            raise MeasurementFailedError(str(UnexpectedAnswerError(f"a circular to {addressees:,}", answer)))
        # The answer names every addressee, so that of a large one is not kept whole; the address is in its head.
        while (taken := time.perf_counter() - begun) < _PATIENCE_SECONDS:
            view = await sender.get(connection, f"{answer.location}?limit=1")
            if view.status != 200:
                raise MeasurementFailedError(str(UnexpectedAnswerError("looking at a document", view)))
            taken = time.perf_counter() - begun
            if json.loads(view.body)["counts"].get("available", 0) == addressees:
                return taken
            await asyncio.sleep(max(0.005, taken * _LOOK_SHARE))
    raise MeasurementFailedError(f"a circular to {addressees:,} was not everywhere after {_PATIENCE_SECONDS:.0f} s")
