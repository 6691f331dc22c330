"""Composition of the routing service."""

import asyncio
from functools import partial

from services.routing import tables
from services.routing.clients.packets import SANDBOX_JOBS, Packets
from services.routing.clients.registry import Offload, RegisterReader
from services.routing.clients.signing import Signing
from services.routing.consumers import answer_asks, consume_events
from services.routing.settings import Settings
from services.routing.usecases.collect import collect_blobs
from services.routing.usecases.context import Context
from services.routing.usecases.figures import RoutingFigures
from services.routing.usecases.lanes import feed_lanes
from services.routing.usecases.release import keep_releasing
from shared.blobs import BlobStore
from shared.clock import Clock
from shared.contracts.base import Lane
from shared.database import Database, check_migrations
from shared.faults import NO_FAULTS, Faults
from shared.identifiers import IdSource
from shared.messaging import Bus
from shared.outbox import Consumer, Relay, Store, answer_dead_messages
from shared.runtime import TIDY_AFTER_SECONDS, Service, every
from shared.sandbox import Sandbox
from shared.telemetry.figures import LOOK_SECONDS, Figures
from shared.tokens import TokenVerifier, authorize_with

SWEEP_SECONDS = 3600.0
COLLECT_SECONDS = 900.0

__all__ = ["SANDBOX_JOBS", "create_app", "create_context"]


def create_context(
    settings: Settings,
    *,
    bus: Bus,
    blobs: BlobStore,
    sandbox: Sandbox,
    clock: Clock,
    new_id: IdSource,
    faults: Faults = NO_FAULTS,
    offload: Offload = asyncio.to_thread,
) -> Context:
    """
    Build what the use cases work with; arguments as of `create_app`.
    """
    database = Database(
        settings.database_url, service=tables.SCHEMA, faults=faults, pool_size=settings.database_connections
    )
    return Context(
        settings=settings,
        store=Store(database, tables.messaging, clock=clock, new_id=new_id),
        bus=bus,
        register=RegisterReader(bus, clock, max_age=settings.register_max_age, offload=offload),
        signing=Signing(bus),
        packets=Packets(blobs, sandbox, settings.packet_limits, offload=offload),
        blobs=blobs,
        verifier=TokenVerifier(bus, issuer=settings.public_url, clock=clock),
        clock=clock,
        new_id=new_id,
    )


def create_app(
    settings: Settings,
    *,
    bus: Bus,
    blobs: BlobStore,
    sandbox: Sandbox,
    clock: Clock,
    new_id: IdSource,
    faults: Faults = NO_FAULTS,
    offload: Offload = asyncio.to_thread,
    figures: Figures | None = None,
) -> Service:
    """
    Build the service and connect it to the bus.

    Args:
        settings: Of this process.
        bus: The bus as routing sees it.
        blobs: Where packets lie.
        sandbox: Offers `SANDBOX_JOBS`; whoever made it closes it.
        clock: The time.
        new_id: Identities of documents, deliveries and events.
        faults: What goes wrong at which point.
        offload: Where work goes that takes longer than an event loop may stand still.
        figures: Those of this process; None: nobody watches.
    """
    context = create_context(
        settings,
        bus=bus,
        blobs=blobs,
        sandbox=sandbox,
        clock=clock,
        new_id=new_id,
        faults=faults,
        offload=offload,
    )
    store = context.store
    answer_asks(bus, context)
    consumer = Consumer(bus, store)
    consume_events(consumer, context)
    answer_dead_messages(bus, store, consumer, authorize_with(context.verifier, "operate"))
    # One relay for each class of urgency: a batch of ordinary events that waits for its confirms delays no other.
    ordinary = Relay(store, bus)
    urgent = Relay(store, bus, lowest_lane=Lane.URGENT)
    most_urgent = Relay(store, bus, lowest_lane=Lane.VERY_URGENT)
    return Service(
        name=tables.SCHEMA,
        loops=[
            context.register.run,
            most_urgent.run,
            urgent.run,
            ordinary.run,
            partial(feed_lanes, context),
            partial(keep_releasing, context),
            every(SWEEP_SECONDS, ordinary.sweep, first_after=TIDY_AFTER_SECONDS),
            every(COLLECT_SECONDS, partial(collect_blobs, context), first_after=TIDY_AFTER_SECONDS),
            *([] if figures is None else [every(LOOK_SECONDS, RoutingFigures(context, figures).look)]),
        ],
        on_start=[partial(check_migrations, store.database.engine, tables.SCHEMA)],
        on_stop=[store.database.close],
    )
