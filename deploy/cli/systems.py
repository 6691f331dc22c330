"""`axis systems`: systems that connect, added and kept by an administrator."""

import secrets
from pathlib import Path
from typing import Annotated

import typer
from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import SecretStr

from deploy.cli.connections import AsJson, Place, example, place_of, wait_for
from deploy.cli.errors import LocalProblem
from deploy.cli.keys import KeyFolder
from deploy.cli.output import print_json, say, table, terminal
from shared.client import Call, assemble, key_requests, read_anchors, write_private
from shared.client import Credential as ClientCredential
from shared.contracts.registry import Credential, Role, Scope, SystemAccess, SystemEntry, SystemPage

VXP = "vxp"
"""The national dialect: its systems share a secret with the node."""

app = typer.Typer(no_args_is_help=True, help="Hệ thống kết nối. / Systems that connect.")

SystemId = Annotated[str, typer.Argument(help="Mã hệ thống. / Identifier of the system.")]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        help="Ghi tệp thông tin kết nối dùng ngay, 0600, kèm khóa. / Write a ready credential file and its keys, 0600.",
    ),
]
SecretFile = Annotated[
    Path | None, typer.Option("--secret-file", help="Ghi mật khẩu vào tệp, 0600. / Write the secret to a file, 0600.")
]
Sources = Annotated[
    list[str] | None,
    typer.Option("--source", help="Dải địa chỉ được gọi đến, chỉ cho vxp. / Network it may call from; vxp only."),
]


@app.command(
    epilog=example(
        'axis systems add qlvb.phuocbinh --agency H43.31.01 --name "QLVB Phước Bình" --out credential.json',
        "axis systems add demo.center.01 --dialect vxp --agency 000.00.00.X01 --secret-file vxp.secret "
        "--source 203.0.113.0/24",
    )
)
def add(
    context: typer.Context,
    system_id: SystemId,
    *,
    agency: Annotated[list[str] | None, typer.Option(help="Cơ quan được thay mặt. / Agency it acts for.")] = None,
    name: Annotated[str, typer.Option(help="Tên cho người đọc. / Name, for people.")] = "",
    dialect: Annotated[str, typer.Option(help="rest, vxp")] = "rest",
    role: Annotated[list[Role] | None, typer.Option(help="Mặc định cả ba. / All three by default.")] = None,
    scope: Annotated[list[Scope] | None, typer.Option(help="Mặc định send, inbox, acknowledge.")] = None,
    source: Sources = None,
    out: Out = None,
    secret_file: SecretFile = None,
    as_json: AsJson = False,
) -> None:
    """
    Thêm hệ thống và cấp thông tin kết nối. / Add a system and issue its credential.

    Với vxp, --secret-file đã có thì đọc mật khẩu trong đó. / For vxp a --secret-file that exists is read.
    """
    if out is not None and out.exists():
        raise LocalProblem(
            f"{out} đã có. / {out} exists already.", remedy="Ghi ra tệp khác, hoặc dùng `axis systems rotate`."
        )
    body: dict[str, object] = {"system_id": system_id, "name": name or system_id, "dialect": dialect}
    body["agencies"] = agency or []
    if role:
        body["roles"] = [one.value for one in role]
    if scope:
        body["scopes"] = [one.value for one in scope]
    if source:
        body["sources"] = source
    if dialect == VXP and secret_file is not None:
        body["secret"] = _agree_on_secret(secret_file)
    issued = wait_for(_issue(place_of(context), "/v1/admin/systems", body, system_id, out))
    _hand_out(issued, out=out, secret_file=secret_file, as_json=as_json)


