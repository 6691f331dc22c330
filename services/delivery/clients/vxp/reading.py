"""
Reads the JSON an axis answers with, piece by piece: a package of any size or a list of any length is never held whole.
"""

import binascii
import codecs
import json
import re
from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final

MAX_MEMBER_CHARS: Final = 65_536
"""Of one member, or of one item of the list; what is longer is not from an axis."""

BATCH_CHARS: Final = 16_384
"""A line that drips is read in steps of this size: each step may begin an item again that was not complete."""

_DATA: Final = "data"
_BLANK: Final = " \t\r\n"
_RUN: Final = re.compile(r'(?:[^"\\]++|\\[^u]|\\u[0-9a-fA-F]{4})*+')
"""Of the inside of a JSON text, all but an escape that is not complete yet."""

_decode = json.JSONDecoder(strict=False).raw_decode


class NotAnAnswer(Exception):
    """
    What came is not an answer of the protocol; the words say how.
    """


class DataKind(StrEnum):
    """
    What the member `data` turned out to be.
    """

    ABSENT = "absent"
    TEXT = "text"
    LIST = "list"


class AnswerReader:
    """
    Takes the body of an answer and gives out the bytes or the items of `data` while it comes.

    Nothing given out may be relied on before `close` has returned and `members` have been judged.

    Attributes:
        members: Every member but `data`, and `data` where it is neither text nor a list.
        kind: What `data` is.
        fault: Why `data` is not the base64 it should be; empty while it is.

    Args:
        passes_data_on: Give `data` out; else it is a member like the others.
    """

    def __init__(self, *, passes_data_on: bool = True) -> None:
        self._passes_data_on = passes_data_on
        self.fault = ""
        self.members: dict[str, Any] = {}
        self.kind = DataKind.ABSENT
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._text = ""
        self._at = 0
        self._ended = False
        self._unread = 0
        self._name = ""
        self._base64 = ""
        self._padded = False
        self._bytes: list[bytes] = []
        self._items: list[Any] = []
        self._step: Callable[[], bool] = self._read_start

    def feed(self, piece: bytes) -> None:
        """
        Read on.

        Raises:
            NotAnAnswer: No continuation can make this an answer.
        """
        try:
            text = self._decoder.decode(piece, final=self._ended)
        except UnicodeDecodeError as malformed:
            raise NotAnAnswer("it is not UTF-8") from malformed
        self._text += text
        self._unread += len(text)
        if self._unread < BATCH_CHARS and not self._ended:
            return
        self._unread = 0
        self._at = 0
        while self._step():
            pass
        self._text = self._text[self._at :]
        if len(self._text) > MAX_MEMBER_CHARS:
            raise NotAnAnswer("a member is malformed or too long")

    def close(self) -> None:
        """
        Say that nothing follows.

        Raises:
            NotAnAnswer: The answer is not complete.
        """
        self._ended = True
        self.feed(b"")
        if self._step != self._read_tail:
            raise NotAnAnswer("it is empty" if self._step == self._read_start else "it is malformed or cut off")

    def take_bytes(self) -> bytes:
        """
        Give what was decoded of a `data` that is base64 since the last time.
        """
        taken, self._bytes = b"".join(self._bytes), []
        return taken

    def take_items(self) -> list[Any]:
        """
        Give what came of a `data` that is a list since the last time.
        """
        taken, self._items = self._items, []
        return taken

    # --- steps: each tells whether it got on; the next one stands in `_step` ---

    def _read_start(self) -> bool:
        return self._pass_mark("{", self._read_first_name)

    def _read_first_name(self) -> bool:
        return self._read_end() or self._read_name()

    def _read_end(self) -> bool:
        if self._peek() != "}":
            return False
        self._at += 1
        self._step = self._read_tail
        return True

    def _read_name(self) -> bool:
        if (name := self._value()) is None:
            return False
        if not isinstance(name[0], str):
            raise NotAnAnswer("it is not JSON")
        self._name = name[0]
        if self._name in self.members or (self._name == _DATA and self.kind is not DataKind.ABSENT):
            raise NotAnAnswer(f"the member {self._name[:40]} comes twice")
        self._step = self._read_colon
        return True

    def _read_colon(self) -> bool:
        return self._pass_mark(":", self._read_value)

    def _read_value(self) -> bool:
        mark = self._peek()
        if self._passes_data_on and self._name == _DATA and mark in {'"', "["}:
            self._at += 1
            self.kind, self._step = (
                (DataKind.TEXT, self._read_text) if mark == '"' else (DataKind.LIST, self._read_first_item)
            )
            return True
        if (value := self._value()) is None:
            return False
        self.members[self._name] = value[0]
        self._step = self._read_separator
        return True

    def _read_separator(self) -> bool:
        return self._read_end() or self._pass_mark(",", self._read_name)

    def _read_first_item(self) -> bool:
        return self._read_list_end() or self._read_item()

    def _read_item(self) -> bool:
        if (value := self._value()) is None:
            return False
        self._items.append(value[0])
        self._step = self._read_item_separator
        return True

    def _read_item_separator(self) -> bool:
        return self._read_list_end() or self._pass_mark(",", self._read_item)

    def _read_list_end(self) -> bool:
        if self._peek() != "]":
            return False
        self._at += 1
        self._step = self._read_separator
        return True

    def _read_text(self) -> bool:
        run = _RUN.match(self._text, self._at)
        assert run is not None  # it matches nothing, too
        self._at = run.end()
        ended = self._text[self._at : self._at + 1] == '"'
        self._take_base64(_unescape(run.group()), last=ended)
        if not ended:
            return False
        self._at += 1
        self._step = self._read_separator
        return True

    def _read_tail(self) -> bool:
        if self._peek():
            raise NotAnAnswer("something follows the JSON")
        return False

    # --- what the steps are made of ---

    def _peek(self) -> str:
        while self._at < len(self._text) and self._text[self._at] in _BLANK:
            self._at += 1
        return self._text[self._at : self._at + 1]

    def _pass_mark(self, mark: str, following: Callable[[], bool]) -> bool:
        found = self._peek()
        if not found:
            return False
        if found != mark:
            raise NotAnAnswer("it is an HTML or XML page" if found == "<" else "it is not the JSON of the protocol")
        self._at += 1
        self._step = following
        return True

    def _value(self) -> tuple[Any] | None:
        if not self._peek():
            return None
        try:
            value, end = _decode(self._text, self._at)
        except ValueError:
            return None  # malformed, or not all there: which of the two shows when it does not get better
        except RecursionError as too_deep:
            raise NotAnAnswer("it is nested too deeply") from too_deep
        if end == len(self._text) and isinstance(value, int | float):
            return None  # more digits may follow
        self._at = end
        return (value,)

    def _take_base64(self, part: str, *, last: bool) -> None:
        # A refusal may hold words where the package would be, so that what is no base64 is not the end of the reading.
        if self.fault:
            return
        self._base64 += "".join(part.split())
        whole = len(self._base64) if last else len(self._base64) // 4 * 4
        taken, self._base64 = self._base64[:whole], self._base64[whole:]
        if not taken:
            return
        if self._padded:
            self.fault = "something follows the end of its package"
        self._padded = taken.endswith("=")
        try:
            self._bytes.append(binascii.a2b_base64(taken + "=" * (-len(taken) % 4), strict_mode=True))
        except ValueError:
            self.fault = "its package is not base64"


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text
    try:
        return str(json.loads(f'"{text}"', strict=False))
    except ValueError as malformed:
        raise NotAnAnswer("it is not JSON") from malformed
