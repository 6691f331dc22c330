"""
A node whose one disk is full refuses for now, breaks nothing, and goes on once there is room.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import httpx
import pytest

from deploy.embedded.home import Home, init_home
from deploy.embedded.papers import REPORT, paper, seal_of
from deploy.embedded.postgres import PrivatePostgres
from deploy.embedded.systems import ensure_system, import_table
from shared.client import AxisClient, Credential, RetryPolicy, SentDocument, Transport, Unavailable
from shared.client.errors import NodeUnreachable
from shared.testing.invariants import check_invariants
from shared.testing.node_process import NodeProcess

TABLE = Path(__file__).parents[2] / "deploy" / "data" / "agencies-2024.csv"
SENDER, RECEIVER = ("H43.31", "UBND huyện Bác Ái"), ("H43.32", "UBND huyện Ninh Sơn")
ONCE = RetryPolicy(attempts=1)
DISK_BYTES = 400 << 20


@pytest.fixture
def disk() -> Iterator[Path]:
    mount = shutil.which("mount")
    if os.geteuid() != 0 or mount is None:
        pytest.skip("only root can mount a small disk")
    root = Path(tempfile.mkdtemp(prefix=f"axis-tests-disk-{os.getpid()}-"))
    command = [mount, "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=0755", "tmpfs", str(root)]
    if subprocess.run(command, check=False).returncode:
        root.rmdir()
        pytest.skip("this machine lets nobody mount a small disk")
    try:
        yield root
    finally:
        subprocess.run(["umount", "--lazy", root], check=True)
        root.rmdir()


def fill(disk: Path, *, leaving: int) -> None:
    room = os.statvfs(disk)
    with (disk / "ballast").open("ab") as file:
        for _ in range(max(0, room.f_bavail * room.f_frsize - leaving) // 4096):
            file.write(bytes(4096))


async def test_a_node_on_a_full_disk_refuses_for_now_and_loses_nothing(
    disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_MIN_FREE_BYTES", "0")  # or intake would have stopped long before
    home = Home(disk / "home")
    url = init_home(home.root, node_id="H43", port=0, admin_port=0).config.public_url
    home.root.chmod(0o755)  # the database's account must get through, to be on this disk too
    node = NodeProcess(home.root, url)
    sent: list[tuple[bytes, SentDocument | None]] = []
    try:
        await node.start()
        assert (home.postgres / "server" / "data").is_dir()
        client = AxisClient(await _prepare(home, url), retries=ONCE)
        async with client:
            assert await _send(client, sent, 5) == []
            refusals: list[Unavailable] = []
            for leaving in (4 << 20, 256 << 10, 0):
                fill(disk, leaving=leaving)
                refusals += await _send(client, sent, 20)
            assert refusals, "the disk was never full"
            assert {one.status for one in refusals} == {503}
            assert None not in {one.retry_after for one in refusals}
            (disk / "ballast").unlink()
            # The database may have ended for want of room, and with it nothing but what was not accepted.
            await node.stop()
            await node.start()
            for packet, first in sent:
                again = await client.send(packet)
                if first is not None:
                    assert again.body == first.body
        connection = await asyncpg.connect(PrivatePostgres(home.postgres).dsn("postgres", driver="postgresql"))
        try:
            assert await check_invariants(connection) == []
            assert await connection.fetchval("SELECT count(*) FROM routing.documents") == len(sent)
        finally:
            await connection.close()
        assert list((home.blobs / "incoming").iterdir()) == []
    finally:
        with contextlib.suppress(AssertionError):
            await node.stop()
        await PrivatePostgres(home.postgres).remove()


async def _send(client: AxisClient, sent: list[tuple[bytes, SentDocument | None]], count: int) -> list[Unavailable]:
    """Whatever goes wrong is a refusal for now: a defect (500) would be another error, and fail the test."""
    refusals: list[Unavailable] = []
    for _ in range(count):
        packet = paper(
            sender=SENDER,
            to=[RECEIVER],
            number=f"{len(sent) + 1}",
            subject="Đầy đĩa",
            attachments=(REPORT,),
            seal=seal_of(client.credential),
        )
        try:
            sent.append((packet, await client.send(packet)))
        except Unavailable as refusal:
            refusals.append(refusal)
            sent.append((packet, None))
        except NodeUnreachable:
            # Refused in the middle of the body: the answer may be lost with the connection, the node is not.
            async with httpx.AsyncClient(base_url=client.credential.url) as http:
                assert (await http.get("/health/live")).is_success
            sent.append((packet, None))
    return refusals


async def _prepare(home: Home, url: str) -> Credential:
    credential = Credential.read(home.admin_credential)
    async with Transport(credential.url, credential) as admin, Transport(url) as public:
        await import_table(admin, TABLE.read_bytes(), as_of="2024-12-31", under="H43")
        return await ensure_system(
            admin, public, home.systems, system_id="qlvb-h43.31", name=SENDER[1], agencies=[SENDER[0]]
        )
