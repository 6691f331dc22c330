"""
How the fields of a model stand in XML: declared once, read and written from the same declaration.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from enum import Enum, auto
from functools import cache, cached_property
from typing import Any, Final, TypeVar

from lxml import etree
from pydantic import BaseModel, ConfigDict

from shared.edxml.findings import Findings, local_name, path_of
from shared.edxml.names import tag

VIETNAM: Final = timezone(timedelta(hours=7))
"""Times in packets carry no zone and are Vietnamese."""

LONGEST_TEXT: Final = 10_000
"""Characters of a value for which `El` says nothing else; values are listed, logged and searched, many at a time."""

_DATE = re.compile(r"(?:(?P<y>\d{4})/(?P<m>\d{1,2})/(?P<d>\d{1,2})|(?P<d2>\d{1,2})/(?P<m2>\d{1,2})/(?P<y2>\d{4}))")
_DAY_FIRST = re.compile(r"\d{1,2}/")
_TIME = re.compile(r"(\d{1,2}):(\d{2}):(\d{2})\s*(Z|[+-]\d{2}:?\d{2})?")


class Kind(Enum):
    """
    What an element holds.
    """

    TEXT = auto()
    INTEGER = auto()
    FLAG = auto()
    """0 or 1."""
    BOOLEAN = auto()
    """true or false."""
    DATE = auto()
    MOMENT = auto()
    TEXTS = auto()
    """A wrapper with one element per text."""
    BLOCK = auto()
    BLOCKS = auto()
    """The same block several times; inside a wrapper if `item` names the block."""


@dataclass(frozen=True)
class El:
    """
    One element of a block.

    Attributes:
        name: Local name as we write it. `Bussiness` is also read as `Business`.
        kind: What it holds.
        item: Name of the repeated element where `name` is a wrapper.
        block: Model of a block.
        required: Absent or empty is an error.
        expected: Absent or empty is a warning.
        always: Written even when empty, because readers in use give up without it.
        allowed: Integers that are accepted; None accepts all and drops what is no number, with a warning.
        lenient: What is not allowed is a warning too: systems disagree about the values.
        longest: Characters that are accepted.
    """

    name: str
    kind: Kind = Kind.TEXT
    item: str = ""
    block: "type[Block] | None" = None
    required: bool = False
    expected: bool = False
    always: bool = False
    allowed: range | None = None
    lenient: bool = False
    longest: int = LONGEST_TEXT

    @cached_property
    def tags(self) -> tuple[str, ...]:
        """
        The names it is recognised by.
        """
        other = self.name.replace("Bussiness", "Business")
        return (tag(self.name),) if other == self.name else (tag(self.name), tag(other))


class Block(BaseModel):
    """
    A group of elements; its fields are annotated with `El`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")


BlockT = TypeVar("BlockT", bound=Block)


@cache
def elements_of(model: type[Block]) -> tuple[tuple[str, El], ...]:
    """
    Give the fields of a model that stand in XML, in the order they are written.
    """
    found: list[tuple[str, El]] = []
    for name, field in model.model_fields.items():
        found.extend((name, mark) for mark in field.metadata if isinstance(mark, El))
    return tuple(found)


@cache
def _may_be_blank(model: type[Block]) -> bool:
    return not any(mark.required for _, mark in elements_of(model))


