"""`axis queues`: the lanes, live; holding and releasing them."""

import asyncio
import contextlib
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.live import Live
from rich.text import Text

from deploy.cli.connections import AsJson, Place, example, place_of, wait_for
from deploy.cli.output import LANE_NAMES, local_time, print_json, say, state_name, table, terminal
from shared.client import Call
from shared.contracts.base import Lane
from shared.contracts.routing import COUNTED_UP_TO, Queues
from shared.identifiers import VIETNAM

app = typer.Typer(invoke_without_command=True)

REFRESH_SECONDS = 2

_WORDS = {
    "thuong": Lane.ORDINARY,
    "khan": Lane.URGENT,
    "thuong-khan": Lane.VERY_URGENT,
    "hoa-toc": Lane.EXPRESS,
    "hoa-toc-hen-gio": Lane.EXPRESS_TIMED,
}

Target = Annotated[
    str, typer.Argument(help="Làn 0 … 4 hoặc thuong, khan, thuong-khan, hoa-toc, hoa-toc-hen-gio; hay mã cơ quan.")
]


@app.callback(epilog=example("axis queues", "axis queues --once --json", 'axis queues pause 0 --reason "Bảo trì"'))
def queues(
    context: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="In một lần rồi thôi. / Print once.")] = False,
    as_json: AsJson = False,
) -> None:
    """
    Xem các làn, cập nhật liên tục. / Watch the lanes, live.
    """
    if context.invoked_subcommand is not None:
        return
    place = place_of(context)
    if once or as_json:
        found = wait_for(_read(place))
        if as_json:
            print_json(found)
        else:
            terminal.print(_picture(found))
        return
    with contextlib.suppress(KeyboardInterrupt):
        wait_for(_watch(place))


async def _read(place: Place) -> Queues:
    async with place.admin() as admin:
        return await admin.ask(Call("GET", "/v1/admin/queues"), Queues)


async def _watch(place: Place) -> None:
    async with place.admin() as admin:
        call = Call("GET", "/v1/admin/queues")
        with Live(_picture(await admin.ask(call, Queues)), console=terminal, auto_refresh=False) as live:
            while True:
                await asyncio.sleep(REFRESH_SECONDS)
                live.update(_picture(await admin.ask(call, Queues)), refresh=True)


def _count(number: int) -> str:
    return f"{number}+" if number >= COUNTED_UP_TO else str(number)


def _picture(found: Queues) -> Group:
    lanes = table(
        "",
        (
            "Làn / Lane",
            "Chờ / Waiting",
            "Nơi nhận / Addressees",
            "Đang chuyển / In flight",
            "Lâu nhất / Oldest (s)",
            "Tạm dừng / Paused",
        ),
        [
            (
                f"{int(one.lane)} {LANE_NAMES[one.lane]}",
                _count(one.waiting),
                one.waiting_addressees,
                one.outstanding,
                f"{one.oldest_seconds:.0f}",
                f"{one.pause_reason or ''} {local_time(one.paused_until)}".strip() if one.paused else "",
            )
            for one in sorted(found.lanes, key=lambda one: -one.lane)
        ],
    )
    counts = ", ".join(f"{state_name(state)} {_count(number)}" for state, number in found.deliveries.items())
    parts: list[Any] = [lanes, Text(f"Lượt nhận / deliveries: {counts or 0}")]
    parts.append(Text(f"Chưa mở / unopened: {_count(found.unopened)}   hộp phát / outbox: {_count(found.outbox)}"))
    parts += [
        Text(f"Giữ lại / held: {one.agency}, {one.reason} {local_time(one.paused_until)}".rstrip())
        for one in found.paused_agencies
    ]
    return Group(*parts)


@app.command(
    epilog=example('axis queues pause hoa-toc --reason "Bảo trì"', 'axis queues pause H43.31 --reason "Sáp nhập"')
)
def pause(
    context: typer.Context,
    target: Target,
    reason: Annotated[str, typer.Option(help="Lý do. / Why.")],
    until: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"], help="Đến giờ Việt Nam này. / Vietnamese time."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """
    Tạm dừng một làn hay một nơi nhận. / Hold a lane or an addressee.
    """
    body = {"reason": reason, "until": until.replace(tzinfo=VIETNAM).isoformat() if until else None}
    found = wait_for(_act(place_of(context), f"{_path(target)}/pause", body))
    _answer(found, f"Đã tạm dừng {target}.", f"{target} is held.", as_json=as_json)


@app.command(epilog=example("axis queues resume hoa-toc"))
def resume(context: typer.Context, target: Target, as_json: AsJson = False) -> None:
    """
    Cho chạy tiếp. / Let it go on.
    """
    found = wait_for(_act(place_of(context), f"{_path(target)}/resume", None))
    _answer(found, f"{target} chạy tiếp.", f"{target} goes on.", as_json=as_json)


async def _act(place: Place, path: str, body: dict[str, str | None] | None) -> Queues:
    async with place.admin() as admin:
        return await admin.ask(Call("POST", path, json=body), Queues)


def _path(target: str) -> str:
    lane = _WORDS.get(target.lower(), target)
    if isinstance(lane, str) and lane in {"0", "1", "2", "3", "4"}:
        lane = Lane(int(lane))
    return f"/v1/admin/lanes/{int(lane)}" if isinstance(lane, Lane) else f"/v1/admin/agencies/{target}"


def _answer(found: Queues, vi: str, en: str, *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    say(vi, en)
    terminal.print(_picture(found))
