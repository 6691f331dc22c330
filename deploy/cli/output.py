"""
What people and scripts read: tables and sentences on a terminal, JSON where it is asked for.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from shared.contracts.base import Lane
from shared.contracts.registry import RegistrationStatus, RegistrationView
from shared.identifiers import VIETNAM

terminal = Console(highlight=False)
problems = Console(stderr=True, highlight=False)

_GAP = 2
"""Spaces between columns."""

LANE_NAMES = {
    Lane.ORDINARY: "thường",
    Lane.URGENT: "khẩn",
    Lane.VERY_URGENT: "thượng khẩn",
    Lane.EXPRESS: "hỏa tốc",
    Lane.EXPRESS_TIMED: "hỏa tốc hẹn giờ",
}

REGISTRATION_NAMES = {
    RegistrationStatus.PENDING: "chờ duyệt",
    RegistrationStatus.APPROVED: "đã duyệt",
    RegistrationStatus.REFUSED: "bị từ chối",
    RegistrationStatus.HANDED_OVER: "đã bàn giao",
}

STATE_NAMES = {
    "scheduled": "chờ đến giờ",
    "queued": "chờ chuyển",
    "available": "đã vào hộp thư",
    "fetched": "bên nhận đã tải",
    "relayed": "đã chuyển sang trục khác",
    "delivered": "đã nhận",
    "failed": "gửi lỗi",
    "cancelled": "đã hủy gửi",
    "recalled": "đã thu hồi",
    "expired": "hết hạn",
}

STATUS_NAMES = {
    "01": "đã đến",
    "02": "từ chối nhận",
    "03": "đã tiếp nhận",
    "04": "phân công",
    "05": "đang xử lý",
    "06": "hoàn thành",
    "13": "lấy lại",
    "15": "đồng ý",
    "16": "từ chối",
}
"""QCVN 102:2016/BTTTT and guideline 1904/THH-THHT."""


def print_json(value: BaseModel | dict[str, Any] | list[Any]) -> None:
    """
    Write one JSON value on one line, for a script.
    """
    text = value.model_dump_json() if isinstance(value, BaseModel) else json.dumps(value, ensure_ascii=False)
    # Not through the console: it would break long lines where the terminal ends.
    terminal.file.write(text + "\n")
    terminal.file.flush()


def say(vi: str, en: str) -> None:
    """
    Say one thing in both languages.
    """
    terminal.print(f"{escape(vi)} [dim]/ {escape(en)}[/dim]", soft_wrap=True)


def show_registration(view: RegistrationView) -> None:
    """
    Say where a registration stands, in the node's own words.
    """
    terminal.print(f"{view.system_id}: [bold]{REGISTRATION_NAMES[view.status]}[/bold] ({view.status.value})")
    lines = [view.next_step, *(f"! {warning}" for warning in view.warnings)]
    if view.reason:
        lines.insert(0, f"Lý do / reason: {view.reason}")
    for line in lines:
        terminal.print(f"  {line}", markup=False, soft_wrap=True)


class Listing:
    """
    Rows under headings; where the window is too narrow to keep every word in one piece, a paragraph for each row.

    Attributes:
        columns: Headings.
        rows: Cells, each taken as plain text.
    """

    def __init__(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        self.title = title
        self.columns = tuple(columns)
        self.rows = [tuple(row) for row in rows]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        del console
        if not self.rows:
            yield Text("Không có gì. / Nothing.")
        elif self._width_needed() <= options.max_width:
            yield self._table()
        else:
            for row in self.rows:
                yield from self._paragraph(row)

    def _width_needed(self) -> int:
        whole, widest, words = 0, [], [0]
        for number in range(len(self.columns)):
            cells = [self._heading(number), *(_text(row[number]) for row in self.rows)]
            width = max(cell_len(line) for cell in cells for line in cell.split("\n"))
            if self._is_whole(number):
                whole += width
            else:
                widest.append(width)
                words += [cell_len(word) for cell in cells for word in cell.split()]
        # What is short of room is taken from the widest columns alike, so none gets narrower than the longest word.
        return whole + sum(min(width, max(words)) for width in widest) + _GAP * (len(self.columns) - 1)

    def _is_whole(self, number: int) -> bool:
        # Identifiers, codes and names of states stay in one piece, to be copied; sentences wrap at spaces.
        return not any(" " in _text(row[number]) for row in self.rows)

    def _heading(self, number: int) -> str:
        return self.columns[number].replace(" / ", "\n")

    def _table(self) -> Table:
        made = Table(
            title=self.title,
            title_justify="left",
            header_style="bold",
            box=None,
            pad_edge=False,
            padding=(0, _GAP, 0, 0),
        )
        for number in range(len(self.columns)):
            made.add_column(self._heading(number), overflow="fold", no_wrap=self._is_whole(number))
        for row in self.rows:
            made.add_row(*(escape(_text(cell)) for cell in row))
        return made

    def _paragraph(self, row: tuple[object, ...]) -> RenderResult:
        head = next((number for number, cell in enumerate(row) if isinstance(cell, UUID)), 0)
        yield Text(f"{self.columns[head]}: ", style="dim").append(_text(row[head]), style="not dim bold")
        rest = Text()
        for number, (column, cell) in enumerate(zip(self.columns, row, strict=True)):
            if number == head or not _text(cell):
                continue
            rest.append(" · " if rest else "", style="dim").append(f"{column}: " if column else "", style="dim")
            rest.append(_text(cell))
        yield Padding(rest, (0, 0, 0, 2))


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Listing:
    """
    Make a table that stays readable in a narrow window; every cell is taken as plain text.
    """
    return Listing(title, columns, rows)


def _text(cell: object) -> str:
    return "" if cell is None else str(cell)


def local_time(moment: datetime | None) -> str:
    """
    Write a moment as people in Vietnam read it.
    """
    return "" if moment is None else moment.astimezone(VIETNAM).strftime("%d/%m/%Y %H:%M:%S")


def state_name(state: str | None) -> str:
    """
    Name a state of a delivery in Vietnamese, with its code.
    """
    return "" if not state else f"{STATE_NAMES.get(state, state)} ({state})"


def status_name(code: str) -> str:
    """
    Name a business status in Vietnamese, with its code.
    """
    return f"{code} {STATUS_NAMES.get(code, '')}".strip()
