"""Delivery on a real database and bus, in parts; the registry is stood in for."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg

from services.delivery.clients.listeners import Listeners
from services.delivery.clients.outside import Outside, open_http
from services.delivery.clients.registry import Registry
from services.delivery.settings import Settings
from services.delivery.tables import messaging
from services.delivery.usecases.notify import Notifier
from services.delivery.usecases.send import Worker
from shared.contracts.base import Event, Lane, Nothing
from shared.contracts.delivery import NotificationsEnded
from shared.contracts.registry import (
    READ_ENDPOINTS,
    SET_WEBHOOK_STATE,
    Endpoint,
    Endpoints,
    ReadEndpoints,
    SetWebhookState,
    WebhooksChanged,
    WebhookState,
)
from shared.contracts.routing import DeliveriesChanged, DeliveryState, DeliveryStep, StatusesReported
from shared.database import Database
from shared.errors import Unavailable
from shared.faults import NoFaults, SimulatedCrash
from shared.identifiers import Uuid7Source
from shared.messaging import Item
from shared.messaging.inprocess import InProcessBus
from shared.outbox import Consumer, Relay, Store
from shared.testing.postgres import SampleDatabase
from shared.testing.webhooks import SECRET, Call, Reply

ISSUER = "http://127.0.0.1:8080"
COMMUNE, PROVINCE = UUID(int=1), UUID(int=2)


class HandClock:
    def __init__(self) -> None:
        self.moment = datetime(2025, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment

    def pass_by(self, span: timedelta) -> None:
        self.moment += span


class OneCrash(NoFaults):
    """A fault plan that kills the process once, when it is about to commit for the n-th time."""

    def __init__(self) -> None:
        self.commits_left: int | None = None

    async def at(self, point: str, key: str) -> None:
        if point == "commit" and self.commits_left is not None:
            self.commits_left -= 1
            if self.commits_left < 0:
                self.commits_left = None
                raise SimulatedCrash


@dataclass
class Node:
    """
    Delivery in parts, so that a test turns the worker by hand.

    Attributes:
        endpoints: What the registry would answer.
        told: What the registry was told about endpoints.
        ended: Outcomes published.
    """

    database: SampleDatabase
    clock: HandClock = field(default_factory=HandClock)
    faults: OneCrash = field(default_factory=OneCrash)
    endpoints: dict[UUID, Endpoint] = field(default_factory=dict)
    told: list[SetWebhookState] = field(default_factory=list)
    ended: list[tuple[UUID, str]] = field(default_factory=list)
    registry_is_down: bool = False
    heard: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[ReadEndpoints] = field(default_factory=list)

    async def start(self) -> None:
        self.new_id = Uuid7Source(self.clock)
        self.bus = InProcessBus(self.clock, self.new_id)
        registry = self.bus.party("registry")
        registry.answer(READ_ENDPOINTS, self._read_endpoints)
        registry.answer(SET_WEBHOOK_STATE, self._set_state)
        self.bus.party("audit").subscribe("*", self._hear)
        await self.bus.start()
        self.settings = Settings(
            node_id="H43", public_url=ISSUER, database_url=self.database.url("delivery"), timeout_seconds=2
        )
        party = self.bus.party("delivery")
        self.db = Database(self.database.url("delivery"), service="delivery", faults=self.faults)
        self.store = Store(self.db, messaging, clock=self.clock, new_id=self.new_id)
        self.http = open_http(self.settings)
        self.worker = self.make_worker()
        listeners = Listeners(Registry(party), party, self.clock)
        notifier = Notifier(self.store, listeners, source=ISSUER, wake=lambda: None)
        consumer = Consumer(party, self.store)
        consumer.on(DeliveriesChanged, notifier.on_deliveries_changed)
        consumer.on(StatusesReported, notifier.on_statuses_reported)
        consumer.on(WebhooksChanged, notifier.on_webhooks_changed)
        self.relay = Relay(self.store, party)

    def make_worker(self, lowest_lane: Lane = Lane.ORDINARY) -> Worker:
        outside = Outside(self.http, self.settings)
        return Worker(
            self.store,
            Registry(self.bus.party("delivery")),
            outside,
            disable_after=self.settings.disable_after,
            lowest_lane=lowest_lane,
            chance=lambda: 0.5,
        )

    async def stop(self) -> None:
        await self.bus.close()
        await self.http.aclose()
        await self.db.close()

    def add_endpoint(
        self, url: str, *agencies: UUID, state: WebhookState = WebhookState.ACTIVE, system_id: str = "commune"
    ) -> UUID:
        webhook_id = self.new_id()
        self.endpoints[webhook_id] = Endpoint(
            webhook_id=webhook_id, system_id=system_id, url=url, state=state, agency_keys=agencies, secret=SECRET
        )
        return webhook_id

    async def publish(self, event: Event, event_id: UUID | None = None, lane: Lane = Lane.ORDINARY) -> UUID:
        item = Item(
            id=event_id or self.new_id(),
            type=type(event).topic,
            source="routing",
            time=self.clock.now(),
            data=event.model_dump_json(),
            lane=lane,
        )
        async with asyncio.timeout(60):  # a handler that keeps raising would be called for ever
            assert await self.bus.party("routing").publish([item]) == [True]
        return item.id

    async def ended_so_far(self) -> list[tuple[UUID, str]]:
        while await self.relay.run_once():
            pass
        return self.ended

    async def rows(self, query: str = "SELECT * FROM delivery.notifications ORDER BY id") -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.database.admin_dsn())
        try:
            return await connection.fetch(query)
        finally:
            await connection.close()

    async def _read_endpoints(self, request: ReadEndpoints) -> Endpoints:
        if self.registry_is_down:
            raise Unavailable("the registry is down")
        self.asked.append(request)
        found = [self.endpoints[one] for one in request.webhook_ids if one in self.endpoints]
        for endpoint in self.endpoints.values():
            keys = tuple(key for key in endpoint.agency_keys if key in request.agency_keys)
            if keys and endpoint.state is WebhookState.ACTIVE:
                found.append(endpoint.model_copy(update={"agency_keys": keys}))
        return Endpoints(items=tuple(found))

    async def _set_state(self, request: SetWebhookState) -> Nothing:
        self.told.append(request)
        self.heard.set()
        known = self.endpoints[request.webhook_id]
        self.endpoints[request.webhook_id] = known.model_copy(update={"state": request.state})
        return Nothing()

    async def _hear(self, item: Item) -> None:
        if item.type == NotificationsEnded.topic:
            facts = NotificationsEnded.model_validate_json(item.data).items
            self.ended += [(fact.webhook_id, fact.outcome) for fact in facts]


def a_step(
    to_state: DeliveryState = DeliveryState.AVAILABLE, lane: Lane = Lane.ORDINARY, number: int = 0
) -> DeliveryStep:
    return DeliveryStep(
        delivery_id=UUID(int=100 + number),
        document_id=UUID(int=50),
        sender_key=PROVINCE,
        addressee_key=COMMUNE,
        mailbox_key=COMMUNE,
        from_state=None,
        to_state=to_state,
        series=1,
        reason_code="unreadable" if to_state is DeliveryState.FAILED else None,
        lane=lane,
        at=datetime(2025, 1, 1, tzinfo=UTC),
    )


def steps(*items: DeliveryStep) -> DeliveriesChanged:
    return DeliveriesChanged(items=items)


def failing(status: int = 500, **headers: str) -> Callable[[Call], Reply]:
    return lambda _: Reply(status, {name.replace("_", "-"): value for name, value in headers.items()})


def added(webhook_id: UUID, change: str = "added") -> WebhooksChanged:
    return WebhooksChanged(webhook_id=webhook_id, system_id="commune", change=change)
