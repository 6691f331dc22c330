"""(4) Large packets: how many MB/s go through, and how much memory it takes."""

import os
from pathlib import Path
from typing import Final

from bench.measures import Bench

MB: Final = 1_000_000
_BASE64: Final = 4 / 3
_SIZES: Final = ((1, 8, 40), (50, 4, 8))
"""Size in MB, packets under way at once, and packets in all for ten seconds of a measurement."""

_HASTE: Final = 10.0
_LONGEST_SECONDS: Final = 60.0


async def measure_large(bench: Bench) -> None:
    """
    Post, fetch and acknowledge packets of two sizes, one addressee each.
    """
    for megabytes, under_way, documents in _SIZES:
        file = bench.folder / f"{megabytes}-mb.pdf"
        write_attachment(file, round(megabytes * MB / _BASE64))
        stage = bench.stage
        run = await bench.play(
            "closed",
            label=f"{megabytes} MB",
            attachment=file,
            documents=max(under_way, round(documents * bench.options.seconds / _HASTE)),
            under_way=under_way,
            seconds=_LONGEST_SECONDS,
            receivers=[stage.receivers[0]],
            addressees=[list(stage.addressees[0])],
        )
        outcome = run.outcome
        bytes_through = outcome.documents * outcome.packet_bytes
        bench.put(4, f"{megabytes} MB packets, MB/s", bytes_through / MB / outcome.until_last)
        bench.put(
            4, f"{megabytes} MB packets, CPU core-ms per MB", 1000 * run.usage.total_cpu_seconds / bytes_through * MB
        )
        for role, peak in sorted(run.usage.peak_bytes.items()):
            bench.put(4, f"{megabytes} MB packets, peak memory of {role}, MB", peak / MB)
        file.unlink()


def write_attachment(file: Path, size: int) -> None:
    """
    Write a file that begins as PDF does and cannot be compressed.
    """
    block = os.urandom(MB)
    with file.open("wb") as out:
        out.write(b"%PDF-1.4\n")
        for _ in range(size // MB):
            out.write(block)
        out.write(block[: size % MB])
