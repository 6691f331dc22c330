"""The port every adapter implements."""

from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from datetime import timedelta
from typing import Protocol, TypeVar

from shared.contracts.base import Contract, Hint, Lane, Operation
from shared.messaging.item import Item

RequestT = TypeVar("RequestT", bound=Contract)
ReplyT = TypeVar("ReplyT", bound=Contract)
HintT = TypeVar("HintT", bound=Hint)

EventHandler = Callable[[Item], Awaitable[None]]
"""Returns once the effect is committed; raises to have the item handed over again."""

DEFAULT_DEADLINE = timedelta(seconds=10)
EVERY_TOPIC = "*"

in_transaction: ContextVar[bool] = ContextVar("in_transaction", default=False)
"""Set by the unit of work, so that the bus can refuse an ask that would hold locks while it waits."""


class AskInTransactionError(RuntimeError):
    """
    An ask was made while a database transaction was open: a defect of the caller.
    """


class Bus(Protocol):
    """
    How a service or the gateway talks to the others. One object per process and party.
    """

    async def ask(
        self,
        operation: Operation[RequestT, ReplyT],
        request: RequestT,
        *,
        lane: Lane = Lane.ORDINARY,
        within: timedelta = DEFAULT_DEADLINE,
    ) -> ReplyT:
        """
        Ask and wait for the answer.

        Raises:
            Rejected: The other side refused; code and words are its own.
            Unavailable: Lost or late; the caller may repeat.
            AskInTransactionError: A transaction is open.
        """
        ...

    def answer(self, operation: Operation[RequestT, ReplyT], handler: Callable[[RequestT], Awaitable[ReplyT]]) -> None:
        """
        Answer an operation from now on.
        """

    def subscribe(self, topic: str, handler: EventHandler, *, concurrency: int = 16) -> None:
        """
        Receive every event of a topic at least once, in any order; `*` is every topic.

        Args:
            topic: Topic of a contract.
            handler: Returns once committed; raising means the item comes again.
            concurrency: Items handled at once.
        """

    async def publish(self, items: Sequence[Item]) -> Sequence[bool]:
        """
        Hand over events; True for each that is confirmed. Only the outbox relay calls this.
        """
        ...

    def hint(self, hint: Hint) -> None:
        """
        Tell every process; may be lost.
        """

    def on_hint(self, kind: type[HintT], handler: Callable[[HintT], None]) -> None:
        """
        Hear hints of a kind; the handler must not block.
        """
