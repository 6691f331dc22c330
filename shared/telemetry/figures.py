"""Figures for Prometheus: every family that a process of the axis can show, in one registry per process."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

LOOK_SECONDS: Final = 5.0
"""Symptoms that stand in a database are looked up this often; a scrape only reads what was found last."""

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_AGES: Final = (0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 1800, 7200, 86400)


class Figures:
    """
    What one process tells. Labels name services, lanes, operations and topics: closed lists, never a person, an agency
    or a document.

    Attributes:
        registry: Where they are kept; whoever serves `/metrics` shows it with `text`.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._add_bus()
        self._add_messaging()
        self._add_routing()
        self._add_others()

    def text(self) -> bytes:
        """
        Write all of them as Prometheus reads them; the media type is `CONTENT_TYPE`.
        """
        return generate_latest(self.registry)

    def watch_queues(self, depths: Callable[[], Mapping[str, int]]) -> None:
        """
        Show how many items wait in each queue of the bus, as known on our side; called at every scrape.
        """
        self.registry.register(_Queues(depths))

    def _histogram(self, name: str, words: str, *labels: str, buckets: Iterable[float] = _SECONDS) -> Histogram:
        return Histogram(name, words, labels, buckets=tuple(buckets), registry=self.registry)

    def _gauge(self, name: str, words: str, *labels: str) -> Gauge:
        return Gauge(name, words, labels, registry=self.registry)

    def _late(self, name: str, words: str) -> "LateGauge":
        return LateGauge(name, words, self.registry)

    def _add_bus(self) -> None:
        self.asks = self._histogram(
            "axis_ask_seconds", "Time until an ask was answered, refused or lost.", "party", "operation", "outcome"
        )
        self.asks_waiting = self._gauge("axis_asks_waiting", "Asks whose answer is still awaited.", "party")
        self.answers = self._histogram(
            "axis_answer_seconds", "Time a service took to answer an ask.", "operation", "outcome"
        )
        self.events = self._histogram(
            "axis_event_seconds", "Time a handler took for an event.", "party", "topic", "outcome"
        )
        self.event_ages = self._histogram(
            "axis_event_age_seconds", "Age of an event when its handler took it up.", "party", buckets=_AGES
        )
        self.events_handling = self._gauge("axis_events_handling", "Events being handled now.", "party")
        self.published = Counter(
            "axis_events_published",
            "Events handed to the bus.",
            ("party", "confirmed"),
            registry=self.registry,
        )

    def _add_messaging(self) -> None:
        self.outbox_oldest = self._gauge(
            "axis_outbox_oldest_seconds", "Age of the oldest event that has not left the outbox.", "service", "lane"
        )
        self.outbox_waiting = self._gauge(
            "axis_outbox_waiting", "Events in the outbox; counted up to a thousand.", "service"
        )
        self.dead_messages = self._gauge(
            "axis_dead_messages", "Messages set aside after five attempts; counted up to a thousand.", "service"
        )
        self.looked_at = self._gauge(
            "axis_figures_looked_at_seconds", "When a service last looked its symptoms up, in Unix time.", "service"
        )

    def _add_routing(self) -> None:
        self.lane_oldest = self._gauge("axis_lane_oldest_seconds", "Age of the oldest waiting chunk.", "lane")
        self.lane_waiting = self._gauge("axis_lane_waiting", "Waiting chunks; counted up to a thousand.", "lane")
        self.lane_outstanding = self._gauge("axis_lane_outstanding", "Chunks in the window on the bus.", "lane")
        self.lane_window_oldest = self._gauge(
            "axis_lane_window_oldest_seconds", "Time since the oldest chunk in the window was last offered.", "lane"
        )
        self.lane_paused = self._gauge("axis_lane_paused", "1 while an operator has paused the lane.", "lane")
        self.agencies_paused = self._late("axis_agencies_paused", "Addressees that an operator has paused.")
        self.failed = self._late("axis_deliveries_failed", "Failed deliveries; counted up to a thousand.")
        self.failed_oldest = self._late("axis_deliveries_failed_oldest_seconds", "Age of the oldest failure.")
        self.held = self._late("axis_deliveries_held", "Deliveries held back; counted up to a thousand.")
        self.mailbox_oldest = self._gauge(
            "axis_mailbox_oldest_seconds", "Age of the oldest document that an addressee has not acknowledged.", "lane"
        )
        self.mailboxes_late = self._gauge(
            "axis_mailboxes_late", "Mailboxes whose oldest document is not acknowledged in time.", "lane"
        )
        self.free_bytes = self._late("axis_blob_free_bytes", "Room left where packets lie.")

    def _add_others(self) -> None:
        self.min_free_bytes = self._late(
            "axis_blob_min_free_bytes", "Watermark of free room below which intake answers 503."
        )
        self.uploads = self._late("axis_gateway_uploads", "Packets being received now.")
        self.polls = self._late("axis_gateway_polls", "Long polls held open now.")
        self.certificate_days = self._gauge(
            "axis_certificate_days_left", "Days until a certificate of the node itself ends.", "role"
        )
        self.revocation_list_hours = self._late(
            "axis_revocation_list_hours_left", "Hours until the revocation list is out of date."
        )
        self.journal_size = self._late("axis_journal_leaves", "Events in the journal.")
        self.journal_unsigned = self._late("axis_journal_unsigned_leaves", "Events that no signed head covers yet.")
        self.journal_head_age = self._late("axis_journal_head_age_seconds", "Age of the newest signed head.")
        self.notification_oldest = self._late(
            "axis_notification_oldest_seconds", "Age of the oldest notification not delivered yet."
        )
        self.endpoints_failing = self._late(
            "axis_webhooks_failing", "Webhook endpoints that fail; counted up to a thousand."
        )
        self.systems_alarming = self._late(
            "axis_systems_alarming", "Systems used from an address nobody has let pass; counted up to a thousand."
        )


class LateGauge:
    """
    A figure without labels that is shown from the first time it is set.

    A process that never sets it must not show 0: the least free room of all processes would always be none.
    """

    def __init__(self, name: str, words: str, registry: CollectorRegistry) -> None:
        self._name = name
        self._words = words
        self._registry = registry
        self._gauge: Gauge | None = None

    def set(self, value: float) -> None:
        """
        Show a value from now on.
        """
        self._made().set(value)

    def set_function(self, read: Callable[[], float]) -> None:
        """
        Show what a function says at each scrape.
        """
        self._made().set_function(read)

    def _made(self) -> Gauge:
        if self._gauge is None:
            self._gauge = Gauge(self._name, self._words, registry=self._registry)
        return self._gauge


class _Queues:
    """Reads the depths when it is scraped, so that nobody has to keep them up to date."""

    def __init__(self, depths: Callable[[], Mapping[str, int]]) -> None:
        self._depths = depths

    def collect(self) -> Iterable[Metric]:
        family = GaugeMetricFamily("axis_bus_waiting_items", "Items waiting in a queue of the bus.", labels=["queue"])
        for queue, depth in self._depths().items():
            family.add_metric([queue], depth)
        yield family
