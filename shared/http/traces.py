from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from shared.telemetry.traces import span

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class TraceMiddleware:
    """
    Makes every request a span, below the caller's own where it brought a `traceparent`. Put in only when traces are on.

    Args:
        app: What answers.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        came = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"traceparent"), "")
        with span(scope["method"], kind="server", parent=came) as current:

            async def note(message: Message) -> None:
                if current is not None and message["type"] == "http.response.start":
                    route = getattr(scope.get("route"), "path", "unmatched")
                    current.update_name(f"{scope['method']} {route}")
                    current.set_attribute("http.route", route)
                    current.set_attribute("http.response.status_code", message["status"])
                await send(message)

            await self._app(scope, receive, note)
