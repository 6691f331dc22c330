"""Any bus, counted, timed and traced, whichever adapter carries the asks and events."""

import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from prometheus_client import Histogram

from shared.contracts.base import Contract, Hint, Lane, Operation
from shared.errors import Rejected, Unavailable
from shared.messaging.item import Item
from shared.messaging.port import DEFAULT_DEADLINE, Bus, EventHandler
from shared.telemetry import get_logger
from shared.telemetry.figures import Figures
from shared.telemetry.traces import bound_traceparent, span

RequestT = TypeVar("RequestT", bound=Contract)
ReplyT = TypeVar("ReplyT", bound=Contract)
HintT = TypeVar("HintT", bound=Hint)

_logger = get_logger(__name__)


class ObservedBus:
    """
    Passes everything on and writes down how long it took and how it ended.

    Args:
        bus: The party's end of the real one.
        party: Service, or the gateway.
        figures: Those of this process.
    """

    def __init__(self, bus: Bus, *, party: str, figures: Figures) -> None:
        self._bus = bus
        self._party = party
        self._figures = figures
        self._asks: dict[str, _Timer] = {}
        self._asks_waiting = figures.asks_waiting.labels(party)
        self._handling = figures.events_handling.labels(party)
        self._ages = figures.event_ages.labels(party)
        self._published = {sent: figures.published.labels(party, "yes" if sent else "no") for sent in (True, False)}

    async def ask(
        self,
        operation: Operation[RequestT, ReplyT],
        request: RequestT,
        *,
        lane: Lane = Lane.ORDINARY,
        within: timedelta = DEFAULT_DEADLINE,
    ) -> ReplyT:
        timer = self._asks.get(operation.name)
        if timer is None:
            timer = self._asks[operation.name] = _Timer(self._figures.asks, self._party, operation.name)
        with (
            span(f"ask {operation.name}", kind="client"),
            self._asks_waiting.track_inprogress(),
            timer.timed(),
        ):
            return await self._bus.ask(operation, request, lane=lane, within=within)

    def answer(self, operation: Operation[RequestT, ReplyT], handler: Callable[[RequestT], Awaitable[ReplyT]]) -> None:
        timer = _Timer(self._figures.answers, operation.name)

        async def timed(request: RequestT) -> ReplyT:
            with (
                span(operation.name, kind="server", parent=bound_traceparent()),
                timer.timed(),
            ):
                try:
                    reply = await handler(request)
                except (Rejected, Unavailable) as error:
                    # Its code only: the words may name people.
                    _logger.info("ask refused", operation=operation.name, code=error.problem_code)
                    raise
                _logger.debug("ask answered", operation=operation.name)
                return reply

        self._bus.answer(operation, timed)

    def subscribe(self, topic: str, handler: EventHandler, *, concurrency: int = 16) -> None:
        timers: dict[str, _Timer] = {}

        async def timed(item: Item) -> None:
            timer = timers.get(item.type)
            if timer is None:
                timer = timers[item.type] = _Timer(self._figures.events, self._party, item.type)
            self._ages.observe(max(0.0, (datetime.now(UTC) - item.time).total_seconds()))
            with (
                span(f"{self._party} {item.type}", kind="consumer", parent=item.traceparent),
                self._handling.track_inprogress(),
                timer.timed(),
            ):
                await handler(item)
                _logger.debug("event handled", party=self._party, topic=item.type, id=str(item.id))

        self._bus.subscribe(topic, timed, concurrency=concurrency)

    async def publish(self, items: Sequence[Item]) -> Sequence[bool]:
        confirmed = await self._bus.publish(items)
        for sent in confirmed:
            self._published[bool(sent)].inc()
        return confirmed

    def hint(self, hint: Hint) -> None:
        self._bus.hint(hint)

    def on_hint(self, kind: type[HintT], handler: Callable[[HintT], None]) -> None:
        self._bus.on_hint(kind, handler)


class _Timer:
    """Times blocks of one kind; knows the figure of each outcome, because looking one up takes as long as counting."""

    def __init__(self, family: Histogram, *labels: str) -> None:
        self._family = family
        self._labels = labels
        self._outcomes: dict[str, Histogram] = {}

    @contextmanager
    def timed(self) -> Iterator[None]:
        begun_at = time.perf_counter()
        outcome = "cancelled"
        try:
            yield
            outcome = "done"
        except Rejected:
            outcome = "rejected"
            raise
        except Unavailable:
            outcome = "unavailable"
            raise
        except Exception:
            outcome = "defect"
            raise
        finally:
            figure = self._outcomes.get(outcome)
            if figure is None:
                figure = self._outcomes[outcome] = self._family.labels(*self._labels, outcome)
            figure.observe(time.perf_counter() - begun_at)
