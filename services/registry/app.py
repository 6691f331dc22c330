"""The registry, composed."""

from functools import partial

from services.registry.clients import SigningClient
from services.registry.consumers import answer_asks
from services.registry.domain.vault import Vault
from services.registry.settings import Settings
from services.registry.tables import messaging
from services.registry.usecases.administrators import ensure_administrator
from services.registry.usecases.changes import beat, sweep
from services.registry.usecases.collaborators import Collaborators
from services.registry.usecases.figures import RegistryFigures
from shared.blobs import BlobStore
from shared.clock import Clock
from shared.contracts.registry import Credential, Scope
from shared.database import Database, check_migrations
from shared.faults import NO_FAULTS, Faults
from shared.identifiers import IdSource
from shared.messaging import Bus
from shared.outbox import Consumer, Relay, Store, answer_dead_messages
from shared.runtime import TIDY_AFTER_SECONDS, Service, every
from shared.telemetry.figures import LOOK_SECONDS, Figures
from shared.tokens import TokenVerifier, authorize_with

SERVICE = "registry"
BEAT_SECONDS = 1.0
SWEEP_SECONDS = 60.0
TIDY_SECONDS = 3_600.0


def create_app(
    settings: Settings,
    *,
    bus: Bus,
    clock: Clock,
    new_id: IdSource,
    blobs: BlobStore,
    faults: Faults = NO_FAULTS,
    figures: Figures | None = None,
) -> Service:
    """
    Build the registry and connect it to its bus.

    Args:
        settings: What it must be told.
        bus: Its end of the bus.
        clock: The time.
        new_id: Source of UUIDv7.
        blobs: Where tables to import lie.
        faults: What goes wrong at which point.
        figures: Those of this process; None: nobody watches.
    """
    database = Database(settings.database_url, service=SERVICE, faults=faults)
    store = Store(database, messaging, clock=clock, new_id=new_id)
    verifier = TokenVerifier(bus, issuer=settings.public_url, clock=clock)
    its = Collaborators(
        settings=settings,
        store=store,
        signing=SigningClient(bus),
        verifier=verifier,
        blobs=blobs,
        vault=_open_vault(settings),
        bus=bus,
        clock=clock,
        new_id=new_id,
    )
    answer_asks(its)
    answer_dead_messages(bus, store, Consumer(bus, store), authorize_with(verifier, Scope.OPERATE))
    relay = Relay(store, bus)
    return Service(
        SERVICE,
        loops=[
            relay.run,
            every(BEAT_SECONDS, partial(beat, its)),
            every(SWEEP_SECONDS, partial(sweep, its), first_after=TIDY_AFTER_SECONDS),
            every(TIDY_SECONDS, relay.sweep, first_after=TIDY_AFTER_SECONDS),
            *([] if figures is None else [every(LOOK_SECONDS, RegistryFigures(store, figures).look)]),
        ],
        on_start=[partial(check_migrations, database.engine, SERVICE)],
        on_stop=[database.close],
    )


async def bootstrap(settings: Settings, *, clock: Clock, new_id: IdSource) -> Credential:
    """
    Make the first administrator, straight in the database: there is nobody yet who could ask for one.

    Calling it again gives a fresh secret and ends the former, so it is also the way back in for whoever has lost the
    secret and still rules the node. Needs a migrated schema; neither a bus nor a running service.
    """
    database = Database(settings.database_url, service=SERVICE)
    try:
        await check_migrations(database.engine, SERVICE)
        store = Store(database, messaging, clock=clock, new_id=new_id)
        return await ensure_administrator(store, _open_vault(settings))
    finally:
        await database.close()


def _open_vault(settings: Settings) -> Vault:
    return Vault(pepper=settings.pepper.get_secret_value(), webhook_key=settings.webhook_key.get_secret_value())
