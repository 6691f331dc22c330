"""
The demonstration plays to its end and leaves nothing behind.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_demonstration_is_as_designed_and_cleans_up(tmp_path: Path) -> None:
    environment = os.environ | {"TMPDIR": str(tmp_path), "COLUMNS": "120"}
    # The server's account must get through to the database it keeps there.
    for folder in (tmp_path, *tmp_path.parents):
        if folder == Path(tempfile.gettempdir()):
            break
        folder.chmod(0o755)
    played = subprocess.run(
        [sys.executable, "-m", "deploy.demo"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert played.returncode == 0, played.stdout[-4_000:] + played.stderr[-4_000:]
    figures = {
        line.strip("│ ").split("│")[0].strip(): line.strip("│ ").split("│")[-1].strip()
        for line in played.stdout.splitlines()
        if line.startswith("│")
    }
    assert figures["Văn bản đã tiếp nhận / accepted documents"] == "203"
    assert figures["Bị trả lại (02) / returned"] == "1"
    assert figures["Thất lạc / lost"] == figures["Bị nhân đôi / doubled"] == "0"
    for code in ("signature-failed", "addressees-refused", "secrecy-mark", "document-id-reused"):
        assert f"Bị từ chối / refused: {code}" in figures
    assert list(tmp_path.iterdir()) == []
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(tmp_path) not in running
