import base64
import os
import subprocess
import sys
from pathlib import Path

from shared.testing.packets import a_packet

MEASURE = """
import resource, sys, json
from pathlib import Path
from shared.edxml import read_packet
from shared.testing.packets import a_packet
small = Path(sys.argv[1])
read_packet(small)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
packet = read_packet(Path(sys.argv[2]))
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([after - before, packet.attachments[0].content_size]))
"""

CONTENT_BYTES = 75 * 1024 * 1024


def test_a_packet_of_100_mb_is_read_in_constant_memory(tmp_path: Path) -> None:
    small, large = tmp_path / "small.edxml", tmp_path / "large.edxml"
    octets = a_packet(files=[("a.pdf", b"%PDF")])
    small.write_bytes(octets)
    before, after = octets.split(base64.b64encode(b"%PDF"))
    line = base64.b64encode(os.urandom(57)) + b"\r\n"
    with large.open("wb") as out:
        out.write(before)
        # Half of it in lines as mail programs break them, half in one line.
        for _ in range(CONTENT_BYTES // 57 // 2 // 1000):
            out.write(line * 1000)
        for _ in range(CONTENT_BYTES // 57 // 2 // 1000):
            out.write(line.strip() * 1000)
        out.write(after)
    command = [sys.executable, "-c", MEASURE, str(small), str(large)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    growth_kib, size = map(int, done.stdout.strip(" []\n").split(","))
    assert size > 0.99 * CONTENT_BYTES - 200_000
    assert growth_kib < 32 * 1024
