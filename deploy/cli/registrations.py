"""`axis registrations`: what integrators have asked for, decided by a registrar."""

from typing import Annotated
from uuid import UUID

import typer

from deploy.cli.connections import AsJson, Place, example, place_of, wait_for
from deploy.cli.output import local_time, print_json, show_registration, table, terminal
from shared.client import Call
from shared.contracts.registry import RegistrationPage, RegistrationStatus, RegistrationView

app = typer.Typer(no_args_is_help=True, help="Đăng ký kết nối chờ duyệt. / Registrations to decide.")

RegistrationId = Annotated[UUID, typer.Argument(help="Mã đăng ký. / Identifier of the registration.")]


@app.command("list", epilog=example("axis registrations list --status pending"))
def list_registrations(
    context: typer.Context,
    status: Annotated[
        RegistrationStatus | None, typer.Option(help="Chỉ trạng thái này. / Only those in this state.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """
    Liệt kê đăng ký, cũ nhất trước. / List registrations, oldest first.
    """
    page = wait_for(_list(place_of(context), status))
    if as_json:
        print_json(page)
        return
    rows = [
        (
            one.id,
            one.status.value,
            one.system_id,
            one.system_name,
            ", ".join(one.agencies),
            one.contact_email,
            local_time(one.created_at),
        )
        for one in page.items
    ]
    columns = (
        "Mã / Id",
        "Trạng thái / Status",
        "Hệ thống / System",
        "Tên / Name",
        "Cơ quan / Agencies",
        "Liên hệ / Contact",
        "Lúc / At",
    )
    terminal.print(table("", columns, rows))


async def _list(place: Place, status: RegistrationStatus | None) -> RegistrationPage:
    async with place.admin() as admin:
        params = {"status": status.value if status else None}
        return await admin.ask(Call("GET", "/v1/admin/registrations", params), RegistrationPage)


@app.command(epilog=example("axis registrations approve 0193e1f0-5a5c-7d7a-9d0e-1c2b3a495867"))
def approve(context: typer.Context, registration_id: RegistrationId, as_json: AsJson = False) -> None:
    """
    Duyệt một đăng ký. / Approve a registration.
    """
    _show(wait_for(_decide(place_of(context), registration_id, "approve", {})), as_json=as_json)


@app.command(
    epilog=example('axis registrations refuse 0193e1f0-5a5c-7d7a-9d0e-1c2b3a495867 --reason "Chưa có văn bản đề nghị"')
)
def refuse(
    context: typer.Context,
    registration_id: RegistrationId,
    reason: Annotated[str, typer.Option(help="Lý do, bên đăng ký sẽ đọc. / Why; the integrator reads it.")],
    as_json: AsJson = False,
) -> None:
    """
    Từ chối một đăng ký, có lý do. / Refuse a registration, with a reason.
    """
    _show(wait_for(_decide(place_of(context), registration_id, "refuse", {"reason": reason})), as_json=as_json)


async def _decide(place: Place, registration_id: UUID, act: str, body: dict[str, str]) -> RegistrationView:
    async with place.admin() as admin:
        call = Call("POST", f"/v1/admin/registrations/{registration_id}/{act}", json=body)
        return await admin.ask(call, RegistrationView)


def _show(view: RegistrationView, *, as_json: bool) -> None:
    if as_json:
        print_json(view)
        return
    show_registration(view)
