"""
kill -9 of a real node at random moments under load loses nothing and doubles nothing.
"""

import asyncio
import contextlib
import random
from collections import Counter
from functools import partial
from pathlib import Path
from uuid import UUID

import asyncpg

from deploy.embedded.home import Home, init_home
from deploy.embedded.papers import REPORT, paper, seal_of
from deploy.embedded.postgres import PrivatePostgres
from deploy.embedded.systems import ensure_system, import_table
from shared.client import AxisClient, Credential, Transport
from shared.testing.invariants import check_invariants
from shared.testing.node_process import NodeProcess
from tests.kill.patience import PATIENT, patiently

KILLS = 20
SENDERS = 3
TABLE = Path(__file__).parents[2] / "deploy" / "data" / "agencies-2024.csv"
AGENCIES = [("H43.31", "UBND huyện Bác Ái"), ("H43.32", "UBND huyện Ninh Sơn"), ("H43.33", "UBND huyện Ninh Hải")]


class Notes:
    """What the clients themselves know."""

    def __init__(self) -> None:
        self.accepted: dict[UUID, str] = {}
        self.received: Counter[tuple[UUID, str]] = Counter()
        self.receipts: dict[UUID, bytes] = {}
        self.changed_receipts = 0
        self.wrong: list[str] = []
        self.posting = True


async def send_for_ever(client: AxisClient, number: int, notes: Notes) -> None:
    seal = seal_of(client.credential)
    sender, count = AGENCIES[number], 0
    while notes.posting:
        count += 1
        addressee = AGENCIES[(number + 1 + count % 2) % len(AGENCIES)]
        packet = paper(
            sender=sender, to=[addressee], number=f"{number}-{count}", subject="Tải", attachments=(REPORT,), seal=seal
        )
        sent = await patiently(partial(client.send, packet), notes.wrong.append)
        assert sent is not None
        notes.accepted[sent.document_id] = addressee[0]
        if notes.receipts.setdefault(sent.document_id, sent.body) != sent.body:
            notes.changed_receipts += 1


async def receive_for_ever(client: AxisClient, folder: Path, notes: Notes) -> None:
    while True:
        page = await patiently(lambda: client.inbox(wait=1, limit=50), notes.wrong.append)
        for item in page.items if page is not None else ():
            into = folder / f"{item.delivery_id}.edxml"
            await patiently(partial(client.fetch, item.delivery_id, into), notes.wrong.append)
            # Once acknowledged, the document is in no list any more.
            await patiently(partial(client.acknowledge, item.delivery_id), notes.wrong.append)
            notes.received[(item.document_id, item.agency)] += 1


async def test_a_node_killed_twenty_times_under_load_loses_and_doubles_nothing(tmp_path: Path) -> None:
    chance = random.Random(20)
    folder = tmp_path / "home"
    config = init_home(folder, node_id="H43", port=0, admin_port=0).config
    home, notes = Home(folder), Notes()
    node = NodeProcess(folder, config.public_url)
    tasks: list[asyncio.Task[None]] = []
    clients: list[AxisClient] = []
    try:
        await node.start()
        await _prepare(home, clients, config.public_url)
        packets = tmp_path / "packets"
        packets.mkdir()
        tasks = [asyncio.create_task(send_for_ever(client, n, notes)) for n, client in enumerate(clients)]
        tasks += [asyncio.create_task(receive_for_ever(client, packets, notes)) for client in clients]
        for _ in range(KILLS):
            before = len(notes.accepted)
            await asyncio.sleep(chance.uniform(0.3, 1.5))
            await node.kill()
            await node.start()
            async with asyncio.timeout(60):
                while len(notes.accepted) <= before:  # each life must have done some work
                    await asyncio.sleep(0.05)
        notes.posting = False
        async with asyncio.timeout(120):
            await asyncio.gather(*tasks[:SENDERS])
            while any((document, addressee) not in notes.received for document, addressee in notes.accepted.items()):
                await asyncio.sleep(0.1)
        assert len(notes.accepted) > KILLS
        assert notes.changed_receipts == 0
        assert notes.wrong == []
        assert set(notes.received) == set(notes.accepted.items())
        assert max(notes.received.values()) == 1
        await _check_database(home)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for client in clients:
            await client.close()
        with contextlib.suppress(AssertionError):
            await node.stop()
        await PrivatePostgres(home.postgres).remove()


async def _prepare(home: Home, clients: list[AxisClient], url: str) -> None:
    credential = Credential.read(home.admin_credential)
    async with Transport(credential.url, credential) as admin, Transport(url) as public:
        await import_table(admin, TABLE.read_bytes(), as_of="2024-12-31", under="H43")
        for code, name in AGENCIES:
            system = await ensure_system(
                admin, public, home.systems, system_id=f"qlvb-{code.lower()}", name=name, agencies=[code]
            )
            clients.append(AxisClient(system, retries=PATIENT))


async def _check_database(home: Home) -> None:
    connection = await asyncpg.connect(PrivatePostgres(home.postgres).dsn("postgres", driver="postgresql"))
    try:
        assert await check_invariants(connection) == []
    finally:
        await connection.close()