class BlockReader:
    """
    Reads blocks and notes what is wrong in them.

    Args:
        findings: Where errors and warnings go.
        lines: Turns the lines of the tree into those of the packet.
    """

    def __init__(self, findings: Findings, lines: "LineMap") -> None:
        self._findings = findings
        self._lines = lines

    def error(self, code: str, at: etree._Element, child: str = "", **values: object) -> None:
        """
        Note an error at an element, or at a child that is not there.
        """
        if not self._findings.is_full:
            self._findings.add(code, path_of(at) + (f"/{child}" if child else ""), self._lines.line_of(at), **values)

    def warn(self, code: str, at: etree._Element, child: str = "", **values: object) -> None:
        """
        Note something that stops nothing, at an element or at a child that is not there.
        """
        # Finding the place of one of many siblings takes as long as there are siblings.
        if not self._findings.has_all_warnings:
            self._findings.warn(code, path_of(at) + (f"/{child}" if child else ""), self._lines.line_of(at), **values)

    def read(self, model: type[BlockT], element: etree._Element, **more: Any) -> BlockT:
        """
        Read a block; what is missing or wrong is noted and left at its default.
        """
        values = dict(more)
        children: dict[object, list[etree._Element]] = {}
        for child in element:
            tag_of_child = child.tag
            if tag_of_child in children:
                children[tag_of_child].append(child)
            else:
                children[tag_of_child] = [child]
        for name, mark in elements_of(model):
            spelling, *others = mark.tags
            found = children.get(spelling, [])
            for other in others:
                found = found + children.get(other, [])
            if not found:
                if mark.required or mark.expected:
                    self._note_missing(mark, element)
                continue
            if len(found) > 1 and (mark.kind is not Kind.BLOCKS or mark.item):
                self.error("element-doubled", found[1], name=mark.name)
            value = self._value(mark, found)
            if value is not None:
                values[name] = value
            elif (mark.required or mark.expected) and _is_empty(found[0]):
                self._note_missing(mark, element)
        return model(**values)

    def _note_missing(self, mark: El, element: etree._Element) -> None:
        if mark.required:
            self.error("element-missing", element, mark.name, name=mark.name)
        elif mark.expected:
            self.warn("element-absent", element, mark.name, name=mark.name)

    def _value(self, mark: El, found: list[etree._Element]) -> Any:
        if mark.kind is Kind.BLOCKS:
            items = list(self._items(found[0], mark)) if mark.item else found
            model = _model(mark)
            blocks = (self.read(model, item) for item in items)
            # Systems write blocks with nothing in them; such a block is not there.
            return tuple(block for block in blocks if block.model_fields_set or not _may_be_blank(model)) or None
        if mark.kind is Kind.BLOCK:
            block = self.read(_model(mark), found[0])
            return block if block.model_fields_set or mark.required else None
        if mark.kind is Kind.TEXTS:
            texts = (self._leaf(mark, item) for item in self._items(found[0], mark))
            return tuple(text for text in texts if text) or None
        return self._scalar(mark, found[0])

    def _items(self, wrapper: etree._Element, mark: El) -> Iterator[etree._Element]:
        return wrapper.iterchildren(tag(mark.item))

    def _leaf(self, mark: El, element: etree._Element) -> str:
        if len(element):
            self.error("value-expected", element, name=local_name(element))
        text = _text(element)
        if len(text) > mark.longest:
            self.error("text-too-long", element, name=local_name(element), limit=mark.longest)
        return text[: mark.longest]

    def _scalar(self, mark: El, element: etree._Element) -> Any:
        text = self._leaf(mark, element)
        if not text:
            return None
        try:
            value = _PARSERS[mark.kind](text, mark)
        except ValueError:
            if mark.kind is Kind.DATE:
                self.error("date-invalid", element, value=text)
            elif mark.kind is Kind.MOMENT:
                self.error("timestamp-invalid", element, value=text)
            elif mark.kind is Kind.INTEGER and (mark.allowed is None or mark.lenient):
                self.warn("number-unreadable", element, value=text)
            else:
                self._note_unallowed(mark, element, text)
            return None
        if mark.kind in _DATED and _DAY_FIRST.match(text):
            self.warn("date-day-first", element, value=text)
        elif mark.lenient and mark.allowed is not None and value not in mark.allowed:
            self._note_unallowed(mark, element, text)
        return value

    def _note_unallowed(self, mark: El, element: etree._Element, text: str) -> None:
        allowed = mark.allowed or range(2)
        shown = f"{allowed.start}…{allowed.stop - 1}"
        if mark.lenient:
            self.warn("value-unusual", element, value=text, allowed=shown)
        else:
            self.error("value-invalid", element, value=text, allowed=shown)


class LineMap:
    """
    Turns lines of the skeleton into lines of the packet.

    Args:
        cuts: For each piece that was cut out: line of the skeleton it stood in, and the line breaks it held.
    """

    def __init__(self, cuts: list[tuple[int, int]]) -> None:
        self._cuts = [(line, breaks) for line, breaks in cuts if breaks]

    def line_of(self, element: etree._Element) -> int | None:
        """
        Give the line an element stands in, counted from 1.
        """
        line = element.sourceline
        return None if line is None else line + sum(breaks for at, breaks in self._cuts if at < line)


