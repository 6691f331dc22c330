"""Cursors of lists: where the next page begins, opaque to the caller."""

import base64
import json
from collections.abc import Sequence

from services.registry.errors import CursorInvalid


def write_cursor(*values: str) -> str:
    """
    Write the sort values of a page's last item.
    """
    return base64.urlsafe_b64encode(json.dumps(values).encode()).rstrip(b"=").decode()


def read_cursor(cursor: str, count: int) -> Sequence[str]:
    """
    Read them again.

    Raises:
        CursorInvalid: It is not a cursor of this list.
    """
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        values = json.loads(text)
        json.dumps(values, ensure_ascii=False).encode()  # half surrogate pairs: legal in JSON, but no text
    except (ValueError, RecursionError) as error:
        raise CursorInvalid("this cursor was not given out by the list") from error
    good = isinstance(values, list) and len(values) == count
    if not good or not all(isinstance(value, str) and "\0" not in value for value in values):
        raise CursorInvalid("this cursor was not given out by the list")
    return tuple(values)
