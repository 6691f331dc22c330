"""What every request passes before a route sees it: pure ASGI, so that bodies stream through."""

import hashlib
import time
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.errors import HeadersTooLarge, NotFound, RequestInvalid
from gateway.limits import RateLimit
from gateway.settings import Settings
from shared.errors import AxisError
from shared.telemetry import get_logger

_logger = get_logger(__name__)


class Answers(Protocol):
    """
    Turns what was raised into an answer.
    """

    def answer(self, scope: Scope, error: Exception) -> Response: ...


class Observer:
    """
    Counts, times and logs every request; never its query, headers or body, which may hold secrets.

    Also the last guard: what escapes the application is in the log, and if nothing was sent yet the caller gets a
    problem.

    Args:
        app: What answers.
        registry: Where the figures are kept.
        listener: Which of the two doors this is.
        refusals: For what escapes.
    """

    def __init__(self, app: ASGIApp, *, registry: CollectorRegistry, listener: str, refusals: Answers) -> None:
        self._app = app
        self._listener = listener
        self._refusals = refusals
        labels = ("method", "route", "status")
        prefix = f"axis_gateway_{listener}"
        self._requests = Counter(f"{prefix}_requests", "Requests answered.", labels, registry=registry)
        self._seconds = Histogram(
            f"{prefix}_request_seconds",
            "Time from the request's head to the end of the answer.",
            ("method", "route"),
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
            registry=registry,
        )
        # Looking a figure up takes as long as counting; methods, routes and statuses are few.
        self._figures: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun_at = time.perf_counter()
        status, finished = 0, False

        async def watch(message: Message) -> None:
            nonlocal status, finished
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body" and not message.get("more_body", False):
                finished = True
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Exception as error:
            if not status:
                await self._refusals.answer(scope, error)(scope, receive, watch)
            elif not finished:
                _logger.exception("an answer was cut short", path=scope["path"])
                raise
            # Else the framework raises again what has been answered and logged.
        finally:
            self._write_down(scope, status, time.perf_counter() - begun_at)

    def _write_down(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        figures = self._figures.get((method, route, status))
        if figures is None:
            counter, timer = self._requests.labels(method, route, str(status)), self._seconds.labels(method, route)
            figures = self._figures[method, route, status] = (counter, timer)
        figures[0].inc()
        figures[1].observe(seconds)
        client = scope.get("client")
        certificate = scope.get("state", {}).get("client_certificate")
        _logger.info(
            "request",
            listener=self._listener,
            method=method,
            path=scope["path"],
            status=status,
            milliseconds=round(seconds * 1000, 1),
            client=client[0] if client else None,
            **({"certificate": certificate.sha256, "verified": certificate.verified} if certificate else {}),
        )


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Guard:
    """
    Refuses what no route should have to think about: floods, endless headers, and the character NUL, which
    the database cannot hold.

    Args:
        app: What answers otherwise.
        settings: The limits.
        refusals: Makes the answers.
    """

    def __init__(self, app: ASGIApp, *, settings: Settings, refusals: Answers) -> None:
        self._app = app
        self._max_header_bytes = settings.max_header_bytes
        self._refusals = refusals
        self._credentials = RateLimit(per_second=settings.rate_per_second, burst=settings.rate_burst)
        self._addresses = RateLimit(per_second=settings.address_rate_per_second, burst=settings.address_rate_burst)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                self._check(scope)
            except AxisError as error:
                await self._refusals.answer(scope, error)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        if not scope["path"].startswith("/health/"):
            client = scope.get("client")
            self._addresses.take(client[0] if client else "")
            for name, value in scope["headers"]:
                if name == b"authorization":
                    self._credentials.take(hashlib.sha256(value).hexdigest())
                    break
        if sum(len(name) + len(value) for name, value in scope["headers"]) > self._max_header_bytes:
            raise HeadersTooLarge(f"header lines may have at most {self._max_header_bytes} bytes together")
        if "\0" in scope["path"]:
            raise NotFound("there is nothing under this address")
        if b"%00" in scope["query_string"] or b"\0" in scope["query_string"]:
            raise RequestInvalid("the character NUL may stand nowhere in a request")
