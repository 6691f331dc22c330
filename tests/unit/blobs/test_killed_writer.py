"""
A process that puts a blob is killed before each of its calls to the disk in turn.
"""

import hashlib
import subprocess
import sys
from pathlib import Path

from shared.blobs import FolderBlobStore
from shared.clock import SystemClock

PACKET = bytes(range(256)) * 3000  # three batches
# Runs in a process without threads, so that it may fork; each child dies before its n-th call.
DRIVER = """
import asyncio, os, signal, sys
from pathlib import Path
from shared.blobs import FolderBlobStore
from shared.clock import SystemClock

PACKET = bytes(range(256)) * 3000

async def put(root):
    store = FolderBlobStore(root, SystemClock())
    await store.start()
    async with store.writer(2**20) as writer:
        for start in range(0, len(PACKET), 65536):
            await writer.write(PACKET[start:start + 65536])
        await writer.commit()

def die_before(number):
    left = [number]
    def counted(call):
        def wrapper(*args, **kwargs):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **kwargs)
        return wrapper
    for name in ("open", "write", "fsync", "replace", "mkdir", "utime", "unlink"):
        setattr(os, name, counted(getattr(os, name)))

number = 0
while True:
    number += 1
    child = os.fork()
    if child == 0:
        die_before(number)
        asyncio.run(put(Path(sys.argv[1]) / str(number)))
        os._exit(0)
    if os.waitpid(child, 0)[1] == 0:
        break
print(number)
"""


def put_and_die_everywhere(folder: Path) -> int:
    """
    Put into a folder per number, killed before the call of that number; answers the first number that lived.
    """
    command = [sys.executable, "-c", DRIVER, folder]
    root = Path(__file__).parents[3]
    return int(subprocess.run(command, capture_output=True, text=True, check=True, cwd=root).stdout)


async def test_a_writer_killed_anywhere_leaves_the_whole_blob_or_nothing(tmp_path: Path) -> None:
    survivor = put_and_die_everywhere(tmp_path)
    assert survivor > 20
    digest = hashlib.sha256(PACKET).hexdigest()
    kept = 0
    for number in range(1, survivor + 1):
        root = tmp_path / str(number)
        store = FolderBlobStore(root, SystemClock())
        await store.start()
        assert list((root / "incoming").iterdir()) == []
        if await store.exists(digest):
            kept += 1
            assert store.path(digest).read_bytes() == PACKET
    assert 2 <= kept <= 8  # the last steps, after the rename, and the one that lived
