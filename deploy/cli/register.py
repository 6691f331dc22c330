"""`axis register`: an integrator asks for a system, waits for the registrar, collects the credential."""

from pathlib import Path
from typing import Annotated
from uuid import UUID, uuid4

import typer
from pydantic import BaseModel, ConfigDict, ValidationError

from deploy.cli.connections import AsJson, Place, example, place_of, wait_for
from deploy.cli.errors import LocalProblem
from deploy.cli.keys import KeyFolder
from deploy.cli.output import print_json, say, show_registration
from shared.client import Credential, write_private
from shared.contracts.registry import RegistrationView

app = typer.Typer(invoke_without_command=True, no_args_is_help=True)

Folder = Annotated[
    Path, typer.Option("--dir", help="Thư mục giữ khóa và mã nhận. / Folder of keys and claim token.", file_okay=False)
]
DEFAULT_FOLDER = Path("axis-registration")


class Claim(BaseModel):
    """
    What the folder remembers of a registration.

    Attributes:
        idempotency_key: Kept from before the first attempt, so that a repeat registers nothing twice.
        id, claim_token: Known once the node has answered.
    """

    model_config = ConfigDict(frozen=True)

    url: str
    system_id: str
    idempotency_key: UUID
    id: UUID | None = None
    claim_token: str | None = None


@app.callback(
    epilog=example(
        'axis register --url http://127.0.0.1:8080 --system-id qlvb.phuocbinh --system-name "QLVB Phước Bình" '
        '--contact-name "Nguyễn Văn A" --contact-email a@example.vn --agency H43.31.01',
        "axis register status",
        "axis register collect",
    )
)
def register(
    context: typer.Context,
    url: Annotated[str | None, typer.Option(help="Địa chỉ nút. / Address of the node.")] = None,
    system_id: Annotated[str | None, typer.Option("--system-id", help="Mã hệ thống. / Identifier.")] = None,
    system_name: Annotated[str, typer.Option("--system-name", help="Tên hệ thống. / Its name.")] = "",
    contact_name: Annotated[str | None, typer.Option("--contact-name", help="Người liên hệ. / Contact.")] = None,
    contact_email: Annotated[str | None, typer.Option("--contact-email", help="Thư điện tử. / Email.")] = None,
    agency: Annotated[list[str] | None, typer.Option(help="Cơ quan được thay mặt. / Agency it acts for.")] = None,
    folder: Folder = DEFAULT_FOLDER,
    as_json: AsJson = False,
) -> None:
    """
    Đăng ký hệ thống: tạo khóa tại đây, chỉ gửi yêu cầu chứng thư. / Register: keys stay here, only requests leave.
    """
    if context.invoked_subcommand is not None:
        return
    needed = {
        "--url": url,
        "--system-id": system_id,
        "--contact-name": contact_name,
        "--contact-email": contact_email,
        "--agency": agency,
    }
    missing = ", ".join(name for name, value in needed.items() if not value)
    if not url or not system_id or not contact_name or not contact_email or not agency:
        raise typer.BadParameter(f"thiếu / missing: {missing}")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    claim = _begin(folder, url, system_id)
    if claim.id is None:
        work = _register(
            place_of(context), folder, claim, system_name or system_id, contact_name, contact_email, agency
        )
        claim = wait_for(work)
    if as_json:
        print_json({"id": str(claim.id), "system_id": claim.system_id, "dir": str(folder)})
        return
    say(f"Đã đăng ký {claim.system_id}: {claim.id}.", "Registered; a registrar decides.")
    say(f"Khóa và mã nhận nằm trong {folder}.", f"Then: axis register collect --dir {folder}")


async def _register(
    place: Place, folder: Path, claim: Claim, name: str, contact_name: str, contact_email: str, agencies: list[str]
) -> Claim:
    keys = KeyFolder(folder, claim.system_id).make()
    async with place.registration(claim.url) as node:
        registered = await node.register(
            system_id=claim.system_id,
            system_name=name,
            contact_name=contact_name,
            contact_email=contact_email,
            agencies=agencies,
            keys=keys,
            idempotency_key=str(claim.idempotency_key),
        )
    claim = claim.model_copy(update={"id": registered.id, "claim_token": registered.claim_token})
    write_private(_file(folder), claim.model_dump_json(indent=2) + "\n")
    return claim


@app.command(epilog=example("axis register status"))
def status(context: typer.Context, folder: Folder = DEFAULT_FOLDER, as_json: AsJson = False) -> None:
    """
    Xem đăng ký đến đâu, ai làm tiếp. / See where the registration stands and who acts next.
    """
    view = wait_for(_status(place_of(context), _read(folder)))
    if as_json:
        print_json(view)
        return
    show_registration(view)


async def _status(place: Place, claim: Claim) -> RegistrationView:
    registration_id, token = _claimed(claim)
    async with place.registration(claim.url) as node:
        return await node.registration(registration_id, token)


@app.command(epilog=example("axis register collect --out credential.json"))
def collect(
    context: typer.Context,
    folder: Folder = DEFAULT_FOLDER,
    out: Annotated[
        str, typer.Option(help="Tên tệp trong thư mục ấy. / File name inside that folder.")
    ] = "credential.json",
    as_json: AsJson = False,
) -> None:
    """
    Nhận thông tin kết nối đã duyệt, ghi tệp 0600. / Collect the approved credential into a file, 0600.
    """
    claim = _read(folder)
    path = folder / Path(out).name
    credential = wait_for(_collect(place_of(context), folder, claim))
    credential.write(path)
    if as_json:
        print_json({"credential": str(path), "system_id": credential.system_id, "agencies": credential.agencies})
        return
    say(f"Đã nhận thông tin kết nối của {credential.system_id}.", f"export AXIS_CREDENTIAL={path}")


async def _collect(place: Place, folder: Path, claim: Claim) -> Credential:
    registration_id, token = _claimed(claim)
    names = KeyFolder(folder, claim.system_id).names()
    async with place.registration(claim.url) as node:
        return await node.hand_over(registration_id, token, key_files=names)


def _file(folder: Path) -> Path:
    return folder / "registration.json"


def _begin(folder: Path, url: str, system_id: str) -> Claim:
    if _file(folder).exists():
        claim = _read(folder)
        if (claim.url, claim.system_id) != (url, system_id):
            raise LocalProblem(
                f"{folder} giữ đăng ký của {claim.system_id}. / {folder} holds the registration of {claim.system_id}.",
                remedy="Dùng thư mục khác với --dir. / Use another folder with --dir.",
            )
        return claim
    claim = Claim(url=url, system_id=system_id, idempotency_key=uuid4())
    write_private(_file(folder), claim.model_dump_json(indent=2) + "\n")
    return claim


def _read(folder: Path) -> Claim:
    try:
        return Claim.model_validate_json(_file(folder).read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        raise LocalProblem(
            f"{folder} không có đăng ký nào. / {folder} holds no registration.",
            remedy="Đăng ký trước bằng `axis register`, hoặc chỉ thư mục bằng --dir. / Register first, or name --dir.",
        ) from None


def _claimed(claim: Claim) -> tuple[UUID, str]:
    if claim.id is None or claim.claim_token is None:
        raise LocalProblem(
            "Đăng ký chưa gửi xong. / The registration was not finished.",
            remedy="Chạy lại `axis register` với cùng thông tin. / Run `axis register` again with the same values.",
        )
    return claim.id, claim.claim_token
