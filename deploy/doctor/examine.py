"""The whole examination, in the order a person would mend things in."""

import asyncio
from pathlib import Path

from deploy.distributed.folder import Folder
from deploy.distributed.settings import broker_urls
from deploy.doctor.broker import look_at_broker
from deploy.doctor.database import look_at_database
from deploy.doctor.doors import look_at_door, look_at_settings
from deploy.doctor.finding import Finding, bad, good
from deploy.doctor.machine import look_at_files_of_certificates, look_at_machine, look_at_secrets
from deploy.doctor.subject import Subject, distributed_subject, embedded_subject, watermark
from deploy.embedded.errors import NodeError
from deploy.embedded.home import Home
from shared.clock import Clock, SystemClock


def run_doctor(home: Path, *, clock: Clock | None = None) -> list[Finding]:
    """
    Look at a node: a distributed one where settings or the folder name a broker, else an embedded one.
    """
    place = Home(home.absolute())
    return asyncio.run(_run(place, clock or SystemClock()))


async def _run(home: Home, clock: Clock) -> list[Finding]:
    try:
        if Folder(home.root).rabbitmq.is_dir() or broker_urls(None):
            known = home if home.config_file.exists() else None
            return await examine(await distributed_subject(known), clock, watermark=watermark(known))
        async with embedded_subject(home) as subject:
            return await examine(subject, clock, watermark=watermark(home))
    except NodeError as error:
        return [
            bad(
                "settings",
                ("cấu hình của nút không dùng được", error.problem),
                ("Sửa theo lời bên, hoặc tạo nút bằng `axis init`.", error.remedy),
            )
        ]


async def examine(subject: Subject, clock: Clock, *, watermark: int) -> list[Finding]:
    """
    Look at everything a node depends on.

    Args:
        subject: The node.
        clock: This machine's.
        watermark: Bytes below which the gateway takes no packets.
    """
    names = ", ".join(sorted(set(subject.node_id.values())))
    found = [good("settings", f"nút {names}", f"node {names}")] if names else []
    found += [
        bad("settings", ("thiếu cấu hình", one.problem), ("Đặt theo lời bên.", one.remedy)) for one in subject.missing
    ]
    found += look_at_settings(subject)
    found += look_at_machine(subject, watermark=watermark)
    found += look_at_secrets(subject, clock.now())
    found += look_at_files_of_certificates(subject, clock.now())
    found += [one async for one in look_at_database(subject, clock)]
    found += [one async for one in look_at_broker(subject)]
    found += await look_at_door(subject, clock)
    return found
