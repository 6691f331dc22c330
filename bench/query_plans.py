"""
Prints the plans of the queries that carry the load, at a million rows each.

    python bench/query_plans.py [--rows 1000000]

Starts a private PostgreSQL, fills routing's tables, runs each query as the service does, and prints what EXPLAIN
(ANALYZE, BUFFERS) says of it. Ends with 1 when one of them reads a whole table.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection

from deploy.embedded.postgres import PrivatePostgres
from services.routing import tables
from services.routing.domain.status_packages import Clue
from services.routing.repository import (
    chunks,
    deliveries,
    documents,
    figures,
    inbox,
    journey,
    sent,
    status_items,
    status_packages,
)
from shared.clock import SystemClock
from shared.database import Database, upgrade
from shared.identifiers import Uuid7Source
from shared.messaging import Item
from shared.outbox import MessagingFigures, Relay, Store
from shared.telemetry.figures import Figures

MAILBOXES = 5_000
SENDERS = 1_000
"""The first of them has sent half of all documents: the average says nothing of a ministry."""
NOW = datetime(2024, 12, 31, 3, tzinfo=UTC)
SINCE = datetime(2024, 12, 1, tzinfo=UTC)

FILL = """
SET session_replication_role = 'replica';
CREATE FUNCTION pg_temp.number(n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS
    $$ SELECT lpad(to_hex(n), 32, '0')::uuid $$;
INSERT INTO routing.documents
SELECT pg_temp.number(n), pg_temp.number(CASE WHEN n % 2 = 0 THEN 1 ELSE n % {senders} END), 'H43', 'document ' || n,
       md5(n::text) || md5(n::text), 1000, 0, 'subject', n || '/UBND-VP', '{{}}', '[]', '[]', 0, '{{}}', 's', 'c', 1,
       '2024-12-01'::timestamptz + n * '1 s'::interval
FROM generate_series(1, {rows} / 10) n;
INSERT INTO routing.dispatches
SELECT pg_temp.number(n), pg_temp.number(n), '', '', 10, 10, 0, '{{}}', '[]', 's', 'c', 1, now()
FROM generate_series(1, {rows} / 10) n;
INSERT INTO routing.deliveries
SELECT pg_temp.number(n), pg_temp.number(1 + n / 10), pg_temp.number(1 + n / 10), pg_temp.number(n % {mailboxes}),
       pg_temp.number(n % {mailboxes}), pg_temp.number(n % {senders}), n % 5,
       '2024-12-01'::timestamptz + n * '1 s'::interval,
       CASE n % 10 WHEN 0 THEN 'available' WHEN 1 THEN 'fetched' WHEN 2 THEN 'failed' WHEN 3 THEN 'queued'
            ELSE 'delivered' END,
       1, CASE n % 1000 WHEN 3 THEN 'addressee-paused' END, NULL, NULL, NULL, now(), now()
FROM generate_series(1, {rows}) n;
INSERT INTO routing.delivery_steps
SELECT pg_temp.number(n), pg_temp.number(n), pg_temp.number(1 + n / 10), NULL, 'available', 1, NULL, NULL, 's', NULL,
       now()
FROM generate_series(1, {rows}) n;
INSERT INTO routing.evidence
SELECT pg_temp.number(n), pg_temp.number(n), pg_temp.number(1 + n / 10), 1, 'delivered', 'statement', now()
FROM generate_series(1, {rows}) n;
INSERT INTO routing.acknowledgements
SELECT pg_temp.number(n), pg_temp.number(n), pg_temp.number(1 + n / 10), 1, 'done', '', 's', 'c', pg_temp.number(n),
       now()
FROM generate_series(1, {rows}) n;
INSERT INTO routing.status_reports
SELECT pg_temp.number(n), pg_temp.number(n), pg_temp.number(1 + n / 10), pg_temp.number(n % {mailboxes}),
       pg_temp.number(n % {senders}), '01', '', NULL, '', 's', 'c', now(), now()
FROM generate_series(1, {rows}) n;
INSERT INTO routing.status_items
SELECT pg_temp.number(n), pg_temp.number(CASE WHEN n % 4 < 2 THEN 1 ELSE n % {senders} END),
       CASE n % 2 WHEN 0 THEN md5(n::text) || md5(n::text) END,
       CASE n % 10 WHEN 0 THEN 'available' WHEN 1 THEN 'fetched' ELSE 'delivered' END,
       now()
FROM generate_series(1, {rows}) n;
INSERT INTO routing.dispatch_chunks
SELECT pg_temp.number(n), pg_temp.number(1 + n / 10), pg_temp.number(1 + n / 10), n % 10, 0,
       pg_temp.number(CASE WHEN n % 10 = 0 THEN n % {senders} ELSE 1 END),
       '2024-12-01'::timestamptz + n * '1 s'::interval, ARRAY[pg_temp.number(n)], 1, NULL,
       CASE WHEN n % 4 = 2 THEN 'opened' ELSE 'waiting' END
FROM generate_series(1, {rows}) n;
INSERT INTO routing.dead_messages
SELECT 'topic', pg_temp.number(n), 'topic', 'routing', 0, '{{}}', '', now(), 5, 'E', now()
FROM generate_series(1, {rows} / 10) n;
INSERT INTO routing.outbox (id, topic, lane, data, correlation_id, created_at, due_at, sent_at)
SELECT pg_temp.number(n), 'topic', n % 5, '{{}}', '', now(), '2024-12-01',
       CASE WHEN n % 4 > 0 THEN now() END
FROM generate_series(1, {rows}) n;
ANALYZE;
"""


def number(n: int) -> UUID:
    """
    The id that the filling gave to row n.
    """
    return UUID(int=n)


class NoBus:
    """
    Confirms everything; the relay's statements are what is looked at.
    """

    async def publish(self, items: list[Item]) -> list[bool]:
        return [True] * len(items)


async def main(rows: int, folder: Path) -> int:
    """
    Fill, look, print.
    """
    server = PrivatePostgres(folder / "postgres", durable=False, tied=True)
    await server.start()
    try:
        await server.create_roles_and_schemas(["routing"], "plans")
        database = Database(server.dsn("routing", "plans"), service=tables.SCHEMA)
        try:
            await upgrade(database.engine, tables.SCHEMA)
            print(f"filling {rows:,} rows a table …", flush=True)
            admin = await asyncpg.connect(server.dsn("postgres", "plans", driver="postgresql"))
            try:
                await admin.execute(FILL.format(rows=rows, mailboxes=MAILBOXES, senders=SENDERS))
                return await look(database, admin)
            finally:
                await admin.close()
        finally:
            await database.close()
    finally:
        await server.remove()


async def look(database: Database, admin: asyncpg.Connection) -> int:
    """
    Explain each query; the number of those that read a whole table.
    """
    clock = SystemClock()
    store = Store(database, tables.messaging, clock=clock, new_id=Uuid7Source(clock))
    relay: Any = Relay(store, NoBus())  # type: ignore[arg-type]

    def on(work: Callable[[AsyncConnection], Awaitable[Any]]) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            async with database.begin() as transaction:
                await work(transaction.connection)

        return run

    keys = [number(n) for n in range(20)]
    queries = {
        "inbox of one mailbox": on(
            lambda c: inbox.list_inbox(c, keys[:1], state=None, shard=None, after=None, limit=50)
        ),
        "inbox of 20 mailboxes, next page": on(
            lambda c: inbox.list_inbox(c, keys, state=None, shard=(1, 4), after=(2, NOW, number(7)), limit=50)
        ),
        "feeder: a fair turn": on(lambda c: chunks.offer_fairly(c, 0, room=500, per_sender=8, now=NOW)),
        "feeder: size of the window": on(lambda c: chunks.count_outstanding(c, 0)),
        "held mailboxes": on(deliveries.held_mailboxes),
        "failed deliveries": on(lambda c: deliveries.list_failed(c, None, (NOW, number(7)), 100)),
        "documents of 20 senders": on(lambda c: documents.list_documents(c, keys, (NOW, number(7)), 50)),
        "sent: documents of 20 senders": on(
            lambda c: sent.list_sent_documents(
                c, keys, sent.Span(since=SINCE), sent.Place(NOW, number(7), number(7)), 100
            )
        ),
        "sent: one document": on(
            lambda c: sent.list_sent_documents(c, keys, sent.Span(document_id=number(4_711)), None, 100)
        ),
        "sent: addressees of 100 documents": on(
            lambda c: sent.list_shares(
                c, [number(n) for n in range(1_000, 1_100)], sent.Place(NOW, number(1_000), number(7)), 100
            )
        ),
        "statuses that wait for 20 agencies": on(lambda c: status_items.list_items(c, keys, number(7), 100)),
        "both counts of an inbox": on(lambda c: status_items.count_waiting(c, keys, keys)),
        "one status with its document": on(lambda c: status_items.read_item(c, number(4_710), keys)),
        "blobs that are the bytes of statuses": on(lambda c: status_items.referenced_bytes(c, ["0" * 64, "f" * 64])),
        "the document of a status, by DocumentId": on(
            lambda c: status_packages.find_documents(c, keys[:2], Clue(document_id="document 7"))
        ),
        "the document of a status, by code": on(
            lambda c: status_packages.find_documents(c, keys[:2], Clue(code="7/UBND-VP", on=NOW.date()))
        ),
        "the deliveries of a document": on(lambda c: status_packages.deliveries_of(c, [number(4_711)], keys[:1])),
        "journey": on(lambda c: journey.read_journey(c, number(4_711), None, 500)),
        "figures: lanes": on(lambda c: figures.read_lanes(c, most=1_000)),
        "figures: failed deliveries": on(lambda c: figures.read_failed(c, most=1_000)),
        "figures: held deliveries": on(lambda c: figures.count_held(c, most=1_000)),
        "figures: what lies in mailboxes": on(lambda c: figures.count_in_mailboxes(c, most=10_000)),
        "figures: the oldest of every mailbox": on(lambda c: figures.read_mailboxes(c, before=NOW, urgent_before=NOW)),
        "figures: outbox and dead messages": on(MessagingFigures(store, Figures()).read),
        "relay: the next batch of the outbox": relay.run_once,
    }
    whole = 0
    for name, query in queries.items():
        for statement, values in await statements_of(database, query):
            plan = await explain(admin, statement, values)
            reads_all = "Seq Scan" in plan
            whole += reads_all
            print(f"\n=== {name}{'  <-- READS A WHOLE TABLE' if reads_all else ''}\n{plan}")
    return 1 if whole else 0


async def statements_of(database: Database, query: Callable[[], Awaitable[None]]) -> list[tuple[str, tuple[Any, ...]]]:
    """
    Run a query and give the statements it sent, with their values.
    """
    seen: list[tuple[str, tuple[Any, ...]]] = []

    def note(_c: Any, _cursor: Any, statement: str, values: Any, _context: Any, executemany: bool) -> None:
        if not executemany:
            seen.append((statement, tuple(values)))

    engine = database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        await query()
    finally:
        event.remove(engine, "before_cursor_execute", note)
    return seen


async def explain(admin: asyncpg.Connection, statement: str, values: tuple[Any, ...]) -> str:
    """
    What the planner did with a statement; nothing it did is kept.
    """
    transaction = admin.transaction()
    await transaction.start()
    try:
        await admin.execute("SET LOCAL search_path = routing")
        rows = await admin.fetch(f"EXPLAIN (ANALYZE, BUFFERS, SUMMARY) {statement}", *values)
        return "\n".join(row[0] for row in rows)
    finally:
        await transaction.rollback()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rows", type=int, default=1_000_000)
    place = Path(tempfile.mkdtemp(prefix="axis-plans-"))
    place.chmod(0o755)  # as root the server's account must get through
    try:
        sys.exit(asyncio.run(main(arguments.parse_args().rows, place)))
    finally:
        shutil.rmtree(place, ignore_errors=True)
