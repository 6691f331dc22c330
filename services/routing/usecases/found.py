"""One look at a delivery and what its document says, shared by those who look at the same time."""

from collections.abc import Sequence
from uuid import UUID

from services.routing.repository import deliveries as repository
from services.routing.repository.deliveries import Found
from services.routing.usecases.context import Context


async def find_delivery(context: Context, delivery_id: UUID) -> Found | None:
    """
    Look at a delivery without a lock.
    """
    return await context.group(_find).do(delivery_id)


async def _find(context: Context, delivery_ids: Sequence[UUID]) -> list[Found | Exception | None]:
    async with context.store.read() as connection:
        found = await repository.find_deliveries(connection, delivery_ids)
    return [found.get(delivery_id) for delivery_id in delivery_ids]
