"""Composition of the signing service."""

import asyncio
from datetime import UTC, datetime

from services.signing import tables
from services.signing.consumers import answer_asks
from services.signing.domain.authority import Issuer
from services.signing.domain.keys import Role
from services.signing.errors import KeyStoreUnusable
from services.signing.repository.key_file import create_key_file, open_key_file
from services.signing.settings import Settings
from services.signing.usecases.certificates import Authority, Offload, enrol, refresh_revocation_list
from services.signing.usecases.figures import SigningFigures
from shared.clock import Clock, SystemClock
from shared.database import Database, check_migrations
from shared.faults import NO_FAULTS, Faults
from shared.identifiers import IdSource, Uuid7Source
from shared.messaging import Bus
from shared.outbox import Consumer, Relay, Store, answer_dead_messages
from shared.runtime import TIDY_AFTER_SECONDS, Service, every
from shared.telemetry.figures import LOOK_SECONDS, Figures
from shared.tokens import TokenVerifier, authorize_with

REFRESH_SECONDS = 60.0
SWEEP_SECONDS = 3600.0


def create_keys(settings: Settings, *, clock: Clock | None = None) -> None:
    """
    Make the node's keys, certificates and passphrase; what exists stays as it is.

    Raises:
        KeyStoreUnusable: What exists cannot be used.
    """
    # Certificates count in whole seconds; rounding down has them valid from the start.
    now: datetime = (clock or SystemClock()).now().astimezone(UTC).replace(microsecond=0)
    create_key_file(
        settings.key_file, settings.passphrase_file, node_id=settings.node_id, public_url=settings.public_url, now=now
    )


def create_app(
    settings: Settings,
    *,
    bus: Bus,
    clock: Clock | None = None,
    new_id: IdSource | None = None,
    faults: Faults = NO_FAULTS,
    offload: Offload = asyncio.to_thread,
    figures: Figures | None = None,
) -> Service:
    """
    Build the service and connect it to the bus.

    Args:
        settings: Of this process.
        bus: The bus as signing sees it.
        clock: The machine's own by default.
        new_id: Identities of events; UUIDv7 by default.
        faults: What goes wrong at which point.
        offload: Where work goes that takes longer than an event loop may stand still.
        figures: Those of this process; None: nobody watches.

    Raises:
        KeyStoreUnusable: The key store cannot be opened.
    """
    clock = clock or SystemClock()
    keys = open_key_file(settings.key_file, settings.passphrase_file, production=settings.production)
    database = Database(settings.database_url.get_secret_value(), service=tables.SCHEMA, faults=faults)
    store = Store(database, tables.messaging, clock=clock, new_id=new_id or Uuid7Source(clock))
    root = keys.active(Role.AUTHORITY)[0]
    if root.certificate is None:
        raise KeyStoreUnusable("the authority's key has no certificate")
    authority = Authority(store, Issuer(root.key, root.certificate), settings.revocation_list_lasts)

    answer_asks(bus, authority, keys, offload)
    verifier = TokenVerifier(bus, issuer=settings.public_url, clock=clock)
    answer_dead_messages(bus, store, Consumer(bus, store), authorize_with(verifier, "operate"))
    relay = Relay(store, bus)

    async def begin() -> None:
        await check_migrations(database.engine, tables.SCHEMA)
        await enrol(authority, keys.active(Role.EVIDENCE))

    async def refresh() -> None:
        await refresh_revocation_list(authority)

    return Service(
        name=tables.SCHEMA,
        loops=[
            relay.run,
            every(REFRESH_SECONDS, refresh),
            every(SWEEP_SECONDS, relay.sweep, first_after=TIDY_AFTER_SECONDS),
            *([] if figures is None else [every(LOOK_SECONDS, SigningFigures(authority, keys, figures).look)]),
        ],
        on_start=[begin],
        on_stop=[database.close],
    )
