"""
A node backed up while it works goes on, from that moment, in an empty folder: as if nothing else had happened.
"""

import asyncio
import contextlib
import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import asyncpg
import httpx
import pytest

from deploy.backup import Manifest, distributed_site, embedded_site, restore_distributed, restore_embedded, save
from deploy.backup.save import packet_name
from deploy.doctor import run_doctor
from deploy.embedded.errors import NodeError
from deploy.embedded.home import Home, init_home
from deploy.embedded.papers import REPORT, paper, seal_of
from deploy.embedded.postgres import PrivatePostgres
from deploy.embedded.systems import ensure_system, import_table
from services.audit.domain import is_consistent
from shared.client import AxisClient, Credential, RetryPolicy, SentDocument, Transport
from shared.contracts.audit import Consistency, TreeHead
from shared.testing.invariants import check_invariants
from shared.testing.node_process import NodeProcess

TABLE = Path(__file__).parents[2] / "deploy" / "data" / "agencies-2024.csv"
SENDER, RECEIVER = ("H43.31", "UBND huyện Bác Ái"), ("H43.32", "UBND huyện Ninh Sơn")
PATIENT = RetryPolicy(attempts=5, first_seconds=0.2, longest_seconds=1.0, patience_seconds=10.0)


def silent(_vi: str, _en: str) -> None:
    """Nobody watches."""


class Traffic:
    """One system sends for ever to another, and keeps what it sent and was answered."""

    def __init__(self, sender: AxisClient, receiver: AxisClient) -> None:
        self.sender = sender
        self.receiver = receiver
        self.sent: list[tuple[bytes, SentDocument]] = []

    async def send(self, count: int, *, until: asyncio.Event | None = None) -> None:
        for _ in range(count):
            if until is not None and until.is_set():
                return
            number = f"{len(self.sent) + 1}"
            seal = seal_of(self.sender.credential)
            packet = paper(
                sender=SENDER, to=[RECEIVER], number=number, subject="Sao lưu", attachments=(REPORT,), seal=seal
            )
            self.sent.append((packet, await self.sender.send(packet)))

    async def acknowledge(self, count: int, folder: Path) -> set[UUID]:
        """Take some documents out of the mailbox."""
        taken: set[UUID] = set()
        while len(taken) < count:
            for item in (await self.receiver.inbox(wait=5, limit=count - len(taken))).items:
                await self.receiver.fetch(item.delivery_id, folder / f"{item.delivery_id}.edxml")
                await self.receiver.acknowledge(item.delivery_id)
                taken.add(item.document_id)
        return taken

    async def waiting(self, wanted: set[UUID], folder: Path) -> set[UUID]:
        """See that these lie in the mailbox and can be fetched; answers everything that lies there."""
        async with asyncio.timeout(60):
            while True:
                items = (await self.receiver.inbox(wait=2, limit=100)).items
                if wanted <= {item.document_id for item in items}:
                    break
        for item in items:
            await self.receiver.fetch(item.delivery_id, folder / f"{item.delivery_id}.edxml")
        return {item.document_id for item in items}


@asynccontextmanager
async def traffic_at(home: Home) -> AsyncIterator[Traffic]:
    url = home.config().public_url
    credential = Credential.read(home.admin_credential)
    async with Transport(credential.url, credential) as admin, Transport(url) as public:
        await import_table(admin, TABLE.read_bytes(), as_of="2024-12-31", under="H43")
        found = [
            await ensure_system(
                admin, public, home.systems, system_id=f"qlvb-{code.lower()}", name=name, agencies=[code]
            )
            for code, name in (SENDER, RECEIVER)
        ]
    async with AxisClient(found[0], retries=PATIENT) as sender, AxisClient(found[1], retries=PATIENT) as receiver:
        yield Traffic(sender, receiver)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("AUDIT_HEAD_INTERVAL_SECONDS", "0.5")
    folder = tmp_path / "home"
    init_home(folder, node_id="H43", port=0, admin_port=0)
    return Home(folder)


async def _remove(home: Home) -> None:
    with contextlib.suppress(NodeError):
        await PrivatePostgres(home.postgres).remove()


async def _back_up(home: Home, target: Path) -> Manifest:
    async with embedded_site(home) as site:
        return await save(site, target, notice=silent)


async def _tree_head(url: str, least: int) -> TreeHead:
    async with httpx.AsyncClient(base_url=url) as http, asyncio.timeout(60):
        while True:
            answer = await http.get("/v1/trust/tree-head")
            if answer.is_success and (head := TreeHead.model_validate_json(answer.content)).tree_size >= least:
                return head
            await asyncio.sleep(0.2)


