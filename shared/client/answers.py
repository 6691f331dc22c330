"""
What the library gives back where the answer of the node is not enough.
"""

from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from shared.client.errors import ProblemEntry
from shared.client.receipts import ReceiptClaims
from shared.contracts.base import Moment
from shared.contracts.routing import DeliveryView


class Accepted(BaseModel):
    """
    The node's answer to a packet it has accepted, now or before.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    document_id: UUID
    dispatch_id: UUID
    accepted_at: Moment
    packet_sha256: str
    addressees: tuple[str, ...] = ()
    warnings: tuple[ProblemEntry, ...] = ()
    receipt: str


@dataclass(frozen=True)
class SentDocument:
    """
    A document the node has accepted, with its receipt checked.

    Attributes:
        created: False where the same had been accepted before; nothing was sent twice.
        answer: The body of the node's answer.
        claims: What the receipt says.
        body: The answer byte for byte; keep it with the document.
    """

    created: bool
    answer: Accepted
    claims: ReceiptClaims
    body: bytes

    @property
    def document_id(self) -> UUID:
        """
        The axis' own identifier.
        """
        return self.answer.document_id

    @property
    def receipt(self) -> str:
        """
        The receipt, compact JWS.
        """
        return self.answer.receipt


@dataclass(frozen=True)
class Fetched:
    """
    A file that lies on this machine, its digest checked.

    Attributes:
        sha256: Hex digest.
        size: Bytes.
    """

    path: Path
    sha256: str
    size: int


@dataclass(frozen=True)
class FetchedPacket:
    """
    A packet on this machine with its header; acknowledge it once it is safely stored.
    """

    file: Fetched
    delivery: DeliveryView
