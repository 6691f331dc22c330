import asyncio
import time
from dataclasses import dataclass, field

from gateway.limits import Pace, Uploads
from gateway.mailboxes import Mailboxes
from gateway.refusals import Refusals
from gateway.settings import Settings
from shared.blobs import BlobStore, StorageLow
from shared.messaging import Bus
from shared.tokens import TokenVerifier

_ROOM_SECONDS = 1.0


@dataclass
class Room:
    """
    Room left where packets lie, looked up at most once a second.
    """

    blobs: BlobStore
    min_free_bytes: int
    _free_bytes: int = 0
    _looked_at: float = field(default=float("-inf"))
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def check(self, coming_bytes: int) -> None:
        """
        Make sure that so many bytes may come.

        Raises:
            StorageLow: The watermark would be passed.
        """
        async with self._lock:
            if time.monotonic() - self._looked_at > _ROOM_SECONDS:
                self._free_bytes = await self.blobs.free_bytes()
                self._looked_at = time.monotonic()
        if self._free_bytes - coming_bytes < self.min_free_bytes:
            raise StorageLow("there is too little room for packets", retry_after=60)


@dataclass(frozen=True)
class Context:
    """
    What the routes work with.
    """

    settings: Settings
    bus: Bus
    blobs: BlobStore
    verifier: TokenVerifier
    mailboxes: Mailboxes
    uploads: Uploads
    pace: Pace
    room: Room
    refusals: Refusals
