"""`axis init`, `run`, `db upgrade` and `doctor`: a node on this machine, from its folder alone."""

import asyncio
from dataclasses import asdict
from typing import Annotated

import typer

from deploy.cli.connections import AsJson, example, place_of
from deploy.cli.errors import ExitCode
from deploy.cli.output import print_json, say, table, terminal

database = typer.Typer(no_args_is_help=True, help="Cơ sở dữ liệu của nút. / The node's database.")


def init(
    context: typer.Context,
    node_id: Annotated[
        str, typer.Option("--node-id", help="Mã cơ quan vận hành nút. / Code of the agency that runs it.")
    ] = "H43",
    host: Annotated[
        str, typer.Option(help="Địa chỉ các cơ quan kết nối đến. / Address agencies connect to.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="Cổng của các cơ quan; 0: tự chọn. / Their port; 0 takes a free one.")
    ] = 8080,
    admin_port: Annotated[
        int, typer.Option("--admin-port", help="Cổng quản trị, chỉ trên máy này. / Administrative port, loopback only.")
    ] = 8081,
    public_url: Annotated[
        str | None,
        typer.Option("--public-url", help="Địa chỉ công khai nếu khác. / Public address, where it differs."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """
    Tạo thư mục của nút; làm lại không đổi gì. / Make a node's folder; doing it again changes nothing.
    """
    from deploy.embedded.home import init_home  # noqa: PLC0415  (the whole system is loaded only by what needs it)

    report = init_home(
        place_of(context).home, node_id=node_id, host=host, port=port, admin_port=admin_port, public_url=public_url
    )
    config = report.config
    if as_json:
        print_json({"home": str(report.home), "created": report.created, **config.model_dump(mode="json")})
        return
    if report.created:
        say(f"Đã tạo nút {config.node_id} trong {report.home}.", f"Node {config.node_id} made in {report.home}.")
    else:
        say(f"{report.home} đã là thư mục của nút {config.node_id}.", "It is a node's folder already; nothing changed.")
    say(f"Khởi động: axis --home {report.home} run", f"Start it; agencies will reach it at {config.public_url}")


def run(
    context: typer.Context,
    echo: Annotated[
        bool, typer.Option("--echo", help="Kèm cơ quan phản hồi để thử. / With an echo agency to try things on.")
    ] = False,
) -> None:
    """
    Chạy nút cho đến Ctrl-C. / Run the node until Ctrl-C.
    """
    from deploy.embedded.run import run_node  # noqa: PLC0415  (loads every service)

    raise typer.Exit(run_node(place_of(context).home, echo=echo))


def upgrade(context: typer.Context) -> None:
    """
    Nâng cấu trúc dữ liệu lên bản này. / Bring the schemas to this release.

    Có AXIS_DATABASE_ADMIN_URL: trên máy chủ ấy, tạo cả vai trò và lược đồ còn thiếu; không có: của nút nhúng trong
    --home, khi nút không chạy. / With AXIS_DATABASE_ADMIN_URL on that server, making what is missing; else the
    embedded node's in --home, while it is down.
    """
    from deploy.distributed.settings import administration  # noqa: PLC0415  (loaded only by what needs it)
    from deploy.embedded.home import Home  # noqa: PLC0415

    home = Home(place_of(context).home.absolute())
    if administration().database_admin_url is not None:
        from deploy.distributed.database import upgrade_as_administrator  # noqa: PLC0415

        asyncio.run(upgrade_as_administrator(home if home.config_file.exists() else None))
    else:
        from deploy.embedded.node import upgrade_databases  # noqa: PLC0415

        asyncio.run(upgrade_databases(home))
    say("Cơ sở dữ liệu đã ở bản hiện hành.", "The database is at this release.")


def doctor(context: typer.Context, as_json: AsJson = False) -> None:
    """
    Kiểm tra mọi thứ nút cần và chỉ cách sửa. / Check everything the node needs and say how to mend it.
    """
    from deploy.doctor import run_doctor  # noqa: PLC0415  (loads every service)

    findings = run_doctor(place_of(context).home)
    if as_json:
        print_json([asdict(one) for one in findings])
    else:
        rows = [("✓" if one.ok else "✗", one.what, "" if one.ok else one.remedy) for one in findings]
        terminal.print(table("", ("", "Mục / What", "Cách sửa / Remedy"), rows))
    if not all(one.ok for one in findings):
        raise typer.Exit(ExitCode.LOCAL)


def add_commands(app: typer.Typer) -> None:
    """
    Add the commands to the root.
    """
    app.command(epilog=example("axis --home ./var init --node-id H43"))(init)
    app.command(epilog=example("axis --home ./var run", "axis --home ./var run --echo"))(run)
    app.command(epilog=example("axis --home ./var doctor"))(doctor)
    database.command(epilog=example("axis --home ./var db upgrade"))(upgrade)
    app.add_typer(database, name="db")
