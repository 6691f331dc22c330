"""
One way to the node for every call: token, idempotency key, retries, problems turned into exceptions.
"""

import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote_plus

import httpx
from pydantic import BaseModel, ValidationError

from shared.client.bodies import Body
from shared.client.credential import Credential
from shared.client.errors import NodeFault, NodeUnreachable, ProblemError, Unavailable, problem_of, retry_after_of
from shared.client.retries import RetryPolicy
from shared.client.tokens import TokenRequest, TokenSource

TIMEOUT: Final = httpx.Timeout(60.0, connect=10.0)

PACKET_TYPE: Final = "application/edxml+xml"

_LANGUAGE: Final = "vi, en;q=0.5"

AnswerT = TypeVar("AnswerT", bound=BaseModel)


@dataclass(frozen=True)
class Call:
    """
    One call to the node.

    Attributes:
        path: From the root, such as `/v1/inbox`.
        params: Query; None values are left out.
        json: Body as JSON; or
        packet: body as a packet; or
        content: body as bytes of `content_type`.
        bearer: Proof to send in place of an access token, such as a claim token; empty: none at all.
        idempotency_key: Kept over all attempts; made where a POST has none.
        wait_seconds: How long the node may take by intention (long poll).
    """

    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    json: Any = None
    packet: Body | None = None
    content: bytes | None = None
    content_type: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    bearer: str | None = None
    idempotency_key: str | None = None
    wait_seconds: float = 0.0


class Transport:
    """
    Speaks HTTP with one node.

    Args:
        url: Address of the node.
        credential: Who we are; None where every call brings its own proof.
        retries: When to try again.
        http: Transport for tests.
    """

    def __init__(
        self,
        url: str,
        credential: Credential | None = None,
        *,
        retries: RetryPolicy | None = None,
        http: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self._retries = retries or RetryPolicy()
        self._issuer = credential.issuer if credential else None
        # Redirects are never followed: a token must not leave for an address nobody configured.
        self._http = httpx.AsyncClient(
            base_url=self.url,
            timeout=TIMEOUT,
            transport=http,
            follow_redirects=False,
            headers={"Accept-Language": _LANGUAGE, "User-Agent": "axis-client"},
        )
        self._tokens = TokenSource(credential, self._ask_for_token, self.issuer) if credential else None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """
        Close every connection.
        """
        await self._http.aclose()

    async def issuer(self) -> str:
        """
        Give the node's `iss`, by which it signs tokens and receipts.
        """
        if self._issuer is None:
            response = await self.send(Call("GET", "/.well-known/axis", bearer=""))
            self._issuer = str(_json(response).get("issuer") or self.url)
        return self._issuer

    async def ask(self, call: Call, answer: type[AnswerT]) -> AnswerT:
        """
        Make a call and read its JSON answer.

        Raises:
            ProblemError: The node refused, or could not.
            NodeUnreachable: Nothing answered.
        """
        return read_answer(await self.send(call), answer)

    async def send(self, call: Call) -> httpx.Response:
        """
        Make a call, again where that may help, and read the whole answer.

        Raises:
            ProblemError: The node refused, or could not.
            NodeUnreachable: Nothing answered.
        """
        async with self.stream(call) as response:
            await response.aread()
            return response

    @contextlib.asynccontextmanager
    async def stream(self, call: Call) -> AsyncIterator[httpx.Response]:
        """
        Make a call, again where that may help, and leave reading the answer to the caller.

        Once the answer has begun nothing is repeated: whoever reads a stream resumes it.
        """
        key = call.idempotency_key or (str(uuid.uuid4()) if call.method == "POST" else None)
        response = await self._with_retries(lambda: self._attempt(call, key))
        try:
            yield response
        except httpx.TransportError as lost:
            raise NodeUnreachable(self.url, _reason(lost)) from lost
        finally:
            await response.aclose()

    async def _attempt(self, call: Call, key: str | None) -> httpx.Response:
        token = await self._tokens.current() if call.bearer is None and self._tokens else call.bearer
        response = await self._once(call, key, token)
        stale = response.status_code == HTTPStatus.UNAUTHORIZED and call.bearer is None
        if stale and self._tokens is not None and token:
            # The node may have changed its keys or ended the credential's token early; a fresh one decides.
            await response.aclose()
            await self._tokens.discard(token)
            response = await self._once(call, key, await self._tokens.current())
        return response

    async def _once(self, call: Call, key: str | None, token: str | None) -> httpx.Response:
        headers = dict(call.headers)
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if key:
            headers["Idempotency-Key"] = key
        content: bytes | AsyncIterator[bytes] | None = call.content
        if call.content_type:
            headers["Content-Type"] = call.content_type
        if call.packet is not None:
            content = call.packet.pieces()
            headers |= {"Content-Type": PACKET_TYPE, "Content-Length": str(call.packet.size)}
        request = self._http.build_request(
            call.method,
            call.path,
            params={name: value for name, value in call.params.items() if value is not None},
            json=call.json,
            content=content,
            headers=headers,
            timeout=httpx.Timeout(60.0 + call.wait_seconds, connect=10.0),
        )
        return await self._http.send(request, stream=True)

    async def _with_retries(self, attempt: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
        made = 0
        while True:
            made += 1
            failure: ProblemError | NodeUnreachable
            try:
                response = await attempt()
                if response.status_code < HTTPStatus.BAD_REQUEST:
                    return response
                try:
                    await response.aread()
                finally:
                    await response.aclose()
                failure = problem_of(response)
                asked = retry_after_of(response)
                # The first request with this key is still at work; its answer is what we want.
                running = failure.code == "request-in-progress"
                if not isinstance(failure, Unavailable) and not running:
                    raise failure
            except httpx.TransportError as lost:
                failure, asked = NodeUnreachable(self.url, _reason(lost)), None
            pause = self._retries.pause_after(made, asked)
            if pause is None:
                raise failure
            await self._retries.sleep(pause)

    async def _ask_for_token(self, make: Callable[[], Awaitable[TokenRequest]]) -> dict[str, Any]:
        async def attempt() -> httpx.Response:
            wanted = await make()
            auth = httpx.USE_CLIENT_DEFAULT if wanted.basic is None else _basic(*wanted.basic)
            return await self._http.post("/oauth2/token", data=wanted.form, auth=auth)

        return _json(await self._with_retries(attempt))


def _basic(system_id: str, secret: str) -> httpx.BasicAuth:
    # RFC 6749 section 2.3.1: both halves are form-encoded first.
    return httpx.BasicAuth(quote_plus(system_id), quote_plus(secret))


def read_answer(response: httpx.Response, answer: type[AnswerT]) -> AnswerT:
    """
    Read a JSON answer that is in memory.

    Raises:
        NodeFault: It has not the form it should have.
    """
    try:
        return answer.model_validate_json(response.content)
    except ValidationError as wrong:
        raise NodeFault(
            "answer-unreadable",
            response.status_code,
            f"the answer is no {answer.__name__}: {wrong.error_count()} places are wrong",
            correlation_id=response.headers.get("X-Correlation-Id"),
        ) from wrong


def _json(response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise NodeFault("answer-unreadable", response.status_code, "the answer is no JSON object")
    return body


def _reason(lost: httpx.TransportError) -> str:
    return str(lost) or type(lost).__name__
