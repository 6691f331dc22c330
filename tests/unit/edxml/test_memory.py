import base64
import os
import subprocess
import sys
from pathlib import Path

from shared.testing.packets import a_packet

MEASURE = """
import sys, json
from pathlib import Path
from shared.edxml import read_packet
from shared.testing.packets import a_packet
packet = read_packet(Path(sys.argv[1]), None, lambda index: open(sys.argv[2], "wb"))
# The peak of this program alone; what getrusage gives counts that of whoever started it.
after = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
print(json.dumps([after, packet.attachments[0].content_size]))
"""

PACKET_MB = int(os.environ.get("AXIS_LARGE_PACKET_MB", "100"))
CONTENT_BYTES = PACKET_MB * 1024 * 1024 * 3 // 4
MOST_KIB = 64 * 1024


def test_a_packet_of_any_size_is_read_and_decoded_in_constant_memory(tmp_path: Path) -> None:
    large, content = tmp_path / "large.edxml", tmp_path / "content"
    octets = a_packet(files=[("a.pdf", b"%PDF")])
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
    command = [sys.executable, "-c", MEASURE, str(large), str(content)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    peak_kib, size = map(int, done.stdout.strip(" []\n").split(","))
    assert size > 0.99 * CONTENT_BYTES - 200_000
    assert content.stat().st_size == size
    assert peak_kib < MOST_KIB
    large.unlink()
    content.unlink()
