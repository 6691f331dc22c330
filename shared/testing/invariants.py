"""
The promises that must hold in every snapshot of routing's database, whatever went wrong before; and what must be so
in the whole database once everything has arrived.

Each check is one statement that finds what breaks a promise; none found is good.
"""

from collections.abc import Mapping
from typing import Any, Final, Protocol


class Connection(Protocol):
    """
    What is needed of an asyncpg connection that may read what is to be checked.
    """

    async def fetch(self, query: str, *args: object) -> list[Any]: ...

    def transaction(self, *, isolation: Any = None, readonly: bool = False) -> Any: ...


_CHECKS: Final = {
    "1: an addressee has two deliveries of one document": """
        SELECT document_id, addressee_key FROM routing.deliveries
        GROUP BY document_id, addressee_key HAVING count(*) > 1
    """,
    "1: a delivery is for somebody the document was not accepted for": """
        SELECT d.id FROM routing.deliveries d WHERE NOT EXISTS (
            SELECT FROM routing.dispatch_chunks c
            WHERE c.document_id = d.document_id AND d.addressee_key = ANY (c.addressee_keys))
    """,
    "1: an opened chunk has an addressee without a delivery": """
        SELECT c.id, a.key FROM routing.dispatch_chunks c CROSS JOIN unnest(c.addressee_keys) AS a (key)
        WHERE c.state = 'opened' AND NOT EXISTS (
            SELECT FROM routing.deliveries d WHERE d.document_id = c.document_id AND d.addressee_key = a.key)
    """,
    "2: states and unopened addressees do not add up to what was accepted": """
        SELECT x.document_id FROM (
            SELECT document_id, sum(opening_count) AS accepted, sum(unopened_count) AS unopened
            FROM routing.dispatches GROUP BY document_id) x
        WHERE x.accepted <> x.unopened + (
            SELECT count(*) FROM routing.deliveries d WHERE d.document_id = x.document_id)
    """,
    "2: a dispatch does not hold in chunks what it accepted": """
        SELECT x.id FROM routing.dispatches x
        WHERE x.opening_count <> (
            SELECT coalesce(sum(cardinality(c.addressee_keys)), 0) FROM routing.dispatch_chunks c
            WHERE c.dispatch_id = x.id AND c.requeued_delivery_id IS NULL)
        OR x.unopened_count <> (
            SELECT coalesce(sum(cardinality(c.addressee_keys)), 0) FROM routing.dispatch_chunks c
            WHERE c.dispatch_id = x.id AND c.requeued_delivery_id IS NULL AND c.state <> 'opened')
    """,
    "2: an addressee is in two chunks of one document": """
        SELECT c.document_id, a.key FROM routing.dispatch_chunks c CROSS JOIN unnest(c.addressee_keys) AS a (key)
        WHERE c.requeued_delivery_id IS NULL GROUP BY c.document_id, a.key HAVING count(*) > 1
    """,
    "3: a delivery exists without a receipt": """
        SELECT d.id FROM routing.deliveries d LEFT JOIN routing.dispatches x ON x.id = d.dispatch_id
        WHERE x.id IS NULL OR x.body = '' OR d.changed_at < x.accepted_at
    """,
    "3: a document exists without a dispatch": """
        SELECT id FROM routing.documents doc
        WHERE NOT EXISTS (SELECT FROM routing.dispatches x WHERE x.document_id = doc.id)
    """,
    "4: a sender has two documents under one DocumentId": """
        SELECT sender_key, sender_document_id FROM routing.documents
        GROUP BY sender_key, sender_document_id HAVING count(*) > 1
    """,
    "4: a receipt is about another packet than its document": """
        SELECT x.id FROM routing.dispatches x JOIN routing.documents doc ON doc.id = x.document_id
        WHERE x.body::json ->> 'packet_sha256' <> doc.packet_sha256
        OR x.body::json ->> 'document_id' <> doc.id::text OR x.body::json ->> 'dispatch_id' <> x.id::text
    """,
    "5: a delivery stands in a final state without evidence": """
        SELECT d.id FROM routing.deliveries d
        WHERE d.state IN ('delivered', 'failed', 'recalled', 'cancelled', 'expired') AND NOT EXISTS (
            SELECT FROM routing.evidence e
            WHERE e.delivery_id = d.id AND e.series = d.series AND e.state = d.state)
    """,
    "5: the last step in the history is not the state": """
        SELECT d.id FROM routing.deliveries d CROSS JOIN LATERAL (
            SELECT s.to_state, s.series FROM routing.delivery_steps s WHERE s.delivery_id = d.id
            ORDER BY s.at DESC, s.id DESC LIMIT 1) last
        WHERE last.to_state <> d.state OR last.series <> d.series
    """,
    "5: a delivery has no history": """
        SELECT d.id FROM routing.deliveries d
        WHERE NOT EXISTS (SELECT FROM routing.delivery_steps s WHERE s.delivery_id = d.id)
    """,
    "5: an acknowledgement and its delivery disagree": """
        SELECT a.id FROM routing.acknowledgements a
        WHERE NOT EXISTS (
            SELECT FROM routing.delivery_steps s
            WHERE s.delivery_id = a.delivery_id AND s.series = a.series AND s.evidence_id = a.evidence_id
            AND s.to_state = CASE a.result WHEN 'done' THEN 'delivered' ELSE 'failed' END)
    """,
}


