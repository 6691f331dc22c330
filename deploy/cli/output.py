"""
What people and scripts read: tables and sentences on a terminal, JSON where it is asked for.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from shared.contracts.base import Lane
from shared.contracts.registry import RegistrationStatus, RegistrationView
from shared.identifiers import VIETNAM

terminal = Console(highlight=False)
problems = Console(stderr=True, highlight=False)

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


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """
    Make a table; every cell is taken as plain text.
    """
    made = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    lines = [tuple(row) for row in rows]
    for number, column in enumerate(columns):
        # Identifiers are there to be copied, so they stay in one piece; anything else wraps rather than loses its end.
        whole = any(isinstance(line[number], UUID) for line in lines)
        made.add_column(column, overflow="fold", no_wrap=whole)
    for row in lines:
        made.add_row(*(escape("" if cell is None else str(cell)) for cell in row))
    return made


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