async def test_a_node_restored_into_an_empty_folder_goes_on_from_the_moment_of_the_backup(
    home: Home, tmp_path: Path
) -> None:
    url = home.config().public_url
    node, restored = NodeProcess(home.root, url), Home(tmp_path / "restored")
    again = NodeProcess(restored.root, url)
    packets = tmp_path / "packets"
    packets.mkdir()
    target = tmp_path / "backup.tar"
    try:
        await node.start()
        async with traffic_at(home) as traffic:
            await traffic.send(12)
            gone = await traffic.acknowledge(4, packets)
            before = [sent for _, sent in traffic.sent]
            head = await _tree_head(url, least=20)
            enough = asyncio.Event()
            sending = asyncio.create_task(traffic.send(60, until=enough))
            manifest = await _back_up(home, target)
            enough.set()
            await sending
            await traffic.send(3)
            await node.stop()

            await restore_embedded(target, restored, secrets=home.keys, force=False, notice=silent)
            await again.start()
            # 1. What lay in the mailbox lies there, whole; what had been taken out does not come back.
            waiting = await traffic.waiting({sent.document_id for sent in before} - gone, packets)
            assert not waiting & gone
            # 2. A repeat of what the backup holds gets its first receipt, byte for byte; the rest is accepted afresh.
            held = manifest.schemas["routing"].rows["documents"]
            assert len(before) <= held < len(traffic.sent)
            answers = [(first, await traffic.sender.send(packet)) for packet, first in traffic.sent]
            assert [now.created for _, now in answers] == [False] * held + [True] * (len(answers) - held)
            assert all(first.body == now.body for first, now in answers[:held])
            # 3. It works on: everything accepted afresh arrives.
            await traffic.waiting({now.document_id for _, now in answers} - gone, packets)
        # 4. The journal only appended to what it had published before the backup, and the promises hold.
        later = await _tree_head(url, least=head.tree_size + 10)
        async with httpx.AsyncClient(base_url=url) as http:
            params = {"first": head.tree_size, "second": later.tree_size}
            proof = Consistency.model_validate_json(
                (await http.get("/v1/trust/proofs/consistency", params=params)).content
            )
        roots = bytes.fromhex(head.root_hash), bytes.fromhex(later.root_hash)
        path = [bytes.fromhex(one) for one in proof.path]
        assert is_consistent(head.tree_size, roots[0], later.tree_size, roots[1], path)
        await _check_promises(PrivatePostgres(restored.postgres))
        assert [one for one in await asyncio.to_thread(run_doctor, restored.root) if not one.ok] == []
    finally:
        for one in (node, again):
            with contextlib.suppress(AssertionError):
                await one.stop()
        await _remove(home)
        await _remove(restored)


async def test_a_restore_refuses_what_it_must_and_changes_nothing(home: Home, tmp_path: Path) -> None:
    node = NodeProcess(home.root, home.config().public_url)
    target, restored = tmp_path / "backup", Home(tmp_path / "restored")
    try:
        await node.start()
        async with traffic_at(home) as traffic:
            await traffic.send(2)
        await node.stop()
        await _back_up(home, target)  # of a node that is stopped: its database is started for this
        digest = next(iter((target / "blobs").rglob("?" * 64)))

        async def refusal(words: str, source: Path = target, *, secrets: Path = home.keys) -> None:
            with pytest.raises(NodeError, match=words):
                await restore_embedded(source, restored, secrets=secrets, force=False, notice=silent)
            assert not restored.root.exists()

        # A packet, a dump or the list was changed or is gone.
        for path in (digest, target / "database" / "routing.dump", target / "blobs.txt"):
            content = path.read_bytes()
            path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
            await refusal("bị hỏng")
            path.unlink()
            await refusal("bị hỏng")
            path.write_bytes(content)
        # It is unfinished, or a later release made it.
        manifest = (target / "manifest.json").read_text(encoding="utf-8")
        (target / "manifest.json").unlink()
        await refusal("dở dang")
        newer = Manifest.model_validate_json(manifest)
        schemas = {**newer.schemas, "routing": newer.schemas["routing"].model_copy(update={"migration": "9999"})}
        newer = newer.model_copy(update={"schemas": schemas})
        (target / "manifest.json").write_text(newer.model_dump_json(), encoding="utf-8")
        await refusal("mới hơn phần mềm này")
        (target / "manifest.json").write_text(manifest, encoding="utf-8")
        # The secrets are another node's, or missing.
        init_home(tmp_path / "other", node_id="H43", port=0, admin_port=0)
        await refusal("Không phải bí mật", secrets=tmp_path / "other" / "keys")
        await refusal("cannot be read", secrets=tmp_path / "nowhere")
        # The folder is somebody's.
        restored.root.mkdir()
        (restored.root / "letter.txt").write_text("mine", encoding="utf-8")
        with pytest.raises(NodeError, match="không trống"):
            await restore_embedded(target, restored, secrets=home.keys, force=False, notice=silent)
        _, aside = await restore_embedded(target, restored, secrets=home.keys, force=True, notice=silent)
        assert aside is not None
        assert (aside / "letter.txt").read_text(encoding="utf-8") == "mine"
        assert restored.config() == home.config()
        assert (restored.blobs / digest.relative_to(target / "blobs")).read_bytes() == digest.read_bytes()
    finally:
        with contextlib.suppress(AssertionError):
            await node.stop()
        await _remove(home)
        await _remove(restored)


