"""What anyone may ask about the node itself: who it is, whether it can work, how it is doing."""

import asyncio
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from fastapi import FastAPI
from prometheus_client import generate_latest
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from gateway.api.answers import problems, write_cacheable, write_json
from gateway.api.bodies import PACKET_TYPES
from gateway.api.context import Context
from shared.contracts import audit, delivery, registry, routing, signing
from shared.contracts.base import Health, Lane, Nothing, Operation
from shared.errors import AxisError
from shared.telemetry.figures import CONTENT_TYPE, Figures

VERSION: Final = "0.1.0"
_HEALTH_SECONDS: Final = 1.0
_PATIENCE: Final = timedelta(seconds=2)

_NEEDED: Final[tuple[Operation[Nothing, Health], ...]] = (
    registry.READ_HEALTH,
    routing.READ_HEALTH,
    signing.READ_HEALTH,
)
_BESIDES: Final[tuple[Operation[Nothing, Health], ...]] = (delivery.READ_HEALTH, audit.READ_HEALTH)
"""Traffic goes on without these for a while, so they do not make a node unready."""


class Limits(BaseModel):
    """
    What this node takes.
    """

    max_packet_bytes: int
    max_json_bytes: int
    max_wait_seconds: int = 60
    packet_media_types: tuple[str, ...] = PACKET_TYPES


class Node(BaseModel):
    """
    Who this node is and where to find what.
    """

    node_id: str
    name: str
    version: str
    api_versions: tuple[str, ...]
    dialects: tuple[str, ...]
    signature_profiles: tuple[str, ...]
    issuer: str
    limits: Limits
    links: dict[str, str]


class PartHealth(BaseModel):
    """
    One part of the node.
    """

    ready: bool
    needed: bool
    detail: str = ""


class NodeHealth(BaseModel):
    """
    Whether the node can write, route and sign.
    """

    ready: bool
    parts: dict[str, PartHealth]


class Alive(BaseModel):
    """
    The process answers.
    """

    alive: bool = True


@dataclass
class Readiness:
    """
    Asks every service how it is, at most once a second however many ask us.
    """

    context: Context
    _known: NodeHealth | None = None
    _known_at: float = field(default=float("-inf"))
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def read(self) -> NodeHealth:
        """
        Give the state of the node.
        """
        async with self._lock:
            if self._known is None or time.monotonic() - self._known_at > _HEALTH_SECONDS:
                self._known = await self._ask()
                self._known_at = time.monotonic()
            return self._known

    async def _ask(self) -> NodeHealth:
        operations = (*_NEEDED, *_BESIDES)
        answers = await asyncio.gather(*(self._part(operation) for operation in operations), self._storage())
        names = (*(operation.service for operation in operations), "storage")
        parts = dict(zip(names, answers, strict=True))
        return NodeHealth(ready=all(part.ready for part in parts.values() if part.needed), parts=parts)

    async def _part(self, operation: Operation[Nothing, Health]) -> PartHealth:
        needed = operation in _NEEDED
        try:
            health = await self.context.bus.ask(operation, Nothing(), lane=Lane.VERY_URGENT, within=_PATIENCE)
        except AxisError as error:
            return PartHealth(ready=False, needed=needed, detail=str(error))
        return PartHealth(ready=health.ready, needed=needed, detail=health.detail)

    async def _storage(self) -> PartHealth:
        try:
            await self.context.room.check(0)
        except AxisError as error:
            return PartHealth(ready=False, needed=True, detail=str(error))
        return PartHealth(ready=True, needed=True)


def add_node(app: FastAPI, context: Context, figures: Figures, *, with_details: bool) -> None:
    """
    Add health, metrics and the node's own description.

    Args:
        app: Where to.
        context: What the routes work with.
        figures: What `/metrics` shows.
        with_details: Whether `/health/ready` says what is missing and `/metrics` more than the requests of agencies;
            only operators should read that.
    """
    settings = context.settings
    readiness = Readiness(context)
    requests = figures.registry.restricted_registry(_SHOWN_TO_AGENCIES)
    root = settings.public_url.rstrip("/")
    description = Node(
        node_id=settings.node_id,
        name=settings.node_name,
        version=VERSION,
        api_versions=("v1",),
        dialects=("axis",),
        signature_profiles=("axis-1",),
        issuer=settings.public_url,
        limits=Limits(max_packet_bytes=settings.max_packet_bytes, max_json_bytes=settings.max_json_bytes),
        links={
            "token": f"{root}/oauth2/token",
            "jwks": f"{root}/v1/trust/jwks.json",
            "anchors": f"{root}/v1/trust/anchors",
            "tree_head": f"{root}/v1/trust/tree-head",
            "docs": f"{root}/docs",
            "openapi": f"{root}/openapi.json",
            "problems": f"{root}/problems",
            "findings": f"{root}/findings",
        },
    )

    @app.get("/.well-known/axis", tags=["node"], summary="Who this node is", response_model=Node, responses=problems())
    async def describe_node(request: Request) -> Response:
        return write_cacheable(request, description.model_dump_json(), max_age_seconds=60)

    @app.get("/health/live", tags=["node"], summary="The process answers", response_model=Alive, responses=problems())
    async def tell_alive() -> Response:
        return write_json(Alive())

    @app.get(
        "/health/ready",
        tags=["node"],
        summary="The node can write, route and sign",
        response_model=NodeHealth,
        responses={**problems(), 503: {"model": NodeHealth, "description": "It cannot, or a part is out of reach."}},
    )
    async def tell_ready() -> Response:
        health = await readiness.read()
        shown = health
        if not with_details:
            parts = {name: part.model_copy(update={"detail": ""}) for name, part in health.parts.items()}
            shown = NodeHealth(ready=health.ready, parts=parts)
        return write_json(shown, status=200 if health.ready else 503, headers={} if health.ready else _LATER)

    @app.get(
        "/metrics",
        tags=["node"],
        summary="Figures for Prometheus",
        response_class=PlainTextResponse,
        responses=problems(),
    )
    async def show_figures() -> Response:
        shown = figures.text() if with_details else generate_latest(requests)
        return Response(shown, media_type=CONTENT_TYPE)


_SHOWN_TO_AGENCIES: Final = (
    "axis_gateway_public_requests_total",
    *(f"axis_gateway_public_request_seconds_{part}" for part in ("bucket", "count", "sum")),
)
_LATER: Final = {"Retry-After": "1"}
