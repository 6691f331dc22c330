"""Moments and days that callers name: any that a calendar, a database and a time zone can all hold."""

from datetime import UTC, date, datetime
from typing import Annotated, Final

from pydantic import AfterValidator, AwareDatetime

_FIRST: Final = datetime(1900, 1, 1, tzinfo=UTC)
_LAST: Final = datetime(2200, 1, 1, tzinfo=UTC)


def _check_moment(value: datetime) -> datetime:
    if not _FIRST <= value < _LAST:
        raise ValueError("a moment from 1900 to 2199 is expected")
    return value


def _check_day(value: date) -> date:
    if not _FIRST.date() <= value < _LAST.date():
        raise ValueError("a day from 1900 to 2199 is expected")
    return value


GivenMoment = Annotated[AwareDatetime, AfterValidator(_check_moment)]
GivenDay = Annotated[date, AfterValidator(_check_day)]
