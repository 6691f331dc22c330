"""The states of a delivery."""

from enum import StrEnum


class DeliveryState(StrEnum):
    """
    States of a delivery; what follows what is routing's own table.
    """

    SCHEDULED = "scheduled"
    QUEUED = "queued"
    AVAILABLE = "available"
    FETCHED = "fetched"
    RELAYED = "relayed"
    DELIVERED = "delivered"
    FAILED = "failed"
    CANCELLED = "cancelled"
    RECALLED = "recalled"
    EXPIRED = "expired"
