"""(4) Large packets: how many MB/s go through, and how much memory it takes."""

import os
from collections import defaultdict
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
    peaks: defaultdict[str, list[float]] = defaultdict(list)
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
        through = outcome.documents * outcome.packet_bytes / MB
        bench.put(4, f"{megabytes} MB packets, MB/s", through / outcome.until_last)
        bench.put(4, f"{megabytes} MB packets, CPU core-ms per MB", 1000 * run.usage.total_cpu_seconds / through)
        for role, peak in run.usage.peak_bytes.items():
            peaks[role].append(peak / MB)
        file.unlink()
    sizes = " / ".join(str(megabytes) for megabytes, _, _ in _SIZES)
    for role in sorted(peaks):
        bench.put(4, f"peak memory of one {role} process at {sizes} MB, MB", *peaks[role], digits=0)


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
