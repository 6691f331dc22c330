"""Delivery, composed."""

import httpx

from services.delivery.clients.listeners import Listeners
from services.delivery.clients.outside import Outside, open_http
from services.delivery.clients.registry import Registry
from services.delivery.consumers import connect
from services.delivery.settings import Settings
from services.delivery.tables import messaging
from services.delivery.usecases.figures import DeliveryFigures
from services.delivery.usecases.finish import sweep
from services.delivery.usecases.national import forget_finished
from services.delivery.usecases.notify import Notifier
from services.delivery.usecases.send import Worker
from services.delivery.usecases.trial import try_webhook
from shared.clock import Clock
from shared.contracts.base import Lane
from shared.contracts.delivery import TestWebhook, WebhookTried
from shared.contracts.registry import Scope
from shared.database import Database, check_migrations
from shared.faults import NO_FAULTS, Faults
from shared.identifiers import IdSource
from shared.messaging import Bus
from shared.outbox import Consumer, Relay, Store, answer_dead_messages
from shared.runtime import TIDY_AFTER_SECONDS, Service, every
from shared.telemetry.figures import LOOK_SECONDS, Figures
from shared.tokens import TokenVerifier, authorize_with

SWEEP_SECONDS = 600.0


def create_app(
    settings: Settings,
    *,
    bus: Bus,
    clock: Clock,
    new_id: IdSource,
    http: httpx.AsyncClient | None = None,
    faults: Faults = NO_FAULTS,
    figures: Figures | None = None,
) -> Service:
    """
    Build delivery on a bus.

    Args:
        settings: What the operator set.
        bus: This service's end of it.
        clock: Tells the moment.
        new_id: Makes identifiers.
        http: Carries what leaves the house; closed with the service. None: one made by the settings.
        faults: What goes wrong at which point.
        figures: Those of this process; None: nobody watches.
    """
    database = Database(settings.database_url.get_secret_value(), service="delivery", faults=faults)
    store = Store(database, messaging, clock=clock, new_id=new_id)
    consumer = Consumer(bus, store)
    registry = Registry(bus)
    client = open_http(settings) if http is None else http
    outside = Outside(client, settings)
    verifier = TokenVerifier(bus, issuer=settings.public_url, clock=clock)
    urgent_worker, worker = (
        Worker(store, registry, outside, disable_after=settings.disable_after, lowest_lane=lane)
        for lane in (Lane.VERY_URGENT, Lane.ORDINARY)
    )
    urgent_relay = Relay(store, bus, lowest_lane=Lane.VERY_URGENT)
    relay = Relay(store, bus)

    def wake() -> None:
        urgent_worker.wake()
        worker.wake()

    async def answer_test(request: TestWebhook) -> WebhookTried:
        caller = await verifier.verify(request.token, Scope.INBOX)
        return await try_webhook(store, registry, outside, caller, request.id, source=settings.public_url)

    async def check() -> None:
        await check_migrations(database.engine, "delivery")

    async def clear_away() -> None:
        await sweep(store)
        await forget_finished(store)
        await relay.sweep()

    notifier = Notifier(store, Listeners(registry, bus, clock), source=settings.public_url, wake=wake)
    connect(bus, store, consumer, notifier, answer_test)
    answer_dead_messages(bus, store, consumer, authorize_with(verifier, Scope.OPERATE))
    return Service(
        "delivery",
        loops=[
            urgent_worker.run,
            worker.run,
            urgent_relay.run,
            relay.run,
            every(SWEEP_SECONDS, clear_away, first_after=TIDY_AFTER_SECONDS),
            *([] if figures is None else [every(LOOK_SECONDS, DeliveryFigures(store, figures).look)]),
        ],
        on_start=[check],
        on_stop=[client.aclose, database.close],
    )
