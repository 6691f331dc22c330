"""Audit, composed."""

from functools import partial

from services.audit.clients import Signing
from services.audit.consumers import connect
from services.audit.settings import Settings
from services.audit.tables import messaging
from services.audit.usecases import Notary, Sequencer, found_journal, look
from shared.clock import Clock
from shared.contracts.registry import Scope
from shared.database import Database, check_migrations
from shared.faults import NO_FAULTS, Faults
from shared.identifiers import IdSource
from shared.messaging import Bus
from shared.outbox import Consumer, Store, answer_dead_messages
from shared.runtime import Service, every
from shared.telemetry.figures import LOOK_SECONDS, Figures
from shared.tokens import TokenVerifier, authorize_with


def create_app(
    settings: Settings,
    *,
    bus: Bus,
    clock: Clock,
    new_id: IdSource,
    faults: Faults = NO_FAULTS,
    figures: Figures | None = None,
) -> Service:
    """
    Build audit on a bus.

    Args:
        settings: What the operator set.
        bus: This service's end of it.
        clock: Tells the moment.
        new_id: Makes identifiers.
        faults: What goes wrong at which point.
        figures: Those of this process; None: nobody watches.
    """
    database = Database(settings.database_url, service="audit", faults=faults)
    store = Store(database, messaging, clock=clock, new_id=new_id)
    consumer = Consumer(bus, store)
    notary = Notary(store, Signing(bus))
    verifier = TokenVerifier(bus, issuer=settings.public_url, clock=clock)

    async def check() -> None:
        await check_migrations(database.engine, "audit")

    async def found() -> None:
        await found_journal(store)

    async def sign_head() -> None:
        await notary.sign_head()

    connect(bus, store, consumer, Sequencer(store), notary)
    answer_dead_messages(bus, store, consumer, authorize_with(verifier, Scope.OPERATE))
    return Service(
        "audit",
        loops=[
            every(settings.head_interval_seconds, sign_head),
            *([] if figures is None else [every(LOOK_SECONDS, partial(look, store, figures))]),
        ],
        on_start=[check, found],
        on_stop=[notary.sign_last_head, database.close],
    )
