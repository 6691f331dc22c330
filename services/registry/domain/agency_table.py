"""A table of agencies as a CSV file: read, checked line by line, and narrowed to what is to be imported."""

import csv
import io
import json
import math
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from services.registry.domain.names import fold_name, sort_key
from shared.contracts.registry import LineError
from shared.identifiers import agency_key, is_irregular_form, is_new_form, is_old_form, start_of_day

LEVELS = ("central", "province", "district", "commune")
COLUMNS = (
    "code", "code102", "name", "level", "kind", "parent", "gso_code", "lat", "lon", "valid_from", "valid_to",
)  # fmt: skip
MAX_ERRORS = 200
"""Whoever made two hundred mistakes made one mistake two hundred times."""

_OLD_CODE = re.compile(r"\d[0-9A-Z.]{0,34}")
"""Old identifiers in use break their own pattern (`999.010.01.H22`), so only the alphabet is held to."""
_KIND = re.compile(r"[a-z][a-z0-9_]{0,39}")
_GSO_CODE = re.compile(r"\d{1,10}")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_YEARS = range(1945, 2200)
_MAX_NAME = 300


@dataclass(frozen=True)
class AgencyRow:
    """
    One line of the table, checked by itself.

    Attributes:
        line: Line of the file, from 1.
        valid_to: Last day of validity; None while open.
    """

    line: int
    code: str
    code102: str | None
    name: str
    level: str
    kind: str
    parent: str | None
    gso_code: str | None
    latitude: float | None
    longitude: float | None
    valid_from: date
    valid_to: date | None

    def is_valid_on(self, day: date) -> bool:
        """
        Tell whether the agency is valid on a day.
        """
        return self.valid_from <= day and (self.valid_to is None or day <= self.valid_to)


@dataclass(frozen=True)
class Selection:
    """
    What of a table is to be imported.

    Attributes:
        rows: The lines chosen.
        passed_over: How many lines were not.
        outside_parents: Parents that the file does not hold, with the first line that names each: the register must.
        errors: What is wrong; nothing may be imported unless this is empty.
    """

    rows: tuple[AgencyRow, ...] = ()
    passed_over: int = 0
    outside_parents: Mapping[str, int] = field(default_factory=dict)
    errors: tuple[LineError, ...] = ()


class _LineProblem(Exception):
    """One line cannot be used."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


def read_table(content: bytes) -> tuple[list[AgencyRow], list[LineError]]:
    """
    Read a CSV file in UTF-8 with a heading; columns may stand in any order and others are ignored.

    Returns:
        The lines that are good by themselves, and what is wrong with the others.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return [], [LineError(line=line, code="not-utf-8", detail="the file is not UTF-8 from this line on")]
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[AgencyRow] = []
    errors: list[LineError] = []
    try:
        heading = [cell.strip() for cell in next(reader, [])]
        missing = [column for column in COLUMNS if column not in heading]
        if missing:
            detail = f"the heading lacks {', '.join(missing)}"
            return [], [LineError(line=1, code="missing-column", detail=detail)]
        for cells in reader:
            if not cells:
                continue
            try:
                rows.append(_read_row(reader.line_num, heading, cells))
            except _LineProblem as problem:
                errors.append(LineError(line=reader.line_num, code=problem.code, detail=problem.detail))
    except csv.Error as error:
        errors.append(LineError(line=max(reader.line_num, 1), code="not-csv", detail=f"not CSV: {error}"))
    return rows, errors


def select_rows(
    rows: Sequence[AgencyRow], *, as_of: date, under: Collection[str] = (), levels: Collection[str] = ()
) -> Selection:
    """
    Choose the lines valid on a day: whole subtrees, and levels besides; with neither, everything.

    Args:
        rows: All good lines.
        as_of: The day.
        under: Codes in either form; each is taken with everything below it.
        levels: Levels taken besides.
    """
    valid: dict[str, AgencyRow] = {}
    by_old_code: dict[str, AgencyRow] = {}
    errors: list[LineError] = [
        LineError(line=0, code="unknown-level", detail=f"{level} is no level; there are {', '.join(LEVELS)}")
        for level in levels
        if level not in LEVELS
    ]
    for row in rows:
        if not row.is_valid_on(as_of):
            continue
        first = valid.setdefault(row.code, row)
        if first is row and row.code102 is not None:
            first = by_old_code.setdefault(row.code102, row)
        if first is not row:
            detail = f"line {first.line} has the same code and is valid on {as_of} too"
            errors.append(LineError(line=row.line, code="duplicate-code", detail=detail))
    errors += [
        LineError(
            line=row.line, code="duplicate-code", detail=f"line {valid[row.code102].line} has the code {row.code102}"
        )
        for row in by_old_code.values()
        if row.code102 in valid
    ]
    roots: set[str] = set()
    for code in under:
        root = valid.get(code) or by_old_code.get(code)
        if root is None:
            detail = f"no agency {code} is valid on {as_of} in the file"
            errors.append(LineError(line=0, code="unknown-under", detail=detail))
        else:
            roots.add(root.code)
    looping = list(_loops(valid))
    if looping:
        errors += [LineError(line=row.line, code="parent-loop", detail="it stands below itself") for row in looping]
        return Selection(errors=tuple(errors))
    everything = not under and not levels
    chosen = tuple(row for row in valid.values() if everything or row.level in levels or _is_below(row, roots, valid))
    outside: dict[str, int] = {}
    for row in chosen:
        if row.parent is not None and row.parent not in valid:
            outside.setdefault(row.parent, row.line)
    return Selection(chosen, len(rows) - len(chosen), outside, tuple(errors))


