"""The play from curtain to curtain: `python -m deploy.demo`, with `--distributed` on many processes."""

import asyncio
import logging
import os
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TypeVar

import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from deploy.cli.journey import lines_of
from deploy.demo import acts
from deploy.demo.cast import COMMUNE, PROVINCE, Cast, RunningNode, hire, import_agencies, open_cast
from deploy.demo.ledger import Ledger
from deploy.distributed.control import down, up
from deploy.distributed.folder import Folder, Note
from deploy.embedded.errors import NodeError
from deploy.embedded.home import Home, init_home
from deploy.embedded.node import Node
from shared.client import ClientError, SentDocument
from shared.telemetry import configure_logs

T = TypeVar("T")


class Stage:
    """
    Shows what goes on, and notes how long each part took.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.seconds: dict[str, float] = {}

    def note(self, vi: str, en: str) -> None:
        """
        Say what a part brought, in both languages.
        """
        self.console.print(f"     {vi}\n     [dim]{en}[/]")

    @contextmanager
    def part(self, vi: str, en: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
        """
        Show one part while it runs; yields a way to report how far it has come.
        """
        columns = [SpinnerColumn(), TextColumn("{task.description}")]
        if total is not None:
            columns += [BarColumn(), MofNCompleteColumn()]
        begun = time.monotonic()
        # Where nobody watches (a pipe, a log) only the line at the end is written.
        watched = self.console.is_terminal
        columns.append(TimeElapsedColumn())
        with Progress(*columns, console=self.console, transient=True, disable=not watched) as progress:
            task = progress.add_task(vi, total=total)
            yield lambda done: progress.update(task, completed=done)
        taken = self.seconds[f"{vi}\n[dim]{en}[/]"] = time.monotonic() - begun
        self.console.print(f"[green]✔[/] {vi} [dim]({taken:.1f} s)\n     {en}[/]")

    async def play(self, vi: str, en: str, work: Awaitable[T]) -> T:
        """
        Play one part without a measure.
        """
        with self.part(vi, en):
            return await work


Host = Callable[[Stage, Path], AbstractAsyncContextManager[RunningNode]]
"""Lends a node that runs in a folder, and leaves nothing of it."""


async def play(console: Console, folder: Path, host: Host) -> int:
    """
    Play everything on a node in a folder of its own.

    Returns:
        0 when everything was as designed.
    """
    stage, ledger = Stage(console), Ledger()
    async with host(stage, folder) as node:
        cast = await open_cast(node)
        try:
            return await _play_acts(stage, ledger, cast)
        finally:
            await cast.close()


@asynccontextmanager
async def embedded(stage: Stage, folder: Path) -> AsyncIterator[RunningNode]:
    """
    Lend a node in this process.
    """
    home = Home(folder)
    init_home(folder, node_id=PROVINCE, port=0, admin_port=0)
    node = Node(home, passing=True)
    await stage.play("Khởi động nút H43: PostgreSQL, bus, các dịch vụ", "Start node H43", node.start())
    try:
        yield RunningNode(node.config.public_url, home.admin_credential, home.systems)
    finally:
        await stage.play("Dừng nút, dọn sạch", "Stop the node and clean up", node.stop())


@asynccontextmanager
async def distributed(stage: Stage, folder: Path) -> AsyncIterator[RunningNode]:
    """
    Lend a node of many processes behind a reverse proxy.
    """
    place = Folder(folder)

    def quietly(_: Note) -> None: ...

    try:
        note = await stage.play(
            "Khởi động nút H43: PostgreSQL, RabbitMQ, 11 tiến trình, proxy",
            "Start node H43 as 11 processes",
            asyncio.to_thread(up, folder, quietly, node_id=PROVINCE, passing=True),
        )
        # What every client here, and the one in a process of its own, trusts to reach the proxy.
        os.environ["SSL_CERT_FILE"] = str(place.authority)
        yield RunningNode(note.url, place.home.admin_credential, place.home.systems)
    finally:
        await stage.play(
            "Dừng mọi tiến trình, dọn sạch",
            "Stop every process and clean up",
            asyncio.to_thread(down, folder, quietly),
        )


async def _play_acts(stage: Stage, ledger: Ledger, cast: Cast) -> int:
    console = stage.console
    await stage.play("Nhập danh mục cơ quan thật", "Import the real agencies", import_agencies(cast))
    count = cast.imported
    stage.note(
        f"{count['central']} bộ, ngành; {count['province']} tỉnh với {count['department']} sở, ban, ngành; "
        f"{count['district']} huyện; {count['commune']} xã",
        f"{count['central']} ministries, {count['province']} province with {count['department']} departments, "
        f"{count['district']} districts, {count['commune']} communes",
    )
    await stage.play("Cấp khóa, chứng thư số, thông tin kết nối", "Keys, certificates, credentials", hire(cast))
    sent = await stage.play(
        "1. Xã gửi văn bản đã ký tới huyện, sở, tỉnh, bộ",
        "A commune sends a sealed document to four levels",
        acts.first_letter(cast, ledger),
    )
    await stage.play(
        "2. Nơi nhận kiểm tra chữ ký, tiếp nhận, báo trạng thái",
        "Addressees check the signature, acknowledge, report statuses",
        acts.answers(cast, ledger, sent),
    )
    with stage.part(
        "3. Hỏa tốc của tỉnh giữa 200 văn bản thường",
        "The province's urgent circular amid 200 ordinary documents",
        acts.ORDINARY_DOCUMENTS,
    ) as progress:
        urgent = await acts.circular(cast, ledger, progress)
    stage.note(
        f"Hỏa tốc đứng đầu {urgent['mailboxes']} hộp thư sau {urgent['seconds']:.2f} s, "
        f"{urgent['still_posting']} văn bản thường còn chờ gửi",
        f"First in all {urgent['mailboxes']} mailboxes, with {urgent['still_posting']} ordinary documents yet to send",
    )
    total = ledger.deliveries_expected - sum(ledger.received.values())
    with stage.part("   Mọi nơi nhận lấy và xác nhận", "Everyone fetches and acknowledges", total) as progress:
        await acts.empty_mailboxes(cast, ledger, total, progress)
    await stage.play(
        "4. Máy nhận chết giữa chừng; máy gửi mất câu trả lời",
        "A client dies before it acknowledges; a sender loses the answer",
        acts.accidents(cast, ledger),
    )
    await stage.play(
        "5. Từ chối: giả mạo, đã thu hồi, sai nơi nhận, MẬT, trùng mã",
        "Refused: forged, revoked, unknown addressees, secret, id reused",
        acts.refusals(cast, ledger),
    )
    console.print()
    await _show_journey(console, cast, sent)
    console.print(_table(ledger))
    console.print(_times(stage))
    ledger.expect(ledger.lost == 0, f"{ledger.lost} deliveries were lost")
    ledger.expect(ledger.doubled == 0, f"{ledger.doubled} deliveries were doubled")
    for sentence in ledger.failures:
        console.print(f"[red]✘ {sentence}[/]")
    return 1 if ledger.failures else 0


async def _show_journey(console: Console, cast: Cast, sent: SentDocument) -> None:
    journey = await cast[COMMUNE].client.journey(sent.document_id)
    console.print(f"[bold]Hành trình một văn bản / Journey of one document[/]\n{journey.sender_document_id}")
    for entry in journey.items:
        for line in lines_of(entry):
            console.print(line, soft_wrap=True)
    console.print()


def _table(ledger: Ledger) -> Table:
    table = Table(title="Kết quả / Result", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("Văn bản đã tiếp nhận / accepted documents", str(len(ledger.expected)))
    table.add_row("Đã chuyển tới nơi nhận / delivered", str(sum(ledger.received.values())))
    table.add_row("Bị trả lại (02) / returned", str(ledger.returned))
    for code, times in sorted(ledger.refused.items()):
        table.add_row(f"Bị từ chối / refused: {code}", str(times))
    table.add_row("Gửi lại, cùng biên nhận / same receipt again", str(ledger.same_receipt))
    table.add_row("Thất lạc / lost", str(ledger.lost))
    table.add_row("Bị nhân đôi / doubled", str(ledger.doubled))
    return table


def _times(stage: Stage) -> Table:
    table = Table(title="Thời gian / Time of each part", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, seconds in stage.seconds.items():
        table.add_row(name.strip(), f"{seconds:.2f} s")
    table.add_row("Tổng / all", f"{sum(stage.seconds.values()):.2f} s")
    return table


def main() -> int:
    """
    Play, and leave nothing behind.
    """
    # What goes wrong on purpose is shown as a result; the node's own log would only stand between.
    warnings.simplefilter("ignore")
    configure_logs(level=logging.getLevelName(logging.CRITICAL))
    console = Console(highlight=False)
    host = distributed if sys.argv[1:] == ["--distributed"] else embedded
    folder = Path(tempfile.mkdtemp(prefix="axis-demo-"))
    try:
        return uvloop.run(play(console, folder, host))
    except (NodeError, ClientError) as error:
        console.print(f"[red]✘ {error}[/]")
        return 1
    except KeyboardInterrupt:
        console.print("Đã dừng / stopped")
        return 130
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
