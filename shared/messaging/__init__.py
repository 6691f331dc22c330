"""The bus: asks with a deadline, events at least once, lossy hints. One port; the deployment chooses the adapter."""

from shared.messaging.item import Item
from shared.messaging.port import AskInTransactionError, Bus, EventHandler, in_transaction

__all__ = ["AskInTransactionError", "Bus", "EventHandler", "Item", "in_transaction"]
