"""The forms every contract takes."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Annotated, ClassVar, Generic, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, PlainSerializer

MAX_ITEMS = 500
"""What concerns deliveries, agencies or signatures travels in packs of 1 to 500, so a fan-out stays a few messages."""


def write_moment(value: datetime) -> str:
    """
    Write a moment wherever one travels or is signed: RFC 3339 in UTC with microseconds and `Z`.
    """
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


Moment = Annotated[AwareDatetime, PlainSerializer(write_moment, return_type=str, when_used="json")]
"""A moment; aware, written as RFC 3339 in UTC with `Z`."""


class Contract(BaseModel):
    """
    A shape on the bus. Unknown fields are ignored, so that two versions can run side by side.
    """

    # Errors quote no input: they are logged, and it may hold secrets and names.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Lane(IntEnum):
    """
    Urgency of a document (độ khẩn); higher goes first everywhere.
    """

    ORDINARY = 0
    """Thường."""
    URGENT = 1
    """Khẩn."""
    VERY_URGENT = 2
    """Thượng khẩn."""
    EXPRESS = 3
    """Hỏa tốc."""
    EXPRESS_TIMED = 4
    """Hỏa tốc hẹn giờ."""


class Event(Contract):
    """
    Something that happened, named in the past tense.

    Carries identifiers, codes, times and digests only: the journal keeps every event for ever, so nothing that the law
    may order erased (names, telephone numbers, reasons in free text, trích yếu) may stand in one.
    """

    topic: ClassVar[str]


RequestT = TypeVar("RequestT", bound=Contract)
ReplyT = TypeVar("ReplyT", bound=Contract)


@dataclass(frozen=True)
class Operation(Generic[RequestT, ReplyT]):
    """
    A question one service answers.

    Attributes:
        name: `<service>.<verb>_<object>`.
        request: Shape of the question.
        reply: Shape of the answer; a refusal travels as a problem instead.
    """

    name: str
    request: type[RequestT]
    reply: type[ReplyT]

    @property
    def service(self) -> str:
        """
        The service that answers.
        """
        return self.name.partition(".")[0]


class Hint(Contract):
    """
    A lossy "something changed", sent to every process; it only shortens a wait and may always be lost.
    """

    topic: ClassVar[str]


class Nothing(Contract):
    """
    An answer without content, or a question without arguments.
    """


class Health(Contract):
    """
    Whether a service can do its work now.

    Attributes:
        ready: False keeps callers away until it is true again.
        detail: What is missing, in words for the operator; empty when ready.
    """

    ready: bool
    detail: str = ""
