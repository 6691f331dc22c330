"""How every route reads what the caller sent."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any
from uuid import uuid4

from fastapi import Header, Query, Security
from fastapi.datastructures import DefaultPlaceholder
from fastapi.openapi.models import HTTPBearer as BearerScheme
from fastapi.routing import APIRoute
from fastapi.security.base import SecurityBase
from pydantic import StringConstraints
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.bodies import check_media_type, has_unstorable_text, read_small
from gateway.errors import NotAcceptable, RequestInvalid
from gateway.settings import Settings
from shared.contracts.base import Lane
from shared.tokens import TokenMissing

JSON_TYPES = ("application/json",)


class _Bearer(SecurityBase):
    """
    A bearer token as its bare text. The framework's own class would need a second dependency behind it, and every
    request solves all of its route's dependencies.
    """

    def __init__(self, scheme_name: str, *, description: str, missing: str) -> None:
        self.model = BearerScheme(description=description)
        self.scheme_name = scheme_name
        self._missing = missing

    async def __call__(self, request: Request) -> str:
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not credentials:
            raise TokenMissing(self._missing)
        return credentials


_access_token = _Bearer(
    "access_token",
    description="Access token from `/oauth2/token`, ten minutes.",
    missing="an access token is needed: send it as `Authorization: Bearer …`",
)
_claim_token = _Bearer(
    "claim_token",
    description="The registration's `claim_token`.",
    missing="the claim token is needed: send it as `Authorization: Bearer …`",
)


def axis_route(settings: Settings) -> type[APIRoute]:
    """
    Make the class of our routes.

    A body that a route wants as JSON is bounded, whole, and holds only text that can be stored; `Accept` is honoured.
    """

    class AxisRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()
            takes_json = self.body_field is not None
            response_class = self.response_class
            if isinstance(response_class, DefaultPlaceholder):
                response_class = response_class.value
            media_type = response_class.media_type

            async def checked(request: Request) -> Response:
                if media_type is not None:
                    _check_accept(request, media_type)
                if takes_json:
                    await _read_json(request, settings)
                return await handle(request)

            return checked

    return AxisRoute


async def _read_json(request: Request, settings: Settings) -> None:
    body = await read_small(request, max_bytes=settings.max_json_bytes, idle_seconds=settings.body_idle_seconds)
    # Where FastAPI looks for a body that was read already; it does the same for its own readers.
    request._body = body  # noqa: SLF001
    if not body:
        return
    check_media_type(request, JSON_TYPES)
    try:
        value = await request.json()
    except (ValueError, RecursionError):
        raise RequestInvalid("the body is not well-formed JSON in UTF-8") from None
    if b"\\u" in body and has_unstorable_text(value):
        raise RequestInvalid("NUL and half surrogate pairs may stand nowhere in a request")


def _check_accept(request: Request, media_type: str) -> None:
    accept = request.headers.get("accept", "")
    kind = media_type.partition("/")[0]
    offered = {media_type, f"{kind}/*", "*/*"}
    wanted = [entry.partition(";")[0].strip().lower() for entry in accept.split(",")]
    if accept.strip() and offered.isdisjoint(wanted):
        raise NotAcceptable(f"this address answers {media_type}")


AccessToken = Annotated[str, Security(_access_token)]
"""The caller's proof. The gateway passes it on; who checks it is whoever answers."""

ClaimToken = Annotated[str, Security(_claim_token)]
"""What proves that a registration is the caller's."""

AgencyCode = Annotated[str, StringConstraints(min_length=1, max_length=64)]
"""An agency's identifier in either form; whether it exists is the registry's to say."""

Cursor = Annotated[str | None, Query(max_length=1_024, description="`next_cursor` of the page before.")]

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=r"^[\x21-\x7e]{1,255}$",
        description="Names this request, so that repeating it gives the first answer again; scoped by system.",
    ),
]


def named(idempotency_key: str | None) -> str:
    """
    Name a request its caller gave no name: the bus may hand an ask over twice, and the copy must be known as one.
    """
    return idempotency_key or f"~{uuid4()}"


Priority = Annotated[
    Lane | None,
    Header(alias="Axis-Priority", description="Puts intake into the urgent queue before the packet is read."),
]

MAX_NUMBER = 2**53 - 1
"""Greatest whole number that every JSON reader keeps exact; the database can hold it too."""
