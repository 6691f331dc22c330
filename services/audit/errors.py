"""
Refusals of audit.

    Rejected
    ├── NotFound          no such event, leaf or signed head
    └── RequestInvalid    the question contradicts itself
"""

from typing import ClassVar

from shared.errors import Rejected


class NotFound(Rejected):
    """
    The journal holds no such event or leaf, or no signed head of that size. Check the identifier; an event that has
    just happened appears within seconds.
    """

    code: ClassVar[str] = "not-found"


class RequestInvalid(Rejected):
    """
    The question contradicts itself: name an event either by its id or by its leaf number, and sizes in rising order.
    """

    code: ClassVar[str] = "request-invalid"
