from collections.abc import Iterator
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from deploy.cli.main import app


def commands() -> Iterator[tuple[str, Any]]:
    waiting: list[tuple[tuple[str, ...], Any]] = [((), typer.main.get_command(app))]
    while waiting:
        path, command = waiting.pop()
        yield " ".join(path), command
        waiting += [((*path, name), one) for name, one in getattr(command, "commands", {}).items()]


ALL = dict(commands())
RUNNABLE = {path: one for path, one in ALL.items() if not hasattr(one, "commands") or one.invoke_without_command}


@pytest.mark.parametrize("path", sorted(RUNNABLE))
def test_every_command_shows_an_example_of_itself(path: str) -> None:
    shown = CliRunner().invoke(app, [*path.split(), "--help"])

    assert shown.exit_code == 0
    assert "Ví dụ / Example:" in shown.output
    assert any(path.rsplit(maxsplit=1)[-1] in line for line in RUNNABLE[path].epilog.splitlines() if "axis" in line)


@pytest.mark.parametrize("path", sorted(ALL))
def test_every_command_explains_itself_in_both_languages(path: str) -> None:
    assert " / " in ALL[path].help


def test_every_command_of_the_reference_is_there() -> None:
    named = """init run doctor; db upgrade; agencies import; agencies list; agencies show; registrations list;
        registrations approve; registrations refuse; systems add; systems list; systems rotate; systems disable;
        systems enable; register status; register collect; validate; pack; send; inbox; fetch; ack; status; journey;
        queues pause; queues resume; failed list; failed requeue; failed cancel; dead list; dead retry; dead drop"""
    paths = {" ".join(one.split()) for one in named.replace("init run doctor", "init; run; doctor").split(";")}

    assert paths <= set(ALL)


def test_no_command_at_all_is_a_wrong_call() -> None:
    assert CliRunner().invoke(app, ["nothing-like-it"]).exit_code == 2
