"""The backlog: chunks of dispatches, and what lanes and addressees are paused."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Integer, Uuid, any_, bindparam, delete, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert as insert_or_skip
from sqlalchemy.ext.asyncio import AsyncConnection

from services.routing.tables import agency_controls, dispatch_chunks, dispatches, lane_controls
from shared.contracts.base import Lane

_LOCK_CLASS = 0x61786C  # advisory locks of ours: "axl", then the lane
MAX_OFFERS = 5
"""A chunk that was offered so often and never opened is a defect for people to see; offering it on would hide it."""


@dataclass(frozen=True)
class Chunk:
    """
    Up to 500 addressees of one dispatch.
    """

    id: UUID
    dispatch_id: UUID
    document_id: UUID
    lane: int
    sender_key: UUID
    accepted_at: datetime
    addressee_keys: tuple[UUID, ...]
    requeued_delivery_id: UUID | None
    state: str


@dataclass(frozen=True)
class Control:
    """
    A pause of a lane or an addressee.
    """

    subject: Any
    reason: str
    until: datetime | None


_FAIR_PICK = text("""
WITH RECURSIVE senders AS (
    (SELECT sender_key FROM routing.dispatch_chunks
     WHERE state = 'waiting' AND lane = :lane ORDER BY sender_key LIMIT 1)
    UNION ALL
    SELECT (SELECT c.sender_key FROM routing.dispatch_chunks c
            WHERE c.state = 'waiting' AND c.lane = :lane AND c.sender_key > s.sender_key
            ORDER BY c.sender_key LIMIT 1)
    FROM senders s WHERE s.sender_key IS NOT NULL
), picked AS (
    SELECT c.id, c.turn, c.accepted_at
    FROM senders s CROSS JOIN LATERAL (
        SELECT w.id, w.accepted_at, row_number() OVER (ORDER BY w.accepted_at, w.id) AS turn
        FROM (SELECT id, accepted_at FROM routing.dispatch_chunks
              WHERE state = 'waiting' AND lane = :lane AND sender_key = s.sender_key
              ORDER BY accepted_at, id LIMIT :per_sender) w
    ) c
    WHERE s.sender_key IS NOT NULL
    ORDER BY c.turn, c.accepted_at, c.id
    LIMIT :room
)
UPDATE routing.dispatch_chunks chunk SET state = 'offered', offered_at = :now, offers = chunk.offers + 1
FROM picked WHERE chunk.id = picked.id AND chunk.state = 'waiting'
RETURNING chunk.id, picked.turn, picked.accepted_at
""")


# Built once: the feeder asks these after every acceptance, and building them takes longer than running them.
_TRY_LOCK = select(func.pg_try_advisory_xact_lock(_LOCK_CLASS, bindparam("lane", type_=Integer)))
_OUTSTANDING = select(func.count()).where(
    dispatch_chunks.c.state == "offered", dispatch_chunks.c.lane == bindparam("lane")
)
_PAUSED_LANES = select(lane_controls.c.lane, lane_controls.c.reason, lane_controls.c.paused_until).where(
    or_(lane_controls.c.paused_until.is_(None), lane_controls.c.paused_until > bindparam("now"))
)
_LANES_WITH_WORK = text("""
SELECT lane FROM unnest(CAST(:lanes AS smallint[])) AS lanes (lane)
WHERE (
    EXISTS (SELECT FROM routing.dispatch_chunks WHERE state = 'waiting' AND dispatch_chunks.lane = lanes.lane)
    OR EXISTS (
        SELECT FROM routing.dispatch_chunks
        WHERE state = 'offered' AND dispatch_chunks.lane = lanes.lane AND offered_at < :before AND offers < :most_offers
    )
) AND NOT EXISTS (
    SELECT FROM routing.lane_controls
    WHERE lane_controls.lane = lanes.lane AND (paused_until IS NULL OR paused_until > :now)
)
ORDER BY lane DESC
""")
_LOCK_CHUNKS = (
    select(*(dispatch_chunks.c[name] for name in Chunk.__dataclass_fields__))
    .where(dispatch_chunks.c.id == any_(bindparam("ids", type_=ARRAY(Uuid))))
    .order_by(dispatch_chunks.c.id)
    .with_for_update()
)
_MARK_OPENED = text("""
WITH opened AS (
    UPDATE routing.dispatch_chunks SET state = 'opened', opened_at = :now WHERE id = ANY(CAST(:ids AS uuid[]))
    RETURNING dispatch_id, CASE WHEN requeued_delivery_id IS NULL THEN addressee_count ELSE 0 END AS count
)
UPDATE routing.dispatches SET unopened_count = unopened_count - one.count
FROM (SELECT dispatch_id, sum(count) AS count FROM opened GROUP BY dispatch_id) one
WHERE dispatches.id = one.dispatch_id AND one.count > 0
""")
_OFFER_LATE = (
    update(dispatch_chunks)
    .where(
        dispatch_chunks.c.id.in_(
            select(dispatch_chunks.c.id)
            .where(
                dispatch_chunks.c.state == "offered",
                dispatch_chunks.c.lane == bindparam("its_lane"),
                dispatch_chunks.c.offered_at < bindparam("before"),
                dispatch_chunks.c.offers < MAX_OFFERS,
            )
            .limit(500)
        ),
        dispatch_chunks.c.state == "offered",
    )
    .values(offered_at=bindparam("now"), offers=dispatch_chunks.c.offers + 1)
    .returning(dispatch_chunks.c.id)
)


async def lock_lane(connection: AsyncConnection, lane: int) -> bool:
    """
    Become the one that fills a lane's window until the transaction ends; False when another copy is at it.
    """
    return bool((await connection.execute(_TRY_LOCK, {"lane": lane})).scalar_one())


async def lanes_with_work(connection: AsyncConnection, *, now: datetime, before: datetime) -> list[Lane]:
    """
    The lanes that are not paused and where something waits, or was offered before a moment and never opened; the most
    urgent first. One statement, since it is nearly always asked in vain.
    """
    values = {"lanes": [int(lane) for lane in Lane], "now": now, "before": before, "most_offers": MAX_OFFERS}
    return [Lane(lane) for lane in (await connection.execute(_LANES_WITH_WORK, values)).scalars()]


async def count_outstanding(connection: AsyncConnection, lane: int) -> int:
    """
    Count the chunks of a lane that are in its window.
    """
    return int((await connection.execute(_OUTSTANDING, {"lane": lane})).scalar_one())


async def offer_fairly(
    connection: AsyncConnection, lane: int, *, room: int, per_sender: int, now: datetime
) -> list[UUID]:
    """
    Move chunks from the backlog into the window: one of each sender in turn, the oldest first.

    The senders are found by skipping through the index, so a flood of one sender costs nothing.

    Returns:
        Ids in the order they are to be opened.
    """
    rows = await connection.execute(_FAIR_PICK, {"lane": lane, "room": room, "per_sender": per_sender, "now": now})
    return [row.id for row in sorted(rows, key=lambda row: (row.turn, row.accepted_at, row.id))]


async def offer_again(connection: AsyncConnection, lane: int, *, before: datetime, now: datetime) -> list[UUID]:
    """
    Offer once more what has been in the window for too long.
    """
    values = {"its_lane": lane, "before": before, "now": now}
    return list((await connection.execute(_OFFER_LATE, values)).scalars())


async def lock_chunks(connection: AsyncConnection, chunk_ids: Collection[UUID]) -> list[Chunk]:
    """
    Read chunks and keep others from opening them until the transaction ends; in the order of acceptance.
    """
    rows = await connection.execute(_LOCK_CHUNKS, {"ids": list(chunk_ids)})
    chunks = [Chunk(**{**row._mapping, "addressee_keys": tuple(row.addressee_keys)}) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name
    return sorted(chunks, key=lambda chunk: (chunk.accepted_at, chunk.id))


async def put_back(connection: AsyncConnection, chunk_ids: Sequence[UUID]) -> None:
    """
    Return chunks to the backlog, because their lane was paused meanwhile.
    """
    if chunk_ids:
        await connection.execute(
            update(dispatch_chunks)
            .where(dispatch_chunks.c.id.in_(chunk_ids))
            .values(state="waiting", offered_at=None, offers=0)
        )


async def mark_opened(connection: AsyncConnection, chunks: Sequence[Chunk], now: datetime) -> None:
    """
    Take chunks out of the window and their addressees off their dispatches' counts of unopened ones.
    """
    await connection.execute(_MARK_OPENED, {"ids": [chunk.id for chunk in chunks], "now": now})


async def next_numbers(connection: AsyncConnection, dispatch_ids: Collection[UUID]) -> dict[UUID, int]:
    """
    The next free chunk number of dispatches, which stay locked so that nobody else takes it.
    """
    ordered = sorted(dispatch_ids)
    await connection.execute(
        select(dispatches.c.id).where(dispatches.c.id.in_(ordered)).order_by(dispatches.c.id).with_for_update()
    )
    numbers = dict.fromkeys(ordered, 1)
    highest = (
        select(dispatch_chunks.c.dispatch_id, func.max(dispatch_chunks.c.number) + 1)
        .where(dispatch_chunks.c.dispatch_id.in_(ordered))
        .group_by(dispatch_chunks.c.dispatch_id)
    )
    numbers.update({row[0]: row[1] for row in await connection.execute(highest)})
    return numbers


async def paused_lanes(connection: AsyncConnection, now: datetime) -> dict[int, Control]:
    """
    Lanes that are paused at a moment.
    """
    return {row[0]: Control(*row) for row in await connection.execute(_PAUSED_LANES, {"now": now})}


async def paused_agencies(
    connection: AsyncConnection, now: datetime, keys: Collection[UUID] | None = None
) -> dict[UUID, Control]:
    """
    Addressees that are paused at a moment; only some of them where `keys` names them.
    """
    in_force = or_(agency_controls.c.paused_until.is_(None), agency_controls.c.paused_until > now)
    statement = select(agency_controls.c.agency_key, agency_controls.c.reason, agency_controls.c.paused_until).where(
        in_force
    )
    if keys is not None:
        statement = statement.where(agency_controls.c.agency_key.in_(keys))
    return {row[0]: Control(*row) for row in await connection.execute(statement)}


async def pause_lane(connection: AsyncConnection, lane: int, values: dict[str, Any]) -> None:
    """
    Pause a lane; a pause there is already gets the new reason.
    """
    statement = insert_or_skip(lane_controls).values(lane=lane, **values)
    await connection.execute(statement.on_conflict_do_update(index_elements=["lane"], set_=values))


async def pause_agency(connection: AsyncConnection, agency_key: UUID, values: dict[str, Any]) -> None:
    """
    Pause an addressee; a pause there is already gets the new reason.
    """
    statement = insert_or_skip(agency_controls).values(agency_key=agency_key, **values)
    await connection.execute(statement.on_conflict_do_update(index_elements=["agency_key"], set_=values))


async def resume_lane(connection: AsyncConnection, lane: int) -> None:
    """
    End the pause of a lane, if there is one.
    """
    await connection.execute(delete(lane_controls).where(lane_controls.c.lane == lane))


async def resume_agency(connection: AsyncConnection, agency_key: UUID) -> None:
    """
    End the pause of an addressee, if there is one.
    """
    await connection.execute(delete(agency_controls).where(agency_controls.c.agency_key == agency_key))