def bounded(errors: Sequence[LineError]) -> tuple[LineError, ...]:
    """
    Put errors in the order of their lines and keep the first ones.
    """
    ordered = sorted(errors, key=lambda error: error.line)
    rest = len(ordered) - MAX_ERRORS
    if rest <= 0:
        return tuple(ordered)
    last = LineError(line=ordered[MAX_ERRORS].line, code="more-errors", detail=f"and {rest} more from this line on")
    return (*ordered[:MAX_ERRORS], last)


def to_records(rows: Sequence[AgencyRow], serving_node: str) -> str:
    """
    Write lines as the JSON array that the register's bulk statements read, in the order of lines.

    Ends of validity are left out: closing an agency is an act, not an import.
    """
    return json.dumps(
        [
            {
                "line": row.line,
                "key": str(agency_key(row.code, row.valid_from)),
                "code": row.code,
                "code102": row.code102,
                "name": row.name,
                "name_folded": fold_name(row.name),
                "sort_key": sort_key(row.name),
                "level": row.level,
                "kind": row.kind,
                "parent": row.parent,
                "gso_code": row.gso_code,
                "latitude": row.latitude,
                "longitude": row.longitude,
                "valid_from": start_of_day(row.valid_from).isoformat(),
                "serving_node": serving_node,
            }
            for row in rows
        ],
        ensure_ascii=False,
    )


def _loops(valid: Mapping[str, AgencyRow]) -> Iterator[AgencyRow]:
    settled: set[str] = set()
    for row in valid.values():
        path: dict[str, AgencyRow] = {}
        step: AgencyRow | None = row
        while step is not None and step.code not in settled and step.code not in path:
            path[step.code] = step
            step = valid.get(step.parent) if step.parent is not None else None
        if step is not None and step.code in path:
            yield step
        settled.update(path)


def _is_below(row: AgencyRow, roots: Collection[str], valid: Mapping[str, AgencyRow]) -> bool:
    step: AgencyRow | None = row
    while step is not None:
        if step.code in roots:
            return True
        step = valid.get(step.parent) if step.parent is not None else None
    return False


def _read_row(line: int, heading: Sequence[str], cells: Sequence[str]) -> AgencyRow:
    if len(cells) != len(heading):
        raise _LineProblem("field-count", f"{len(cells)} fields where the heading has {len(heading)}")
    cell = {name: value.strip() for name, value in zip(heading, cells, strict=True)}
    code, code102, parent = cell["code"], cell["code102"] or None, cell["parent"] or None
    if not _is_code(code):
        raise _LineProblem("bad-code", f"code {_quote(code)} has not the form H43.30.01, nor one like vxp.saas.01")
    if code102 is not None and not _OLD_CODE.fullmatch(code102):
        raise _LineProblem("bad-code", f"code102 {_quote(code102)} has not the form 000.01.30.H43")
    if parent is not None and not _is_code(parent):
        raise _LineProblem("bad-code", f"parent {_quote(parent)} has not the form H43.30")
    name = unicodedata.normalize("NFC", " ".join(cell["name"].split()))
    if not 0 < len(name) <= _MAX_NAME or not name.isprintable():
        raise _LineProblem("bad-name", f"a name has 1 to {_MAX_NAME} printable characters")
    if cell["level"] not in LEVELS:
        raise _LineProblem("unknown-level", f"{_quote(cell['level'])} is no level; there are {', '.join(LEVELS)}")
    if not _KIND.fullmatch(cell["kind"]):
        raise _LineProblem("bad-kind", f"kind {_quote(cell['kind'])} is not a word like peoples_committee")
    if cell["gso_code"] and not _GSO_CODE.fullmatch(cell["gso_code"]):
        raise _LineProblem("bad-gso-code", f"gso_code {_quote(cell['gso_code'])} is not a number")
    valid_from = _read_day("valid_from", cell["valid_from"])
    valid_to = _read_day("valid_to", cell["valid_to"]) if cell["valid_to"] else None
    if valid_to is not None and valid_to < valid_from:
        raise _LineProblem("bad-date", "valid_to lies before valid_from")
    return AgencyRow(
        line=line,
        code=code,
        code102=code102,
        name=name,
        level=cell["level"],
        kind=cell["kind"],
        parent=parent,
        gso_code=cell["gso_code"] or None,
        latitude=_read_degrees("lat", cell["lat"], 90),
        longitude=_read_degrees("lon", cell["lon"], 180),
        valid_from=valid_from,
        valid_to=valid_to,
    )


def _is_code(code: str) -> bool:
    # An old-form code without a new one beside it is what some centres still go by.
    return is_new_form(code) or is_old_form(code) or is_irregular_form(code)


def _read_day(column: str, text: str) -> date:
    try:
        day = date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        day = None
    if day is None or day.year not in _YEARS:
        raise _LineProblem("bad-date", f"{column} {_quote(text)} is no day like 2024-12-31")
    return day


def _read_degrees(column: str, text: str, limit: int) -> float | None:
    if not text:
        return None
    try:
        degrees = float(text)
    except ValueError:
        degrees = math.nan
    if not -limit <= degrees <= limit:
        raise _LineProblem("bad-coordinate", f"{column} {_quote(text)} is no number from -{limit} to {limit}")
    return degrees


def _quote(text: str) -> str:
    return repr(text[:40])
