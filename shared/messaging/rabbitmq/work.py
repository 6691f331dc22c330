"""Messages in hand: their items are handled side by side, and the last one acknowledges its message."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextvars import Context
from dataclasses import dataclass

from aiormq.abc import AbstractChannel
from aiormq.exceptions import AMQPError, ChannelInvalidStateError

from shared.messaging.item import Item
from shared.telemetry import bind_correlation_id
from shared.telemetry.traces import bind_traceparent


@dataclass
class InHand:
    """
    One message that was delivered and is not acknowledged yet.

    Attributes:
        channel: Where it came from; acknowledging on another, or once this one is closed, is impossible.
        tag: The broker's number for it on that channel.
        left: Items that are not done yet.
        sender: User that published it, as the broker has checked; empty where it did not say.
        reply_to: Where answers go.
        arrived: By the loop's clock.
    """

    channel: AbstractChannel
    tag: int
    left: int
    sender: str
    reply_to: str
    arrived: float
    acknowledged: bool = False

    @property
    def lost(self) -> bool:
        """
        The broker has taken it back and will hand it to somebody else, or again to us.
        """
        return self.channel.is_closed and not self.acknowledged

    async def item_done(self) -> None:
        """
        Count one item off; the last one acknowledges the message.
        """
        self.left -= 1
        if self.left <= 0 and not self.acknowledged:
            await self.acknowledge()

    async def acknowledge(self, *, wait: bool = False) -> None:
        """
        Acknowledge it whole; lost ones come again, and are recognised.

        Args:
            wait: Until the acknowledgement has left this process.
        """
        self.acknowledged = True
        with contextlib.suppress(AMQPError, ChannelInvalidStateError, ConnectionError):
            await self.channel.basic_ack(self.tag, wait=wait)

    async def refuse(self, *, requeue: bool) -> None:
        """
        Give it back, or to the queue of last resort.
        """
        with contextlib.suppress(AMQPError, ChannelInvalidStateError, ConnectionError):
            await self.channel.basic_nack(self.tag, requeue=requeue, wait=False)

    def refuse_soon(self, *, requeue: bool) -> None:
        """
        The same, from where nothing can be awaited.
        """
        task = asyncio.get_running_loop().create_task(self.refuse(requeue=requeue))
        _refusing.add(task)
        task.add_done_callback(_refusing.discard)


_refusing: set[asyncio.Task[None]] = set()

Work = Callable[[Item, InHand], Awaitable[None]]


class Workers:
    """
    Handles items, no more than so many at once.

    One item begins with each turn of the loop, so that a handler which computes lets the first answers leave while the
    rest is still computed.

    Args:
        concurrency: Items handled at once.
        work: Handles one; must not raise.
    """

    def __init__(self, concurrency: int, work: Work) -> None:
        self._concurrency = concurrency
        self._work = work
        self._ready: deque[tuple[Item, InHand]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._beginning = False
        self._stopped = False
        self._held = 0

    def __len__(self) -> int:
        return len(self._ready)

    @property
    def busy(self) -> int:
        """
        Items in work.
        """
        return len(self._tasks)

    def take(self, items: list[Item], message: InHand) -> None:
        """
        Handle the items of a message as soon as there is room.
        """
        self._ready.extend((item, message) for item in items)
        self._go_on()

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """
        Begin nothing meanwhile.
        """
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
            self._go_on()

    def stop(self) -> None:
        """
        Begin nothing more; what is in work goes on.
        """
        self._stopped = True
        self._ready.clear()

    async def finish(self) -> None:
        """
        Wait until nothing is in hand any more.
        """
        while self._tasks or self._ready:
            await (asyncio.wait(self._tasks) if self._tasks else asyncio.sleep(0))

    def cancel(self) -> None:
        """
        End what is in work.
        """
        self.stop()
        for task in self._tasks:
            task.cancel()

    def _go_on(self) -> None:
        may_begin = not (self._beginning or self._stopped or self._held)
        if self._ready and may_begin and len(self._tasks) < self._concurrency:
            self._beginning = True
            asyncio.get_running_loop().call_soon(self._begin, context=Context())

    def _begin(self) -> None:
        self._beginning = False
        while self._ready and self._ready[0][1].lost:
            self._ready.popleft()
        if not self._ready or self._stopped or self._held:
            return
        item, message = self._ready.popleft()
        context = Context()
        context.run(bind_correlation_id, item.correlation_id)
        context.run(bind_traceparent, item.traceparent)
        task = asyncio.get_running_loop().create_task(self._handle(item, message), context=context)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        self._go_on()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._go_on()

    async def _handle(self, item: Item, message: InHand) -> None:
        await self._work(item, message)
        await message.item_done()
