"""The bus inside one process: same encoding, redelivery and confirms as a broker, without a server."""

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextvars import Context
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

from shared.clock import Clock
from shared.contracts.base import Contract, Hint, Lane, Operation
from shared.errors import Rejected, Unavailable
from shared.faults import NO_FAULTS, Faults, SimulatedCrash
from shared.identifiers import IdSource
from shared.messaging.answers import read_answer, write_defect, write_problem, write_result
from shared.messaging.item import MAX_PACK_BYTES, MAX_PACK_ITEMS, Item, pack, unpack
from shared.messaging.port import DEFAULT_DEADLINE, EVERY_TOPIC, AskInTransactionError, EventHandler, in_transaction
from shared.telemetry import bind_correlation_id, correlation_id, get_logger
from shared.telemetry.traces import bind_traceparent, traceparent

RequestT = TypeVar("RequestT", bound=Contract)
ReplyT = TypeVar("ReplyT", bound=Contract)
HintT = TypeVar("HintT", bound=Hint)

MAX_WAITING_ITEMS = 10_000
"""Asks beyond this many waiting at one service are refused early: the back-pressure callers see as 503."""

ASK_CONCURRENCY = 64
FIRST_RETRY_SECONDS = 0.05
LONGEST_RETRY_SECONDS = 5.0

_logger = get_logger(__name__)


@dataclass
class _Waiting:
    """An item on its way into a queue, and who waits for its fate."""

    item: Item
    done: asyncio.Future[Any]


class _Queue:
    """
    A queue with its own packer and consumer.

    Items that arrive while a message is being handed over leave together in the next one: at most 64 items or 256 KiB,
    no timer. Handlers of one message run side by side.
    """

    def __init__(self, bus: "InProcessBus", name: str, concurrency: int) -> None:
        self.name = name
        self._bus = bus
        self._pending: deque[_Waiting] = deque()
        self._wake = asyncio.Event()
        self._slots = asyncio.Semaphore(concurrency)
        self.handle: Callable[[_Waiting, Item], Awaitable[None]]

    def __len__(self) -> int:
        return len(self._pending)

    def put(self, waiting: _Waiting) -> None:
        self._pending.append(waiting)
        self._wake.set()

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._pending:
                batch: list[_Waiting] = []
                size = 0
                while self._pending and len(batch) < MAX_PACK_ITEMS and size < MAX_PACK_BYTES:
                    waiting = self._pending.popleft()
                    size += len(waiting.item.data)
                    batch.append(waiting)
                message = pack([waiting.item for waiting in batch])
                for waiting, item in zip(batch, unpack(message), strict=True):
                    await self._slots.acquire()
                    self._bus.start_task(self._handle(waiting, item), item)

    async def _handle(self, waiting: _Waiting, item: Item) -> None:
        try:
            await self.handle(waiting, item)
        finally:
            self._slots.release()


@dataclass
class _Subscription:
    service: str
    topic: str
    handler: EventHandler
    queue: _Queue


