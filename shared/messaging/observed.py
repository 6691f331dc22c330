"""Any bus, counted, timed and traced, whichever adapter carries the asks and events."""

import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from prometheus_client import Histogram

from shared.contracts.base import Contract, Hint, Lane, Operation
from shared.errors import Rejected, Unavailable
from shared.messaging.item import Item
from shared.messaging.port import DEFAULT_DEADLINE, Bus, EventHandler
from shared.telemetry.figures import Figures
from shared.telemetry.traces import bound_traceparent, span

RequestT = TypeVar("RequestT", bound=Contract)
ReplyT = TypeVar("ReplyT", bound=Contract)
HintT = TypeVar("HintT", bound=Hint)


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
        with (
            span(f"ask {operation.name}", kind="client"),
            self._asks_waiting.track_inprogress(),
            _Timed(self._figures.asks, self._party, operation.name),
        ):
            return await self._bus.ask(operation, request, lane=lane, within=within)

    def answer(self, operation: Operation[RequestT, ReplyT], handler: Callable[[RequestT], Awaitable[ReplyT]]) -> None:
        async def timed(request: RequestT) -> ReplyT:
            with (
                span(operation.name, kind="server", parent=bound_traceparent()),
                _Timed(self._figures.answers, operation.name),
            ):
                return await handler(request)

        self._bus.answer(operation, timed)

    def subscribe(self, topic: str, handler: EventHandler, *, concurrency: int = 16) -> None:
        async def timed(item: Item) -> None:
            self._ages.observe(max(0.0, (datetime.now(UTC) - item.time).total_seconds()))
            with (
                span(f"{self._party} {item.type}", kind="consumer", parent=item.traceparent),
                self._handling.track_inprogress(),
                _Timed(self._figures.events, self._party, item.type),
            ):
                await handler(item)

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


class _Timed:
    """Times a block and tells how it ended: `done`, `rejected`, `unavailable`, `cancelled` or `defect`."""

    __slots__ = ("_begun_at", "_family", "_labels")

    def __init__(self, family: Histogram, *labels: str) -> None:
        self._family = family
        self._labels = labels

    def __enter__(self) -> None:
        self._begun_at = time.perf_counter()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        seconds = time.perf_counter() - self._begun_at
        self._family.labels(*self._labels, _outcome(kind)).observe(seconds)


def _outcome(kind: type[BaseException] | None) -> str:
    if kind is None:
        return "done"
    if issubclass(kind, Rejected):
        return "rejected"
    if issubclass(kind, Unavailable):
        return "unavailable"
    return "defect" if issubclass(kind, Exception) else "cancelled"
