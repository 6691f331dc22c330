"""`axis failed` and `axis dead`: what was given up, and what a person does about it."""

from typing import Annotated
from uuid import UUID

import typer
from pydantic import BaseModel

from deploy.cli.connections import AsJson, Place, example, place_of, wait_for
from deploy.cli.errors import ExitCode
from deploy.cli.output import local_time, print_json, say, state_name, table, terminal
from shared.client import Call
from shared.contracts.dead import DeadMessage, DeadResult
from shared.contracts.routing import ActResults, FailedPage

failed = typer.Typer(no_args_is_help=True, help="Văn bản gửi lỗi. / Deliveries that were given up.")
dead = typer.Typer(no_args_is_help=True, help="Thông điệp nội bộ hỏng. / Dead messages on our own bus.")

_ID = "0193e1f0-5a5c-7d7a-9d0e-1c2b3a495867"

DeliveryIds = Annotated[list[UUID], typer.Argument(help="Mã lượt nhận. / Identifiers of deliveries.")]
MessageIds = Annotated[list[UUID], typer.Argument(help="Mã thông điệp. / Identifiers of messages.")]
Reason = Annotated[str, typer.Option(help="Lý do. / Why.")]
ServiceName = Annotated[str, typer.Argument(help="registry, signing, routing, delivery, audit")]


class DeadEntry(DeadMessage):
    """
    A dead message and the service it killed.
    """

    service: str


class DeadList(BaseModel):
    """
    Dead messages of all services.
    """

    items: tuple[DeadEntry, ...]
    unavailable: tuple[str, ...] = ()


@failed.command("list", epilog=example("axis failed list --agency H43.31"))
def list_failed(
    context: typer.Context,
    agency: Annotated[str | None, typer.Option(help="Chỉ nơi nhận này. / Only this addressee.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="Số dòng. / Rows.")] = 100,
    as_json: AsJson = False,
) -> None:
    """
    Liệt kê, cũ nhất trước. / List them, oldest first.
    """
    page = wait_for(_list_failed(place_of(context), {"agency": agency, "limit": limit}))
    if as_json:
        print_json(page)
        return
    rows = [
        (one.delivery_id, one.sender, one.agency, one.series, one.reason_code, one.reason, local_time(one.failed_at))
        for one in page.items
    ]
    columns = (
        "Mã lượt nhận / Delivery",
        "Nơi gửi / From",
        "Nơi nhận / To",
        "Lần / Series",
        "Mã lỗi / Code",
        "Lý do / Reason",
        "Lúc / At",
    )
    terminal.print(table("", columns, rows))


async def _list_failed(place: Place, params: dict[str, object]) -> FailedPage:
    async with place.admin() as admin:
        return await admin.ask(Call("GET", "/v1/admin/failed", params), FailedPage)


@failed.command(epilog=example(f'axis failed requeue {_ID} --reason "Bên nhận đã sửa hệ thống"'))
def requeue(context: typer.Context, delivery_ids: DeliveryIds, reason: Reason, as_json: AsJson = False) -> None:
    """
    Gửi lại. / Try them again.
    """
    _act_on_failed(context, "requeue", delivery_ids, reason, as_json=as_json)


@failed.command(epilog=example(f'axis failed cancel {_ID} --reason "Bên gửi đề nghị"'))
def cancel(context: typer.Context, delivery_ids: DeliveryIds, reason: Reason, as_json: AsJson = False) -> None:
    """
    Hủy hẳn. / Cancel them for good.
    """
    _act_on_failed(context, "cancel", delivery_ids, reason, as_json=as_json)


def _act_on_failed(context: typer.Context, act: str, ids: list[UUID], reason: str, *, as_json: bool) -> None:
    body: dict[str, object] = {"delivery_ids": [str(one) for one in ids], "reason": reason}
    results = wait_for(_ask_failed(place_of(context), act, body))
    if as_json:
        print_json(results)
    else:
        rows = [
            ("✗" if one.code else "✓", one.delivery_id, state_name(one.state), one.code, one.detail)
            for one in results.items
        ]
        columns = ("", "Mã lượt nhận / Delivery", "Trạng thái / State", "Mã lỗi / Code", "Chi tiết / Detail")
        terminal.print(table("", columns, rows))
    if any(one.code for one in results.items):
        raise typer.Exit(ExitCode.REFUSED)


async def _ask_failed(place: Place, act: str, body: dict[str, object]) -> ActResults:
    async with place.admin() as admin:
        return await admin.ask(Call("POST", f"/v1/admin/failed/{act}", json=body), ActResults)


@dead.command("list", epilog=example("axis dead list"))
def list_dead(context: typer.Context, as_json: AsJson = False) -> None:
    """
    Liệt kê thông điệp hỏng của mọi dịch vụ. / List dead messages of every service.
    """
    found = wait_for(_list_dead(place_of(context)))
    if as_json:
        print_json(found)
        return
    rows = [
        (one.service, one.message_id, one.topic, one.attempts, one.error, local_time(one.died_at))
        for one in found.items
    ]
    columns = ("Dịch vụ / Service", "Mã / Id", "Chủ đề / Topic", "Lần thử / Tries", "Lỗi / Error", "Lúc / At")
    terminal.print(table("", columns, rows))
    if found.unavailable:
        say(f"Không hỏi được: {', '.join(found.unavailable)}.", "These services did not answer.")


async def _list_dead(place: Place) -> DeadList:
    async with place.admin() as admin:
        return await admin.ask(Call("GET", "/v1/admin/dead"), DeadList)


@dead.command(epilog=example(f"axis dead retry routing {_ID}"))
def retry(context: typer.Context, service: ServiceName, message_ids: MessageIds, as_json: AsJson = False) -> None:
    """
    Xử lý lại. / Hand them over again.
    """
    _act_on_dead(context, service, "retry", message_ids, as_json=as_json)


@dead.command(epilog=example(f"axis dead drop routing {_ID}"))
def drop(context: typer.Context, service: ServiceName, message_ids: MessageIds, as_json: AsJson = False) -> None:
    """
    Bỏ hẳn. / Drop them for good.
    """
    _act_on_dead(context, service, "drop", message_ids, as_json=as_json)


def _act_on_dead(context: typer.Context, service: str, act: str, ids: list[UUID], *, as_json: bool) -> None:
    result = wait_for(_ask_dead(place_of(context), service, act, [str(one) for one in ids]))
    if as_json:
        print_json(result)
    else:
        say(f"{result.found} trên {len(ids)} thông điệp.", f"{result.found} of {len(ids)} messages.")
    if result.found < len(ids):
        raise typer.Exit(ExitCode.REFUSED)


async def _ask_dead(place: Place, service: str, act: str, ids: list[str]) -> DeadResult:
    async with place.admin() as admin:
        call = Call("POST", f"/v1/admin/dead/{service}/{act}", json={"message_ids": ids})
        return await admin.ask(call, DeadResult)
