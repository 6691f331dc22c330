"""`POST /oauth2/token`: client credentials, by secret or by an assertion signed with the system's certificate key."""

import base64
from typing import Annotated, Any, ClassVar, Final
from urllib.parse import parse_qsl, unquote_plus

from fastapi import FastAPI, Header
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.api.answers import problems, write_json
from gateway.api.bodies import check_media_type, read_small
from gateway.api.context import Context
from gateway.problems import PROBLEMS
from shared.contracts.registry import ISSUE_TOKEN, IssueToken
from shared.errors import AxisError, Rejected, Unavailable
from shared.http import PROBLEM_MEDIA_TYPE
from shared.telemetry import correlation_id

FORM_TYPES: Final = ("application/x-www-form-urlencoded",)
ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_MAX_ASSERTION: Final = 16_384
_MAX_NAME: Final = 255
_MAX_NAMES: Final = 200

_FORM: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            FORM_TYPES[0]: {
                "schema": {
                    "type": "object",
                    "required": ["grant_type"],
                    "properties": {
                        "grant_type": {"const": "client_credentials"},
                        "scope": {"type": "string", "description": "Scopes, separated by spaces; none: all."},
                        "agencies": {
                            "type": "string",
                            "description": "Codes to narrow the token to, separated by spaces; none: not narrowed.",
                        },
                        "client_id": {"type": "string"},
                        "client_assertion_type": {"const": ASSERTION_TYPE},
                        "client_assertion": {"type": "string", "description": "RFC 7523."},
                    },
                },
                "examples": {
                    "secret": {
                        "summary": "With Basic authentication",
                        "value": {"grant_type": "client_credentials", "scope": "send inbox"},
                    },
                },
            }
        },
    }
}


class TokenRefused(Rejected):
    """
    The request for a token is malformed, in the words of RFC 6749 section 5.2.
    """

    code: ClassVar[str] = "invalid-request"


class UnsupportedGrantType(Rejected):
    """
    Another grant type than `client_credentials`.
    """

    code: ClassVar[str] = "unsupported-grant-type"


class ClientUnproven(Rejected):
    """
    The request for a token carries no proof of the client.
    """

    code: ClassVar[str] = "invalid-client"


class TokenAnswer(BaseModel):
    """
    An access token (RFC 6749 section 5.1).
    """

    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - the type's name, no secret
    expires_in: int
    scope: str


class TokenError(BaseModel):
    """
    A refusal as OAuth clients expect it (RFC 6749 section 5.2), with our own code beside it.
    """

    error: str
    error_description: str
    error_uri: str
    code: str
    correlation_id: str


def add_token(app: FastAPI, context: Context) -> None:
    """
    Add the token endpoint.
    """

    @app.post(
        "/oauth2/token",
        tags=["access"],
        summary="Get an access token",
        response_model=TokenAnswer,
        responses=_responses(),
        openapi_extra=_FORM,
    )
    async def issue_token(request: Request, authorization: Annotated[str | None, Header()] = None) -> Response:
        try:
            question = _read_form(await _read_fields(request, context), authorization)
            issued = await context.bus.ask(ISSUE_TOKEN, question)
        except AxisError as error:
            return _write_error(context.settings.public_url, error)
        body = TokenAnswer(
            access_token=issued.access_token, expires_in=issued.expires_in, scope=" ".join(issued.scopes)
        )
        return write_json(body, headers={"Pragma": "no-cache"})


def _responses() -> dict[int | str, dict[str, Any]]:
    codes = ("invalid-request", "invalid-scope", "agency-not-yours", "unsupported-grant-type", "invalid-client")
    answers = problems(*codes, "request-too-large", "wrong-media-type")
    for answer in answers.values():
        answer["content"] = {
            "application/json": {"schema": {"$ref": "#/components/schemas/TokenError"}},
            PROBLEM_MEDIA_TYPE: answer["content"][PROBLEM_MEDIA_TYPE],
        }
    return answers


async def _read_fields(request: Request, context: Context) -> dict[str, str]:
    check_media_type(request, FORM_TYPES)
    settings = context.settings
    body = await read_small(request, max_bytes=settings.max_json_bytes, idle_seconds=settings.body_idle_seconds)
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=50)
    except ValueError:
        raise TokenRefused("the body is not a form in UTF-8") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise TokenRefused("each parameter may stand only once")
    if any("\0" in text for pair in pairs for text in pair):
        raise TokenRefused("the character NUL may stand nowhere")
    return fields


def _read_form(fields: dict[str, str], authorization: str | None) -> IssueToken:
    if not fields.get("grant_type"):
        raise TokenRefused("`grant_type` is missing")
    if fields["grant_type"] != "client_credentials":
        raise UnsupportedGrantType("use `grant_type=client_credentials`")
    scopes, agencies = fields.get("scope", "").split(), fields.get("agencies", "").split()
    if len(scopes) > _MAX_NAMES or len(agencies) > _MAX_NAMES:
        raise TokenRefused(f"at most {_MAX_NAMES} scopes and agencies may be named")
    client_id = fields.get("client_id") or None
    assertion = fields.get("client_assertion")
    if authorization is not None and assertion is not None:
        raise TokenRefused("prove the client in one way, not in two")
    if authorization is not None:
        client_id, secret = _read_basic(authorization)
        return IssueToken(client_id=client_id, client_secret=secret, scopes=tuple(scopes), agencies=tuple(agencies))
    if assertion is None:
        raise ClientUnproven("authenticate with Basic, or send `client_assertion`")
    if fields.get("client_assertion_type") != ASSERTION_TYPE:
        raise TokenRefused(f"`client_assertion_type` must be {ASSERTION_TYPE}")
    if len(assertion) > _MAX_ASSERTION or (client_id is not None and len(client_id) > _MAX_NAME):
        raise TokenRefused("a parameter is too long")
    return IssueToken(client_id=client_id, client_assertion=assertion, scopes=tuple(scopes), agencies=tuple(agencies))


def _read_basic(authorization: str) -> tuple[str, str]:
    """
    Source:
        RFC 7617 section 2; RFC 6749 section 2.3.1: both halves are form-encoded first.
    """
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise ClientUnproven("authenticate with Basic, or send `client_assertion`")
    try:
        client_id, colon, secret = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except ValueError:
        raise ClientUnproven("the Basic credentials cannot be read") from None
    client_id, secret = unquote_plus(client_id), unquote_plus(secret)
    if not colon or max(len(client_id), len(secret)) > _MAX_NAME or "\0" in client_id + secret:
        raise ClientUnproven("the Basic credentials cannot be read")
    return client_id, secret


def _write_error(public_url: str, error: AxisError) -> Response:
    if not isinstance(error, (Rejected, Unavailable)):
        raise error
    kind = PROBLEMS.get(error.problem_code, PROBLEMS["unavailable" if isinstance(error, Unavailable) else "rejected"])
    headers = {"Cache-Control": "no-store", "Pragma": "no-cache"}
    if isinstance(error, Unavailable):
        headers["Retry-After"] = str(error.retry_after)
    if kind.status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="axis"'
    known = {"invalid-client", "invalid-scope", "unsupported-grant-type"}
    name = error.problem_code.replace("-", "_") if error.problem_code in known else "invalid_request"
    body = TokenError(
        error="temporarily_unavailable" if isinstance(error, Unavailable) else name,
        error_description=error.detail,
        error_uri=f"{public_url.rstrip('/')}/problems/{kind.code}",
        code=error.problem_code,
        correlation_id=correlation_id(),
    )
    return JSONResponse(body.model_dump(), status_code=kind.status, headers=headers)
