"""`axis backup` and `axis restore`: the whole node in one file or folder, and back."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from deploy.cli.connections import AsJson, example, place_of
from deploy.cli.errors import ExitCode
from deploy.cli.output import print_json, problems, say

Distributed = Annotated[
    bool,
    typer.Option(
        "--distributed",
        help="Nút chạy nhiều tiến trình: lấy cấu hình từ biến môi trường. / A node in several processes: by the "
        "environment that these are given.",
    ),
]


def backup(
    context: typer.Context,
    target: Annotated[Path, typer.Argument(help="Tệp .tar mới, hoặc thư mục mới. / A new file .tar, or a new folder.")],
    distributed: Distributed = False,
    as_json: AsJson = False,
) -> None:
    """
    Sao lưu cả nút trong khi nó chạy. / Back the whole node up while it runs.
    """
    from deploy.backup import Manifest, distributed_site, embedded_site, save  # noqa: PLC0415 - loads every service
    from deploy.embedded.home import Home  # noqa: PLC0415

    home = Home(place_of(context).home.absolute())

    async def work() -> Manifest:
        if distributed:
            site = distributed_site(home if home.config_file.exists() else None)
            return await save(site, target, notice=_notice)
        async with embedded_site(home) as site:
            return await save(site, target, notice=_notice)

    manifest = asyncio.run(work())
    packets = manifest.packets
    if as_json:
        print_json({"target": str(target), **manifest.model_dump(mode="json", exclude={"secrets"})})
    else:
        documents = manifest.schemas["routing"].rows["documents"]
        say(
            f"Đã sao lưu nút {manifest.node_id} vào {target}: {documents} văn bản, {packets.count} gói tin.",
            f"Backed up as of {manifest.snapshot_at:%Y-%m-%d %H:%M:%S} UTC: {packets.size_bytes} bytes of packets.",
        )
        say(
            "Giữ riêng, không có trong bản sao lưu: keys/passphrase, keys/pepper, keys/webhook-key.",
            "Kept apart, not inside: without these three the backup cannot be restored.",
        )
    if packets.missing:
        problems.print(
            f"✗ {len(packets.missing)} gói tin thiếu hoặc hỏng / packets missing or damaged: "
            f"{', '.join(packets.missing[:5])}{' …' if len(packets.missing) > 5 else ''}",
            markup=False,
            soft_wrap=True,
        )
        raise typer.Exit(ExitCode.LOCAL)


def restore(
    context: typer.Context,
    source: Annotated[Path, typer.Argument(help="Bản sao lưu. / The backup.")],
    home: Annotated[
        Path | None, typer.Option("--home", help="Thư mục của nút. / The node's folder.", file_okay=False)
    ] = None,
    secrets: Annotated[
        Path | None,
        typer.Option(
            "--secrets",
            help="Thư mục có passphrase, pepper, webhook-key; mặc định keys/ của nút. / Folder with these three; by "
            "default the home's keys/.",
            file_okay=False,
        ),
    ] = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Dời thư mục cũ sang bên, hoặc xóa các bảng cũ. / Set the former folder aside, or drop former tables.",
        ),
    ] = False,
    distributed: Distributed = False,
    as_json: AsJson = False,
) -> None:
    """
    Khôi phục nút từ bản sao lưu vào chỗ trống. / Restore a node from a backup, into an empty place.
    """
    from deploy.backup import distributed_site, restore_distributed, restore_embedded  # noqa: PLC0415 - see above
    from deploy.embedded.home import Home  # noqa: PLC0415

    place = Home((home or place_of(context).home).absolute())
    aside: Path | None = None
    if distributed:
        site = distributed_site(place if place.config_file.exists() else None)
        manifest = asyncio.run(restore_distributed(source, site, force=force, notice=_notice))
    else:
        work = restore_embedded(source, place, secrets=secrets, force=force, notice=_notice)
        manifest, aside = asyncio.run(work)
    if as_json:
        shown = manifest.model_dump(mode="json", exclude={"secrets"})
        print_json({"home": str(place.root), "aside": str(aside) if aside else None, **shown})
    else:
        say(
            f"Đã khôi phục nút {manifest.node_id}, như lúc {manifest.snapshot_at:%Y-%m-%d %H:%M:%S} UTC.",
            "What was accepted after that moment is not here: senders repeat it, see docs/howto/operate.md.",
        )
        if aside is not None:
            say(f"Nội dung cũ nằm ở {aside}.", "What was there before lies there.")
    if manifest.packets.missing:
        problems.print(
            f"! {len(manifest.packets.missing)} gói tin đã thiếu khi sao lưu / packets were missing when it was made",
            markup=False,
            soft_wrap=True,
        )


def add_commands(app: typer.Typer) -> None:
    """
    Add the commands to the root.
    """
    app.command(epilog=example("axis --home ./var backup truc-2026-11-23.tar"))(backup)
    app.command(epilog=example("axis restore truc-2026-11-23.tar --home ./moi --secrets ./bi-mat"))(restore)


def _notice(vi: str, en: str) -> None:
    problems.print(f"{vi} [dim]/ {en}[/dim]", soft_wrap=True)
