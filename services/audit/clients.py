"""What audit asks of others."""

from datetime import timedelta
from typing import Any

from shared.contracts.signing import SIGN_TREE_HEADS, SignStatements
from shared.messaging import Bus
from shared.messaging.port import DEFAULT_DEADLINE


class Signing:
    """
    The service that holds the keys.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def sign_tree_head(self, payload: dict[str, Any], *, within: timedelta = DEFAULT_DEADLINE) -> str:
        """
        Have a tree head signed.

        Returns:
            Compact JWS `axis-tree-head`.
        """
        signed = await self._bus.ask(SIGN_TREE_HEADS, SignStatements(payloads=(payload,)), within=within)
        return signed.items[0]