class BlockWriter:
    """
    Writes blocks as text, every element with the prefix `edXML:`.
    """

    def __init__(self) -> None:
        self._pieces: list[str] = []

    def __str__(self) -> str:
        return "".join(self._pieces)

    def open(self, name: str, **attributes: str) -> None:
        """
        Begin an element.
        """
        written = "".join(f' {key}="{escape(value)}"' for key, value in attributes.items())
        self._pieces.append(f"<edXML:{name}{written}>")

    def close(self, name: str) -> None:
        """
        End an element.
        """
        self._pieces.append(f"</edXML:{name}>")

    def leaf(self, name: str, text: str) -> None:
        """
        Write an element that holds a value.
        """
        self._pieces.append(f"<edXML:{name}>{escape(text)}</edXML:{name}>")

    def block(self, name: str, block: Block, **attributes: str) -> None:
        """
        Write a block with everything in it.
        """
        self.open(name, **attributes)
        for field, mark in elements_of(type(block)):
            self._field(mark, getattr(block, field))
        self.close(name)

    def _field(self, mark: El, value: Any) -> None:
        if value is None or value in ((), ""):
            if mark.always:
                self.leaf(mark.name, "")
            return
        if mark.kind is Kind.BLOCK:
            self.block(mark.name, value)
        elif mark.kind in {Kind.BLOCKS, Kind.TEXTS}:
            if mark.item:
                self.open(mark.name)
            for item in value:
                if mark.kind is Kind.BLOCKS:
                    self.block(mark.item or mark.name, item)
                else:
                    self.leaf(mark.item, item)
            if mark.item:
                self.close(mark.name)
        else:
            self.leaf(mark.name, _written(mark.kind, value))


def escape(text: str) -> str:
    """
    Make text fit to stand in an element or in a quoted attribute and be read back unchanged.
    """
    for character, written in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("\r", "&#13;")):
        text = text.replace(character, written)
    return text


def read_date(text: str) -> date:
    """
    Read `yyyy/MM/dd` or `dd/MM/yyyy`; a time of day after it is left out.

    Raises:
        ValueError: It is no date.
    """
    day, _, rest = text.partition(" ")
    if rest and not _TIME.fullmatch(rest.strip()):
        raise ValueError(text)
    return _day(day)


def read_moment(text: str) -> datetime:
    """
    Read a date with a time of day; without a zone it is Vietnamese time.

    Raises:
        ValueError: It is no moment.
    """
    day, _, rest = text.partition(" ")
    found = _TIME.fullmatch(rest.strip())
    if found is None:
        raise ValueError(text)
    hour, minute, second, zone = found.groups()
    moment = datetime.combine(_day(day), datetime.min.time(), tzinfo=_zone(zone))
    return moment.replace(hour=int(hour), minute=int(minute), second=int(second)).astimezone(UTC)


def _day(text: str) -> date:
    found = _DATE.fullmatch(text)
    if found is None:
        raise ValueError(text)
    day = date(int(found["y"] or found["y2"]), int(found["m"] or found["m2"]), int(found["d"] or found["d2"]))
    if not 1900 <= day.year <= 2999:
        raise ValueError(text)
    return day


def _zone(text: str | None) -> timezone:
    if text is None:
        return VIETNAM
    if text == "Z":
        return UTC
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[-2:]))
    return timezone(-offset if text[0] == "-" else offset)


def _integer(text: str, mark: El) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,9}", text):
        raise ValueError(text)
    number = int(text)
    if mark.allowed is not None and number not in mark.allowed and not mark.lenient:
        raise ValueError(text)
    return number


def _truth(text: str, _mark: El) -> bool:
    known = {"0": False, "1": True, "false": False, "true": True}
    if text.lower() not in known:
        raise ValueError(text)
    return known[text.lower()]


_DATED: Final = frozenset({Kind.DATE, Kind.MOMENT})

_PARSERS: Final[dict[Kind, Any]] = {
    Kind.TEXT: lambda text, _mark: text,
    Kind.INTEGER: _integer,
    Kind.FLAG: _truth,
    Kind.BOOLEAN: _truth,
    Kind.DATE: lambda text, _mark: read_date(text),
    Kind.MOMENT: lambda text, _mark: read_moment(text),
}


def _written(kind: Kind, value: Any) -> str:
    if kind is Kind.FLAG:
        return str(int(value))
    if kind is Kind.BOOLEAN:
        return str(value).lower()
    if kind is Kind.DATE:
        return f"{value:%Y/%m/%d}"
    if kind is Kind.MOMENT:
        return f"{value.astimezone(VIETNAM):%Y/%m/%d %H:%M:%S}"
    return str(value)


def _model(mark: El) -> type[Block]:
    if mark.block is None:
        raise TypeError(f"{mark.name} is declared as a block without a model")
    return mark.block


def _is_empty(element: etree._Element) -> bool:
    return not len(element) and not _text(element)


def _text(element: etree._Element) -> str:
    # Comments are refused before values are read, so the text of a leaf is in one piece.
    return (element.text or "").strip()
