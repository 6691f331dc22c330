"""Asks to signing: what a packet's signature is worth, and statements in the node's name."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from shared.contracts.base import MAX_ITEMS, Lane
from shared.contracts.signing import (
    SIGN_EVIDENCE,
    SIGN_RECEIPTS,
    VERIFY_PACKETS,
    PacketSignature,
    PartDigest,
    SignStatements,
    VerificationReport,
    VerifyPackets,
)
from shared.edxml import Packet
from shared.messaging import Bus


class Signing:
    """
    The signing service as routing sees it.

    Every method raises `Unavailable` when it is out of reach.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def verify(self, packet: Packet, *, at: datetime, lane: Lane) -> VerificationReport:
        """
        Have a packet's signature judged as of a moment; only digests and the signature travel.
        """
        signature = PacketSignature(
            signature=None if packet.signature is None else packet.signature.decode(),
            foreign=packet.foreign_signature,
            parts=tuple(PartDigest(uri=part.uri, sha256=part.sha256) for part in packet.parts),
            at=at,
        )
        reports = await self._bus.ask(VERIFY_PACKETS, VerifyPackets(items=(signature,)), lane=lane)
        return reports.items[0]

    async def sign_receipt(self, claims: dict[str, Any], *, lane: Lane) -> str:
        """
        Sign one receipt.
        """
        statements = await self._bus.ask(SIGN_RECEIPTS, SignStatements(payloads=(claims,)), lane=lane)
        return statements.items[0]

    async def sign_evidence(self, claims: Sequence[dict[str, Any]], *, lane: Lane = Lane.ORDINARY) -> list[str]:
        """
        Sign evidence of final steps; one statement per payload, in order.
        """
        statements: list[str] = []
        for start in range(0, len(claims), MAX_ITEMS):
            payloads = tuple(claims[start : start + MAX_ITEMS])
            statements += (await self._bus.ask(SIGN_EVIDENCE, SignStatements(payloads=payloads), lane=lane)).items
        return statements