@dataclass
class InProcessBus:
    """
    The shared middle; each service and the gateway gets its own `Bus` from `party`.

    Args:
        clock: For the time written on items.
        new_id: Identities of asks.
        faults: What goes wrong at which point.
    """

    clock: Clock
    new_id: IdSource
    faults: Faults = NO_FAULTS
    _ask_queues: dict[str, dict[bool, _Queue]] = field(default_factory=dict)
    _handlers: dict[str, tuple[Operation[Any, Any], Callable[[Any], Awaitable[Any]]]] = field(default_factory=dict)
    _subscriptions: list[_Subscription] = field(default_factory=list)
    _hint_handlers: dict[str, list[tuple[type[Hint], Callable[[Any], None]]]] = field(default_factory=dict)
    _in_flight: dict[UUID, asyncio.Future[bool]] = field(default_factory=dict)
    _queues: list[_Queue] = field(default_factory=list)
    _consumers: list[asyncio.Task[None]] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _running: bool = False
    _closed: bool = False

    def party(self, service: str) -> "InProcessParty":
        """
        Give one service, or the gateway, its end of the bus.
        """
        return InProcessParty(self, service)

    async def start(self) -> None:
        """
        Begin to hand items over; what was put before waits until now.
        """
        self._running = True
        for queue in self._queues:
            self._consume(queue)

    async def close(self) -> None:
        """
        Stop handing over; what is being handled is cancelled and comes again from the outboxes.
        """
        self._running = False
        self._closed = True
        tasks = [*self._consumers, *self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._consumers.clear()

    def depths(self) -> dict[str, int]:
        """
        Tell how many items wait in each queue, by its name.
        """
        return {queue.name: len(queue) for queue in self._queues}

    def start_task(self, work: Coroutine[Any, Any, None], item: Item) -> None:
        """
        Run work in a context of its own: of what its sender had, only what the item carries comes along.
        """
        context = Context()
        context.run(bind_correlation_id, item.correlation_id)
        context.run(bind_traceparent, item.traceparent)
        task = asyncio.get_running_loop().create_task(work, context=context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def new_queue(self, name: str, concurrency: int) -> _Queue:
        queue = _Queue(self, name, concurrency)
        self._queues.append(queue)
        if self._running:
            self._consume(queue)
        return queue

    def _consume(self, queue: _Queue) -> None:
        self._consumers.append(asyncio.get_running_loop().create_task(queue.run(), context=Context()))

    # --- asks ---------------------------------------------------------------------------------------------------------

    def add_handler(self, operation: Operation[Any, Any], handler: Callable[[Any], Awaitable[Any]]) -> None:
        if operation.name in self._handlers:
            raise ValueError(f"{operation.name} is answered twice")
        self._handlers[operation.name] = (operation, handler)
        if operation.service not in self._ask_queues:
            queues = {}
            for urgent in (False, True):
                name = f"asks.{operation.service}.urgent" if urgent else f"asks.{operation.service}"
                queues[urgent] = self.new_queue(name, ASK_CONCURRENCY)
                queues[urgent].handle = self._answer
            self._ask_queues[operation.service] = queues

    async def ask(
        self, source: str, operation: Operation[Any, Any], request: Contract, lane: Lane, within: timedelta
    ) -> Any:
        if in_transaction.get():
            raise AskInTransactionError(f"{operation.name} was asked while a transaction is open")
        queues = self._ask_queues.get(operation.service)
        if queues is None or self._closed:
            raise Unavailable(f"nobody answers {operation.name}")
        queue = queues[lane >= Lane.VERY_URGENT]
        if len(queue) >= MAX_WAITING_ITEMS:
            raise Unavailable(f"{operation.service} has too much to do", retry_after=2)
        item = Item(
            id=self.new_id(),
            type=operation.name,
            source=source,
            time=self.clock.now(),
            data=request.model_dump_json(),
            lane=lane,
            remaining_ms=int(within.total_seconds() * 1000),
            correlation_id=correlation_id(),
            traceparent=traceparent(),
        )
        await self.faults.at("ask", operation.name)
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        for _ in range(self.faults.copies(operation.name)):
            queue.put(_Waiting(item, answer))
        try:
            async with asyncio.timeout(within.total_seconds()):
                text = await answer
        except TimeoutError:
            raise Unavailable(f"{operation.name} did not answer in time") from None
        await self.faults.at("reply", operation.name)
        return read_answer(operation, text)

    async def _answer(self, waiting: _Waiting, item: Item) -> None:
        if waiting.done.cancelled():  # the asker has given up; late work would be wasted
            return
        operation, handler = self._handlers[item.type]
        try:
            await self.faults.at("deliver", item.type)
            reply = await handler(operation.request.model_validate_json(item.data))
            text = write_result(reply)
        except (Rejected, Unavailable) as error:
            text = write_problem(error)
        except SimulatedCrash:
            text = write_problem(Unavailable(f"{item.type} was lost"))
        except asyncio.CancelledError:
            waiting.done.cancel()
            raise
        except Exception:
            _logger.exception("ask failed", operation=item.type)
            text = write_defect(item.type)
        if not waiting.done.done():
            waiting.done.set_result(text)

    # --- events -------------------------------------------------------------------------------------------------------

    def add_subscription(self, service: str, topic: str, handler: EventHandler, concurrency: int) -> None:
        queue = self.new_queue(f"{service}.{topic}", concurrency)
        queue.handle = lambda waiting, item: self._deliver(handler, waiting, item)
        self._subscriptions.append(_Subscription(service, topic, handler, queue))

    async def publish(self, items: Sequence[Item]) -> list[bool]:
        results = await asyncio.gather(*(self._publish(item) for item in items), return_exceptions=True)
        return [result is True for result in results]

    async def _publish(self, item: Item) -> bool:
        # A relay that lost patience publishes the same item again: it joins the one still under way.
        if (outcome := self._in_flight.get(item.id)) is None:
            outcome = asyncio.get_running_loop().create_future()
            self._in_flight[item.id] = outcome
            self.start_task(self._carry(item, outcome), item)
        return await asyncio.shield(outcome)

    async def _carry(self, item: Item, outcome: asyncio.Future[bool]) -> None:
        confirmed = False
        try:
            await self.faults.at("publish", item.type)
            copies: list[asyncio.Future[bool]] = []
            for subscription in self._subscriptions:
                if subscription.topic in {item.type, EVERY_TOPIC}:
                    for _ in range(self.faults.copies(f"{subscription.service} {item.type}")):
                        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
                        copies.append(done)
                        subscription.queue.put(_Waiting(item, done))
            confirmed = all(await asyncio.gather(*copies))
        except SimulatedCrash:
            return
        finally:
            del self._in_flight[item.id]
            if not outcome.done():
                outcome.set_result(confirmed)

    async def _deliver(self, handler: EventHandler, waiting: _Waiting, item: Item) -> None:
        attempt, taken = 0, False
        try:
            while not taken:
                try:
                    await self.faults.at("deliver", item.type)
                    await handler(replace(item, attempt=attempt))
                    taken = True
                except SimulatedCrash:
                    return
                except Exception as error:  # noqa: BLE001 - whatever it was, the item must come again
                    _logger.warning("event comes again", topic=item.type, attempt=attempt, error=type(error).__name__)
                    attempt += 1
                    pause = min(LONGEST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2**attempt)
                    await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads retries, hides nothing
        finally:
            if not waiting.done.done():
                waiting.done.set_result(taken)

    # --- hints --------------------------------------------------------------------------------------------------------

    def add_hint_handler(self, kind: type[Hint], handler: Callable[[Any], None]) -> None:
        self._hint_handlers.setdefault(kind.topic, []).append((kind, handler))

    def hint(self, hint: Hint) -> None:
        text = hint.model_dump_json()
        for kind, handler in self._hint_handlers.get(type(hint).topic, ()):
            with contextlib.suppress(RuntimeError):  # no loop any more: hints may be lost
                asyncio.get_running_loop().call_soon(handler, kind.model_validate_json(text), context=Context())


@dataclass(frozen=True)
class InProcessParty:
    """
    One party's end of the in-process bus.
    """

    bus: InProcessBus
    service: str

    async def ask(
        self,
        operation: Operation[RequestT, ReplyT],
        request: RequestT,
        *,
        lane: Lane = Lane.ORDINARY,
        within: timedelta = DEFAULT_DEADLINE,
    ) -> ReplyT:
        answer: ReplyT = await self.bus.ask(self.service, operation, request, lane, within)
        return answer

    def answer(self, operation: Operation[RequestT, ReplyT], handler: Callable[[RequestT], Awaitable[ReplyT]]) -> None:
        if operation.service != self.service:
            raise ValueError(f"{operation.name} is not for {self.service} to answer")
        self.bus.add_handler(operation, handler)

    def subscribe(self, topic: str, handler: EventHandler, *, concurrency: int = 16) -> None:
        self.bus.add_subscription(self.service, topic, handler, concurrency)

    async def publish(self, items: Sequence[Item]) -> Sequence[bool]:
        return await self.bus.publish(items)

    def hint(self, hint: Hint) -> None:
        self.bus.hint(hint)

    def on_hint(self, kind: type[HintT], handler: Callable[[HintT], None]) -> None:
        self.bus.add_hint_handler(kind, handler)
