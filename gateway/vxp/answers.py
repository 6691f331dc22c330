"""How everything is said: JSON in ASCII, with the members that clients fail without."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any, Final

from starlette.responses import Response, StreamingResponse
from starlette.types import Scope

from gateway.errors import TooMany
from gateway.problems import PROBLEMS, ProblemKind
from gateway.vxp.errors import VxpHeaderNotAscii
from gateway.vxp.operations import VxpOperation, find_operation
from shared.errors import FieldError, Rejected, Unavailable
from shared.telemetry import get_logger

_logger = get_logger(__name__)

JSON_TYPE: Final = "application/json"
_DONE: Final = {"status": "OK", "ErrorCode": "0", "ErrorDesc": "Thanh cong"}
_MAX_FINDINGS: Final = 5
_MAX_WORDS: Final = 2_000
_LOCAL: Final = timezone(timedelta(hours=7))

CLOSE: Final = {"Connection": "close"}
"""Clients open a connection for each call and leave it open until their garbage is collected."""

_CODES: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        (
            "vxp-signature",
            "vxp-source",
            "vxp-header-mismatch",
            "vxp-header-not-ascii",
            "token-missing",
            "token-invalid",
            "scope-missing",
            "invalid-client",
        ),
        "15",
    ),
    "addressees-refused": "18",
    **dict.fromkeys(("sender-not-yours", "agency-not-yours"), "19"),
    **dict.fromkeys(("internal-error", "unavailable", "too-many", "too-many-uploads", "storage-low"), "20"),
    **dict.fromkeys(
        ("body-incomplete", "upload-too-slow", "blob-missing", "length-required", "packet-too-large"), "21"
    ),
    **dict.fromkeys(
        (
            "packet-malformed",
            "packet-invalid",
            "document-id-missing",
            "document-id-reused",
            "secrecy-mark",
            "signature-missing",
            "signature-failed",
            "signer-not-bound",
        ),
        "22",
    ),
}
"""Codes as a connection guide of a province has them, by our own; all others are calls that say something wrong."""

_WRONG_CALL: Final = "10"
_SYSTEM_ERROR: Final = "20"
_RECEIVER_LOCKED: Final = "23"
_UNPROVEN: Final = "15"


def done(**more: Any) -> Response:
    """
    Say that an operation worked.
    """
    return Response(write(_DONE | more), media_type=JSON_TYPE, headers=CLOSE)


async def done_with_list(items: AsyncIterator[Mapping[str, Any]]) -> Response:
    """
    Say that an operation worked, with a list that is read while it leaves. What goes wrong before the first item is
    refused; what goes wrong later breaks the line, since a list that ends early would read as all there is.
    """
    first = await anext(items, None)
    return StreamingResponse(_list(first, items), media_type=JSON_TYPE, headers=CLOSE)


async def _list(first: Mapping[str, Any] | None, items: AsyncIterator[Mapping[str, Any]]) -> AsyncIterator[bytes]:
    yield opening("data") + b"["
    if first is not None:
        yield write(first)
        async for item in items:
            yield b"," + write(item)
    yield b"]}"


def opening(member: str) -> bytes:
    """
    Begin a good answer up to the value of its last member.
    """
    return write(_DONE)[:-1] + f',"{member}":'.encode()


def write(value: Mapping[str, Any]) -> bytes:
    """
    Write JSON in ASCII: one client reads some answers as US-ASCII. Members without a value are left out: a null costs
    clients the whole list.
    """
    present = {name: member for name, member in value.items() if member is not None}
    return json.dumps(present, ensure_ascii=True, separators=(",", ":")).encode("ascii")


def write_time(moment: datetime) -> str:
    """
    Write a moment as people in Viet Nam read it.
    """
    return moment.astimezone(_LOCAL).strftime("%d/%m/%Y %H:%M:%S")


def read_time(text: str) -> datetime | None:
    """
    Read a moment that a client wrote; None where it is none.
    """
    for form in ("%d/%m/%Y %H:%M:%S", "%d/%m/%Y"):
        try:
            return datetime.strptime(text.strip(), form).replace(tzinfo=_LOCAL)
        except ValueError:
            continue
    return None


def refuse_unreadable(path: str) -> Response:
    """
    Refuse a call whose head could not even be parsed.
    """
    words = (
        "Không đọc được header, thường do chữ có dấu trong tham số. / The head cannot be read; most often a parameter "
        "has letters beyond ASCII, which this client garbles into control characters."
    )
    response = VxpRefusals().answer({"path": path}, VxpHeaderNotAscii(words))
    response.headers["Connection"] = "close"
    return response


class VxpRefusals:
    """
    Turns anything raised into an answer that both generations of the client read.
    """

    def answer(self, scope: Scope, error: Exception) -> Response:
        """
        Make the answer to what was raised.
        """
        operation = find_operation(scope["path"])
        refusal = error if isinstance(error, (Rejected, Unavailable)) else None
        if refusal is None or refusal.problem_code not in PROBLEMS:
            _logger.error("call met a defect", path=scope["path"], exc_info=error)
            kind = PROBLEMS["unavailable" if isinstance(refusal, Unavailable) else "internal-error"]
            words = kind.example
        else:
            kind, words = PROBLEMS[refusal.problem_code], refusal.detail
        _logger.info("call refused", operation=operation or "unknown", code=kind.code)
        headers = _headers(operation, kind.code, refusal)
        if operation is VxpOperation.DOWNLOAD_EDOC:
            # The client stores every byte that comes as the document, whatever the status says.
            return Response(status_code=kind.status, headers=headers)
        findings = refusal.errors if isinstance(refusal, Rejected) else ()
        body = write_refusal(kind, words, findings)
        status = _status(kind.status, _number(kind, findings))
        return Response(body, status_code=status, media_type=JSON_TYPE, headers=headers)


def write_refusal(kind: ProblemKind, words: str, findings: Sequence[FieldError] = ()) -> bytes:
    """
    Write a refusal with every member that some operation of some release cannot be without.
    """
    named = [f"{finding.pointer}: {finding.detail}" for finding in findings[:_MAX_FINDINGS]]
    text = " ".join([f"{kind.title.vi} / {kind.title.en}:", words, *named])[:_MAX_WORDS]
    number = _number(kind, findings)
    return write({"status": "FAIL", "ErrorCode": number, "ErrorDesc": f"{text} ({kind.code})", "DocId": "", "data": ""})


def _number(kind: ProblemKind, findings: Sequence[FieldError]) -> str:
    if findings and all(finding.code == "addressee-closed" for finding in findings):
        return _RECEIVER_LOCKED
    return _CODES.get(kind.code, _SYSTEM_ERROR if kind.status >= 500 else _WRONG_CALL)


def _headers(operation: VxpOperation | None, code: str, refusal: Rejected | Unavailable | None) -> dict[str, str]:
    headers = {"Axis-Problem": code, "Cache-Control": "no-store"}
    if isinstance(refusal, (Unavailable, TooMany)):
        headers["Retry-After"] = str(refusal.retry_after)
    if operation is not VxpOperation.SEND_EDOC or code in {"body-incomplete", "upload-too-slow"}:
        # A package may still be on its way when it is refused: its sender reads nothing before it has sent all.
        headers |= CLOSE
    return headers


def _status(status: int, number: str) -> int:
    """
    Clients ignore it, except that some try again on 5xx: what is worth trying again says so, all else is an answer.
    """
    if number == _SYSTEM_ERROR:
        return status if status >= 500 else 503
    return 401 if number == _UNPROVEN else 200
