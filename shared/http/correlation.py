from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from shared.telemetry import bind_correlation_id, new_correlation_id, well_formed
from shared.telemetry.traces import trace_id_of

CORRELATION_HEADER: Final = "x-correlation-id"

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class CorrelationMiddleware:
    """
    Gives every request a correlation id and writes it on the answer; a caller's own is kept if well-formed. A caller
    that only brings a `traceparent` gets its trace id back.

    Args:
        app: What answers.
        new: Makes an id.
    """

    def __init__(self, app: App, new: Callable[[], str] = new_correlation_id) -> None:
        self._app = app
        self._new = new

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        current = _own(scope) or self._new()
        bind_correlation_id(current)
        header = (CORRELATION_HEADER.encode(), current.encode())

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), header]}
            await send(message)

        await self._app(scope, receive, send_with_id)


def _own(scope: Scope) -> str | None:
    trace_id = ""
    for name, value in scope["headers"]:
        if name == CORRELATION_HEADER.encode():
            text: str = value.decode("latin-1")
            return text if well_formed(text) else None
        if name == b"traceparent":
            trace_id = trace_id_of(value.decode("latin-1"))
    return trace_id or None