@app.command(epilog=example("axis systems rotate qlvb.phuocbinh --overlap-hours 24 --out credential.json"))
def rotate(
    context: typer.Context,
    system_id: SystemId,
    overlap_hours: Annotated[
        int, typer.Option("--overlap-hours", min=0, max=720, help="Giờ dùng song song. / Hours both are good.")
    ] = 24,
    out: Out = None,
    secret_file: SecretFile = None,
    secret_from: Annotated[
        Path | None,
        typer.Option("--secret-from", help="Tệp có mật khẩu bên kia đã cấp, cho vxp. / A given secret; vxp only."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """
    Cấp thông tin kết nối mới, cái cũ dùng thêm một thời gian. / Issue a new credential; the old one ends later.
    """
    path = f"/v1/admin/systems/{system_id}/rotate"
    body: dict[str, object] = {"overlap_hours": overlap_hours}
    if secret_from is not None:
        body["secret"] = _read_secret(secret_from)
    place = place_of(context)
    if out is not None and out.exists():
        issued = wait_for(_renew(place, path, body, system_id, out))
    else:
        issued = wait_for(_issue(place, path, body, system_id, out))
    _hand_out(issued, out=out, secret_file=secret_file, as_json=as_json)


def _agree_on_secret(path: Path) -> str:
    # The secret lies on disk before the node knows it, so that a crash between the two loses nothing: the same command
    # goes on with the same secret.
    if not path.exists():
        write_private(path, secrets.token_urlsafe(32) + "\n")
    return _read_secret(path)


def _read_secret(path: Path) -> str:
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as refused:
        raise LocalProblem(
            f"Không đọc được {path}. / {path} cannot be read: {refused}.",
            remedy="Kiểm tra tệp mật khẩu. / Check the file of the secret.",
        ) from refused
    if not secret:
        raise LocalProblem(
            f"{path} trống. / {path} is empty.",
            remedy="Xóa tệp để tạo mật khẩu mới. / Remove it to get a fresh secret.",
        )
    return secret


async def _issue(place: Place, path: str, body: dict[str, object], system_id: str, out: Path | None) -> Credential:
    # Keys lie on disk before the node certifies them: a crash may waste a certificate but never loses a key.
    folder = KeyFolder(out.parent, out.stem) if out else None
    if folder is not None:
        body = {**body, "keys": key_requests(folder.make(), system_id)}
    async with place.admin() as admin:
        issued = await admin.ask(Call("POST", path, json=body), Credential)
    if out is not None and folder is not None:
        url = place.admin_credential().issuer or place.admin_credential().url
        async with place.public(url) as node:
            anchors = [one.public_bytes(Encoding.PEM).decode("ascii") for one in await read_anchors(node)]
        assemble(issued, url=url, issuer=url, anchors=anchors, key_files=folder.names()).write(out)
    return issued


async def _renew(place: Place, path: str, body: dict[str, object], system_id: str, out: Path) -> Credential:
    """Put a new secret into a credential file; its keys and certificates stay good."""
    known = ClientCredential.read(out)
    if known.system_id != system_id:
        raise LocalProblem(
            f"{out} là của hệ thống {known.system_id}. / {out} belongs to {known.system_id}.",
            remedy="Ghi ra tệp khác. / Write to another file.",
        )
    async with place.admin() as admin:
        issued = await admin.ask(Call("POST", path, json=body), Credential)
    secret = SecretStr(issued.secret)
    known.model_copy(update={"secret": secret, "credential_id": issued.credential_id}).write(out)
    return issued


def _hand_out(issued: Credential, *, out: Path | None, secret_file: Path | None, as_json: bool) -> None:
    if secret_file is not None and not _holds(secret_file, issued.secret):
        write_private(secret_file, issued.secret + "\n")
    if as_json:
        # The secret is shown where no file has it; it is shown this once.
        hidden = {"secret"} if out or secret_file else set()
        print_json(issued.model_dump(mode="json", exclude=hidden))
        return
    for warning in issued.warnings:
        terminal.print(f"! {warning}", markup=False, soft_wrap=True)
    say(f"Đã cấp thông tin kết nối cho {issued.system_id}.", f"Credential {issued.credential_id} issued.")
    if out is not None:
        say(f"Tệp kết nối: {out}", f"Use it: export AXIS_CREDENTIAL={out}")
    elif secret_file is not None:
        say(f"Mật khẩu nằm trong {secret_file}.", "The secret lies there.")
    else:
        say(f"Mật khẩu, chỉ hiện lần này: {issued.secret}", "The secret; it is shown this once.")


def _holds(path: Path, secret: str) -> bool:
    return path.exists() and _read_secret(path) == secret


@app.command("list", epilog=example("axis systems list --json"))
def list_systems(context: typer.Context, as_json: AsJson = False) -> None:
    """
    Liệt kê hệ thống. / List systems.
    """
    systems, accesses = wait_for(_list_with_accesses(place_of(context)))
    if as_json:
        print_json([_to_json(one, accesses.get(one.id)) for one in systems])
        return
    rows = [
        (
            one.id,
            one.name,
            one.dialect,
            one.status.value,
            len(one.grants),
            len(one.credentials),
            len(one.seals),
            _show_addresses(accesses.get(one.id)),
        )
        for one in systems
    ]
    columns = (
        "Mã / Id",
        "Tên / Name",
        "Giao thức / Dialect",
        "Trạng thái / Status",
        "Quyền / Grants",
        "Kết nối / Credentials",
        "Con dấu / Seals",
        "Gọi từ / Calls from",
    )
    terminal.print(table("", columns, rows))
    for access in accesses.values():
        if access.is_alarming:
            terminal.print(
                f"! {access.system_id}: dùng từ nhiều địa chỉ / used from a second address: "
                f"axis systems sources {access.system_id} --source …",
                markup=False,
                soft_wrap=True,
            )


def _show_addresses(access: SystemAccess | None) -> str:
    if access is None:
        return ""
    return ", ".join(one.address if one.accepted else f"! {one.address}" for one in access.addresses)


def _to_json(system: SystemEntry, access: SystemAccess | None) -> dict[str, object]:
    # Without what was never there, so that programs that read the list find what they know.
    more = {} if access is None else {**access.model_dump(mode="json"), "alarm": access.is_alarming}
    return {**system.model_dump(mode="json"), **more}


async def list_all(place: Place) -> list[SystemEntry]:
    """
    Read every system of the register.
    """
    return (await _list_with_accesses(place))[0]


async def _list_with_accesses(place: Place) -> tuple[list[SystemEntry], dict[str, SystemAccess]]:
    found: list[SystemEntry] = []
    accesses: dict[str, SystemAccess] = {}
    cursor: str | None = None
    async with place.admin() as admin:
        while True:
            page = await admin.ask(Call("GET", "/v1/admin/systems", {"cursor": cursor}), SystemPage)
            found += page.items
            accesses |= {one.system_id: one for one in page.accesses}
            cursor = page.next_cursor
            if cursor is None:
                return found, accesses


@app.command(epilog=example("axis systems sources demo.center.01 --source 203.0.113.0/24 --source 198.51.100.7"))
def sources(
    context: typer.Context,
    system_id: SystemId,
    source: Sources = None,
    anywhere: Annotated[bool, typer.Option("--any", help="Từ bất cứ đâu. / From anywhere.")] = False,
    as_json: AsJson = False,
) -> None:
    """
    Đặt dải địa chỉ hệ thống vxp được gọi đến; hết cảnh báo. / Where a vxp system may call from; ends the alarm.
    """
    if bool(source) == anywhere:
        raise LocalProblem(
            "Cần --source hoặc --any. / Either --source or --any is needed.",
            remedy=f"axis systems sources {system_id} --source 203.0.113.0/24",
        )
    access = wait_for(_set_sources(place_of(context), system_id, source or []))
    if as_json:
        print_json({**access.model_dump(mode="json"), "alarm": access.is_alarming})
        return
    shown = ", ".join(access.sources) or "*"
    say(f"{access.system_id} được gọi đến từ {shown}.", f"{access.system_id} may call from {shown}.")


async def _set_sources(place: Place, system_id: str, wanted: list[str]) -> SystemAccess:
    async with place.admin() as admin:
        call = Call("POST", f"/v1/admin/systems/{system_id}/sources", json={"sources": wanted})
        return await admin.ask(call, SystemAccess)


@app.command(epilog=example('axis systems disable qlvb.phuocbinh --reason "Nghi lộ mật khẩu"'))
def disable(
    context: typer.Context,
    system_id: SystemId,
    reason: Annotated[str, typer.Option(help="Lý do. / Why.")],
) -> None:
    """
    Khóa hệ thống; có hiệu lực trong 5 giây. / Disable a system; it holds within 5 seconds.
    """
    _set_status(context, system_id, "disable", reason)


@app.command(epilog=example("axis systems enable qlvb.phuocbinh"))
def enable(
    context: typer.Context,
    system_id: SystemId,
    reason: Annotated[str, typer.Option(help="Lý do. / Why.")] = "",
) -> None:
    """
    Mở lại hệ thống. / Enable a system again.
    """
    _set_status(context, system_id, "enable", reason)


def _set_status(context: typer.Context, system_id: str, act: str, reason: str) -> None:
    entry = wait_for(_act(place_of(context), system_id, act, reason))
    say(f"{entry.id}: {entry.status.value}.", f"{entry.id} is {entry.status.value}.")


async def _act(place: Place, system_id: str, act: str, reason: str) -> SystemEntry:
    async with place.admin() as admin:
        call = Call("POST", f"/v1/admin/systems/{system_id}/{act}", json={"reason": reason})
        return await admin.ask(call, SystemEntry)
