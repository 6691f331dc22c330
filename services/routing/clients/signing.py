"""Asks to signing: what a packet's signature is worth, and statements in the node's name."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

from shared.contracts.base import MAX_ITEMS, Lane, Operation
from shared.contracts.signing import (
    SIGN_EVIDENCE,
    SIGN_RECEIPTS,
    VERIFY_PACKETS,
    PacketSignature,
    PartDigest,
    SignStatements,
    Statements,
    VerificationReport,
    VerifyPackets,
)
from shared.edxml import Packet
from shared.groups import Group
from shared.messaging import Bus

AT_ONCE = 16
"""Signatures asked for in one message: enough to make the message cheap, few enough that nobody waits for many."""


class Signing:
    """
    The signing service as routing sees it. What is asked at the same time travels together, urgent apart from the rest.

    Every method raises `Unavailable` when it is out of reach.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._verifying = {urgent: Group(partial(self._verify, urgent), most=AT_ONCE) for urgent in (False, True)}
        self._receipts = {
            urgent: Group(partial(self._sign, SIGN_RECEIPTS, urgent), most=AT_ONCE) for urgent in (False, True)
        }
        self._evidence = {
            urgent: Group(partial(self._sign, SIGN_EVIDENCE, urgent), most=AT_ONCE) for urgent in (False, True)
        }

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
        return await self._verifying[_is_urgent(lane)].do(signature)

    async def sign_receipt(self, claims: dict[str, Any], *, lane: Lane) -> str:
        """
        Sign one receipt.
        """
        return await self._receipts[_is_urgent(lane)].do(claims)

    async def sign_evidence(self, claims: Sequence[dict[str, Any]], *, lane: Lane = Lane.ORDINARY) -> list[str]:
        """
        Sign evidence of final steps; one statement per payload, in order.
        """
        group = self._evidence[_is_urgent(lane)]
        if len(claims) == 1:
            return [await group.do(claims[0])]
        statements: list[str] = []
        for start in range(0, len(claims), MAX_ITEMS):
            statements += await self._sign(SIGN_EVIDENCE, _is_urgent(lane), claims[start : start + MAX_ITEMS])
        return statements

    async def _verify(self, urgent: bool, signatures: Sequence[PacketSignature]) -> Sequence[VerificationReport]:
        request = VerifyPackets(items=tuple(signatures))
        return (await self._bus.ask(VERIFY_PACKETS, request, lane=_lane(urgent))).items

    async def _sign(
        self,
        operation: Operation[SignStatements, Statements],
        urgent: bool,
        claims: Sequence[dict[str, Any]],
    ) -> Sequence[str]:
        request = SignStatements(payloads=tuple(claims))
        return (await self._bus.ask(operation, request, lane=_lane(urgent))).items


def _is_urgent(lane: Lane) -> bool:
    return lane >= Lane.VERY_URGENT


def _lane(urgent: bool) -> Lane:
    return Lane.VERY_URGENT if urgent else Lane.ORDINARY
