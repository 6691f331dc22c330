"""Identifiers of agencies in both forms, and the identifiers we make ourselves."""

import os
import re
import uuid
from collections import deque
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from uuid import UUID

from shared.clock import Clock

VIETNAM = timezone(timedelta(hours=7), "Asia/Ho_Chi_Minh")
"""Vietnam has had one offset since 1975 and no summer time, so a fixed one serves and needs no zone data."""

AGENCY_NAMESPACE = UUID("6f1f5d0e-6a55-5c53-9f0e-7d3f3d8f4b10")
"""Fixed for ever: every node derives the same key for the same agency from it."""

_OLD_FORM = re.compile(r"\d{3}\.\d{2}\.\d{2}\.[A-Z]\d{2}")
_NEW_FORM = re.compile(r"[A-Z]\d{2}(\.[0-9A-Z]{1,4}){0,6}")
MAX_CODE_LENGTH = 35
"""Decision 20/2020/QĐ-TTg, article 4."""

_IRREGULAR_FORM = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]*(\.[0-9A-Za-z_-]+)+")

_FETCHED_AT_ONCE = 128

IdSource = Callable[[], UUID]


def is_old_form(code: str) -> bool:
    """
    Tell whether a code has the form of QCVN 102:2016, such as `000.02.19.H43`.
    """
    return _OLD_FORM.fullmatch(code) is not None


def is_new_form(code: str) -> bool:
    """
    Tell whether a code has the form of decision 20/2020/QĐ-TTg, such as `H43.19.02`.
    """
    return len(code) <= MAX_CODE_LENGTH and _NEW_FORM.fullmatch(code) is not None


def is_irregular_form(code: str) -> bool:
    """
    Tell whether a code is none of the two forms and yet one that others have given out, such as `vxp.saas.01`.

    A code of the new form in small letters is a slip and no identifier.
    """
    regular = is_new_form(code.upper()) or is_old_form(code)
    return len(code) <= MAX_CODE_LENGTH and not regular and _IRREGULAR_FORM.fullmatch(code) is not None


def new_form_of(code: str) -> str:
    """
    Turn an old-form code into the new form by the default rule; any other code is returned as it is.

    The groups are reversed and those of zeros only are dropped. The register's own table has precedence: provinces
    re-issued their lists, so a number may differ.
    """
    if not is_old_form(code):
        return code
    groups = code.split(".")
    return ".".join(group for group in reversed(groups) if group.strip("0"))


def agency_key(code: str, valid_from: date) -> UUID:
    """
    Give the immutable internal key of an agency, equal on every node that imports the same row.

    Args:
        code: Identifier in the new form.
        valid_from: First day of validity.
    """
    return uuid.uuid5(AGENCY_NAMESPACE, f"{code}|{valid_from.isoformat()}")


def start_of_day(day: date) -> datetime:
    """
    Give the moment a day begins in Vietnam.
    """
    return datetime.combine(day, time.min, VIETNAM)


class _Entropy:
    """
    Randomness of the system, fetched for many identifiers at once: each visit to the kernel lets go of the interpreter,
    and getting it back costs more than everything else about an identifier. Every piece asked for has the same size.
    """

    def __init__(self) -> None:
        self._pieces: deque[bytes] = deque()  # taking from it is one step, also for threads

    def __call__(self, size: int) -> bytes:
        try:
            return self._pieces.popleft()
        except IndexError:
            fetched = os.urandom(size * _FETCHED_AT_ONCE)
            self._pieces.extend(fetched[start : start + size] for start in range(size, len(fetched), size))
            return fetched[:size]


class Uuid7Source:
    """
    Makes UUIDv7: 48 bits of milliseconds, then 12 bits that rise within a millisecond, then chance.

    Rising within a process keeps index pages together and rows made by one process in order.

    Source:
        RFC 9562 section 5.7 and section 6.2 method 1.
    """

    def __init__(self, clock: Clock, entropy: Callable[[int], bytes] | None = None) -> None:
        self._clock = clock
        self._entropy = entropy or _Entropy()
        self._last = 0

    def __call__(self) -> UUID:
        stamp = int(self._clock.now().timestamp() * 1000) << 12
        self._last = max(stamp, self._last + 1)
        chance = int.from_bytes(self._entropy(8)) & ((1 << 62) - 1)
        milliseconds, sequence = self._last >> 12, self._last & 0xFFF
        return UUID(int=(milliseconds << 80) | (0x7 << 76) | (sequence << 64) | (0b10 << 62) | chance)
