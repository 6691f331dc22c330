"""
The error tree, sorted by one question: is trying again useful?

    AxisError
    ├── Rejected       the caller must change something    4xx   a message is acknowledged
    ├── Unavailable    the same call may work later        503   a message is retried with back-off
    └── (anything else is a defect)                        500   a message is set aside after the limit
"""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class FieldError(BaseModel):
    """
    One finding about one place of what the caller sent.

    Attributes:
        pointer: JSON Pointer into the request, or the path of an element in the packet.
        code: Stable, in kebab case.
        detail: One sentence that says what to change.
        line: Line of the packet, counted from 1, where the place has one.
    """

    model_config = ConfigDict(frozen=True)

    pointer: str
    code: str
    detail: str
    line: int | None = None


class AxisError(Exception):
    """
    Anything the axis raises on purpose.
    """


class Rejected(AxisError):
    """
    The request was understood and refused; the same request will be refused again.

    A subclass per case carries the stable `code`; its docstring says what happened and what to do.
    """

    code: ClassVar[str] = "rejected"

    def __init__(self, detail: str, *, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)

    @property
    def problem_code(self) -> str:
        """
        The code the caller sees.
        """
        return type(self).code


class RejectedElsewhere(Rejected):
    """
    Another service refused; its code and words are passed on unchanged.
    """

    def __init__(self, code: str, detail: str, *, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(detail, errors=errors)
        self._code = code

    @property
    def problem_code(self) -> str:
        return self._code


class Unavailable(AxisError):
    """
    Lost, late or overloaded: the same call may work later.

    Args:
        detail: What is out of reach, in words for the operator; never a secret.
        retry_after: Seconds after which trying again is sensible.
    """

    code: ClassVar[str] = "unavailable"

    def __init__(self, detail: str, *, retry_after: int = 1) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after

    @property
    def problem_code(self) -> str:
        """
        The code the caller sees.
        """
        return type(self).code


class UnavailableElsewhere(Unavailable):
    """
    Another service could not answer; its code and words are passed on unchanged.
    """

    def __init__(self, code: str, detail: str, *, retry_after: int = 1) -> None:
        super().__init__(detail, retry_after=retry_after)
        self._code = code

    @property
    def problem_code(self) -> str:
        return self._code
