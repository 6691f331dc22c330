"""What travels on the bus, and its one wire form for one item or many."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic_core import from_json, to_json

from shared.contracts.base import Lane
from shared.errors import Unavailable

WIRE_VERSION = 1
MAX_PACK_ITEMS = 64
MAX_PACK_BYTES = 262_144
"""A pack stays small enough that one of its items never waits long for the others."""


class UnknownWireFormError(Unavailable):
    """
    A message of a version this process does not know; a newer one may.
    """


@dataclass(frozen=True)
class Item:
    """
    One ask, answer or event, with all that belongs to it and not to the message that carries it.

    Attributes:
        id: Identity; a redelivery has the same.
        type: Topic of an event, name of an operation.
        source: Service that sent it.
        time: When it was made; aware, UTC.
        data: JSON text of the contract.
        lane: Urgency.
        attempt: How many times it was handed over before.
        remaining_ms: What is left of an ask's deadline; None for events.
        correlation_id: Follows the request through every process.
        traceparent: The span this came from, in the form of W3C Trace Context; empty unless traces are on.
    """

    id: UUID
    type: str
    source: str
    time: datetime
    data: str
    lane: Lane = Lane.ORDINARY
    attempt: int = 0
    remaining_ms: int | None = None
    correlation_id: str = ""
    traceparent: str = ""

    def as_dict(self) -> dict[str, Any]:
        written: dict[str, Any] = {
            "id": str(self.id),
            "type": self.type,
            "source": self.source,
            "time": self.time.isoformat(),
            "data": self.data,
            "lane": int(self.lane),
            "attempt": self.attempt,
            "remaining_ms": self.remaining_ms,
            "correlation_id": self.correlation_id,
        }
        if self.traceparent:
            written["traceparent"] = self.traceparent
        return written


def pack(items: Sequence[Item]) -> bytes:
    """
    Encode 1 to 64 items as one message.
    """
    return to_json({"v": WIRE_VERSION, "items": [item.as_dict() for item in items]})


def unpack(message: bytes) -> list[Item]:
    """
    Decode a message.

    Raises:
        UnknownWireFormError: It has another version.
    """
    decoded = from_json(message)
    if decoded.get("v") != WIRE_VERSION:
        raise UnknownWireFormError(f"wire form {decoded.get('v')!r} is not {WIRE_VERSION}")
    return [
        Item(
            id=UUID(entry["id"]),
            type=entry["type"],
            source=entry["source"],
            time=datetime.fromisoformat(entry["time"]),
            data=entry["data"],
            lane=Lane(entry["lane"]),
            attempt=entry["attempt"],
            remaining_ms=entry["remaining_ms"],
            correlation_id=entry["correlation_id"],
            # Added later: what an older process sends has none, and what it does not know it passes over.
            traceparent=entry.get("traceparent", ""),
        )
        for entry in decoded["items"]
    ]
