"""Idempotency keys: the same request under the same key finds the answer it got; another request is refused."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.routing.errors import IdempotencyKeyReused
from services.routing.repository import keys as repository
from services.routing.repository.keys import NewKey, StoredKey
from services.routing.usecases.context import Context


@dataclass(frozen=True)
class RequestKey:
    """
    The key a request came with.

    Attributes:
        key: The caller's own; None where it sent none, and then nothing is found or noted.
        request: What makes the request the same again, in one text.
    """

    system_id: str
    key: str | None
    operation: str
    request: str

    @property
    def request_sha256(self) -> str:
        """
        Digest by which a copy of the request is known.
        """
        return sha256(self.request.encode()).hexdigest()

    async def find(self, connection: AsyncConnection) -> UUID | None:
        """
        Find what a copy of this very request made; None when this is the first.

        Raises:
            IdempotencyKeyReused: The key was used for another request.
        """
        if self.key is None:
            return None
        (stored,) = await repository.find_keys(connection, [(self.system_id, self.key)])
        return self._result(stored)

    async def look_up(self, context: Context) -> UUID | None:
        """
        Find the same outside any transaction, together with concurrent requests.

        Raises:
            IdempotencyKeyReused: The key was used for another request.
        """
        if self.key is None:
            return None
        return self._result(await context.group(_look_up).do((self.system_id, self.key)))

    def _result(self, stored: StoredKey | None) -> UUID | None:
        if stored is None:
            return None
        if (stored.operation, stored.request_sha256) != (self.operation, self.request_sha256):
            raise IdempotencyKeyReused(
                "Idempotency-Key đã dùng cho yêu cầu khác. / This Idempotency-Key was used for another request."
            )
        return stored.result_id

    async def take(self, connection: AsyncConnection, result_id: UUID, at: datetime) -> bool:
        """
        Note what this request made; False when a copy of it was faster.

        Raises:
            IdempotencyKeyReused: Another request was faster.
        """
        new = self.new(result_id, at)
        if new is None or await repository.add_keys(connection, [new]):
            return True
        await self.find(connection)
        return False

    def new(self, result_id: UUID, at: datetime) -> NewKey | None:
        """
        What is to be noted with the result; None where the caller sent no key.
        """
        if self.key is None:
            return None
        return NewKey(self.system_id, self.key, self.operation, self.request_sha256, result_id, at)


async def _look_up(context: Context, keys: Sequence[tuple[str, str]]) -> list[StoredKey | Exception | None]:
    async with context.store.read() as connection:
        return list(await repository.find_keys(connection, keys))
