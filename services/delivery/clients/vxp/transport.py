"""
One call to an axis: signed anew each time, with a deadline, tried again after a pause, and faults put in our words.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from typing import Final, TypeVar

import httpx

from services.delivery.clients.vxp.answers import shown
from services.delivery.clients.vxp.reading import NotAnAnswer
from services.delivery.clients.vxp.signing import Credentials, sign
from services.delivery.errors import NationalAxisIncomprehensible, NationalAxisUnavailable
from shared.clock import Clock

PAUSES: Final = (1.0, 3.0, 6.0)
"""Seconds before each further try. An outage that lasts longer is the breaker's affair."""

PATIENCE_SECONDS: Final = 30
"""An axis that asks for a longer pause is not waited for: the caller hears of it at once."""

CONNECT_SECONDS: Final = 10.0
STILL_SECONDS: Final = 60.0
"""A large transfer on which nothing has moved for so long is dead, whatever its deadline."""

_T = TypeVar("_T")
_BUSY: Final = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)


@dataclass(frozen=True)
class Call:
    """
    What is asked of the axis.

    Attributes:
        operation: Last part of the URL.
        parameters: Its own ones.
        body: A small body.
        stream: Gives a large body from the beginning, once for each try.
        stream_bytes: How many that are.
        seconds: Deadline of one try.
    """

    operation: str
    parameters: dict[str, str] = field(default_factory=dict)
    method: str = "POST"
    content_type: str = "application/json"
    body: bytes = b""
    stream: Callable[[], AsyncIterator[bytes]] | None = None
    stream_bytes: int = 0
    seconds: float = 30.0


class Transport:
    """
    Carries calls to one axis.

    Args:
        http: Carries the requests; follows no redirect.
        url: Base URL of the axis.
        credentials: Who calls.
        clock: For the timestamp in the signature.
        pauses: Seconds before each further try.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        url: str,
        credentials: Credentials,
        clock: Clock,
        *,
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        self._http = http
        self._http.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._url = url.rstrip("/")
        self._credentials = credentials
        self._clock = clock
        self._pauses = pauses

    async def call(self, call: Call, take: Callable[[httpx.Response], Awaitable[_T]]) -> _T:
        """
        Make a call, again where that may help.

        Args:
            call: What is asked; repeating it must do no harm.
            take: Reads the answer, from the beginning at each try.

        Raises:
            NationalAxisRefused: The axis said no.
            NationalAxisUnavailable: No try led to an answer.
        """
        for pause in self._pauses:
            try:
                return await self._try(call, take)
            except NationalAxisUnavailable as failed:
                if failed.asked_seconds > PATIENCE_SECONDS:
                    raise
                await asyncio.sleep(max(pause, failed.asked_seconds) * random.uniform(1.0, 1.25))  # noqa: S311 - no secret
        return await self._try(call, take)

    async def _try(self, call: Call, take: Callable[[httpx.Response], Awaitable[_T]]) -> _T:
        what = f"{call.operation} of the national axis"
        try:
            async with asyncio.timeout(call.seconds):
                return await self._send(call, take)
        except NotAnAnswer as odd:
            raise NationalAxisIncomprehensible(f"the answer to {what} cannot be understood: {odd}") from odd
        except (TimeoutError, httpx.TimeoutException) as late:
            raise NationalAxisUnavailable(f"{what}: no answer in time, or nothing moved any more") from late
        except httpx.ConnectError as apart:
            raise NationalAxisUnavailable(f"{what}: no connection, or a certificate that is not trusted") from apart
        except (httpx.HTTPError, OSError) as broken:
            raise NationalAxisUnavailable(f"{what}: the connection broke, or the answer was not HTTP") from broken

    async def _send(self, call: Call, take: Callable[[httpx.Response], Awaitable[_T]]) -> _T:
        headers = sign(self._credentials, call.parameters, content_type=call.content_type, now=self._clock.now())
        headers |= {"Accept-Encoding": "identity", "Connection": "close"}
        if call.stream is not None:
            headers["Content-Length"] = str(call.stream_bytes)
        request = self._http.build_request(
            call.method,
            f"{self._url}/{call.operation}",
            content=call.body if call.stream is None else call.stream(),
            headers=headers,
            timeout=httpx.Timeout(min(call.seconds, STILL_SECONDS), connect=CONNECT_SECONDS),
        )
        response = await self._http.send(request, stream=True, follow_redirects=False)
        try:
            if response.is_redirect:
                raise NotAnAnswer(f"it is a redirect (HTTP {response.status_code}), which would lose what was signed")
            if response.headers.get("Content-Encoding", "identity").lower() != "identity":
                raise NotAnAnswer("it is compressed, though that was not asked for")
            try:
                return await take(response)
            except NotAnAnswer as odd:
                raise _explained(response, odd) from odd
        finally:
            await response.aclose()


def _explained(response: httpx.Response, odd: NotAnAnswer) -> Exception:
    # The status decides nothing where the body is an answer; where it is none, it says most about who answered instead.
    kind = shown(response.headers.get("Content-Type", ""))[:80] or "no content type"
    words = f"{odd} (HTTP {response.status_code}, {kind})"
    if response.status_code in _BUSY:
        asked = response.headers.get("Retry-After", "").strip()
        seconds = int(asked[:6]) if asked.isascii() and asked.isdigit() else 1
        return NationalAxisUnavailable(
            f"something in front of the national axis answered: {words}", retry_after=seconds
        )
    return NotAnAnswer(words)
