"""`axis pack`, `validate` and `send`: documents on their way out."""

import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from deploy.cli.building import Draft
from deploy.cli.connections import AsJson, CredentialFile, Place, example, place_of, read_credential, wait_for
from deploy.cli.errors import ExitCode, LocalProblem
from deploy.cli.output import print_json, say, terminal
from shared.client import Credential, SentDocument
from shared.contracts.base import Lane
from shared.contracts.routing import PacketFindings
from shared.edxml import MessageHeader, read_header
from shared.errors import Rejected

_PIECE_BYTES = 64 * 1024
_FILE = {"exists": True, "dir_okay": False, "readable": True}

Sender = Annotated[
    str | None,
    typer.Option("--from", help="Cơ quan gửi; mặc định cơ quan duy nhất của tệp kết nối. / Sending agency."),
]
To = Annotated[list[str] | None, typer.Option("--to", help="Nơi nhận, nhắc lại được. / Addressee; repeatable.")]
Subject = Annotated[str | None, typer.Option("--subject", help="Trích yếu. / Subject.")]
Code = Annotated[str, typer.Option("--code", help="Số/ký hiệu, ví dụ 12/UBND-VP. / Number/notation.")]
TypeName = Annotated[str, typer.Option("--type", help="Loại văn bản. / Kind of document.")]
Priority = Annotated[
    int | None, typer.Option("--priority", min=0, max=4, help="Độ khẩn 0 thường … 3 hỏa tốc. / Urgency.")
]
DocumentId = Annotated[
    str, typer.Option("--document-id", help="Mã định danh văn bản; mặc định <mã>,<ngày>,<số/ký hiệu>.")
]
SignedBy = Annotated[str, typer.Option("--signer", help="Người ký. / Who signed.")]
Unsealed = Annotated[bool, typer.Option("--unsealed", help="Không ký số gói tin. / Leave the packet unsealed.")]


def pack(
    context: typer.Context,
    *,
    files: Annotated[list[Path], typer.Argument(help="Tệp đính kèm. / Files to attach.", **_FILE)],
    out: Annotated[Path, typer.Option("--out", "-o", help="Gói tin ghi ra. / Packet to write.", dir_okay=False)],
    to: To = None,
    subject: Subject = None,
    sender: Sender = None,
    code: Code = "",
    type_name: TypeName = "Công văn",
    priority: Priority = None,
    document_id: DocumentId = "",
    signer: SignedBy = "",
    unsealed: Unsealed = False,
    force: Annotated[bool, typer.Option("--force", help="Ghi đè tệp đã có. / Replace an existing file.")] = False,
    credential: CredentialFile = None,
    as_json: AsJson = False,
) -> None:
    """
    Đóng gói và ký số một văn bản. / Build and seal a packet.
    """
    del context
    if out.exists() and not force:
        # Sealing again gives other bytes, and only the same bytes get the same receipt.
        raise LocalProblem(
            f"{out} đã có; có thể đã gửi đi. / It exists, and may have been sent.",
            remedy="Chọn tên khác, hoặc thêm --force. / Choose another name, or add --force.",
        )
    identity = read_credential(credential) if credential or not unsealed else None
    draft = _draft(identity, sender, to, subject, files, code, type_name, priority, document_id, signer)
    unfinished = out.with_name(f".{out.name}.part")
    try:
        with unfinished.open("wb") as file:
            header = draft.write(file, None if unsealed else identity)
        unfinished.replace(out)
    except ValueError as unfit:
        # Too many attachments for one signature, or a key that is not of the certificate.
        raise LocalProblem(
            f"Không ký được gói tin. / The packet cannot be sealed: {unfit}",
            remedy="Bớt tệp đính kèm, hoặc xem lại khóa. / Attach fewer files, or look at the seal's key.",
        ) from unfit
    finally:
        unfinished.unlink(missing_ok=True)
    if as_json:
        print_json({"packet": str(out), "sender_document_id": header.document_id, "sealed": not unsealed})
        return
    say(f"Đã đóng gói {out}: {header.document_id}", "packed" if unsealed else "packed and sealed")


def validate(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="Gói tin edXML. / edXML packet.", **_FILE)],
    credential: CredentialFile = None,
    as_json: AsJson = False,
) -> None:
    """
    Kiểm tra gói tin như khi gửi, không gửi. / Have a packet checked as if it were sent.
    """
    findings = wait_for(_validate(place_of(context), credential, file))
    if as_json:
        print_json(findings)
    else:
        _show_findings(findings, read_credential(credential).url)
    if not findings.accepted:
        raise typer.Exit(ExitCode.REFUSED)


async def _validate(place: Place, credential: Path | None, file: Path) -> PacketFindings:
    async with place.client(credential) as client:
        return await client.validate(file)