async def check_invariants(connection: Connection) -> list[str]:
    """
    Look for broken promises in one snapshot of the whole schema.

    Args:
        connection: Of somebody who may read the schema `routing`.

    Returns:
        One sentence for each promise that is broken, with up to five of the rows; empty when all hold.
    """
    return await _find(connection, _CHECKS)


_PUBLISHERS: Final = ("registry", "signing", "routing", "delivery", "audit")
_EVENTS: Final = " UNION ALL ".join(f"SELECT id, topic, sent_at FROM {service}.outbox" for service in _PUBLISHERS)  # noqa: S608
_DEAD: Final = " UNION ALL ".join(
    f"SELECT '{service}', consumer, topic, error FROM {service}.dead_messages"  # noqa: S608
    for service in _PUBLISHERS
)

_ARRIVALS: Final = {
    "a chunk is not opened": "SELECT id, state FROM routing.dispatch_chunks WHERE state <> 'opened'",
    "an event waits in an outbox": f"SELECT id, topic FROM ({_EVENTS}) e WHERE sent_at IS NULL",  # noqa: S608
    "an event has no leaf in the journal": f"""
        SELECT e.id, e.topic FROM ({_EVENTS}) e
        WHERE NOT EXISTS (SELECT FROM audit.leaves l WHERE l.event_id = e.id)
    """,  # noqa: S608
}

_ENDS: Final = {
    "a message was set aside": _DEAD,
    "a leaf of the journal is of no event": f"""
        SELECT l.leaf_index, l.event_id FROM audit.leaves l
        WHERE NOT EXISTS (SELECT FROM ({_EVENTS}) e WHERE e.id = l.event_id)
    """,  # noqa: S608
    "the journal has a gap": """
        SELECT size, last FROM (SELECT count(*) AS size, max(leaf_index) AS last FROM audit.leaves) j
        WHERE last <> size - 1
    """,
}


async def look_for_what_has_not_arrived(connection: Connection) -> list[str]:
    """
    Look for what is still on its way through the database: chunks, outboxes, the journal.

    Outboxes keep what was sent for a day, so the database must be younger than that.

    Returns:
        One sentence for each kind of thing; empty when everything has arrived.
    """
    return await _find(connection, _ARRIVALS)


async def check_ends(connection: Connection) -> list[str]:
    """
    Look for broken promises of a database in which everything has arrived.

    Returns:
        As `check_invariants`.
    """
    return await _find(connection, _ARRIVALS | _ENDS)


async def _find(connection: Connection, checks: Mapping[str, str]) -> list[str]:
    broken = []
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        for sentence, statement in checks.items():
            rows = await connection.fetch(f"{statement} LIMIT 5")
            if rows:
                broken.append(f"{sentence}: {[tuple(row) for row in rows]}")
    return broken
