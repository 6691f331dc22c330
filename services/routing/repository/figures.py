"""Where everything stands: read through partial indexes and counted up to a limit, so that size costs nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_LANES = text("""
SELECT lane.n AS lane, waiting.chunks AS waiting, waiting.addressees AS waiting_addressees, oldest.accepted_at,
       offered.chunks AS outstanding, offered.offered_at,
       waiting.unopened + offered.unopened AS unopened, waiting.requeued + offered.requeued AS requeued
FROM generate_series(0, 4) AS lane(n)
CROSS JOIN LATERAL (
    SELECT count(*) AS chunks, coalesce(sum(addressee_count), 0) AS addressees,
           coalesce(sum(addressee_count) FILTER (WHERE requeued_delivery_id IS NULL), 0) AS unopened,
           count(*) FILTER (WHERE requeued_delivery_id IS NOT NULL) AS requeued
    FROM (SELECT addressee_count, requeued_delivery_id FROM routing.dispatch_chunks
          WHERE state = 'waiting' AND lane = lane.n ORDER BY lane, sender_key, accepted_at, id LIMIT :most) counted
) waiting
CROSS JOIN LATERAL (
    SELECT count(*) AS chunks, min(offered_at) AS offered_at,
           coalesce(sum(addressee_count) FILTER (WHERE requeued_delivery_id IS NULL), 0) AS unopened,
           count(*) FILTER (WHERE requeued_delivery_id IS NOT NULL) AS requeued
    FROM (SELECT addressee_count, requeued_delivery_id, offered_at FROM routing.dispatch_chunks
          WHERE state = 'offered' AND lane = lane.n ORDER BY lane, offered_at LIMIT :most) counted
) offered
CROSS JOIN LATERAL (
    WITH RECURSIVE heads AS (
        (SELECT sender_key, accepted_at FROM routing.dispatch_chunks
         WHERE state = 'waiting' AND lane = lane.n ORDER BY sender_key, accepted_at, id LIMIT 1)
        UNION ALL
        SELECT next.* FROM heads CROSS JOIN LATERAL (
            SELECT c.sender_key, c.accepted_at FROM routing.dispatch_chunks c
            WHERE c.state = 'waiting' AND c.lane = lane.n AND c.sender_key > heads.sender_key
            ORDER BY c.sender_key, c.accepted_at, c.id LIMIT 1) next
    )
    SELECT min(accepted_at) AS accepted_at FROM heads
) oldest
""")
"""The oldest of a lane is the oldest of its senders' first chunks, found by skipping from sender to sender."""

_FAILED = text("""
SELECT count(*) AS deliveries, min(changed_at) AS oldest_at
FROM (SELECT changed_at FROM routing.deliveries WHERE state = 'failed' ORDER BY changed_at, id LIMIT :most) counted
""")
_HELD = text("""
SELECT count(*) FROM (SELECT FROM routing.deliveries WHERE state = 'queued' AND held IS NOT NULL
                      ORDER BY mailbox_key, id LIMIT :most) counted
""")
_IN_MAILBOXES = text("""
SELECT state, count(*) AS deliveries
FROM (SELECT state FROM routing.deliveries WHERE state IN ('available', 'fetched')
      ORDER BY mailbox_key, (- lane), accepted_at, id LIMIT :most) counted
GROUP BY state
""")
_MAILBOXES = text("""
WITH RECURSIVE heads AS (
    (SELECT mailbox_key, lane, accepted_at FROM routing.deliveries
     WHERE state IN ('available', 'fetched') ORDER BY mailbox_key, (- lane), accepted_at, id LIMIT 1)
    UNION ALL
    SELECT next.* FROM heads CROSS JOIN LATERAL (
        SELECT d.mailbox_key, d.lane, d.accepted_at FROM routing.deliveries d
        WHERE d.state IN ('available', 'fetched') AND (d.mailbox_key, (- d.lane)) > (heads.mailbox_key, (- heads.lane))
        ORDER BY d.mailbox_key, (- d.lane), d.accepted_at, d.id LIMIT 1) next
)
SELECT lane, min(accepted_at) AS oldest_at,
       count(*) FILTER (WHERE accepted_at < CASE WHEN lane >= 2 THEN CAST(:urgent_before AS timestamptz)
                                                 ELSE CAST(:before AS timestamptz) END) AS late
FROM heads GROUP BY lane
""")
"""Costs a probe of the index for each mailbox and lane in which something waits, however much it is."""

_UNSENT = text("""
SELECT count(*) FROM (SELECT FROM routing.outbox WHERE sent_at IS NULL ORDER BY lane DESC, seq LIMIT :most) counted
""")


@dataclass(frozen=True)
class LaneFigures:
    """
    One lane; counts go up to the limit asked for.

    Attributes:
        unopened: Addressees whose delivery does not exist yet.
        requeued: Deliveries that wait to be opened again.
        oldest_at: When the oldest waiting chunk was accepted.
        offered_at: When the chunk that has been in the window for longest was last offered.
    """

    waiting: int
    waiting_addressees: int
    outstanding: int
    unopened: int
    requeued: int
    oldest_at: datetime | None
    offered_at: datetime | None


@dataclass(frozen=True)
class MailboxFigures:
    """
    What addressees have not acknowledged in one lane.

    Attributes:
        late: Mailboxes whose oldest document was accepted too long ago.
    """

    oldest_at: datetime
    late: int


async def read_lanes(connection: AsyncConnection, *, most: int) -> dict[int, LaneFigures]:
    """
    Look at every lane.
    """
    rows = await connection.execute(_LANES, {"most": most})
    return {
        row.lane: LaneFigures(
            waiting=row.waiting,
            waiting_addressees=int(row.waiting_addressees),
            outstanding=row.outstanding,
            unopened=int(row.unopened),
            requeued=row.requeued,
            oldest_at=row.accepted_at,
            offered_at=row.offered_at,
        )
        for row in rows
    }


async def read_failed(connection: AsyncConnection, *, most: int) -> tuple[int, datetime | None]:
    """
    Count failed deliveries, and tell when the oldest failed.
    """
    row = (await connection.execute(_FAILED, {"most": most})).one()
    return row.deliveries, row.oldest_at


async def count_held(connection: AsyncConnection, *, most: int) -> int:
    """
    Count deliveries that are held back.
    """
    return int((await connection.execute(_HELD, {"most": most})).scalar_one())


async def count_in_mailboxes(connection: AsyncConnection, *, most: int) -> dict[str, int]:
    """
    Count what lies in mailboxes, by state.
    """
    return {row.state: row.deliveries for row in await connection.execute(_IN_MAILBOXES, {"most": most})}


async def read_mailboxes(
    connection: AsyncConnection, *, before: datetime, urgent_before: datetime
) -> Mapping[int, MailboxFigures]:
    """
    Look at the oldest document of every mailbox, by lane; lanes without any are left out.
    """
    rows = await connection.execute(_MAILBOXES, {"before": before, "urgent_before": urgent_before})
    return {row.lane: MailboxFigures(row.oldest_at, row.late) for row in rows}


async def count_unsent(connection: AsyncConnection, *, most: int) -> int:
    """
    Count the events that wait in the outbox.
    """
    return int((await connection.execute(_UNSENT, {"most": most})).scalar_one())
