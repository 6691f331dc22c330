"""What the sandbox runs: functions of JSON to JSON that meet hostile packets in a process of their own."""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from shared.edxml.findings import refuse
from shared.edxml.limits import PacketLimits
from shared.edxml.reading import read_packet


def read_packet_job(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """
    Read a packet.

    Args:
        arguments: `path` of the packet; optionally `limits` (fields of `PacketLimits`) and `attachments_folder`, an
            existing folder where the content of each attachment is left in a file named by its SHA-256.

    Returns:
        `Packet` in its JSON form.
    """
    limits = PacketLimits.model_validate(arguments.get("limits") or {})
    folder = arguments.get("attachments_folder")
    if folder is None:
        return read_packet(Path(arguments["path"]), limits).to_json()
    files = _PartFiles(Path(folder))
    try:
        packet = read_packet(Path(arguments["path"]), limits, files.open)
        for index, attachment in enumerate(packet.attachments):
            files.keep(index, attachment.content_sha256)
    finally:
        files.discard()
    return packet.to_json()


def extract_attachment_job(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """
    Write the content of one attachment to a file.

    Args:
        arguments: `path` of the packet, `index` of the attachment from 0, `target` file that must not exist, and
            optionally `limits`.

    Returns:
        `Attachment` in its JSON form.
    """
    limits = PacketLimits.model_validate(arguments.get("limits") or {})
    wanted = int(arguments["index"])
    target = Path(arguments["target"])
    part = target.with_name(f"{target.name}.part")

    def open_wanted(index: int) -> BinaryIO | None:
        return part.open("wb") if index == wanted else None

    try:
        packet = read_packet(Path(arguments["path"]), limits, open_wanted)
        if not 0 <= wanted < len(packet.attachments):
            refuse("limit-exceeded", "/edXML/AttachmentEncoded", what="attachments", limit=len(packet.attachments))
        part.rename(target)
    finally:
        part.unlink(missing_ok=True)
    return packet.attachments[wanted].model_dump(mode="json")


class _PartFiles:
    """
    Attachments being written, under names nobody looks at until their digest is known.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[int, Path] = {}

    def open(self, index: int) -> BinaryIO:
        path = self._folder / f".part-{os.getpid()}-{id(self):x}-{index}"
        self._open[index] = path
        return path.open("wb")

    def keep(self, index: int, sha256: str) -> None:
        self._open.pop(index).replace(self._folder / sha256)

    def discard(self) -> None:
        for path in self._open.values():
            with contextlib.suppress(OSError):
                path.unlink()
