"""
How a call proves who makes it: an HMAC over a JSON copy of the parameters, which themselves travel as headers.

The axis knows its clients by what the public SDK sends, so names, spelling and constants are the SDK's.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Final

PREFIX: Final = "XroadVnpt-"
USER_AGENT: Final = "JAVASDKAgent/1.0.0 XRoad/VPCP"
VERSION: Final = "3.0.201608"

VIETNAM: Final = timezone(timedelta(hours=7))


@dataclass(frozen=True)
class Credentials:
    """
    What the axis gave us.

    Attributes:
        system_id: Code of our system.
        secret: Used as text, even where it looks like base64.
    """

    system_id: str
    secret: str = field(repr=False)


def sign(
    credentials: Credentials, parameters: Mapping[str, str], *, content_type: str, now: datetime
) -> dict[str, str]:
    """
    Make every header of a call.

    Args:
        credentials: Who calls.
        parameters: The call's own, without the prefix.
        content_type: Of the body; signed too.
        now: Moment of the call; aware.

    Raises:
        ValueError: A value does not survive as a header: it is not printable ASCII.
    """
    signed = {
        "systemid": credentials.system_id,
        **parameters,
        "timestamp": write_timestamp(now),
        "Content-Type": content_type,
    }
    for name, value in signed.items():
        if not (value.isascii() and value.isprintable()):
            raise ValueError(f"the parameter {name} must be printable ASCII")
    loose = {f"{PREFIX}{name}": value for name, value in signed.items()}
    text = json.dumps(loose, ensure_ascii=False, separators=(",", ":"))
    return {
        "Content-Type": content_type,
        **loose,
        f"{PREFIX}sign-header-key": ";".join(signed),
        f"{PREFIX}sign-header": text,
        f"{PREFIX}hash-header": hmac.new(credentials.secret.encode(), text.encode(), hashlib.sha256).hexdigest(),
        f"{PREFIX}version": VERSION,
        "User-Agent": USER_AGENT,
    }


def write_timestamp(moment: datetime) -> str:
    """
    Write a moment as the SDK does: local time, and after the plus not a zone but four digits of milliseconds.
    """
    local = moment.astimezone(VIETNAM)
    return f"{local:%d%m%YT%H%M%S}+{local.microsecond // 1000:04d}"


def write_hash(sha256: str) -> str:
    """
    Write a digest as the SDK does: each byte without its leading zero, so that it may have fewer than 64 digits.
    """
    return "".join(f"{byte:x}" for byte in bytes.fromhex(sha256))


def write_codes(codes: Sequence[str]) -> str:
    """
    Write the parameter `to`: the text of a JSON array.
    """
    return json.dumps(list(codes), separators=(",", ":"))
