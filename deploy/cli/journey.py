"""`axis journey`: everything that happened to a document, as a timeline."""

from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from rich.markup import escape

from deploy.cli.connections import AsJson, CredentialFile, Place, example, place_of, wait_for
from deploy.cli.output import STATE_NAMES, STATUS_NAMES, local_time, print_json, say, status_name, terminal
from shared.contracts.routing import Journey, JourneyEntry

_KINDS = {
    "accepted": "Trục tiếp nhận, cấp biên nhận",
    "dispatched": "Phát hành",
    "acknowledgement": "Bên nhận xác nhận",
    "held": "Tạm giữ",
    "warning": "Lưu ý",
}

_MARKS = {"delivered": "[green]✔[/green]", "failed": "[red]✗[/red]", "recalled": "↩", "cancelled": "–", "expired": "–"}


def journey(
    context: typer.Context,
    document_id: Annotated[UUID, typer.Argument(help="Mã văn bản trên trục. / The axis' document_id.")],
    credential: CredentialFile = None,
    as_json: AsJson = False,
) -> None:
    """
    Xem hành trình một văn bản. / Show everything that happened to a document.
    """
    found = wait_for(_read(place_of(context), credential, document_id))
    if as_json:
        print_json(found)
        return
    terminal.print(f"[bold]{escape(found.sender_document_id)}[/bold]  [dim]{found.document_id}[/dim]", soft_wrap=True)
    for entry in found.items:
        for line in lines_of(entry):
            terminal.print(line, soft_wrap=True)
    say(f"{len(found.items)} bước.", f"{len(found.items)} steps.")


async def _read(place: Place, credential: Path | None, document_id: UUID) -> Journey:
    items: list[JourneyEntry] = []
    cursor: str | None = None
    async with place.client(credential) as client:
        while True:
            page = await client.journey(document_id, limit=500, cursor=cursor)
            items += page.items
            cursor = page.next_cursor
            if cursor is None:
                return page.model_copy(update={"items": tuple(items)})


def lines_of(entry: JourneyEntry) -> list[str]:
    """
    Write one step of a journey as it stands in the timeline.
    """
    mark = _MARKS.get(entry.to_state or "", "●")
    who = f" [bold]{escape(entry.agency)}[/bold]" if entry.agency else ""
    lines = [f"{mark} {local_time(entry.at)}{who}  {escape(_what(entry))}"]
    if entry.kind == "dispatched" and entry.detail:
        lines.append(f"│   {escape(entry.detail)} nơi nhận / addressees")
    elif entry.detail and not _is_said_already(entry):
        lines.append(f"│   {escape(entry.detail)}")
    if entry.by:
        lines.append(f"│   bởi / by {escape(entry.by)}")
    if entry.evidence_id:
        lines.append(f"│   [dim]chứng cứ / evidence {entry.evidence_id}[/dim]")
    return lines


def _is_said_already(entry: JourneyEntry) -> bool:
    # The heading has the document's own identifier; many systems describe a status by its name.
    name = STATUS_NAMES.get(entry.code or "")
    return entry.kind == "accepted" or (entry.kind == "status" and (entry.detail or "").casefold() == name)


def _what(entry: JourneyEntry) -> str:
    if entry.kind == "status":
        return f"Trạng thái {status_name(entry.code or '')}"
    if entry.kind == "delivery":
        name = STATE_NAMES.get(entry.to_state or "", entry.to_state or "")
        step = f"{entry.from_state} → {entry.to_state}" if entry.from_state else str(entry.to_state)
        again = f", lần {entry.series}" if (entry.series or 1) > 1 else ""
        code = f", {entry.code}" if entry.code else ""
        return f"{name[:1].upper()}{name[1:]} ({step}{again}{code})"
    name = _KINDS.get(entry.kind, entry.kind)
    return f"{name} ({entry.kind}{f' {entry.code}' if entry.code else ''})"


def add_commands(app: typer.Typer) -> None:
    """
    Add the command to the root.
    """
    app.command(epilog=example("axis journey 0193e1f0-5a5c-7d7a-9d0e-1c2b3a495867"))(journey)
