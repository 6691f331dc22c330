"""
How each process is put together: one composition, whether all of them share a process or none does.

A function imports only the service it composes, so that a process holds nothing of the others.
"""

# ruff: noqa: PLC0415

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings

from deploy.embedded.errors import NodeError
from shared.blobs import BlobStore
from shared.client.credential import Credential
from shared.clock import SystemClock
from shared.identifiers import Uuid7Source
from shared.messaging import Bus
from shared.messaging.observed import ObservedBus
from shared.runtime import Service
from shared.sandbox import Sandbox
from shared.telemetry.figures import Figures
from shared.telemetry.traces import TracesUnavailable, start_traces, stop_traces

if TYPE_CHECKING:
    from gateway.app import Gateway

GATEWAY: Final = "gateway"
SERVICES: Final = ("signing", "registry", "routing", "delivery", "audit")
"""In the order they start: whoever is asked first stands first."""

PROCESSES: Final = (GATEWAY, *SERVICES)

Values = Mapping[str, Any]
"""What a process' settings are given outright; the environment gives the rest."""

_SettingsT = TypeVar("_SettingsT", bound=BaseSettings)


@dataclass(frozen=True)
class Means:
    """
    What every process is given.

    Attributes:
        bus: Its own end of the bus.
        clock, new_id: The time, and identities in its order.
        blobs: Where packets lie; only the gateway, the registry and routing go there.
        sandbox: Workers that read strangers' packets; routing alone has them.
        figures: What the operating system's process tells Prometheus; processes that share one share these.
    """

    bus: Bus
    clock: SystemClock
    new_id: Uuid7Source
    blobs: BlobStore | None = None
    sandbox: Sandbox | None = None
    figures: Figures = field(default_factory=Figures)


def settings_class(process: str) -> type[BaseSettings]:
    """
    Find the settings class of a process.
    """
    match process:
        case "gateway":
            from gateway.settings import Settings as OfGateway

            return OfGateway
        case "signing":
            from services.signing.settings import Settings as OfSigning

            return OfSigning
        case "registry":
            from services.registry.settings import Settings as OfRegistry

            return OfRegistry
        case "routing":
            from services.routing.settings import Settings as OfRouting

            return OfRouting
        case "delivery":
            from services.delivery.settings import Settings as OfDelivery

            return OfDelivery
        case "audit":
            from services.audit.settings import Settings as OfAudit

            return OfAudit
        case _:
            raise NodeError(f"There is no process called {process}.", remedy=f"Choose one of: {', '.join(PROCESSES)}.")


def compose(process: str, values: Values, means: Means) -> Service:
    """
    Build a service and connect it to its bus.

    Raises:
        NodeError: A setting is missing or wrong.
    """
    clock, new_id, blobs, figures = means.clock, means.new_id, means.blobs, means.figures
    bus = ObservedBus(means.bus, party=process, figures=figures)
    match process:
        case "signing":
            from services.signing import app as signing
            from services.signing.settings import Settings as OfSigning

            return signing.create_app(_read(OfSigning, values), bus=bus, clock=clock, new_id=new_id, figures=figures)
        case "registry":
            from services.registry import app as registry
            from services.registry.settings import Settings as OfRegistry

            assert blobs is not None
            return registry.create_app(
                _read(OfRegistry, values), bus=bus, clock=clock, new_id=new_id, blobs=blobs, figures=figures
            )
        case "routing":
            from services.routing import app as routing
            from services.routing.settings import Settings as OfRouting

            assert blobs is not None
            assert means.sandbox is not None
            return routing.create_app(
                _read(OfRouting, values),
                bus=bus,
                clock=clock,
                new_id=new_id,
                blobs=blobs,
                sandbox=means.sandbox,
                figures=figures,
            )
        case "delivery":
            from services.delivery import app as delivery
            from services.delivery.settings import Settings as OfDelivery

            return delivery.create_app(_read(OfDelivery, values), bus=bus, clock=clock, new_id=new_id, figures=figures)
        case "audit":
            from services.audit import app as audit
            from services.audit.settings import Settings as OfAudit

            return audit.create_app(_read(OfAudit, values), bus=bus, clock=clock, new_id=new_id, figures=figures)
        case _:
            raise NodeError(f"There is no service called {process}.", remedy=f"Choose one of: {', '.join(SERVICES)}.")


def compose_gateway(values: Values, means: Means) -> "Gateway":
    """
    Build the gateway.

    Raises:
        NodeError: A setting is missing or wrong.
    """
    from gateway import app
    from gateway.settings import Settings

    assert means.blobs is not None
    return app.create_app(
        _read(Settings, values),
        bus=ObservedBus(means.bus, party=GATEWAY, figures=means.figures),
        blobs=means.blobs,
        clock=means.clock,
        new_id=means.new_id,
        figures=means.figures,
    )


@contextmanager
def traces(process: str) -> Iterator[None]:
    """
    Trace for the length of a block, if the standard variables ask for it.

    Raises:
        NodeError: They do, and the extra is not installed.
    """
    try:
        start_traces(process)
    except TracesUnavailable as error:
        raise NodeError(
            "The variables OTEL_… ask for traces, and what makes them is not installed.",
            remedy="pip install 'document-axis[otel]', or unset these variables.",
        ) from error
    try:
        yield
    finally:
        stop_traces()


def make_sandbox() -> Sandbox:
    """
    Make the workers that routing needs; whoever enters it has them ended.
    """
    from services.routing.app import SANDBOX_JOBS

    return Sandbox(SANDBOX_JOBS)


async def create_keys(values: Values, clock: SystemClock) -> None:
    """
    Make the node's keys; what exists stays.
    """
    from services.signing import app
    from services.signing.settings import Settings

    await asyncio.to_thread(app.create_keys, _read(Settings, values), clock=clock)


async def ensure_administrator(
    values: Values, *, file: Path, url: str, clock: SystemClock, new_id: Uuid7Source
) -> None:
    """
    Write the first administrative credential, or a new one where its file is gone.

    Args:
        values: For the registry, on whose database this works directly.
        file: Where the credential goes.
        url: The administrative listener.
        clock: The time.
        new_id: Identity of the credential.
    """
    if await asyncio.to_thread(file.exists):
        return
    from services.registry import app
    from services.registry.settings import Settings

    settings = _read(Settings, values)
    credential = await app.bootstrap(settings, clock=clock, new_id=new_id)
    Credential(
        url=url,
        issuer=settings.public_url,
        system_id=credential.system_id,
        credential_id=credential.credential_id,
        secret=SecretStr(credential.secret),
    ).write(file)


def _read(settings: type[_SettingsT], values: Values) -> _SettingsT:
    try:
        return settings(**values)
    except ValidationError as error:
        raise unusable(settings, error) from None  # what the library quotes may be a secret


def unusable(settings: type[BaseSettings], error: ValidationError, *, prefix: str | None = None) -> NodeError:
    """
    Say which variables are missing or wrong, without their values.
    """
    prefix = settings.model_config.get("env_prefix", "") if prefix is None else prefix
    faults = []
    for one in error.errors(include_input=False, include_url=False):
        variable = prefix + "__".join(str(part) for part in one["loc"]).upper()
        faults.append(f"{variable} is missing" if one["type"] == "missing" else f"{variable}: {one['msg']}")
    return NodeError(
        f"The settings cannot be used: {'; '.join(faults)}.",
        remedy="Set these variables in the environment; the settings classes describe each.",
    )
