"""Rules of business statuses: which need a reason, and when one is the same again."""

import hashlib
from datetime import datetime
from typing import Any, Final

import rfc8785

from services.routing.errors import RequestInvalid
from shared.contracts.base import write_moment
from shared.errors import FieldError

NEED_DESCRIPTION: Final = frozenset({"02", "16"})
"""02 (returned) and 16 (recall, update or replacement refused) must say why."""


def check_description(code: str, description: str) -> None:
    """
    Demand a reason where one is needed.

    Raises:
        RequestInvalid: There is none.
    """
    if code in NEED_DESCRIPTION and not description.strip():
        detail = f"Trạng thái {code} phải nêu lý do. / Status {code} needs a reason in `description`."
        raise RequestInvalid(
            detail, errors=[FieldError(pointer="/description", code="description-missing", detail=detail)]
        )


def content_digest(code: str, description: str, staff: dict[str, Any] | None, at: datetime | None) -> str:
    """
    Digest by which a repeat is known: hex SHA-256 over what the addressee said, the moment only if it gave one.
    """
    content = {
        "code": code,
        "description": description,
        "staff": staff,
        "at": None if at is None else write_moment(at),
    }
    return hashlib.sha256(rfc8785.dumps(content)).hexdigest()
