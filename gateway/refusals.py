"""From what was raised to what the caller reads: the one crossing from codes to HTTP."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import Scope

from gateway.errors import MethodNotAllowed, NotFound, RangeNotSatisfiable, RequestInvalid, TooMany
from gateway.languages import Language, choose_language
from gateway.problems import PROBLEMS, ProblemKind
from shared.errors import FieldError, Rejected, Unavailable
from shared.http import PROBLEM_MEDIA_TYPE, ProblemDetails
from shared.telemetry import correlation_id, get_logger

_logger = get_logger(__name__)

_MAX_ERRORS = 100
_CHALLENGES: Mapping[str, str] = {
    "token-missing": 'Bearer realm="axis"',
    "token-invalid": 'Bearer realm="axis", error="invalid_token"',
    "scope-missing": 'Bearer realm="axis", error="insufficient_scope"',
}


class Refusals:
    """
    Turns anything raised into a problem.

    Args:
        public_url: Root of the pages that explain each kind of problem.
    """

    def __init__(self, public_url: str) -> None:
        self._public_url = public_url.rstrip("/")

    def install(self, app: FastAPI) -> None:
        """
        Have an application answer with problems only.
        """

        async def handle(request: Request, error: Exception) -> Response:
            return self.answer(request.scope, error, app.routes)

        for kind in (Rejected, Unavailable, RequestValidationError, HTTPException, Exception):
            app.add_exception_handler(kind, handle)

    def answer(self, scope: Scope, error: Exception, routes: list[BaseRoute] | None = None) -> Response:
        """
        Make the answer to what was raised; what nobody expected tells the caller only the correlation id.
        """
        refusal = _as_refusal(scope, error, routes or [])
        if refusal is None:
            _logger.error("request met a defect", path=scope["path"], exc_info=error)
            return self._write(scope, PROBLEMS["internal-error"], PROBLEMS["internal-error"].example)
        kind = PROBLEMS.get(refusal.problem_code)
        if kind is None and isinstance(refusal, Unavailable):
            kind = PROBLEMS["unavailable"]
        if kind is None:
            _logger.error("a service refused with a code that has no entry", code=refusal.problem_code)
            return self._write(scope, PROBLEMS["internal-error"], PROBLEMS["internal-error"].example)
        errors = refusal.errors if isinstance(refusal, Rejected) else ()
        return self._write(scope, kind, refusal.detail, errors, _headers(kind, refusal))

    def details(
        self, kind: ProblemKind, language: Language, detail: str, errors: tuple[FieldError, ...] = (), path: str = ""
    ) -> ProblemDetails:
        """
        Fill in the members of a problem.
        """
        return ProblemDetails(
            type=f"{self._public_url}/problems/{kind.code}",
            title=kind.title.in_language(language),
            status=kind.status,
            detail=detail,
            instance=path,
            code=kind.code,
            remedy=kind.change.in_language(language),
            correlation_id=correlation_id(),
            errors=errors[:_MAX_ERRORS],
        )

    def _write(
        self,
        scope: Scope,
        kind: ProblemKind,
        detail: str,
        errors: tuple[FieldError, ...] = (),
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        language = choose_language(Request(scope).headers.get("accept-language", ""))
        body = self.details(kind, language, _printable(detail), errors, _printable(scope["path"]))
        return Response(
            body.model_dump_json(),
            status_code=kind.status,
            media_type=PROBLEM_MEDIA_TYPE,
            headers={"Content-Language": language, "Cache-Control": "no-store", **(headers or {})},
        )


def _as_refusal(scope: Scope, error: Exception, routes: list[BaseRoute]) -> Rejected | Unavailable | None:
    if isinstance(error, (Rejected, Unavailable)):
        return error
    if isinstance(error, RequestValidationError):
        return _from_validation(error.errors())
    if isinstance(error, HTTPException) and error.status_code == 404:
        return NotFound("there is nothing under this address")
    if isinstance(error, HTTPException) and error.status_code == 405:
        return MethodNotAllowed(f"this address does not answer {scope['method']}", allowed=_allowed(scope, routes))
    if isinstance(error, HTTPException) and error.status_code < 500:
        return RequestInvalid(str(error.detail))
    return None


def _from_validation(findings: Any) -> Rejected:
    if any(finding["loc"][0] == "path" for finding in findings):
        return NotFound("there is nothing under this address")
    errors = tuple(
        FieldError(
            pointer=_pointer(finding["loc"]),
            code=str(finding["type"]).replace("_", "-").replace(".", "-"),
            detail=_printable(str(finding["msg"])),
        )
        for finding in findings[:_MAX_ERRORS]
    )
    return RequestInvalid(f"places of the request that are not valid: {len(findings)}", errors=errors)


def _pointer(place: tuple[str | int, ...]) -> str:
    """
    JSON Pointer into the body; query and headers stand beside it as `/query/…` and `/header/…`.
    """
    steps = place[1:] if place[0] == "body" else place
    return "".join("/" + _printable(str(step)).replace("~", "~0").replace("/", "~1") for step in steps)


def _headers(kind: ProblemKind, refusal: Rejected | Unavailable) -> dict[str, str]:
    headers = {}
    if challenge := _CHALLENGES.get(kind.code):
        headers["WWW-Authenticate"] = challenge
    if isinstance(refusal, MethodNotAllowed):
        headers["Allow"] = ", ".join(refusal.allowed)
    if isinstance(refusal, RangeNotSatisfiable):
        headers["Content-Range"] = f"bytes */{refusal.size_bytes}"
    retry_after = refusal.retry_after if isinstance(refusal, (Unavailable, TooMany)) else kind.retry_after
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    if kind.code in {"body-incomplete", "upload-too-slow"}:
        # What is left of the body may still be under way; only a new connection begins cleanly.
        headers["Connection"] = "close"
    return headers


def _allowed(scope: Scope, routes: list[BaseRoute]) -> tuple[str, ...]:
    found: set[str] = set()
    for route in routes:
        if route.matches({**scope, "type": "http"})[0] is not Match.NONE:
            found |= getattr(route, "methods", None) or set()
    return tuple(sorted(found))


def _printable(text: str) -> str:
    """
    Replace half surrogates, which a caller may have brought into a sentence and which UTF-8 cannot write.
    """
    return text.encode("utf-8", "replace").decode()
