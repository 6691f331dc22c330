"""
What can go wrong between an agency and its node, sorted by what helps.

    ClientError
    ├── ProblemError            the node answered with a problem; `code` is the one of its public page
    │   ├── Rejected            change something: the same call will be refused again
    │   ├── Unavailable         wait: the same call may work later
    │   └── NodeFault           a defect of the node; report the correlation id
    ├── NodeUnreachable         no answer at all
    ├── CredentialInvalid       the credential file cannot be used
    ├── ReceiptInvalid          what the node gave is no receipt for what was sent
    ├── DigestMismatch          what was fetched is not what was announced
    └── WebhookInvalid          a notification that the node did not send, or not now
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

_LATER = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)


class ClientError(Exception):
    """
    Anything this library raises on purpose.
    """


class ProblemEntry(BaseModel):
    """
    One finding about one place of what was sent.

    Attributes:
        pointer: JSON Pointer into the request, or path of an element in the packet.
        line: Line of the packet, counted from 1, where the place has one.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    pointer: str = ""
    code: str = ""
    detail: str = ""
    line: int | None = None


class ProblemError(ClientError):
    """
    The node answered with a problem (RFC 9457).

    Attributes:
        code: Stable code such as `packet-invalid`.
        status: HTTP status.
        title: Fixed sentence of the code.
        detail: What is wrong in this case.
        remedy: What to do; empty where the node names nothing.
        errors: One entry per place found wrong.
        correlation_id: What the operator of the node finds the request by.
        retry_after: Seconds the node asks to wait; None where it asks for nothing.
    """

    def __init__(
        self,
        code: str,
        status: int,
        detail: str,
        *,
        title: str = "",
        remedy: str = "",
        errors: Sequence[ProblemEntry] = (),
        correlation_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail or title}")
        self.code = code
        self.status = status
        self.title = title
        self.detail = detail
        self.remedy = remedy
        self.errors = tuple(errors)
        self.correlation_id = correlation_id
        self.retry_after = retry_after


class Rejected(ProblemError):
    """
    The request was understood and refused; change it before sending it again.
    """


class Unavailable(ProblemError):
    """
    The node cannot do it now; every retry allowed has been made.
    """


class NodeFault(ProblemError):
    """
    The node failed in a way it did not foresee; its operator finds the cause by the correlation id.
    """


class NodeUnreachable(ClientError):
    """
    Nothing answered at the address of the node, after every retry allowed.

    Attributes:
        url: The address tried.
    """

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"no answer from {url}: {reason}")
        self.url = url
        self.reason = reason


class CredentialInvalid(ClientError):
    """
    The credential file is missing, readable by others, or does not hold what is needed.
    """


class ReceiptInvalid(ClientError):
    """
    What the node gave is no receipt for what was sent; keep both and ask its operator.
    """


class DigestMismatch(ClientError):
    """
    The bytes fetched are not the bytes announced; do not use them.
    """


class WebhookInvalid(ClientError):
    """
    A notification whose signature, age or form is wrong; answer it with 400 and do nothing else.
    """


def problem_of(response: httpx.Response) -> ProblemError:
    """
    Turn an answer of 400 and above, already read, into the exception that mirrors it.
    """
    body = _json_object(response)
    status = response.status_code
    # The token endpoint may answer in the older form of RFC 6749 section 5.2.
    code = body.get("code") or body.get("error") or f"http-{status}"
    detail = body.get("detail") or body.get("error_description") or ""
    kind: type[ProblemError] = Rejected
    if status in _LATER:
        kind = Unavailable
    elif status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        kind = NodeFault
    return kind(
        str(code),
        status,
        str(detail),
        title=str(body.get("title") or response.reason_phrase),
        remedy=str(body.get("remedy") or ""),
        errors=_entries(body.get("errors")),
        correlation_id=body.get("correlation_id") or response.headers.get("X-Correlation-Id"),
        retry_after=retry_after_of(response),
    )


def retry_after_of(response: httpx.Response) -> float | None:
    """
    Read `Retry-After` in seconds; the form with a date is not written by a node and is passed over.
    """
    written = response.headers.get("Retry-After", "").strip()
    return float(written) if written.isdigit() else None


def _json_object(response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _entries(found: object) -> tuple[ProblemEntry, ...]:
    entries = []
    for one in found if isinstance(found, list) else ():
        try:
            entries.append(ProblemEntry.model_validate(one))
        except ValidationError:
            entries.append(ProblemEntry(detail=str(one)))
    return tuple(entries)
