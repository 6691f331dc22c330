"""
What people and scripts read: tables and sentences on a terminal, JSON where it is asked for.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from shared.contracts.base import Lane
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


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """
    Make a table; every cell is taken as plain text.
    """
    made = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for column in columns:
        # Identifiers are there to be copied, so they wrap rather than lose their ends.
        made.add_column(column, overflow="fold")
    for row in rows:
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
