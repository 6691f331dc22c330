"""The bus over RabbitMQ: one session after another, and what lives longer than a session."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from datetime import timedelta
from typing import Any, TypeVar

from aiormq.abc import DeliveredMessage

from shared.clock import Clock
from shared.contracts.base import Contract, Hint, Lane, Operation
from shared.errors import Unavailable
from shared.identifiers import IdSource
from shared.messaging.item import Item, UnknownWireFormError, unpack
from shared.messaging.port import DEFAULT_DEADLINE, AskInTransactionError, EventHandler, in_transaction
from shared.messaging.rabbitmq.asks import Answerer, Asker
from shared.messaging.rabbitmq.errors import BrokerRefused
from shared.messaging.rabbitmq.events import BLOCKED_SECONDS, Publisher, Subscription
from shared.messaging.rabbitmq.names import event_queue
from shared.messaging.rabbitmq.session import Session
from shared.messaging.rabbitmq.topology import AXIS, Topology
from shared.messaging.rabbitmq.work import Workers
from shared.telemetry import correlation_id, get_logger

RequestT = TypeVar("RequestT", bound=Contract)
ReplyT = TypeVar("ReplyT", bound=Contract)
HintT = TypeVar("HintT", bound=Hint)

FIRST_RECONNECT_SECONDS = 0.1
LONGEST_RECONNECT_SECONDS = 2.0
LOOK_SECONDS = 0.5
STUCK_SECONDS = 10.0
"""A confirm older than this from a broker that has not said it is short of anything: the session is given up."""

MAX_HINTS_LEAVING = 1_000

_logger = get_logger(__name__)


class RabbitBus:
    """
    One party's end of the bus, and one process'.

    Handlers are given before `start`. While there is no session, asks and events are refused at once; what had been
    asked when a session broke fails at once, and what was being published stays in the outbox.

    Args:
        url: Of the broker, with the party's own user; several, separated by commas, for a cluster.
        party: Who we are.
        clock: For the time written on items.
        new_id: Identities of asks and hints.
        topology: What is on the broker, and who may do what.
    """

    def __init__(self, url: str, *, party: str, clock: Clock, new_id: IdSource, topology: Topology = AXIS) -> None:
        self._urls = url.split(",")
        self._party = topology.parties[party]
        self._clock = clock
        self._new_id = new_id
        self._topology = topology
        self._asker = Asker(party, clock, new_id)
        self._answerer = Answerer(party, topology, clock)
        self._publisher = Publisher(party)
        self._subscriptions: dict[str, Subscription] = {}
        self._hint_handlers: dict[str, list[tuple[type[Hint], Callable[[Any], None]]]] = {}
        self._hints_leaving: set[asyncio.Task[None]] = set()
        self._session: Session | None = None
        self._running: asyncio.Task[None] | None = None
        self._drained = False
        self._missing = "the bus has not started"

    # --- life ---------------------------------------------------------------------------------------------------------

    @property
    def missing(self) -> str:
        """
        What keeps the bus from working, in words for the operator; empty when it works.
        """
        if self._session is not None and self._is_blocked(self._session):
            return "the broker takes nothing for now (memory, disk or load)"
        return self._missing

    @property
    def ready(self) -> bool:
        """
        Everything is declared and consumed, and the broker takes what we publish.
        """
        return not self.missing

    @property
    def late_answers(self) -> int:
        """
        Answers that came when nobody waited any more.
        """
        return self._asker.late_answers

    def depths(self) -> dict[str, int]:
        """
        Tell how many items wait in this process, by the queue they came from.
        """
        workers = {subscription.name: subscription.workers for subscription in self._subscriptions.values()}
        found = {name: len(worker) for name, worker in workers.items()}
        for worker, kind in zip(self._answerer.workers, ("", ".urgent"), strict=True):
            found[f"asks.{self._party.name}{kind}"] = len(worker)
        return found

    async def start(self) -> None:
        """
        Begin; a broker that is not there yet is tried for in the background.

        Raises:
            BrokerRefused: The broker is there, and a person must change something first.
        """
        first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._running = asyncio.get_running_loop().create_task(self._run(first), context=Context())
        await first

    async def drain(self, seconds: float) -> None:
        """
        Take nothing more and finish what is in hand; asks of our own still work.
        """
        self._drained = True
        if self._session is not None:
            await self._session.stop_consuming()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.gather(*(workers.finish() for workers in self._workers()))
                await self._answerer.flush()
        for workers in self._workers():
            workers.stop()

    async def close(self) -> None:
        """
        End; what is being handled is cancelled, and comes again to somebody else.
        """
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
            self._running = None
        for workers in self._workers():
            workers.cancel()
        await asyncio.gather(*(workers.finish() for workers in self._workers()))
        self._missing = "the bus is closed"

    def _workers(self) -> list[Workers]:
        return [*self._answerer.workers, *(subscription.workers for subscription in self._subscriptions.values())]

    async def _run(self, first: asyncio.Future[None]) -> None:
        attempt = 0
        while True:
            session = Session(self._urls[attempt % len(self._urls)], self._party, self._topology)
            try:
                async with session:
                    await self._open(session)
                    _tell(first)
                    attempt = 0
                    await self._watch(session)
                    _logger.warning("the bus is cut", broker=session.where, reason=session.why_lost)
                    self._missing = f"the connection to the broker at {session.where} broke"
            except BrokerRefused as error:
                self._missing = str(error)
                if _tell(first, error):
                    return
                _logger.warning("the broker refuses", problem=error.problem, remedy=error.remedy)
            except Unavailable as error:
                self._missing = error.detail
                _logger.warning("the broker is out of reach", broker=session.where, error=error.detail)
                _tell(first)
            finally:
                self._end()
            attempt += 1
            pause = min(LONGEST_RECONNECT_SECONDS, FIRST_RECONNECT_SECONDS * 2**attempt)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads the processes, hides nothing

    async def _open(self, session: Session) -> None:
        await session.open(self._asker.on_message, self._on_hint)
        self._asker.begin(session)
        self._answerer.begin(session)
        self._publisher.begin(session)
        for subscription in self._subscriptions.values():
            subscription.begin(session)
        # From now on the bus can be used; consuming comes last, because handlers use it with their first message.
        self._session = session
        if not self._drained:
            subscriptions = [subscription.consumption() for subscription in self._subscriptions.values()]
            await session.consume([*self._answerer.consumptions(), *subscriptions])
        self._missing = ""
        _logger.info("the bus is ready", broker=session.where, party=self._party.name)

    def _end(self) -> None:
        self._session = None
        error = Unavailable("the connection to the broker broke")
        self._asker.end(error)
        self._answerer.end(error)
        self._publisher.end(error)
        for subscription in self._subscriptions.values():
            subscription.end()

    async def _watch(self, session: Session) -> None:
        """Return when the session is lost; meanwhile fail asks early while the broker confirms nothing."""
        loop = asyncio.get_running_loop()
        looked_at = loop.time()
        while not session.lost.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await session.lost.wait()
            late = loop.time() - looked_at - LOOK_SECONDS
            looked_at = loop.time()
            if late > LOOK_SECONDS:  # it was we who stood still: the confirm may lie in the socket
                continue
            await session.renew_refused()
            if session.unconfirmed_for() > BLOCKED_SECONDS:
                self._asker.fail(Unavailable("the broker takes nothing for now", retry_after=2))
            if session.unconfirmed_for() > STUCK_SECONDS and not await session.is_alarmed():
                session.lose("a confirm did not come")

    @staticmethod
    def _is_blocked(session: Session) -> bool:
        return session.unconfirmed_for() > BLOCKED_SECONDS

    # --- the port -----------------------------------------------------------------------------------------------------

    async def ask(
        self,
        operation: Operation[RequestT, ReplyT],
        request: RequestT,
        *,
        lane: Lane = Lane.ORDINARY,
        within: timedelta = DEFAULT_DEADLINE,
    ) -> ReplyT:
        if in_transaction.get():
            raise AskInTransactionError(f"{operation.name} was asked while a transaction is open")
        if self._session is None:
            raise Unavailable(self._missing)
        if self._is_blocked(self._session):
            raise Unavailable(self.missing, retry_after=2)
        answer: ReplyT = await self._asker.ask(operation, request, lane, within)
        return answer

    def answer(self, operation: Operation[RequestT, ReplyT], handler: Callable[[RequestT], Awaitable[ReplyT]]) -> None:
        self._must_not_run()
        if operation.service != self._party.name:
            raise ValueError(f"{operation.name} is not for {self._party.name} to answer")
        self._answerer.add(operation, handler)

    def subscribe(self, topic: str, handler: EventHandler, *, concurrency: int = 16) -> None:
        self._must_not_run()
        name = event_queue(self._party.name, topic)
        queues = {queue.name: queue for queue in self._topology.event_queues(self._party.name)}
        if name not in queues:
            raise ValueError(f"{self._party.name} does not consume {topic} by its topology")
        self._subscriptions[topic] = Subscription(self._party.name, queues[name], handler, concurrency)

    async def publish(self, items: Sequence[Item]) -> Sequence[bool]:
        return await self._publisher.publish(items)

    def hint(self, hint: Hint) -> None:
        if self._session is None or len(self._hints_leaving) >= MAX_HINTS_LEAVING:
            return
        item = Item(
            id=self._new_id(),
            type=type(hint).topic,
            source=self._party.name,
            time=self._clock.now(),
            data=hint.model_dump_json(),
            correlation_id=correlation_id(),
        )
        with contextlib.suppress(RuntimeError):  # no loop any more: hints may be lost
            task = asyncio.get_running_loop().create_task(self._session.hint(item), context=Context())
            self._hints_leaving.add(task)
            task.add_done_callback(self._hints_leaving.discard)

    def on_hint(self, kind: type[HintT], handler: Callable[[HintT], None]) -> None:
        publisher = kind.topic.partition(".")[0]
        if publisher not in self._party.hears:
            raise ValueError(f"{self._party.name} does not hear {publisher} by its topology")
        self._hint_handlers.setdefault(kind.topic, []).append((kind, handler))

    def _on_hint(self, message: DeliveredMessage) -> None:
        sender = message.header.properties.user_id
        try:
            items = unpack(message.body)
        except (ValueError, KeyError, UnknownWireFormError):
            return
        for item in items:
            if item.type.partition(".")[0] == sender:
                for kind, handler in self._hint_handlers.get(item.type, ()):
                    Context().run(handler, kind.model_validate_json(item.data))

    def _must_not_run(self) -> None:
        if self._running is not None:
            raise RuntimeError("handlers are given before the bus starts")


def _tell(first: asyncio.Future[None], error: Exception | None = None) -> bool:
    """Answer `start` once; False when it has been answered."""
    if first.done():
        return False
    if error is None:
        first.set_result(None)
    else:
        first.set_exception(error)
    return True
