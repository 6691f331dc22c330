"""
The `axis` command.

Exit codes: 0 done, 1 refused by the node, 2 called wrongly, 3 not reachable or not now, 4 a local file, 70 a defect.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from deploy.cli import (
    agencies,
    backup,
    certificates,
    distributed,
    failed,
    journey,
    mailbox,
    node,
    node_keys,
    packets,
    queues,
    register,
    registrations,
    systems,
)
from deploy.cli.connections import example, place_of
from deploy.cli.errors import ExitCode
from deploy.cli.failures import AxisGroup

app = typer.Typer(
    name="axis",
    cls=AxisGroup,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["--help", "-h"]},
    # A traceback with local variables would show secrets.
    pretty_exceptions_show_locals=False,
)


@app.callback(
    epilog=example(
        "axis init && axis run",
        "AXIS_CREDENTIAL=credential.json axis inbox --wait 20",
        "Mã thoát / exit codes: 0 xong, 1 nút từ chối, 2 sai cách gọi, 3 thử lại sau, 4 tệp trên máy này.",
    )
)
def axis(
    context: typer.Context,
    home: Annotated[
        Path, typer.Option("--home", envvar="AXIS_HOME", help="Thư mục của nút. / The node's folder.", file_okay=False)
    ] = Path("var"),
) -> None:
    """
    Trục liên thông văn bản. / The document axis.
    """
    context.obj = replace(place_of(context), home=home)


node.add_commands(app)
backup.add_commands(app)
distributed.add_commands(app)
app.add_typer(agencies.app, name="agencies")
app.add_typer(registrations.app, name="registrations")
systems.app.add_typer(certificates.app, name="certificates")
app.add_typer(systems.app, name="systems")
app.add_typer(node_keys.app, name="keys")
app.add_typer(register.app, name="register")
packets.add_commands(app)
mailbox.add_commands(app)
journey.add_commands(app)
app.add_typer(queues.app, name="queues")
app.add_typer(failed.failed, name="failed")
app.add_typer(failed.dead, name="dead")


def main() -> None:
    """
    Run the command.
    """
    try:
        # Started as `python -m deploy.cli` by the wrapper in bin/, which would be no name to give people.
        app(prog_name="axis")
    except Exception:  # noqa: BLE001  (a defect must not end with a code that blames the input)
        sys.excepthook(*sys.exc_info())
        sys.exit(ExitCode.DEFECT)


if __name__ == "__main__":
    main()
