"""The correlation id: one string that follows a request through every process and log line."""

import re
import secrets
from contextvars import ContextVar

_correlation_id: ContextVar[str] = ContextVar("correlation_id", default="")
_WELL_FORMED = re.compile(r"[A-Za-z0-9._:-]{8,128}")


def new_correlation_id() -> str:
    """
    Make a fresh one: 32 hex digits.
    """
    return secrets.token_hex(16)


def correlation_id() -> str:
    """
    The one of the work at hand; empty outside any request.
    """
    return _correlation_id.get()


def bind_correlation_id(value: str) -> None:
    """
    Set it for the current task and what it starts.
    """
    _correlation_id.set(value)


def well_formed(value: str) -> bool:
    """
    Tell whether a caller's own id may be kept: 8 to 128 harmless characters.
    """
    return _WELL_FORMED.fullmatch(value) is not None
