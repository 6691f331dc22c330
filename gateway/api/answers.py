"""How every route writes what the services answered."""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from gateway.problems import PROBLEMS
from shared.http import PROBLEM_MEDIA_TYPE

PROBLEM_SCHEMA: Final = "#/components/schemas/ProblemDetails"


def write_json(model: BaseModel, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """
    Answer with a model; nobody between may keep it.
    """
    return Response(
        model.model_dump_json(),
        status_code=status,
        media_type="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def write_cacheable(
    request: Request, body: str, *, media_type: str = "application/json", max_age_seconds: int = 0
) -> Response:
    """
    Answer with something public, or with 304 where the caller has it already.
    """
    etag = f'"{hashlib.sha256(body.encode()).hexdigest()[:32]}"'
    caching = f"public, max-age={max_age_seconds}" if max_age_seconds else "no-cache"
    headers = {"ETag": etag, "Cache-Control": caching}
    if etag_matches(request.headers.get("if-none-match", ""), etag):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=media_type, headers=headers)


def etag_matches(if_none_match: str, etag: str) -> bool:
    """
    Compare weakly.

    Source:
        RFC 9110 section 13.1.2.
    """
    return any(entry.strip().removeprefix("W/") in {etag, "*"} for entry in if_none_match.split(","))


def problems(*codes: str) -> dict[int | str, dict[str, Any]]:
    """
    Describe the problems a route may answer, those of every route included.
    """
    everywhere = ("not-acceptable", "request-invalid", "too-many", "headers-too-large", "internal-error", "unavailable")
    answers: dict[int | str, dict[str, Any]] = {}
    for code in dict.fromkeys((*codes, *everywhere)):
        kind = PROBLEMS[code]
        answer = answers.setdefault(
            kind.status,
            {
                "description": "",
                "content": {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": PROBLEM_SCHEMA}, "examples": {}}},
            },
        )
        examples = answer["content"][PROBLEM_MEDIA_TYPE]["examples"]
        examples[code] = {
            "summary": kind.title.en,
            "value": {
                "type": f"/problems/{code}",
                "title": kind.title.vi,
                "status": kind.status,
                "detail": kind.example,
                "instance": "/v1/…",
                "code": code,
                "remedy": kind.change.vi,
                "correlation_id": "3f2a9c0d7b1e4f5a8c6d0e9f1a2b3c4d",
                "errors": [],
            },
        }
        answer["description"] = ", ".join(f"`{name}`" for name in examples)
    return answers


SIGNED_IN: Final = ("token-missing", "token-invalid", "scope-missing")
"""Problems of every route that needs an access token."""