def _show_findings(findings: PacketFindings, url: str) -> None:
    if findings.accepted:
        say("✓ Gói tin sẽ được nhận.", "The packet would be accepted.")
    else:
        say(f"✗ Gói tin sẽ bị từ chối: {findings.problem_code}", "The packet would be refused.")
        if findings.detail:
            terminal.print(f"  {escape(findings.detail)}", soft_wrap=True)
    for mark, found in (("✗", findings.errors), ("!", findings.warnings)):
        for one in found:
            line = f" (dòng / line {one.line})" if one.line else ""
            terminal.print(
                f"  {mark} {escape(one.pointer)}{line}: {escape(one.detail)} [dim]{one.code}[/dim]", soft_wrap=True
            )
    if findings.errors or findings.warnings:
        say(f"  Giải thích từng mã tại {url.rstrip('/')}/findings", "each code is explained there")
    if findings.report is not None:
        for signature in findings.report.signatures:
            word = signature.indication.value + (f" {signature.sub_indication}" if signature.sub_indication else "")
            who = signature.signer_subject or "?"
            terminal.print(f"  chữ ký / signature: {word}, {escape(who)}", soft_wrap=True)


def send(
    context: typer.Context,
    *,
    files: Annotated[
        list[Path],
        typer.Argument(help="Một gói tin; hoặc tệp đính kèm cùng --to và --subject. / A packet, or files.", **_FILE),
    ],
    to: To = None,
    subject: Subject = None,
    sender: Sender = None,
    code: Code = "",
    type_name: TypeName = "Công văn",
    priority: Priority = None,
    document_id: DocumentId = "",
    signer: SignedBy = "",
    unsealed: Unsealed = False,
    credential: CredentialFile = None,
    as_json: AsJson = False,
) -> None:
    """
    Gửi gói tin có sẵn, hoặc đóng gói rồi gửi; gửi lại an toàn. / Send a packet, or pack and send; repeating is safe.
    """
    identity = read_credential(credential)
    lane = None if priority is None else Lane(priority)
    place = place_of(context)
    if not to:
        if len(files) != 1 or subject:
            raise typer.BadParameter("một gói tin, hoặc tệp với --to và --subject / one packet, or files with --to")
        sent = wait_for(_send(place, identity, files[0], _urgency(files[0]) if lane is None else lane))
    else:
        draft = _draft(identity, sender, to, subject, files, code, type_name, priority, document_id, signer)
        with tempfile.TemporaryDirectory() as folder:
            packet = Path(folder) / "packet.edxml"
            with packet.open("wb") as file:
                draft.write(file, None if unsealed else identity)
            sent = wait_for(_send(place, identity, packet, lane))
    if as_json:
        print_json({"created": sent.created, **sent.answer.model_dump(mode="json")})
        return
    if sent.created:
        say(f"✓ Trục đã nhận: {sent.document_id}", "accepted; the receipt was checked")
    else:
        say(f"✓ Đã nhận từ trước, cùng biên nhận: {sent.document_id}", "accepted before; the same receipt")
    say(f"  Nơi nhận: {', '.join(sent.answer.addressees)}", "addressees")
    for warning in sent.answer.warnings:
        terminal.print(f"  ! {escape(warning.detail)} [dim]{escape(warning.code)}[/dim]", soft_wrap=True)
    say(f"  Theo dõi: axis journey {sent.document_id}", "follow it")


def _urgency(packet: Path) -> Lane | None:
    """Announce what the packet says; the node cannot know it before the last byte has come."""
    with packet.open("rb") as file, suppress(Rejected):
        header = read_header(iter(partial(file.read, _PIECE_BYTES), b""))
        return Lane(header.priority) if isinstance(header, MessageHeader) else None
    # What is wrong with it is for the node to say, completely.
    return None


async def _send(place: Place, identity: Credential, packet: Path, lane: Lane | None) -> SentDocument:
    async with place.connect(identity) as client:
        return await client.send(packet, lane)


def _draft(
    identity: Credential | None,
    sender: str | None,
    to: list[str] | None,
    subject: str | None,
    files: list[Path],
    code: str,
    type_name: str,
    priority: int | None,
    document_id: str,
    signer: str,
) -> Draft:
    if not to or not subject:
        raise typer.BadParameter("cần --to và --subject / --to and --subject are needed")
    agencies = identity.agencies if identity else ()
    if sender is None and len(agencies) != 1:
        raise typer.BadParameter("cần --from: tệp kết nối không nêu đúng một cơ quan / --from is needed")
    doubled = {path.name for path in files if [other.name for other in files].count(path.name) > 1}
    if doubled:
        raise LocalProblem(
            f"Hai tệp cùng tên: {', '.join(sorted(doubled))}. / Two files have the same name.",
            remedy="Đổi tên một tệp. / Rename one of them.",
        )
    return Draft(
        sender=sender or agencies[0],
        addressees=to,
        subject=subject,
        files=files,
        promulgated_at=datetime.now(UTC),
        code=code,
        type_name=type_name,
        priority=Lane(priority or 0),
        document_id=document_id,
        signer=signer,
    )


def add_commands(app: typer.Typer) -> None:
    """
    Add the commands to the root.
    """
    app.command(
        epilog=example(
            'axis pack --from H43.31.01 --to H43.31 --to G01 --subject "Báo cáo tháng 12" bao-cao.pdf -o bc.edxml'
        )
    )(pack)
    app.command(epilog=example("axis validate bc.edxml"))(validate)
    app.command(
        epilog=example("axis send bc.edxml", 'axis send --to H43.31 --subject "Báo cáo" --priority 3 bao-cao.pdf')
    )(send)
