"""
The promises that must hold in every snapshot of routing's database, whatever went wrong before.

Each check is one statement that finds what breaks a promise; none found is good.
"""

from typing import Any, Final, Protocol


class Connection(Protocol):
    """
    What is needed of an asyncpg connection that may read the schema `routing`.
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
    broken = []
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        for sentence, statement in _CHECKS.items():
            rows = await connection.fetch(f"{statement} LIMIT 5")
            if rows:
                broken.append(f"{sentence}: {[tuple(row) for row in rows]}")
    return broken
