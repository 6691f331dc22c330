"""`axis agencies`: the directory, and taking tables into it."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from deploy.cli.connections import AsJson, CredentialFile, Place, example, place_of, wait_for
from deploy.cli.errors import ExitCode
from deploy.cli.output import local_time, print_json, say, table, terminal
from shared.client import Call
from shared.contracts.registry import AgencyEntry, AgencyPage, ImportReport

app = typer.Typer(no_args_is_help=True, help="Danh bạ cơ quan. / The directory of agencies.")

_COLUMNS = ("Mã / Code", "Mã cũ / Old", "Tên / Name", "Cấp / Level", "Trực thuộc / Under", "Nút / Node")


@app.command(
    "import",
    epilog=example("axis agencies import agencies.csv --as-of 2024-12-31 --under H43 --level central --dry-run"),
)
def import_agencies(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="Bảng CSV. / CSV table.", exists=True, dir_okay=False, readable=True)],
    as_of: Annotated[
        datetime,
        typer.Option("--as-of", formats=["%Y-%m-%d"], help="Lấy dòng còn hiệu lực ngày này. / Rows of this day."),
    ],
    under: Annotated[
        list[str] | None, typer.Option(help="Cả cây dưới mã này. / The whole tree under this code.")
    ] = None,
    level: Annotated[list[str] | None, typer.Option(help="Thêm cả cấp này. / This level besides.")] = None,
    served_by: Annotated[
        str | None, typer.Option("--served-by", help="Nút phục vụ; mặc định nút này. / Serving node; default this one.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Chỉ cho biết sẽ ra sao. / Only tell what would happen.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """
    Nhập bảng cơ quan, được cả hoặc không gì. / Take a table of agencies in, all of it or nothing.
    """
    params = {
        "as_of": as_of.date().isoformat(),
        "under": under or None,
        "level": level or None,
        "served_by": served_by,
        "dry_run": "true" if dry_run else None,
    }
    call = Call(
        "POST", "/v1/admin/agencies/import", params, content=file.read_bytes(), content_type="text/csv; charset=utf-8"
    )
    report = wait_for(_import(place_of(context), call))
    if as_json:
        print_json(report)
    else:
        verb = "Sẽ" if report.dry_run else "Đã"
        say(
            f"{verb} thêm {report.added}, đổi {report.changed}, giữ nguyên {report.unchanged}, "
            f"bỏ qua {report.passed_over}.",
            f"added {report.added}, changed {report.changed}, unchanged {report.unchanged}, "
            f"passed over {report.passed_over}; register version {report.version}",
        )
        if report.errors:
            rows = [(one.line, one.code, one.detail) for one in report.errors]
            terminal.print(table("", ("Dòng / Line", "Mã / Code", "Chi tiết / Detail"), rows))
    if report.errors:
        raise typer.Exit(ExitCode.REFUSED)


async def _import(place: Place, call: Call) -> ImportReport:
    async with place.admin() as admin:
        return await admin.ask(call, ImportReport)


@app.command("list", epilog=example('axis agencies list "phuoc dinh"', "axis agencies list --parent H43 --json"))
def list_agencies(
    context: typer.Context,
    query: Annotated[str, typer.Argument(help="Tên không cần dấu, hoặc mã. / Name without accents, or code.")] = "",
    level: Annotated[str | None, typer.Option(help="central, province, district, commune")] = None,
    parent: Annotated[str | None, typer.Option(help="Cơ quan cấp trên. / The agency above.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="Số dòng. / Rows.")] = 50,
    credential: CredentialFile = None,
    as_json: AsJson = False,
) -> None:
    """
    Tìm cơ quan theo tên không dấu hoặc mã. / Find agencies by name without accents, or by code.
    """
    place = place_of(context)
    params: dict[str, object] = {"query": query or None, "level": level, "parent": parent, "limit": limit}
    page = wait_for(_list(place, place.public_url(credential), params))
    if as_json:
        print_json(page)
        return
    rows = [(one.code, one.code102, one.name, one.level, one.parent, one.serving_node) for one in page.items]
    terminal.print(table("", _COLUMNS, rows))
    if page.next_cursor:
        say("Còn nữa; thu hẹp hoặc tăng --limit.", "There are more; narrow the search or raise --limit.")


async def _list(place: Place, url: str, params: dict[str, object]) -> AgencyPage:
    async with place.public(url) as node:
        return await node.ask(Call("GET", "/v1/agencies", params, bearer=""), AgencyPage)


@app.command(epilog=example("axis agencies show 000.31.01.H43"))
def show(
    context: typer.Context,
    code: Annotated[str, typer.Argument(help="Mã mới hoặc cũ. / Code in either form.")],
    credential: CredentialFile = None,
    as_json: AsJson = False,
) -> None:
    """
    Xem một cơ quan. / Show one agency.
    """
    place = place_of(context)
    agency = wait_for(_show(place, place.public_url(credential), code))
    if as_json:
        print_json(agency)
        return
    rows = [
        ("Mã / Code", agency.code),
        ("Mã cũ / Old form", agency.code102),
        ("Tên / Name", agency.name),
        ("Cấp / Level", f"{agency.level}, {agency.kind}"),
        ("Trực thuộc / Parent", agency.parent),
        ("Hiệu lực từ / Valid from", local_time(agency.valid_from)),
        ("Đến / To", local_time(agency.valid_to) or "–"),
        ("Nút phục vụ / Serving node", agency.serving_node),
    ]
    terminal.print(table("", ("", ""), rows))


async def _show(place: Place, url: str, code: str) -> AgencyEntry:
    async with place.public(url) as node:
        return await node.ask(Call("GET", f"/v1/agencies/{code}", bearer=""), AgencyEntry)
