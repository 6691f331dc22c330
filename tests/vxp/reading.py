"""
What the two generations of the Java client make of an answer, odd ones included.

None stands for a null result: callers treat it as fatal, or take an empty inbox for the truth. The rules are those
measured with the real client; each has a test in `test_reading.py`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.vxp.line import Answer

Release = Literal["2.0.0", "2.0.1"]

LOCAL_FAILURE = "100"


@dataclass(frozen=True)
class Result:
    """
    The members a caller sees; None where the client found nothing it could read.
    """

    status: str | None = None
    error_code: str | None = None
    error_desc: str | None = None
    doc_id: str | None = None
    data: Any = None
    count: int | None = None
    answer: Answer | None = field(default=None, compare=False, repr=False)

    @property
    def ok(self) -> bool:
        return self.status == "OK" and self.error_code == "0"


class _Unreadable(Exception):
    """What the client catches and swallows."""


def read_common(answer: Answer) -> Result | None:
    """
    Read an answer that has the three members and no more.
    """
    body = _object(answer.decoded())
    if body is None:
        return Result(answer=answer) if _is_empty_success(answer) else None
    try:
        return Result(**_three(body), answer=answer)
    except _Unreadable:
        return Result(answer=answer)


def read_sent(release: Release, answer: Answer) -> Result | None:
    """
    Read the answer to `sendEdoc`: no content coding is taken off, and 2.0.1 reads US-ASCII.
    """
    text = answer.body.decode("ascii" if release == "2.0.1" else "utf-8", "replace")
    body = _object(text.encode())
    if body is None:
        return Result(answer=answer) if _is_empty_success(answer) else None
    try:
        return Result(**_three(body), doc_id=_text(body, "DocId"), answer=answer)
    except _Unreadable:
        return Result(answer=answer)


def read_list(release: Release, answer: Answer, members: Mapping[str, type], *, inbox: bool = False) -> Result | None:
    """
    Read a list: one member that is null, or of another type, and the whole list is lost.
    """
    body = _object(answer.decoded())
    if body is None:
        if _is_empty_success(answer):
            return Result(answer=answer)
        if inbox and release == "2.0.1":
            return Result("OK", "0", "", data=[], answer=answer)
        return None
    try:
        three = _three(body)
    except _Unreadable:
        return Result(answer=answer)
    rows = body.get("data")
    if three["error_code"] != "0" or not isinstance(rows, list):
        return Result(**three, answer=answer)
    for row in rows:
        if not isinstance(row, dict):
            return Result(**three, answer=answer)
        for name, kind in members.items():
            if name in row and type(row[name]) is not kind:
                return Result(**three, answer=answer)
    return Result(**three, data=[{name: row[name] for name in members if name in row} for row in rows], answer=answer)


def read_package(release: Release, answer: Answer) -> Result | None:
    """
    Read the answer to `getEdoc`.
    """
    body = _object(answer.decoded())
    if body is None:
        return Result(answer=answer) if _is_empty_success(answer) else None
    try:
        three = _three(body)
        data = _text(body, "data") if release == "2.0.0" or three["status"] != "FAIL" else None
    except _Unreadable:
        return Result(answer=answer)
    return Result(**three, data=data, answer=answer)


def read_download(answer: Answer) -> Result:
    """
    Read the answer to `downloadEdoc`: every byte is the document, whatever the status says.
    """
    if not answer.body:
        return Result("FAIL", LOCAL_FAILURE, "", answer=answer)
    return Result("OK", "0", "", data=answer.body, answer=answer)


def read_count(answer: Answer) -> Result | None:
    """
    Read a counter.
    """
    result = read_common(answer)
    body = _object(answer.decoded())
    if result is None or body is None or not result.ok or type(body.get("count")) is not int:
        return result
    return Result(result.status, result.error_code, result.error_desc, count=body["count"], answer=answer)


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(body)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _is_empty_success(answer: Answer) -> bool:
    return not answer.body and answer.status == 200


def _three(body: dict[str, Any]) -> dict[str, str]:
    code = body.get("ErrorCode")
    if type(code) is int:
        code = str(code)
    if not isinstance(code, str):
        raise _Unreadable
    return {"status": _text(body, "status"), "error_code": code, "error_desc": _text(body, "ErrorDesc")}


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str):
        raise _Unreadable
    return value
