"""A node that stays: started, told about at the terminal, stopped by Ctrl-C."""

import asyncio
import contextlib
import shlex
import signal
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import uvloop
from rich.console import Console

from deploy.composition import traces
from deploy.embedded.echo import ECHO_CODE, ECHO_NAME, echo, ensure_echo, ways_to
from deploy.embedded.home import Home
from deploy.embedded.node import Node
from deploy.embedded.papers import paper, seal_of
from deploy.embedded.systems import ensure_system, import_table
from shared.client import Credential, write_private
from shared.telemetry import configure_logs

SAMPLE_SYSTEM: Final = "thu-nghiem"
SAMPLE_AGENCY: Final = ("H43.31.01", "UBND xã Phước Bình")
TABLE: Final = Path(__file__).parents[1] / "data" / "agencies-2024.csv"
TABLE_AS_OF: Final = "2024-12-31"


def run_node(home: Path, *, echo: bool) -> int:
    """
    Run a node until Ctrl-C or SIGTERM.

    Args:
        home: The node's folder.
        echo: Also import the sample register, run the echo agency, and write a credential and a packet to try with.

    Returns:
        Exit code: 0 after an orderly stop.

    Raises:
        NodeError: It cannot run, with the remedy.
    """
    place = Home(home.absolute())
    place.config()
    console = Console(highlight=False, soft_wrap=True)
    with _logs(place, console), traces("embedded"):
        uvloop.run(_run(place, console, with_echo=echo))
    return 0


@contextlib.contextmanager
def _logs(home: Home, console: Console) -> Iterator[None]:
    """At a terminal the log goes to a file, out of the way; else to standard error, for whatever runs us."""
    warnings.showwarning = lambda message, *_args, **_more: console.print(f"! {message}", markup=False)
    if not sys.stderr.isatty():
        configure_logs()
        yield
        return
    with home.log_file.open("a", encoding="utf-8") as log:
        configure_logs(stream=log)
        console.print(f"Nhật ký / log: {home.log_file}")
        yield


async def _run(home: Home, console: Console, *, with_echo: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    console.print("Đang khởi động / starting …")
    async with Node(home) as node:
        console.print(f"Nút {node.config.node_id} đang chạy / node runs: [bold]{node.config.public_url}[/]")
        console.print(f"  quản trị / command line: http://127.0.0.1:{node.config.admin_port}")
        console.print(f"  tài liệu / API reference: {node.config.public_url}/docs")
        beside = asyncio.ensure_future(_try_out(node, console)) if with_echo else None
        console.print("Ctrl-C để dừng / to stop")
        waiting = asyncio.ensure_future(stop.wait())
        await asyncio.wait([waiting, *([beside] if beside else [])], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if beside is not None:
            if beside.done() and not stop.is_set():
                beside.result()
            beside.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await beside
        console.print("Đang dừng / stopping …")


async def _try_out(node: Node, console: Console) -> None:
    async with ways_to(node) as ways:
        table = await asyncio.to_thread(TABLE.read_bytes)
        report = await import_table(ways.admin, table, as_of=TABLE_AS_OF, under=node.config.node_id, level="central")
        console.print(f"Danh mục / register: {report.added} mới / added, {report.unchanged} giữ nguyên / unchanged")
        sample = await ensure_system(
            ways.admin,
            ways.public,
            node.home.systems,
            system_id=SAMPLE_SYSTEM,
            name="Phần mềm thử nghiệm",
            agencies=[SAMPLE_AGENCY[0]],
        )
    echo_credential = await ensure_echo(node)
    packet, curl = await asyncio.to_thread(_write_samples, node.home, sample)
    _explain(console, node, packet, curl)
    await echo(echo_credential)


def _write_samples(home: Home, credential: Credential) -> tuple[Path, Path]:
    """Write a sealed packet to the echo agency, and the secret in a form that only curl reads."""
    folder = home.systems / SAMPLE_SYSTEM
    packet = folder / "van-ban-mau.edxml"
    if not packet.exists():
        content = paper(
            sender=SAMPLE_AGENCY,
            to=[(ECHO_CODE, ECHO_NAME)],
            number="01",
            subject="Văn bản mẫu gửi cơ quan phản hồi",
            seal=seal_of(credential),
        )
        unfinished = packet.with_suffix(".new")
        unfinished.write_bytes(content)
        unfinished.replace(packet)
    curl = folder / "curl.conf"
    secret = credential.secret.get_secret_value() if credential.secret else ""
    write_private(curl, f'user = "{credential.system_id}:{secret}"\n')
    return packet, curl


def _explain(console: Console, node: Node, packet: Path, curl: Path) -> None:
    url = node.config.public_url
    file = shlex.quote(str(curl.with_name("credential.json")))
    bearer = '-H "Authorization: Bearer $TOKEN"'
    ask_token = f"curl -sSK {shlex.quote(str(curl))} -d grant_type=client_credentials {url}/oauth2/token"
    pick = """sed -E 's/.*"access_token": *"([^"]+)".*/\\1/'"""
    send = f'-H "Content-Type: application/edxml+xml" --data-binary @{shlex.quote(str(packet))} {url}/v1/documents'
    lines = (
        f"TOKEN=$({ask_token} | {pick})",
        # Answers are one line of JSON; without a line end the prompt would stick to it.
        f"curl -sSw '\\n' {bearer} {send}",
        f"curl -sSw '\\n' {bearer} {url}/v1/documents",
        f"curl -sSw '\\n' {bearer} \"{url}/v1/inbox?wait=20\"",
    )
    console.print(f"\nCơ quan phản hồi / echo agency: [bold]{ECHO_CODE}[/] {ECHO_NAME}")
    console.print("Thử ngay, dán từng dòng / try it, line by line:\n")
    for line in lines:
        console.print(line, markup=False)
    console.print("\nHoặc bằng dòng lệnh / or with the command line:\n")
    console.print(f"export AXIS_CREDENTIAL={file}", markup=False)
    console.print(".venv/bin/axis inbox\n", markup=False)
