"""What delivery asks of the registry."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from shared.contracts.base import MAX_ITEMS
from shared.contracts.registry import (
    READ_ENDPOINTS,
    SET_WEBHOOK_STATE,
    Endpoint,
    ReadEndpoints,
    SetWebhookState,
    WebhookState,
)
from shared.errors import Rejected
from shared.messaging import Bus


class Registry:
    """
    The service that owns the endpoints.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def endpoints_of(self, agency_keys: Iterable[UUID]) -> list[Endpoint]:
        """
        Read the active endpoints that want to hear about agencies.
        """
        keys = sorted(set(agency_keys))
        found: list[Endpoint] = []
        for start in range(0, len(keys), MAX_ITEMS):
            question = ReadEndpoints(agency_keys=tuple(keys[start : start + MAX_ITEMS]))
            found.extend((await self._bus.ask(READ_ENDPOINTS, question)).items)
        return found

    async def endpoints_named(self, webhook_ids: Sequence[UUID]) -> dict[UUID, Endpoint]:
        """
        Read endpoints by their ids, at most 500, in any state; those removed are missing.
        """
        answer = await self._bus.ask(READ_ENDPOINTS, ReadEndpoints(webhook_ids=tuple(webhook_ids)))
        return {endpoint.webhook_id: endpoint for endpoint in answer.items}

    async def set_state(self, webhook_id: UUID, state: WebhookState, reason: str = "") -> bool:
        """
        Report what became of an endpoint; False when the registry does not know it any more.
        """
        try:
            await self._bus.ask(SET_WEBHOOK_STATE, SetWebhookState(webhook_id=webhook_id, state=state, reason=reason))
        except Rejected:
            return False
        return True
