"""`axis serve`, `axis distributed …` and `axis broker …`: the system as separate processes."""

import asyncio
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from deploy.cli.connections import AsJson, Place, example, place_of
from deploy.cli.errors import ExitCode
from deploy.cli.output import local_time, print_json, say, table, terminal

if TYPE_CHECKING:
    from deploy.distributed.control import Report
    from deploy.distributed.folder import Note

distributed = typer.Typer(
    no_args_is_help=True, help="Cả hệ thống bằng nhiều tiến trình trên máy này. / All processes on this machine."
)
broker = typer.Typer(no_args_is_help=True, help="RabbitMQ của nút. / The node's RabbitMQ.")

# ruff: noqa: PLC0415 - the whole system is loaded only by what needs it


def serve(
    context: typer.Context,
    process: Annotated[
        str, typer.Argument(help="gateway, registry, signing, routing, delivery, audit.", show_default=False)
    ],
    copy_number: Annotated[int, typer.Option("--copy", help="Số bản, cho nhật ký. / Number among copies.")] = 1,
) -> None:
    """
    Chạy đúng một tiến trình cho đến SIGTERM. / Run exactly one process until SIGTERM.

    Broker, cơ sở dữ liệu, thư mục gói tin: theo biến môi trường; --home bù chỗ thiếu.
    / Broker, database, packets: by environment variables; --home fills the gaps.
    """
    from deploy.distributed.serve import serve as serve_process

    raise typer.Exit(serve_process(process, _given_home(context), copy_number=copy_number))


def supervise(
    context: typer.Context,
    detached: Annotated[bool, typer.Option("--detached", help="Chạy tiếp ở nền. / Go on in the background.")] = False,
    passing: Annotated[
        bool, typer.Option("--passing", help="Dừng thì xóa máy chủ riêng. / Private servers go with it.")
    ] = False,
) -> None:
    """
    Trông coi mọi tiến trình; `axis distributed up` gọi lệnh này. / Look after all processes, as `up` has it done.
    """
    if detached and os.fork():
        os._exit(0)
    from deploy.distributed.supervisor import supervise_until_told

    raise typer.Exit(supervise_until_told(place_of(context).home, passing=passing))


@distributed.command(epilog=example("axis distributed up", "axis --home /srv/axis distributed up --node-id H43"))
def up(
    context: typer.Context,
    node_id: Annotated[
        str, typer.Option("--node-id", help="Mã cơ quan vận hành nút. / Code of the agency that runs it.")
    ] = "H43",
) -> None:
    """
    Khởi động mọi tiến trình, chờ đến khi sẵn sàng. / Start every process and return when all are ready.
    """
    from deploy.distributed.control import up as bring_up

    root = _folder(place_of(context))
    with _progress() as report:
        note = bring_up(root, report, node_id=node_id)
    _show(note)
    say(f"Nút trả lời tại {note.url}", f"The node answers at {note.url}")
    say(f"Nhật ký trong {root}/logs; dừng: make down", f"Logs in {root}/logs; stop it with: make down")


@distributed.command(epilog=example("axis distributed down"))
def down(context: typer.Context) -> None:
    """
    Dừng mọi tiến trình theo thứ tự; dữ liệu ở lại. / Stop every process in order; the data stay.
    """
    from deploy.distributed.control import down as bring_down

    root = _folder(place_of(context))
    with _progress() as report:
        found = bring_down(root, report)
    if found:
        say("Đã dừng tất cả.", "Everything has stopped.")
    else:
        say(f"Không có gì chạy cho {root}.", f"Nothing runs for {root}.")


@distributed.command(epilog=example("axis distributed status --json"))
def status(context: typer.Context, as_json: AsJson = False) -> None:
    """
    Liệt kê các tiến trình. / List the processes.
    """
    from deploy.distributed.control import state

    root = _folder(place_of(context))
    found = state(root)
    if as_json:
        note = None if found.note is None else found.note.model_dump(mode="json")
        print_json({"running": found.running, "answers": found.answers, "note": note})
    elif found.note is None:
        say(f"Không có gì chạy cho {root}. Khởi động: make up", "Nothing runs. Start it with: make up")
    else:
        _show(found.note)
        if found.note.problem:
            say(found.note.problem, found.note.remedy)
        elif found.answers:
            say(f"Nút trả lời tại {found.note.url}", f"The node answers at {found.note.url}")
        else:
            say(f"Nút chưa trả lời tại {found.note.url}", f"The node does not answer at {found.note.url}")
    if not found.answers:
        raise typer.Exit(ExitCode.LATER)


@broker.command(epilog=example("axis broker definitions > definitions.json"))
def definitions(context: typer.Context) -> None:
    """
    In định nghĩa RabbitMQ: người dùng, quyền, hàng đợi. / Print users, rights and queues as RabbitMQ loads them.

    Mật khẩu lấy từ các biến …_BROKER_URL. / Passwords are those of the …_BROKER_URL variables.
    """
    from deploy.distributed.broker_setup import definitions_for

    terminal.file.write(json.dumps(definitions_for(_given_home(context)), indent=1) + "\n")


@broker.command(epilog=example("axis broker setup"))
def setup(context: typer.Context) -> None:
    """
    Tạo người dùng, quyền, hàng đợi; nhận RabbitMQ cho nút này. / Make users and queues; claim it for this node.
    """
    from deploy.distributed.broker_setup import set_up_broker

    asyncio.run(set_up_broker(_given_home(context)))
    say("RabbitMQ đã sẵn sàng cho nút này.", "RabbitMQ is ready for this node.")


def add_commands(app: typer.Typer) -> None:
    """
    Add the commands to the root.
    """
    app.command(epilog=example("axis serve routing", "axis --home ./var/distributed serve audit"))(serve)
    app.command(hidden=True, epilog=example("axis --home ./var/distributed supervise"))(supervise)
    app.add_typer(distributed, name="distributed")
    app.add_typer(broker, name="broker")


def _folder(place: Place) -> Path:
    from deploy.distributed.folder import DEFAULT_FOLDER

    # The folder of an embedded node is never taken for that of a distributed one.
    return DEFAULT_FOLDER if place.home == Place().home else place.home


def _given_home(context: typer.Context) -> Path | None:
    """Give the folder if it is a node's; else settings must say everything."""
    home = place_of(context).home
    return home if (home / "node.json").exists() else None


@contextmanager
def _progress() -> Iterator["Report"]:
    console = Console(highlight=False)
    said = ""
    with console.status("…") as shown:

        def report(note: "Note") -> None:
            nonlocal said
            step = note.step or note.phase
            if console.is_terminal:
                shown.update(step)
            elif step != said:
                console.print(f"… {step}")
            said = step

        yield report


def _show(note: "Note") -> None:
    def row(name: str) -> tuple[str, ...]:
        copies = [one for one in note.processes if one.name == name]
        ready = sum(one.ready for one in copies)
        pids = " ".join(str(one.pid or "-") for one in copies)
        since = min((one.since for one in copies if one.since is not None), default=None)
        restarts = sum(one.restarts for one in copies)
        mark = "✓" if ready == len(copies) else "✗"
        return mark, name, f"{ready}/{len(copies)}", pids, local_time(since), str(restarts)

    names = list(dict.fromkeys(one.name for one in note.processes))
    columns = ("", "Tiến trình / Process", "Sẵn sàng / Ready", "PID", "Từ / Since", "Khởi động lại / Restarts")
    terminal.print(table("", columns, [row(name) for name in names]))
    for one in note.processes:
        if one.said:
            terminal.print(f"  {one.name}.{one.copy_number}: {one.said}", markup=False)
