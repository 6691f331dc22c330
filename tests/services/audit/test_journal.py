"""The journal on a real database and bus; signing is stood in for by a key."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from services.audit.app import create_app
from services.audit.domain import hash_leaf, hash_node, includes, is_consistent
from services.audit.settings import Settings
from services.audit.tables import metadata
from shared.contracts.audit import (
    READ_CONSISTENCY,
    READ_HEALTH,
    READ_INCLUSION,
    READ_TREE_HEAD,
    ReadConsistency,
    ReadInclusion,
    ReadTreeHead,
    TreeHead,
)
from shared.contracts.base import Nothing
from shared.contracts.signing import SIGN_TREE_HEADS, SignStatements, Statements
from shared.errors import RejectedElsewhere
from shared.identifiers import Uuid7Source
from shared.jose import TREE_HEAD, sign_compact, thumbprint, verify_compact
from shared.messaging import Item
from shared.messaging.inprocess import InProcessBus, InProcessParty
from shared.runtime import Service
from shared.testing.postgres import SampleDatabase


class HandClock:
    def __init__(self) -> None:
        self.moment = datetime(2025, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment


@dataclass
class Node:
    """A bus with audit on it and a key in the place of signing."""

    database: SampleDatabase
    clock: HandClock = field(default_factory=HandClock)
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    audits: list[Service] = field(default_factory=list)

    async def start(self) -> None:
        self.new_id = Uuid7Source(self.clock)
        self.bus = InProcessBus(self.clock, self.new_id)
        self.bus.party("signing").answer(SIGN_TREE_HEADS, self._sign)
        self.outside = self.bus.party("gateway")
        await self.bus.start()
        self.audits.append(await self.start_audit(self.bus))

    async def start_audit(self, bus: InProcessBus) -> Service:
        audit = create_app(self.settings(), bus=bus.party("audit"), clock=self.clock, new_id=self.new_id)
        await audit.start()
        return audit

    async def stop(self) -> None:
        for audit in self.audits:
            await audit.stop()
        await self.bus.close()

    def settings(self) -> Settings:
        # An hour between heads: a test signs when it asks for one.
        return Settings(
            node_id="H43",
            public_url="http://127.0.0.1:8080",
            database_url=self.database.url("audit"),
            head_interval_seconds=3600,
        )

    def event(self, number: int) -> Item:
        return Item(
            id=UUID(int=number + 1),
            type="routing.deliveries_changed.v1",
            source="routing",
            time=self.clock.now() + timedelta(microseconds=number),
            data=json.dumps({"number": number, "code": "đã nhận"}),
        )

    async def publish(self, *items: Item, by: InProcessParty | None = None) -> None:
        assert all(await (by or self.bus.party("routing")).publish(items))

    async def head(self, size: int | None = None) -> TreeHead:
        return await self.outside.ask(READ_TREE_HEAD, ReadTreeHead(tree_size=size))

    async def _sign(self, request: SignStatements) -> Statements:
        kid = thumbprint(self.key.public_key())
        return Statements(
            items=tuple(sign_compact(payload, typ=TREE_HEAD, key=self.key, kid=kid) for payload in request.payloads)
        )

    def read(self, statement: str) -> dict[str, Any]:
        return verify_compact(statement, typ=TREE_HEAD, keys={thumbprint(self.key.public_key()): self.key.public_key()})

    async def rows(self, query: str) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.database.admin_dsn())
        try:
            return await connection.fetch(query)
        finally:
            await connection.close()


@pytest.fixture
async def node(database: SampleDatabase) -> AsyncIterator[Node]:
    node = Node(database)
    await node.start()
    try:
        yield node
    finally:
        await node.stop()


async def signed_size(node: Node, size: int) -> TreeHead:
    """Have a head of exactly this size signed, by asking for the newest leaf."""
    proof = await node.outside.ask(READ_INCLUSION, ReadInclusion(leaf_index=size - 1))
    assert proof.head.tree_size == size
    return proof.head


async def test_every_event_becomes_one_leaf_and_a_redelivery_none(node: Node) -> None:
    events = [node.event(number) for number in range(20)]
    await asyncio.gather(*(node.publish(event) for event in events))
    await node.publish(*events)
    await node.publish(events[0])
    rows = await node.rows("SELECT leaf_index, event_id, leaf FROM audit.leaves ORDER BY leaf_index")
    assert [row["leaf_index"] for row in rows] == list(range(20))
    assert {row["event_id"] for row in rows} == {event.id for event in events}


async def test_a_leaf_holds_the_event_exactly_as_it_travelled(node: Node) -> None:
    event = node.event(7)
    await node.publish(event)
    proof = await node.outside.ask(READ_INCLUSION, ReadInclusion(event_id=event.id))
    assert json.loads(proof.leaf) == {
        "id": str(event.id),
        "type": event.type,
        "source": event.source,
        "time": event.time.isoformat(),
        "data": json.loads(event.data),
    }


async def test_a_signed_head_says_what_the_journal_is(node: Node) -> None:
    await node.publish(node.event(0), node.event(1))
    head = await signed_size(node, 2)
    leaves = [row["leaf"].encode() for row in await node.rows("SELECT leaf FROM audit.leaves ORDER BY leaf_index")]
    assert head.root_hash == hash_node(hash_leaf(leaves[0]), hash_leaf(leaves[1])).hex()
    assert node.read(head.statement) == {
        "log_id": head.log_id,
        "tree_size": 2,
        "root_hash": head.root_hash,
        "time": "2025-01-01T00:00:00.000000Z",
    }
    assert await node.head() == head


async def test_every_event_is_proved_by_id_and_by_number(node: Node) -> None:
    events = [node.event(number) for number in range(75)]
    await node.publish(*events)
    head = await signed_size(node, 75)
    for event in events:
        proof = await node.outside.ask(READ_INCLUSION, ReadInclusion(event_id=event.id))
        assert json.loads(proof.leaf)["id"] == str(event.id)
        assert proof.head == head
        path = [bytes.fromhex(step) for step in proof.audit_path]
        root = bytes.fromhex(head.root_hash)
        assert includes(hash_leaf(proof.leaf.encode()), proof.leaf_index, 75, path, root)
        by_number = await node.outside.ask(READ_INCLUSION, ReadInclusion(leaf_index=proof.leaf_index, tree_size=75))
        assert by_number == proof


async def test_the_journal_only_ever_appends_between_signed_heads(node: Node) -> None:
    heads = []
    for start, stop in ((0, 1), (1, 6), (6, 64), (64, 101)):
        await node.publish(*(node.event(number) for number in range(start, stop)))
        heads.append(await signed_size(node, stop))
    for earlier in heads:
        for later in heads:
            if earlier.tree_size > later.tree_size:
                continue
            question = ReadConsistency(first=earlier.tree_size, second=later.tree_size)
            proof = await node.outside.ask(READ_CONSISTENCY, question)
            assert is_consistent(
                earlier.tree_size,
                bytes.fromhex(earlier.root_hash),
                later.tree_size,
                bytes.fromhex(later.root_hash),
                [bytes.fromhex(step) for step in proof.path],
            )
        assert await node.head(earlier.tree_size) == earlier


async def test_two_copies_append_without_gaps_or_doubles(node: Node) -> None:
    second_bus = InProcessBus(node.clock, node.new_id)
    second_bus.party("signing").answer(SIGN_TREE_HEADS, node._sign)
    await second_bus.start()
    second = await node.start_audit(second_bus)
    events = [node.event(number) for number in range(200)]
    first_party, second_party = node.bus.party("routing"), second_bus.party("routing")
    await asyncio.gather(
        *(node.publish(event, by=first_party) for event in events[:150]),
        *(node.publish(event, by=second_party) for event in events[50:]),
    )
    await second.stop()
    await second_bus.close()
    rows = await node.rows("SELECT leaf_index, event_id FROM audit.leaves ORDER BY leaf_index")
    assert [row["leaf_index"] for row in rows] == list(range(200))
    assert {row["event_id"] for row in rows} == {event.id for event in events}
    proof = await node.outside.ask(READ_INCLUSION, ReadInclusion(leaf_index=123))
    path = [bytes.fromhex(step) for step in proof.audit_path]
    leaf_hash, root = bytes.fromhex(proof.leaf_hash), bytes.fromhex(proof.head.root_hash)
    assert includes(leaf_hash, 123, proof.head.tree_size, path, root)


async def test_events_that_come_together_share_transactions(node: Node) -> None:
    await node.publish(*(node.event(number) for number in range(64)))
    transactions = await node.rows("SELECT count(DISTINCT xmin::text) AS n FROM audit.leaves")
    assert transactions[0]["n"] <= 8


@pytest.mark.parametrize("table", ["leaves", "nodes", "tree_heads", "journals"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {}"])
async def test_the_database_refuses_to_change_the_journal(node: Node, table: str, statement: str) -> None:
    await node.publish(node.event(0))
    column = {"leaves": "leaf", "nodes": "hash", "tree_heads": "statement", "journals": "log_id"}[table]
    engine = create_async_engine(node.database.url("audit"))
    try:
        with pytest.raises(DBAPIError, match="append-only"):
            async with engine.begin() as connection:
                await connection.execute(text(statement.format(f"audit.{table}", column, column)))
    finally:
        await engine.dispose()


async def test_the_log_keeps_its_identity_over_a_restart(node: Node) -> None:
    before = await node.head()
    await node.stop()
    node.audits.clear()
    await node.start()
    assert (await node.head()).log_id == before.log_id


async def test_a_stop_signs_what_was_appended_since(node: Node) -> None:
    await node.head()
    await node.publish(node.event(0), node.event(1), node.event(2))
    await node.audits.pop().stop()
    sizes = [row["tree_size"] for row in await node.rows("SELECT tree_size FROM audit.tree_heads ORDER BY number")]
    assert sizes[-1] == 3


async def test_what_is_not_there_is_not_proved(node: Node) -> None:
    await node.publish(node.event(0))
    await signed_size(node, 1)
    for code, question in (
        ("not-found", ReadInclusion(event_id=UUID(int=99))),
        ("not-found", ReadInclusion(leaf_index=1)),
        ("not-found", ReadInclusion(leaf_index=0, tree_size=5)),
        ("request-invalid", ReadInclusion()),
        ("request-invalid", ReadInclusion(event_id=UUID(int=1), leaf_index=0)),
    ):
        with pytest.raises(RejectedElsewhere) as refusal:
            await node.outside.ask(READ_INCLUSION, question)
        assert refusal.value.problem_code == code
    with pytest.raises(RejectedElsewhere) as refusal:
        await node.head(5)
    assert refusal.value.problem_code == "not-found"
    for code, consistency in (
        ("not-found", ReadConsistency(first=1, second=2)),
        ("request-invalid", ReadConsistency(first=2, second=1)),
    ):
        with pytest.raises(RejectedElsewhere) as refusal:
            await node.outside.ask(READ_CONSISTENCY, consistency)
        assert refusal.value.problem_code == code


async def test_an_event_without_a_canonical_form_is_set_aside_alone(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.messaging.inprocess.LONGEST_RETRY_SECONDS", 0.0)
    bad = Item(id=UUID(int=500), type="x.y.v1", source="x", time=node.clock.now(), data='{"n": 9007199254740993000}')
    await node.publish(bad, node.event(0), node.event(1))
    assert [row["message_id"] for row in await node.rows("SELECT message_id FROM audit.dead_messages")] == [bad.id]
    assert len(await node.rows("SELECT 1 FROM audit.leaves")) == 2


async def test_it_says_whether_it_is_ready(node: Node) -> None:
    assert (await node.outside.ask(READ_HEALTH, Nothing())).ready


async def test_the_tables_are_those_the_migration_makes(database: SampleDatabase) -> None:
    def differences(connection: Connection) -> list[Any]:
        def is_ours(name: str | None, kind: str, _: object) -> bool:
            return name == "audit" if kind == "schema" else name != "schema_version"

        options = {"include_schemas": True, "include_name": is_ours, "compare_type": True}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))

    # As the superuser: to the role itself its schema is the default one, which goes without a name.
    engine = create_async_engine(database.admin_dsn().replace("postgresql://", "postgresql+asyncpg://"))
    try:
        async with engine.connect() as connection:
            assert await connection.run_sync(differences) == []
    finally:
        await engine.dispose()
