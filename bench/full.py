"""(6) The same load on an empty database and on one with a million deliveries."""

from datetime import date
from typing import Final

import asyncpg

from bench.measures import CPU, RATE, Bench
from bench.stage import SENDER, VALID_FROM
from shared.identifiers import agency_key

DELIVERIES: Final = 1_000_000
QUICK_DELIVERIES: Final = 100_000
_MAILBOXES: Final = 5_000
_FILL_SECONDS: Final = 600

# A year of history as routing would have written it: three addressees a document, nearly all acknowledged; one in fifty
# waits in the mailbox of somebody who takes no part in the measurement. Triggers and foreign keys are off meanwhile.
_FILL: Final = """
SET session_replication_role = 'replica';
SET synchronous_commit = off;
SET maintenance_work_mem = '256MB';
CREATE FUNCTION pg_temp.number(kind int, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS
    $$ SELECT (lpad(to_hex(kind), 8, '0') || lpad(to_hex(n), 24, '0'))::uuid $$;
CREATE FUNCTION pg_temp.mailbox(n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS
    $$ SELECT coalesce(({known})[1 + n % {mailboxes}], pg_temp.number(9, n % {mailboxes})) $$;
CREATE FUNCTION pg_temp.sender(n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS
    $$ SELECT CASE n % 1000 WHEN 0 THEN {sender} ELSE pg_temp.number(8, n % 1000) END $$;
CREATE FUNCTION pg_temp.moment(n bigint) RETURNS timestamptz LANGUAGE sql STABLE AS
    $$ SELECT now() - '1 year'::interval + n * ('360 days'::interval / {documents}) $$;
INSERT INTO routing.documents (id, sender_key, sender_code, sender_document_id, packet_sha256, packet_bytes, lane,
    subject, code, header, parts, attachments, attachment_count, report, system_id, credential_id, registry_version,
    accepted_at)
SELECT pg_temp.number(1, n), pg_temp.sender(n), 'H43', 'history ' || n, md5(n::text) || md5(n::text), 42000, 0,
    'Báo cáo tình hình sản xuất và đời sống nhân dân', n || '/BC-UBND',
    jsonb_build_object('subject', 'Báo cáo', 'number', n, 'padding', repeat('x', 1500)), '[]', '[]', 1, '{{}}', 's',
    'c', 1, pg_temp.moment(n)
FROM generate_series(1, {documents}) n;
INSERT INTO routing.dispatches (id, document_id, addressees_sha256, asked_sha256, addressee_count, opening_count,
    unopened_count, body, warnings, system_id, credential_id, registry_version, accepted_at)
SELECT pg_temp.number(2, n), pg_temp.number(1, n), '', '', 3, 3, 0, repeat('x', 1000), '[]', 's', 'c', 1,
    pg_temp.moment(n)
FROM generate_series(1, {documents}) n;
INSERT INTO routing.dispatch_chunks (id, dispatch_id, document_id, number, lane, sender_key, accepted_at,
    addressee_keys, addressee_count, state, offers, offered_at, opened_at)
SELECT pg_temp.number(3, n), pg_temp.number(2, n), pg_temp.number(1, n), 0, 0, pg_temp.sender(n), pg_temp.moment(n),
    ARRAY[pg_temp.mailbox(3 * n), pg_temp.mailbox(3 * n + 1), pg_temp.mailbox(3 * n + 2)], 3, 'opened', 1,
    pg_temp.moment(n), pg_temp.moment(n)
FROM generate_series(1, {documents}) n;
INSERT INTO routing.deliveries (id, document_id, dispatch_id, addressee_key, mailbox_key, sender_key, lane, accepted_at,
    state, series, available_at, changed_at)
SELECT pg_temp.number(4, n), pg_temp.number(1, n / 3), pg_temp.number(2, n / 3), pg_temp.mailbox(n),
    pg_temp.mailbox(n), pg_temp.sender(n / 3), 0, pg_temp.moment(n / 3),
    CASE WHEN n % 50 = 0 AND n % {mailboxes} >= {taking_part} THEN 'available' ELSE 'delivered' END, 1,
    pg_temp.moment(n / 3), pg_temp.moment(n / 3)
FROM generate_series(3, {deliveries} + 2) n;
INSERT INTO routing.evidence (id, delivery_id, document_id, series, state, statement, made_at)
SELECT pg_temp.number(5, n), pg_temp.number(4, n), pg_temp.number(1, n / 3), 1, 'delivered', repeat('x', 600),
    pg_temp.moment(n / 3)
FROM generate_series(3, {deliveries} + 2) n;
INSERT INTO routing.delivery_steps (id, delivery_id, document_id, from_state, to_state, series, "by", evidence_id, at)
SELECT pg_temp.number(6, n), pg_temp.number(4, n), pg_temp.number(1, n / 3), 'fetched', 'delivered', 1, 's',
    pg_temp.number(5, n), pg_temp.moment(n / 3)
FROM generate_series(3, {deliveries} + 2) n;
INSERT INTO routing.acknowledgements (id, delivery_id, document_id, series, result, reason, system_id, credential_id,
    evidence_id, acknowledged_at)
SELECT pg_temp.number(7, n), pg_temp.number(4, n), pg_temp.number(1, n / 3), 1, 'done', '', 's', 'c',
    pg_temp.number(5, n), pg_temp.moment(n / 3)
FROM generate_series(3, {deliveries} + 2) n;
"""


async def measure_full(bench: Bench) -> None:
    """
    Measure the rate, fill, measure it again.
    """
    report, name = bench.report, bench.name
    rate, cpu = report.find(2, RATE, name), report.find(2, CPU, name)
    if rate is None or cpu is None:
        empty = await bench.measure_rate("empty database")
        rate, cpu = empty.documents_per_second, empty.core_ms()
    deliveries = QUICK_DELIVERIES if bench.options.quick else DELIVERIES
    await fill(bench, deliveries)
    full = await bench.measure_rate("full database")
    bench.put(6, "documents/s, empty database", rate)
    bench.put(6, f"documents/s, {deliveries:,} deliveries before", full.documents_per_second)
    bench.put(6, "rate, full ÷ empty", full.documents_per_second / rate, digits=2)
    bench.put(6, "CPU per document, full ÷ empty", full.core_ms() / cpu, digits=2)


async def fill(bench: Bench, deliveries: int) -> None:
    """
    Write a year of history into routing's tables.
    """
    valid_from = date.fromisoformat(VALID_FROM)
    known = [agency_key(code, valid_from) for codes in bench.stage.addressees for code in codes]
    keys = ", ".join(f"'{key}'" for key in known)
    script = _FILL.format(
        known=f"ARRAY[{keys}]::uuid[]",
        taking_part=len(known),
        mailboxes=_MAILBOXES,
        sender=f"'{agency_key(SENDER, valid_from)}'::uuid",
        documents=deliveries // 3 + 1,
        deliveries=deliveries,
    )
    connection = await asyncpg.connect(bench.deployment.database("routing"))
    try:
        await connection.execute(script, timeout=_FILL_SECONDS)
        # What the server would do by itself in the next minutes, in the middle of the measurement.
        await connection.execute("VACUUM ANALYZE", timeout=_FILL_SECONDS)
        await connection.execute("CHECKPOINT", timeout=_FILL_SECONDS)
    finally:
        await connection.close()
