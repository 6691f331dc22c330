"""`axis keys`: the node's own keys."""

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from deploy.cli.connections import example, place_of
from deploy.cli.output import say

app = typer.Typer(no_args_is_help=True, help="Khóa của nút. / The node's own keys.")


class Kind(StrEnum):
    """
    Keys that can be rotated; the authority's cannot, because every certificate it issued would lose its anchor.
    """

    TOKEN = "token"  # noqa: S105 - the name of a kind of keys
    EVIDENCE = "evidence"


@app.command(epilog=example("axis --home ./var keys rotate evidence", "axis --home ./var keys rotate token --yes"))
def rotate(
    context: typer.Context,
    kind: Annotated[Kind, typer.Argument(help="token: truy cập; evidence: biên nhận, bằng chứng. / Which key.")],
    yes: Annotated[bool, typer.Option("--yes", help="Không hỏi lại. / Do not ask.")] = False,
) -> None:
    """
    Thêm khóa mới, ký từ lần khởi động sau; khóa trước vẫn công bố. / Add a key that signs from the next start on.
    """
    from deploy.distributed.settings import Given  # noqa: PLC0415 - loads what only this needs
    from deploy.embedded.home import Home  # noqa: PLC0415
    from services.signing.domain.keys import Role  # noqa: PLC0415
    from services.signing.repository.key_file import rotate_key  # noqa: PLC0415

    home = Home(place_of(context).home.absolute())
    given = Given("signing", home if home.config_file.exists() else None)
    key_file, passphrase_file = (Path(str(given.value(name))) for name in ("key_file", "passphrase_file"))
    if not yes:
        typer.confirm(
            f"Thêm khóa {kind.value} mới vào {key_file}? Khóa cũ nhất trong hai khóa sẽ thôi công bố. / "
            "Add a new key? The older of the two published ones goes.",
            abort=True,
            err=True,
        )
    now = datetime.now(UTC).replace(microsecond=0)
    rotate_key(key_file, passphrase_file, Role(kind.value), public_url=given.public_url, now=now)
    say(f"Đã thêm khóa {kind.value} vào {key_file}.", "Its signatures begin with the next start of the node.")
    say(
        "Khởi động lại nút (dừng mọi tiến trình signing rồi mới chạy lại), và sao lưu.",
        "Restart the node: stop every copy of signing before the first starts again. Then take a backup.",
    )
