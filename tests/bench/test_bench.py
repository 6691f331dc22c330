"""The program behind `make bench`, run as it is; what it measures is not judged here."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.machine import describe_machine
from bench.measures import FLOOR_CPU, FLOOR_RATE, RATE, agencies_served
from bench.processes import Meter, command_of, tree_of
from bench.report import Report, write_page

ROOT = Path(__file__).parents[2]


def _bench(*words: str, scratch: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench", *words]
    environment = {**os.environ, "TMPDIR": str(scratch)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture
def scratch() -> Iterator[Path]:
    """
    Open to all: as root the servers run as accounts of their own, which pytest's folders shut out.
    """
    with tempfile.TemporaryDirectory(prefix="axis-test-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def test_a_short_run_prints_the_table_and_keeps_the_figures_as_json(tmp_path: Path, scratch: Path) -> None:
    words = ("--only", "floor,embedded", "--seconds", "1", "--documents", "20", "--results", str(tmp_path))
    run = _bench(*words, scratch=scratch)
    assert run.returncode == 0, run.stdout + run.stderr
    for title in ("(1) Floor", "(2) Product", "(3) Floor against product", "(7) CPU by process", "cores"):
        assert title in run.stdout
    (file,) = tmp_path.glob("*.json")
    report = Report.model_validate(json.loads(file.read_text(encoding="utf-8")))
    assert report.failures == []
    assert {row.part for row in report.rows} == {1, 2, 3, 7}
    assert report.find(1, FLOOR_CPU, "embedded")
    assert report.find(2, RATE, "embedded")
    assert list(scratch.iterdir()) == [], "it left files behind"
    assert [one for one in tree_of([1]) if str(scratch) in command_of(one.pid)] == [], "it left processes behind"


def test_a_word_it_does_not_know_is_refused_with_the_way_to_help(tmp_path: Path) -> None:
    run = _bench("--only", "floor,quantum", scratch=tmp_path)
    assert run.returncode == 2
    assert "quantum" in run.stderr
    assert "--help" in run.stderr


async def test_cpu_of_a_child_that_has_ended_is_counted_once_under_its_heir() -> None:
    burn = "import time\nwhile time.process_time() < 0.5: pass"
    starter = (
        f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}]); "
        "print('done', flush=True); sys.stdin.read()"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", starter, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        await process.stdout.readline()
        used = Meter(lambda: [process.pid], lambda _: "starter", {"starter": "children"}).read()
        # The kernel's ticks are coarse, so less than what was burnt may be seen, but not much less.
        assert used.cpu_seconds["children"] > 0.4
        assert used.cpu_seconds["starter"] < used.cpu_seconds["children"]
    finally:
        process.kill()
        await process.wait()


def test_the_table_replaces_what_stood_between_the_marks_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    marked = "before\n<!-- table: written by make bench -->\nold\n<!-- end of table -->\nafter\n"
    page.write_text(marked, encoding="utf-8")
    report = Report(machine=describe_machine(), options={})
    report.put(1, FLOOR_RATE, "embedded", 1234.5, digits=0)
    report.put(1, FLOOR_CPU, "distributed", 0.5, digits=2)
    assert write_page(report, page)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert f"| (1) Floor | {FLOOR_RATE} | 1,234 | – |" in text
    assert f"|  | {FLOOR_CPU} | – | 0.50 |" in text


def test_a_page_without_marks_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a page\n", encoding="utf-8")
    assert not write_page(Report(machine=describe_machine(), options={}), page)
    assert page.read_text(encoding="utf-8") == "a page\n"


def test_agencies_are_counted_by_the_documents_of_their_busiest_minutes() -> None:
    # Ten a day of eight hours, three times as many at the peak: one every 960 seconds; 60 % of the rate is used.
    assert agencies_served(100) == pytest.approx(57_600)
