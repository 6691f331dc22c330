"""The journey of a document: everything that happened to it, merged in order from the tables that know."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.routing.repository import AnyRow

# Each part is read by an index over (document, moment, id) up to the limit, then the heads are merged.
_JOURNEY = """
SELECT * FROM (
    (SELECT x.accepted_at AS at, x.id, 'dispatched' AS kind, NULL::uuid AS delivery_id, NULL::uuid AS agency_key,
            NULL AS from_state, NULL AS to_state, NULL::integer AS series, NULL AS held, NULL AS code,
            x.addressee_count::text AS detail, x.system_id AS by, NULL::uuid AS evidence_id, x.body AS evidence,
            x.warnings
     FROM routing.dispatches x
     WHERE x.document_id = :document_id {after_accepted} ORDER BY x.accepted_at, x.id LIMIT :limit)
    UNION ALL
    (SELECT x.at, x.id, 'delivery', x.delivery_id, d.addressee_key, x.from_state, x.to_state, x.series, x.held,
            x.reason_code, NULL, x.by, x.evidence_id, e.statement, NULL
     FROM routing.delivery_steps x
     JOIN routing.deliveries d ON d.id = x.delivery_id
     LEFT JOIN routing.evidence e ON e.id = x.evidence_id
     WHERE x.document_id = :document_id {after_at} ORDER BY x.at, x.id LIMIT :limit)
    UNION ALL
    (SELECT x.acknowledged_at, x.id, 'acknowledgement', x.delivery_id, d.addressee_key, NULL, NULL, x.series, NULL,
            x.result, nullif(x.reason, ''), x.system_id, x.evidence_id, NULL, NULL
     FROM routing.acknowledgements x JOIN routing.deliveries d ON d.id = x.delivery_id
     WHERE x.document_id = :document_id {after_acknowledged} ORDER BY x.acknowledged_at, x.id LIMIT :limit)
    UNION ALL
    (SELECT x.reported_at, x.id, 'status', x.delivery_id, x.reporter_key, NULL, NULL, NULL, NULL, x.code,
            nullif(x.description, ''), x.system_id, NULL, NULL, NULL
     FROM routing.status_reports x
     WHERE x.document_id = :document_id {after_reported} ORDER BY x.reported_at, x.id LIMIT :limit)
) entries
ORDER BY at, id
LIMIT :limit
"""


async def read_journey(
    connection: AsyncConnection, document_id: UUID, after: tuple[datetime, UUID] | None, limit: int
) -> Sequence[AnyRow]:
    """
    A page of a journey, in order.
    """
    values: dict[str, Any] = {"document_id": document_id, "limit": limit}
    parts = {"after_accepted": "x.accepted_at", "after_at": "x.at"}
    parts |= {"after_acknowledged": "x.acknowledged_at", "after_reported": "x.reported_at"}
    conditions = dict.fromkeys(parts, "")
    if after is not None:
        values["after_at"], values["after_id"] = after
        conditions = {name: f"AND ({column}, x.id) > (:after_at, :after_id)" for name, column in parts.items()}
    return (await connection.execute(text(_JOURNEY.format(**conditions)), values)).all()
