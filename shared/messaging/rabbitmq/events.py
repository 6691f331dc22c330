"""Both ends of an event: who publishes, and who consumes at least once."""

import asyncio
import random
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from aiormq.abc import DeliveredMessage

from shared.contracts.base import Lane
from shared.errors import Unavailable
from shared.messaging.item import Item, UnknownWireFormError, unpack
from shared.messaging.port import EventHandler
from shared.messaging.rabbitmq.asks import in_hand
from shared.messaging.rabbitmq.names import again_exchange, events_exchange
from shared.messaging.rabbitmq.packer import Packer
from shared.messaging.rabbitmq.session import Consumption, Session
from shared.messaging.rabbitmq.topology import Queue
from shared.messaging.rabbitmq.work import InHand, Workers
from shared.telemetry import get_logger

MAX_WAITING_EVENTS = 2_000
"""Per topic. The relay never has more than a few batches under way; the outbox is the place to wait."""

EVENT_PREFETCH = 8
"""Messages in hand per queue: a crash gives all of them back at once, and each of them counts it."""

FIRST_RETRY_SECONDS = 0.05
LONGEST_RETRY_SECONDS = 5.0
HOLD_SECONDS = 60.0
"""After it an item that still fails is published again by itself, so that its message is acknowledged in good time."""

UNREADABLE_PAUSE_SECONDS = 2.0

BLOCKED_SECONDS = 2.0
"""A confirm older than this means that the broker takes nothing for now: better to say so than to wait."""

_logger = get_logger(__name__)


class Publisher:
    """
    The publishing end of one party.

    Args:
        party: Whose events.
    """

    def __init__(self, party: str) -> None:
        self._party = party
        self._session: Session | None = None
        self._packers: dict[tuple[str, bool], Packer] = {}
        self._in_flight: dict[UUID, asyncio.Future[bool]] = {}

    def begin(self, session: Session) -> None:
        """
        Publish over a new session from now on.
        """
        self._session = session
        self._packers = {}

    def end(self, error: Unavailable) -> None:
        """
        Fail what is under way; whether it arrived, only the outbox can settle.
        """
        self._session = None
        for packer in self._packers.values():
            packer.stop(error)

    async def publish(self, items: Sequence[Item]) -> list[bool]:
        """
        Hand over events; True for each that every queue has confirmed.
        """
        if self._session is None or self._session.unconfirmed_for() > BLOCKED_SECONDS:
            return [False] * len(items)
        # A relay that lost patience publishes the same item again: it joins the one still under way.
        fates = [self._in_flight.get(item.id) or self._send(self._session, item) for item in items]
        outcomes = await asyncio.gather(*(asyncio.shield(fate) for fate in fates), return_exceptions=True)
        return [outcome is True for outcome in outcomes]

    def _send(self, session: Session, item: Item) -> asyncio.Future[bool]:
        fate: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._in_flight[item.id] = fate
        fate.add_done_callback(lambda _: self._forget(item.id))
        try:
            self._packer(session, item.type, urgent=item.lane >= Lane.VERY_URGENT).put(item, fate)
        except Unavailable:
            fate.set_result(False)
        return fate

    def _forget(self, item_id: UUID) -> None:
        fate = self._in_flight.pop(item_id)
        if not fate.cancelled():
            fate.exception()  # whoever waited may have gone

    def _packer(self, session: Session, topic: str, *, urgent: bool) -> Packer:
        if (packer := self._packers.get((topic, urgent))) is None:
            exchange = events_exchange(self._party)

            async def send(items: Sequence[Item]) -> None:
                await session.publish("events", items, exchange, topic, mandatory=True, persistent=True)

            packer = Packer(topic, send, limit=MAX_WAITING_EVENTS, confirming=True)
            self._packers[topic, urgent] = packer
        return packer


class Subscription:
    """
    One topic at one consumer.

    An item whose handler raises comes again after a pause, here and by itself: its neighbours are done with, and their
    message waits only for it. Poison is not counted here, but by the consumer in its own database.

    Args:
        party: Who consumes.
        queue: Its queue for the topic.
        handler: Returns once committed.
        concurrency: Items handled at once.
    """

    def __init__(self, party: str, queue: Queue, handler: EventHandler, concurrency: int) -> None:
        self._party = party
        self._queue = queue
        self._handler = handler
        self.workers = Workers(concurrency, self._handle)
        self._session: Session | None = None
        self._splitting: set[asyncio.Task[None]] = set()

    @property
    def name(self) -> str:
        return self._queue.name

    def consumption(self) -> Consumption:
        """
        What is to be consumed.
        """
        return Consumption(self._queue, EVENT_PREFETCH, self._take)

    def begin(self, session: Session) -> None:
        """
        Use a new session from now on.
        """
        self._session = session

    def end(self) -> None:
        """
        What is in hand has been taken back.
        """
        self._session = None

    def _take(self, delivered: DeliveredMessage) -> None:
        message = in_hand(delivered)
        try:
            items = unpack(delivered.body)
        except UnknownWireFormError:
            self._later(self._refuse_later(message))  # a newer copy of us can read it
            return
        except (ValueError, KeyError) as error:
            _logger.warning("events cannot be read", queue=self.name, sender=message.sender, error=type(error).__name__)
            message.refuse_soon(requeue=False)
            return
        message.left = len(items)
        exchange = delivered.exchange or ""
        publisher = exchange.partition(".")[2]
        if exchange != again_exchange(self._party) and any(item.type.partition(".")[0] != publisher for item in items):
            _logger.error("events of another publisher", queue=self.name, sender=message.sender)
            message.refuse_soon(requeue=False)
        elif len(items) > 1 and delivered.redelivered:
            # Somebody died with this message in hand. One of its items may have been why: alone, each is judged alone.
            self._later(self._split(items, message))
        else:
            self.workers.take(items, message)

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._splitting.add(task)
        task.add_done_callback(self._splitting.discard)

    async def _refuse_later(self, message: InHand) -> None:
        await asyncio.sleep(UNREADABLE_PAUSE_SECONDS)
        await message.refuse(requeue=True)

    async def _split(self, items: list[Item], message: InHand) -> None:
        # Nothing is handled before the pack is gone, or the culprit could bring it back once more. In the rare case
        # that this is cut short some items come twice; the inbox recognises them.
        with self.workers.hold():
            sent = await asyncio.gather(*(self._publish_again(item) for item in items))
            if all(sent):
                await message.acknowledge(wait=True)
                return
        await asyncio.sleep(LONGEST_RETRY_SECONDS)
        await message.refuse(requeue=True)

    async def _publish_again(self, item: Item) -> bool:
        if self._session is None:
            return False
        exchange = again_exchange(self._party)
        try:
            await self._session.publish("events", [item], exchange, self.name, mandatory=True, persistent=True)
        except Unavailable:
            return False
        return True

    async def _handle(self, item: Item, message: InHand) -> None:
        attempt = item.attempt
        pause = FIRST_RETRY_SECONDS
        while not message.lost:
            try:
                await self._handler(replace(item, attempt=attempt))
            except Exception as error:  # noqa: BLE001 - whatever it was, the item must come again
                _logger.warning("event comes again", topic=item.type, attempt=attempt, error=type(error).__name__)
            else:
                return
            attempt += 1
            held = asyncio.get_running_loop().time() - message.arrived
            if held > HOLD_SECONDS and await self._publish_again(replace(item, attempt=attempt)):
                return
            pause = min(LONGEST_RETRY_SECONDS, pause * 2)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads retries, hides nothing
