"""What is exchanged with a national axis, in words of our own; how it looks on the wire stands in `clients/vxp`."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

KEEP_FINISHED = timedelta(days=90)
"""How long we remember what was sent and what was finished; both ends have long forgotten their doubts by then."""


class MessageType(StrEnum):
    """
    What a package holds, as far as the protocol tells.
    """

    DOCUMENT = "edoc"
    """A document of any business type: new, recall, update, replacement."""
    STATUS = "status"
    """What an agency does with a document."""


class TransferState(StrEnum):
    """
    What became of an item of the inbox; says nothing about the document itself.
    """

    INITIAL = "initial"
    """It has just arrived."""
    PROCESSING = "processing"
    """It was fetched."""
    DONE = "done"
    """It was taken; the axis lists it no more."""
    FAIL = "fail"
    """It could not be taken; the axis lists it no more."""

    @property
    def is_final(self) -> bool:
        return self in {TransferState.DONE, TransferState.FAIL}


@dataclass(frozen=True)
class Sending:
    """
    One wish to have a package carried.

    Attributes:
        sender: Code of the agency it is from.
        addressees: Codes to deliver to; empty: those named in the package.
        packet_sha256: Its bytes, in the blob store.
    """

    message_type: MessageType
    sender: str
    addressees: tuple[str, ...]
    packet_sha256: str

    @property
    def request_sha256(self) -> str:
        """
        Tells the same wish from another one, whatever the order of the addressees.
        """
        parts = (self.message_type.value, self.sender, *sorted(set(self.addressees)), self.packet_sha256)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@dataclass(frozen=True)
class Sent:
    """
    How a sending stands.

    Attributes:
        attempts: Calls that may have reached the axis.
        doc_id: What the axis calls it; None until it has said so.
        sent_at: When it said so.
        lease_until: Until then somebody is at it.
    """

    attempts: int
    doc_id: str | None
    sent_at: datetime | None
    lease_until: datetime


@dataclass(frozen=True)
class Item:
    """
    Something that lies for us on the axis, and how far we are with it.

    Attributes:
        doc_id: What the axis calls it.
        message_type: Document or status.
        sender: Code it is from; None where the axis does not say.
        addressee: Code it is for; None where the axis does not say.
        packet_sha256: Its bytes in our blob store; None until they were fetched.
        result: What we decided, told or not.
        told_at: When the axis has heard of the result.
    """

    doc_id: str
    message_type: MessageType
    sender: str | None
    addressee: str | None
    packet_sha256: str | None = None
    result: TransferState | None = None
    description: str = ""
    told_at: datetime | None = None


def names(addressees: Iterable[str]) -> tuple[str, ...]:
    """
    Name each addressee once, in the order given.
    """
    return tuple(dict.fromkeys(addressees))