async def test_a_backup_names_each_packet_that_is_missing_or_damaged_and_keeps_the_rest(
    home: Home, tmp_path: Path
) -> None:
    node = NodeProcess(home.root, home.config().public_url)
    try:
        await node.start()
        async with traffic_at(home) as traffic:
            await traffic.send(5)
            digests = sorted(hashlib.sha256(packet).hexdigest() for packet, _ in traffic.sent)
        stored = [home.blobs / one[:2] / one[2:4] / one for one in digests]
        stored[0].unlink()
        content = stored[1].read_bytes()
        stored[1].write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        stored[2].write_bytes(stored[2].read_bytes()[:-1])
        stored[3].write_bytes(stored[3].read_bytes() + b"!")
        for target in (tmp_path / "backup.tar", tmp_path / "backup"):
            manifest = await _back_up(home, target)
            assert manifest.packets.missing == tuple(path.name for path in stored[:4])
            assert manifest.packets.count == 1
        kept = [path.relative_to(target).as_posix() for path in target.rglob("?" * 64)]
        assert kept == [packet_name(stored[4].name)]
        assert not [name for name in os.listdir(tmp_path) if name.startswith(".backup")]  # noqa: PTH208 - in a test
    finally:
        with contextlib.suppress(AssertionError):
            await node.stop()
        await _remove(home)


async def test_a_node_of_several_processes_is_restored_into_an_empty_database(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = NodeProcess(home.root, home.config().public_url)
    target, empty = tmp_path / "backup.tar", PrivatePostgres(tmp_path / "empty", durable=False, tied=True)
    try:
        await node.start()
        async with traffic_at(home) as traffic:
            await traffic.send(3)
            _use(monkeypatch, home, PrivatePostgres(home.postgres), home.blobs)
            manifest = await save(distributed_site(home), target, notice=silent)
        await node.stop()
        await empty.start()
        await empty.create_roles_and_schemas(manifest.schemas)
        _use(monkeypatch, home, empty, tmp_path / "blobs")
        with pytest.raises(NodeError, match="key file already"):
            await restore_distributed(target, distributed_site(home), force=False, notice=silent)
        home.key_file.unlink()
        await restore_distributed(target, distributed_site(home), force=False, notice=silent)
        home.key_file.unlink()
        with pytest.raises(NodeError, match="không trống"):
            await restore_distributed(target, distributed_site(home), force=False, notice=silent)
        await restore_distributed(target, distributed_site(home), force=True, notice=silent)
        assert len(list((tmp_path / "blobs").glob("??/??/*"))) == 3
        await _check_promises(empty)
        connection = await asyncpg.connect(empty.dsn("postgres", driver="postgresql"))
        try:
            assert await connection.fetchval("SELECT count(*) FROM routing.documents") == 3
            # Whatever was on the bus is repeated.
            assert await connection.fetchval("SELECT count(*) FROM routing.outbox WHERE sent_at IS NOT NULL") == 0
            assert await connection.fetchval("SELECT count(*) FROM routing.outbox") > 0
        finally:
            await connection.close()
    finally:
        with contextlib.suppress(AssertionError):
            await node.stop()
        await empty.remove()
        await _remove(home)


async def _check_promises(postgres: PrivatePostgres) -> None:
    connection = await asyncpg.connect(postgres.dsn("postgres", driver="postgresql"))
    try:
        assert await check_invariants(connection) == []
        assert await connection.fetchval("SELECT count(*) FROM routing.dead_messages") == 0
    finally:
        await connection.close()


def _use(monkeypatch: pytest.MonkeyPatch, home: Home, postgres: PrivatePostgres, blobs: Path) -> None:
    """Give the environment of processes that use this database and this folder."""
    for service in ("signing", "registry", "routing", "delivery", "audit"):
        monkeypatch.setenv(f"{service.upper()}_DATABASE_URL", postgres.dsn(service))
    monkeypatch.setenv("AXIS_BLOB_FOLDER", str(blobs))
    monkeypatch.setenv("SIGNING_KEY_FILE", str(home.key_file))
