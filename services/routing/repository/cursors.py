"""Opaque cursors: where a page ended, as text that only we read."""

import base64
import binascii
import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from services.routing.errors import RequestInvalid
from shared.errors import FieldError

_MAX_NUMBER = 2**15
"""Numbers in our sort keys are lanes; the database holds them in two bytes."""


def write_cursor(*members: int | datetime | UUID) -> str:
    """
    Write the sort key of the last row of a page.
    """
    plain = [member.isoformat() if isinstance(member, datetime) else member for member in members]
    text = json.dumps([str(member) if isinstance(member, UUID) else member for member in plain])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(cursor: str | None, *kinds: type[Any]) -> tuple[Any, ...] | None:
    """
    Read a sort key back; None where there is no cursor.

    Raises:
        RequestInvalid: It is not one of ours.
    """
    if cursor is None:
        return None
    try:
        members = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(members, list) or len(members) != len(kinds):
            raise ValueError(cursor)  # noqa: TRY301 - all ways of being wrong end alike
        return tuple(_read(member, kind) for member, kind in zip(members, kinds, strict=True))
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError, binascii.Error) as malformed:
        detail = "Con trỏ trang không hợp lệ. / The cursor is not one this list gave out."
        error = FieldError(pointer="/cursor", code="cursor-invalid", detail=detail)
        raise RequestInvalid(detail, errors=[error]) from malformed


def _read(member: Any, kind: type[Any]) -> Any:
    if kind is datetime:
        moment = datetime.fromisoformat(member)
        if moment.tzinfo is None:
            raise ValueError(member)
        return moment.astimezone(UTC)  # here, since a moment at the very end of time has no place in another zone
    if kind is int and not (isinstance(member, int) and abs(member) < _MAX_NUMBER):
        raise ValueError(member)
    return kind(member)
