"""What a run found: rows for people, JSON for programs, and the table in the documentation."""

import json
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, Field
from rich.console import Console
from rich.table import Table

from bench.machine import ROOT, Machine

RESULTS: Final = ROOT / "bench" / "results"
PAGE: Final = ROOT / "docs" / "performance.md"
DEPLOYMENTS: Final = ("embedded", "distributed")
_BEGIN: Final = "<!-- table: written by make bench -->"
_END: Final = "<!-- end of table -->"
TITLES: Final = {
    1: "Floor",
    2: "Product",
    3: "Floor against product",
    4: "Large packets",
    5: "Fan-out",
    6: "Full database",
    7: "CPU by process",
    8: "National dialect",
}


class Cell(BaseModel):
    """
    One figure, or several that belong together.
    """

    values: list[float]
    text: str


class Row(BaseModel):
    """
    One line of the table.

    Attributes:
        part: 1 to 8.
        what: What was measured, with its unit.
        cells: By deployment.
    """

    part: int
    what: str
    cells: dict[str, Cell] = Field(default_factory=dict)


class Report(BaseModel):
    """
    One run.

    Attributes:
        options: How it was called.
        noise: By measurement: share of the machine that was busy, and share that the hypervisor took.
        failures: Measurements that gave no figure, with the reason.
    """

    machine: Machine
    options: dict[str, Any]
    rows: list[Row] = Field(default_factory=list)
    noise: dict[str, tuple[float, float]] = Field(default_factory=dict)
    failures: list[str] = Field(default_factory=list)
    ended_at: datetime | None = None

    def put(self, part: int, what: str, deployment: str, *values: float, digits: int = 1) -> None:
        """
        Note a figure.
        """
        row = next((row for row in self.rows if (row.part, row.what) == (part, what)), None)
        if row is None:
            row = Row(part=part, what=what)
            self.rows.append(row)
        row.cells[deployment] = Cell(values=list(values), text=" / ".join(f"{one:,.{digits}f}" for one in values))

    def find(self, part: int, what: str, deployment: str) -> float | None:
        """
        Look up a figure of this run.
        """
        for row in self.rows:
            if (row.part, row.what) == (part, what) and deployment in row.cells:
                return row.cells[deployment].values[0]
        return None

    def in_order(self) -> list[Row]:
        """
        Rows by part, in the order they came.
        """
        return sorted(self.rows, key=lambda row: row.part)


def show(report: Report, console: Console) -> None:
    """
    Print the table.
    """
    for line in describe(report):
        console.print(line, markup=False)
    table = Table(title_justify="left")
    table.add_column("")
    table.add_column("measured")
    for deployment in DEPLOYMENTS:
        table.add_column(deployment, justify="right")
    last = 0
    for row in report.in_order():
        if last not in {0, row.part}:
            table.add_section()
        title = f"({row.part}) {TITLES[row.part]}" if row.part != last else ""
        table.add_row(title, row.what, *(_text(row, deployment) for deployment in DEPLOYMENTS))
        last = row.part
    console.print(table)
    for failure in report.failures:
        console.print(f"[red]✘[/] {failure}")


def describe(report: Report) -> Iterable[str]:
    """
    Say in lines what the run was made on and how quiet it was.
    """
    machine = report.machine
    yield f"{machine.started_at:%Y-%m-%d %H:%M} UTC, commit {machine.commit}"
    yield (
        f"{machine.cpu}, {machine.cores} cores, {machine.memory_gib} GiB; {machine.system}; "
        f"load before the run {machine.load_before:.2f}"
    )
    yield ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    if report.noise:
        busiest = max(report.noise.values())[0]
        stolen = max(share for _, share in report.noise.values())
        yield f"busiest measurement used {busiest:.0%} of the cores; at most {stolen:.1%} were taken by the hypervisor"


def write_json(report: Report, folder: Path = RESULTS) -> Path:
    """
    Keep a run; its name is made of day, time and commit.
    """
    folder.mkdir(parents=True, exist_ok=True)
    machine = report.machine
    file = folder / f"{machine.started_at:%Y%m%d-%H%M}-{machine.commit}.json"
    file.write_text(json.dumps(report.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return file


def write_page(report: Report, page: Path = PAGE) -> bool:
    """
    Put the table into the documentation, between its marks.

    Returns:
        False where the page has no marks; it is left alone then.
    """
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        return False
    page.write_text(f"{before}{_BEGIN}\n\n{markdown(report)}\n{_END}{after}", encoding="utf-8")
    return True


def markdown(report: Report) -> str:
    """
    The table in Markdown.
    """
    lines = [f"{line}  " for line in describe(report)]
    lines += ["", "| | measured | embedded | distributed |", "| --- | --- | ---: | ---: |"]
    last = 0
    for row in report.in_order():
        title = f"({row.part}) {TITLES[row.part]}" if row.part != last else ""
        cells = " | ".join(_text(row, deployment) for deployment in DEPLOYMENTS)
        lines.append(f"| {title} | {row.what} | {cells} |")
        last = row.part
    lines += [f"\nNot measured: {failure}" for failure in report.failures]
    return "\n".join(lines) + "\n"


def _text(row: Row, deployment: str) -> str:
    cell = row.cells.get(deployment)
    return "–" if cell is None else cell.text
