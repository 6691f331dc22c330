"""Dead messages: poison on our own bus, kept by the service it killed; every service answers the same questions."""

from dataclasses import dataclass
from uuid import UUID

from pydantic import Field

from shared.contracts.base import MAX_ITEMS, Contract, Moment, Operation


class ListDead(Contract):
    """
    Dead messages of one service, oldest first.
    """

    token: str
    limit: int = Field(default=100, ge=1, le=500)


class DeadMessage(Contract):
    """
    One message that raised too often.
    """

    message_id: UUID
    topic: str
    attempts: int
    error: str
    died_at: Moment


class DeadMessages(Contract):
    """
    Dead messages of one service.
    """

    items: tuple[DeadMessage, ...]


class ActOnDead(Contract):
    """
    Try dead messages again, or drop them for good.
    """

    token: str
    message_ids: tuple[UUID, ...] = Field(min_length=1, max_length=MAX_ITEMS)


class DeadResult(Contract):
    """
    How many of the named messages were found.
    """

    found: int


@dataclass(frozen=True)
class DeadOperations:
    """
    The three questions to one service.
    """

    list: Operation[ListDead, DeadMessages]
    retry: Operation[ActOnDead, DeadResult]
    drop: Operation[ActOnDead, DeadResult]


def dead_operations(service: str) -> DeadOperations:
    """
    Name the three questions for a service.
    """
    return DeadOperations(
        list=Operation(f"{service}.list_dead_messages", ListDead, DeadMessages),
        retry=Operation(f"{service}.retry_dead_messages", ActOnDead, DeadResult),
        drop=Operation(f"{service}.drop_dead_messages", ActOnDead, DeadResult),
    )
