"""Both ends of an ask: who waits for answers, and who gives them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from datetime import timedelta
from typing import Any
from uuid import UUID

from aiormq.abc import DeliveredMessage

from shared.clock import Clock
from shared.contracts.base import Contract, Lane, Operation
from shared.errors import Rejected, Unavailable
from shared.identifiers import IdSource
from shared.messaging.answers import read_answer, write_defect, write_problem, write_result
from shared.messaging.item import Item, UnknownWireFormError, unpack
from shared.messaging.rabbitmq.names import answers_exchange, ask_key, asks_exchange
from shared.messaging.rabbitmq.packer import Packer
from shared.messaging.rabbitmq.session import Consumption, Session
from shared.messaging.rabbitmq.topology import Topology
from shared.messaging.rabbitmq.work import InHand, Workers
from shared.telemetry import correlation_id, get_logger
from shared.telemetry.traces import traceparent

MAX_WAITING_ITEMS = 10_000
"""Asks beyond this many waiting at one service are refused early: the back-pressure callers see as 503."""

ASK_CONCURRENCY = 64
ASK_PREFETCH = 64
"""Messages, of one item or many. Fewer would leave a service idle whenever little traffic means small messages."""

MAX_REPLY_ADDRESSES = 1_000

_ends_at: ContextVar[float | None] = ContextVar("ends_at", default=None)
"""When the ask being answered ends, by the loop's clock: what is left of it is all that its own asks may take."""

_logger = get_logger(__name__)


class Asker:
    """
    The asking end of one process.

    Args:
        party: Who asks.
        clock: For the time written on items.
        new_id: Identities of asks.
    """

    def __init__(self, party: str, clock: Clock, new_id: IdSource) -> None:
        self._party = party
        self._clock = clock
        self._new_id = new_id
        self._session: Session | None = None
        self._packers: dict[tuple[str, bool], Packer] = {}
        self._waiting: dict[UUID, tuple[str, asyncio.Future[str]]] = {}
        self.late_answers = 0
        """Answers that nobody waited for any more."""

    @property
    def waiting(self) -> int:
        """
        Asks without an answer so far.
        """
        return len(self._waiting)

    def begin(self, session: Session) -> None:
        """
        Ask over a new session from now on.
        """
        self._session = session
        self._packers = {}

    def end(self, error: Unavailable) -> None:
        """
        Fail whoever waits: their answers went with the session.
        """
        self._session = None
        for packer in self._packers.values():
            packer.stop(error)
        self.fail(error)

    def fail(self, error: Unavailable) -> None:
        """
        Fail whoever waits, because no answer is to be expected in good time.
        """
        for packer in self._packers.values():
            packer.fail(error)
        for _, fate in self._waiting.values():
            if not fate.done():
                fate.set_exception(error)

    async def ask(self, operation: Operation[Any, Any], request: Contract, lane: Lane, within: timedelta) -> Any:
        """
        Ask and wait.

        Raises:
            Unavailable: See `Bus.ask`.
        """
        assert self._session is not None
        loop = asyncio.get_running_loop()
        seconds = within.total_seconds()
        if (ends_at := _ends_at.get()) is not None:
            seconds = min(seconds, ends_at - loop.time())
            if seconds <= 0:
                raise Unavailable(f"no time is left to ask {operation.name}")
        item = Item(
            id=self._new_id(),
            type=operation.name,
            source=self._party,
            time=self._clock.now(),
            data=request.model_dump_json(),
            lane=lane,
            remaining_ms=max(1, int(seconds * 1000)),
            correlation_id=correlation_id(),
            traceparent=traceparent(),
        )
        fate: asyncio.Future[str] = loop.create_future()
        self._waiting[item.id] = (operation.service, fate)
        try:
            self._packer(self._session, operation.service, urgent=lane >= Lane.VERY_URGENT).put(item, fate)
            async with asyncio.timeout(seconds):
                text = await fate
        except TimeoutError:
            raise Unavailable(f"{operation.name} did not answer in time") from None
        finally:
            del self._waiting[item.id]
            fate.cancel()  # what has not left yet stays here
        return read_answer(operation, text)

    def on_message(self, message: DeliveredMessage) -> None:
        """
        Take a message of answers.
        """
        sender = message.header.properties.user_id
        try:
            items = unpack(message.body)
        except (ValueError, KeyError, UnknownWireFormError) as error:
            _logger.warning("answers cannot be read", sender=sender, error=type(error).__name__)
            return
        for item in items:
            service, fate = self._waiting.get(item.id, ("", None))
            if fate is None or fate.done() or service != sender:
                self.late_answers += 1
            else:
                fate.set_result(item.data)

    def _packer(self, session: Session, service: str, *, urgent: bool) -> Packer:
        if (packer := self._packers.get((service, urgent))) is None:
            exchange, key = asks_exchange(service), ask_key(urgent=urgent)

            async def send(items: Sequence[Item]) -> None:
                expires = max(item.remaining_ms or 0 for item in items)
                await session.publish("asks", items, exchange, key, mandatory=True, expires_ms=expires)

            packer = Packer(service, send, limit=MAX_WAITING_ITEMS)
            self._packers[service, urgent] = packer
        return packer


