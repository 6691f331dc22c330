"""`axis inbox`, `fetch`, `ack` and `status`: documents on their way in."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path, PurePosixPath
from typing import Annotated
from uuid import UUID

import typer
from rich.markup import escape

from deploy.cli.connections import AsJson, CredentialFile, Place, example, place_of, wait_for
from deploy.cli.output import LANE_NAMES, local_time, print_json, say, state_name, status_name, table, terminal
from shared.client import AxisClient, Fetched, FetchedPacket
from shared.contracts.routing import (
    Acknowledged,
    DeliveryState,
    InboxItem,
    InboxPage,
    StaffInfo,
    StatusHistory,
    StatusReported,
)

DeliveryId = Annotated[UUID, typer.Argument(help="Mã lượt nhận (delivery_id). / Identifier of the delivery.")]

WATCH_SECONDS = 50
"""One long poll of a watch; a little under the longest a node allows."""


def inbox(
    context: typer.Context,
    agency: Annotated[str | None, typer.Option(help="Chỉ cơ quan này. / Only this agency.")] = None,
    state: Annotated[DeliveryState | None, typer.Option(help="available, fetched")] = None,
    wait: Annotated[int, typer.Option(min=0, max=60, help="Chờ tối đa số giây. / Seconds to wait.")] = 0,
    watch: Annotated[
        bool, typer.Option("--watch", help="In văn bản mới cho đến Ctrl-C. / Go on until Ctrl-C.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=200, help="Số dòng. / Rows.")] = 50,
    credential: CredentialFile = None,
    as_json: AsJson = False,
) -> None:
    """
    Liệt kê văn bản chưa xác nhận, khẩn nhất trước. / List what is not acknowledged, most urgent first.
    """
    place = place_of(context)
    if watch:
        with contextlib.suppress(KeyboardInterrupt):
            wait_for(_watch(place, credential, agency, as_json=as_json))
        return
    page = wait_for(_list(place, credential, agency, state, wait, limit))
    if as_json:
        print_json(page)
        return
    if not page.items:
        say("Hộp thư trống.", "The mailbox is empty.")
        return
    rows = [
        (
            LANE_NAMES[one.lane],
            one.sender,
            one.code,
            one.subject,
            state_name(one.state),
            local_time(one.available_at),
            one.agency,
            one.delivery_id,
        )
        for one in page.items
    ]
    columns = (
        "Độ khẩn / Lane",
        "Nơi gửi / From",
        "Số/ký hiệu / Code",
        "Trích yếu / Subject",
        "Trạng thái / State",
        "Đến lúc / At",
        "Cho / To",
        "Mã lượt nhận / Delivery",
    )
    terminal.print(table("", columns, rows))
    if page.next_cursor:
        say("Còn nữa; tăng --limit.", "There are more; raise --limit.")


async def _list(
    place: Place, credential: Path | None, agency: str | None, state: DeliveryState | None, wait: int, limit: int
) -> InboxPage:
    async with place.client(credential) as client:
        return await client.inbox(wait, agency, state, limit=limit)


async def _watch(place: Place, credential: Path | None, agency: str | None, *, as_json: bool) -> None:
    async with place.client(credential) as client:
        async for item in arrivals(client, agency):
            if as_json:
                print_json(item)
            else:
                terminal.print(
                    f"{local_time(item.available_at)} [bold]{LANE_NAMES[item.lane]}[/bold] {escape(item.sender)} "
                    f"{escape(item.code)} {escape(item.subject)} [dim]{item.delivery_id}[/dim]",
                    soft_wrap=True,
                )


async def arrivals(client: AxisClient, agency: str | None) -> AsyncGenerator[InboxItem, None]:
    """
    Give each delivery once, as it comes; what is there already comes first.
    """
    seen: set[tuple[UUID, int]] = set()
    while True:
        found: set[tuple[UUID, int]] = set()
        cursor: str | None = None
        while True:
            page = await client.inbox(0 if seen or cursor else WATCH_SECONDS, agency, limit=200, cursor=cursor)
            for item in page.items:
                found.add((item.delivery_id, item.series))
                if (item.delivery_id, item.series) not in seen:
                    yield item
            cursor = page.next_cursor
            if cursor is None:
                break
        # A long poll answers at once while anything lies unacknowledged, so a full mailbox is looked at in turns.
        if found and found == seen:
            await asyncio.sleep(2)
        seen = found


def fetch(
    context: typer.Context,
    delivery_id: DeliveryId,
    into: Annotated[
        Path, typer.Option("--into", help="Thư mục ghi vào. / Folder to write to.", file_okay=False)
    ] = Path(),
    packet_only: Annotated[
        bool, typer.Option("--packet-only", help="Chỉ tải gói tin gốc. / Only the packet, no attachments.")
    ] = False,
    credential: CredentialFile = None,
    as_json: AsJson = False,
) -> None:
    """
    Tải gói tin và tệp đính kèm, kiểm mã băm. / Fetch packet and attachments, digests checked.
    """
    into.mkdir(parents=True, exist_ok=True)
    packet, files = wait_for(_fetch(place_of(context), credential, delivery_id, into, packet_only=packet_only))
    item = packet.delivery.item
    paths = [packet.file.path, *(file.path for file in files)]
    if as_json:
        print_json({"files": [str(path) for path in paths], "delivery": packet.delivery.model_dump(mode="json")})
        return
    say(f"{item.sender} · {item.code} · {item.subject}", "fetched, digests checked")
    for signature in packet.delivery.report.signatures:
        word = signature.indication.value + (f" {signature.sub_indication}" if signature.sub_indication else "")
        terminal.print(f"  chữ ký / signature: {word}, {escape(signature.signer_subject or '?')}", soft_wrap=True)
    for path in paths:
        terminal.print(f"  {path}", markup=False, soft_wrap=True)
    say(f"  Lưu xong thì xác nhận: axis ack {item.delivery_id}", "acknowledge once it is safely stored")


async def _fetch(
    place: Place, credential: Path | None, delivery_id: UUID, into: Path, *, packet_only: bool
) -> tuple[FetchedPacket, list[Fetched]]:
    async with place.client(credential) as client:
        packet = await client.fetch(delivery_id, into / f"{delivery_id}.edxml")
        attachments = () if packet_only else packet.delivery.attachments
        files = [
            await client.attachment(delivery_id, one.n, into / safe_name(delivery_id, one.n, one.name))
            for one in attachments
        ]
    return packet, files


def safe_name(delivery_id: UUID, n: int, name: str) -> str:
    """
    Name the file of an attachment; what the sender wrote chooses neither folder nor a name that is taken.
    """
    last = PurePosixPath(name.replace("\\", "/")).name
    printable = "".join(letter for letter in last if letter.isprintable()).lstrip(".")
    # Most file systems take 255 bytes a name; letters of Vietnamese have up to three.
    return f"{delivery_id}-{n}-{printable[-60:] or 'tep'}"


def acknowledge(
    context: typer.Context,
    delivery_id: DeliveryId,
    fail: Annotated[str | None, typer.Option("--fail", help="Không nhận được, vì sao. / It failed, and why.")] = None,
    credential: CredentialFile = None,
    as_json: AsJson = False,
) -> None:
    """
    Xác nhận đã lưu xong, hoặc báo không nhận được. / Acknowledge, or say it could not be taken.
    """
    answer = wait_for(_acknowledge(place_of(context), credential, delivery_id, fail))
    if as_json:
        print_json(answer)
        return
    say(f"✓ {state_name(answer.state)}", "acknowledged" if answer.created else "it was acknowledged before")


async def _acknowledge(place: Place, credential: Path | None, delivery_id: UUID, fail: str | None) -> Acknowledged:
    async with place.client(credential) as client:
        if fail is None:
            return await client.acknowledge(delivery_id)
        return await client.acknowledge(delivery_id, "fail", fail)


def status(
    context: typer.Context,
    delivery_id: DeliveryId,
    code: Annotated[str | None, typer.Argument(help="01 … 06, 15, 16; bỏ trống: xem lịch sử. / None: history.")] = None,
    description: Annotated[
        str, typer.Option("--description", "-d", help="Nội dung; bắt buộc với 02, 16. / Required with 02 and 16.")
    ] = "",
    department: Annotated[str, typer.Option(help="Phòng ban. / Department.")] = "",
    staff: Annotated[str, typer.Option(help="Người xử lý. / Who handles it.")] = "",
    credential: CredentialFile = None,
    as_json: AsJson = False,
) -> None:
    """
    Báo trạng thái xử lý, hoặc xem lịch sử. / Report a business status, or see the history.
    """
    place = place_of(context)
    if code is None:
        history = wait_for(_history(place, credential, delivery_id))
        if as_json:
            print_json(history)
            return
        rows = [(local_time(one.happened_at), status_name(one.code), one.description) for one in history.items]
        terminal.print(table("", ("Lúc / At", "Trạng thái / Status", "Nội dung / Description"), rows))
        return
    info = StaffInfo(department=department, staff=staff) if department or staff else None
    reported = wait_for(_report(place, credential, delivery_id, code, description, info))
    if as_json:
        print_json(reported)
        return
    say(f"✓ {status_name(code)}", "reported" if reported.created else "it was reported before")


async def _history(place: Place, credential: Path | None, delivery_id: UUID) -> StatusHistory:
    async with place.client(credential) as client:
        return await client.statuses(delivery_id)


async def _report(
    place: Place, credential: Path | None, delivery_id: UUID, code: str, description: str, info: StaffInfo | None
) -> StatusReported:
    async with place.client(credential) as client:
        return await client.report_status(delivery_id, code, description, staff=info)


def add_commands(app: typer.Typer) -> None:
    """
    Add the commands to the root.
    """
    delivery = "0193e1f0-5a5c-7d7a-9d0e-1c2b3a495867"
    app.command(epilog=example("axis inbox --wait 20", "axis inbox --watch --json"))(inbox)
    app.command(epilog=example(f"axis fetch {delivery} --into van-ban"))(fetch)
    app.command("ack", epilog=example(f"axis ack {delivery}", f'axis ack {delivery} --fail "Tệp hỏng"'))(acknowledge)
    app.command(
        epilog=example(
            f'axis status {delivery} 03 --staff "Nguyễn Văn A"',
            f'axis status {delivery} 02 -d "Gửi nhầm cơ quan"',
            f"axis status {delivery}",
        )
    )(status)