class Answerer:
    """
    The answering end of one service.

    Args:
        party: Who answers.
        topology: Where its two queues are described.
        clock: For the time written on items.
    """

    def __init__(self, party: str, topology: Topology, clock: Clock) -> None:
        self._party = party
        self._topology = topology
        self._clock = clock
        self._handlers: dict[str, tuple[Operation[Any, Any], Callable[[Any], Awaitable[Any]]]] = {}
        self._workers = {urgent: Workers(ASK_CONCURRENCY, self._answer) for urgent in (False, True)}
        self._session: Session | None = None
        self._packers: dict[tuple[str, str], Packer] = {}
        self._taking: set[asyncio.Task[None]] = set()

    def add(self, operation: Operation[Any, Any], handler: Callable[[Any], Awaitable[Any]]) -> None:
        """
        Answer an operation.
        """
        if operation.name in self._handlers:
            raise ValueError(f"{operation.name} is answered twice")
        self._handlers[operation.name] = (operation, handler)

    @property
    def workers(self) -> list[Workers]:
        return list(self._workers.values())

    def consumptions(self) -> list[Consumption]:
        """
        What is to be consumed, ordinary asks and urgent ones apart.
        """
        if not self._handlers:
            return []
        ordinary, urgent = self._topology.ask_queues(self._party)
        return [
            Consumption(ordinary, ASK_PREFETCH, lambda message: self._take(message, self._workers[False])),
            Consumption(urgent, ASK_PREFETCH, lambda message: self._take(message, self._workers[True])),
        ]

    def begin(self, session: Session) -> None:
        """
        Answer over a new session from now on.
        """
        self._session = session
        self._packers = {}

    def end(self, error: Unavailable) -> None:
        """
        Forget where answers went.
        """
        self._session = None
        for packer in self._packers.values():
            packer.stop(error)

    async def flush(self) -> None:
        """
        Wait until every answer has left.
        """
        await asyncio.gather(*(packer.settle() for packer in self._packers.values()))

    def _take(self, delivered: DeliveredMessage, workers: Workers) -> None:
        message = in_hand(delivered)
        try:
            items = unpack(delivered.body)
        except (ValueError, KeyError, UnknownWireFormError) as error:
            _logger.warning("asks cannot be read", sender=message.sender, error=type(error).__name__)
            message.refuse_soon(requeue=False)
            return
        message.left = len(items)
        if delivered.redelivered:
            # Somebody died with these asks in hand. If one of them was why, it shall not go through all copies.
            task = asyncio.get_running_loop().create_task(self._take_for_good(items, message, workers))
            self._taking.add(task)
            task.add_done_callback(self._taking.discard)
        else:
            workers.take(items, message)

    @staticmethod
    async def _take_for_good(items: list[Item], message: InHand, workers: Workers) -> None:
        await message.acknowledge(wait=True)
        workers.take(items, message)

    async def _answer(self, item: Item, message: InHand) -> None:
        loop = asyncio.get_running_loop()
        ends_at = message.arrived + (item.remaining_ms or 0) / 1000
        if loop.time() >= ends_at:  # the asker has given up; late work would be wasted
            return
        _ends_at.set(ends_at)
        text = await self._handle(item)
        if self._session is None or not message.sender or message.sender != item.source:
            return
        answer = Item(
            id=item.id,
            type=item.type,
            source=self._party,
            time=self._clock.now(),
            data=text,
            lane=item.lane,
            correlation_id=item.correlation_id,
            traceparent=item.traceparent,
        )
        try:
            self._packer(self._session, message.sender, message.reply_to).put(answer)
        except Unavailable:  # its deadline ends the ask
            _logger.warning("answer dropped", asker=message.sender)

    async def _handle(self, item: Item) -> str:
        known = self._handlers.get(item.type)
        if known is None:  # asked by a newer process; a newer copy of us may answer
            return write_problem(Unavailable(f"nobody answers {item.type}"))
        operation, handler = known
        try:
            return write_result(await handler(operation.request.model_validate_json(item.data)))
        except (Rejected, Unavailable) as error:
            return write_problem(error)
        except Exception:
            _logger.exception("ask failed", operation=item.type)
            return write_defect(item.type)

    def _packer(self, session: Session, asker: str, reply_to: str) -> Packer:
        if (packer := self._packers.get((asker, reply_to))) is None:
            if len(self._packers) >= MAX_REPLY_ADDRESSES:  # of processes that are long gone
                self._packers = {address: packer for address, packer in self._packers.items() if not packer.idle}
            exchange = answers_exchange(asker)

            async def send(items: Sequence[Item]) -> None:
                await session.publish("answers", items, exchange, reply_to)

            packer = Packer(f"{asker} {reply_to}", send, limit=MAX_WAITING_ITEMS)
            self._packers[asker, reply_to] = packer
        return packer


def in_hand(delivered: DeliveredMessage) -> InHand:
    """
    Take note of a message that is to be acknowledged.
    """
    properties = delivered.header.properties
    assert delivered.delivery_tag is not None
    return InHand(
        channel=delivered.channel,
        tag=delivered.delivery_tag,
        left=0,
        sender=properties.user_id or "",
        reply_to=properties.reply_to or "",
        arrived=asyncio.get_running_loop().time(),
    )
