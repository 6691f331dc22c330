"""The relay: carries committed events from the outbox to the bus, urgent lanes first, and marks them sent."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Integer, Table, Uuid, any_, bindparam, delete, func, select, update

from shared.contracts.base import Lane
from shared.messaging import Bus, Item
from shared.outbox.unit_of_work import CLAIM, Store
from shared.runtime import ring_or_pass

BATCH = 64
LOOK_EVERY = timedelta(seconds=5)
"""Another copy's leftovers are looked for this often; our own commits are handed over at once."""

CONFIRM_SECONDS = 10.0
"""Shorter than `CLAIM`."""

MOST_IN_HAND = 1_000
"""Rows that wait in memory; more are left in the table, so that a bus that is out of reach costs no memory."""

RETRY_AFTER = timedelta(seconds=1)
LONGEST_RETRY = timedelta(seconds=30)
KEEP_SENT = timedelta(days=1)
KEEP_CONSUMED = timedelta(days=30)


class Relay:
    """
    Relays one service's outbox.

    What this process commits is handed over in memory, written as due only after the time a confirm may take; anything
    else is claimed by moving its `due_at` as far. Either way a batch is published with no transaction open, and marked.
    Rows that a killed relay had in hand are due again after that time, or at once when a relay starts; what leaves
    twice is recognised by the consumers' inboxes.

    Args:
        store: The service's database.
        bus: Where the events go.
        lowest_lane: Rows of lower lanes are left to another relay, so that a flood of them delays nothing urgent.
    """

    def __init__(self, store: Store, bus: Bus, *, lowest_lane: Lane = Lane.ORDINARY) -> None:
        self.lowest_lane = lowest_lane
        self._store = store
        self._bus = bus
        self._wake = asyncio.Event()
        self._fresh: list[tuple[int, int, Mapping[str, Any]]] = []
        self._taken = count()
        self._look_at = datetime.min.replace(tzinfo=UTC)
        outbox = store.tables.outbox
        self._claiming = _claim_statement(outbox, lowest_lane)
        self._marking = (
            update(outbox)
            .where(outbox.c.id == any_(bindparam("ids", type_=ARRAY(Uuid))))
            .values(sent_at=bindparam("now"))
        )

    async def run(self) -> None:
        """
        Relay for ever.
        """
        with self._store.relaying(self):
            self._fresh.clear()
            await self.release()
            while True:
                self._wake.clear()
                if await self.run_once() == BATCH:
                    continue
                until_look = (self._look_at - self._store.clock.now()).total_seconds()
                if not self._fresh and until_look > 0:
                    await ring_or_pass(self._wake, until_look)

    def has_room(self) -> bool:
        return len(self._fresh) < MOST_IN_HAND

    def take(self, row: Mapping[str, Any]) -> None:
        heappush(self._fresh, (-row["lane"], next(self._taken), row))
        self._wake.set()

    def look(self) -> None:
        self._look_at = self._store.clock.now()
        self._wake.set()

    async def release(self) -> None:
        """
        Make rows due that an earlier life of this process had in hand.
        """
        outbox, now = self._store.tables.outbox, self._store.clock.now()
        await self._store.database.run_alone(
            update(outbox)
            .where(outbox.c.sent_at.is_(None), outbox.c.due_at > now, outbox.c.lane >= int(self.lowest_lane))
            .values(due_at=now),
            {},
        )

    async def run_once(self) -> int:
        """
        Relay one batch: of what was handed over, and of the table where it is time to look there.

        Returns:
            How many rows were taken up; fewer than `BATCH` means there is nothing more for now.
        """
        rows = [heappop(self._fresh)[2] for _ in range(min(BATCH, len(self._fresh)))]
        now = self._store.clock.now()
        if len(rows) < BATCH and now >= self._look_at:
            rows += await self._claim(BATCH - len(rows))
            if len(rows) < BATCH:
                self._look_at = now + LOOK_EVERY
        if not rows:
            return 0
        sending = [asyncio.ensure_future(self._bus.publish([self._item(row)])) for row in rows]
        await asyncio.wait(sending, timeout=CONFIRM_SECONDS)
        sent: list[UUID] = []
        unsent: list[UUID] = []
        for row, task in zip(rows, sending, strict=True):
            confirmed = task.done() and not task.cancelled() and task.exception() is None and all(task.result())
            if not confirmed:
                task.cancel()
            (sent if confirmed else unsent).append(row["id"])
        await self._mark(sent, unsent)
        return len(rows)

    async def _claim(self, most: int) -> list[Mapping[str, Any]]:
        now = self._store.clock.now()
        values = {"now": now, "until": now + CLAIM, "most": most}
        rows = await self._store.database.run_alone(self._claiming, values)
        ordered = sorted(rows, key=lambda row: (-row.lane, row.seq))
        return [dict(row._mapping) for row in ordered]  # noqa: SLF001 - SQLAlchemy's public name

    def _item(self, row: Mapping[str, Any]) -> Item:
        return Item(
            id=row["id"],
            type=row["topic"],
            source=self._store.database.service,
            time=row["created_at"],
            data=row["data"],
            lane=Lane(row["lane"]),
            correlation_id=row["correlation_id"],
        )

    async def _mark(self, sent: Sequence[UUID], unsent: Sequence[UUID]) -> None:
        outbox, now = self._store.tables.outbox, self._store.clock.now()
        if sent:
            await self._store.database.run_alone(self._marking, {"ids": sent, "now": now})
        if unsent:
            # It counts as an attempt here: what was handed over in memory was never claimed.
            pause = func.least((outbox.c.attempts + 1) * RETRY_AFTER, LONGEST_RETRY)
            await self._store.database.run_alone(
                update(outbox)
                .where(outbox.c.id.in_(unsent))
                .values(due_at=now + pause, attempts=outbox.c.attempts + 1),
                {},
            )
            self._look_at = min(self._look_at, now + RETRY_AFTER)

    async def sweep(self) -> None:
        """
        Delete what has served its time: sent rows after a day, consumed ids after thirty, a thousand at a time.
        """
        now = self._store.clock.now()
        outbox, inbox = self._store.tables.outbox, self._store.tables.inbox
        old_rows = select(outbox.c.seq).where(outbox.c.sent_at < now - KEEP_SENT).limit(1_000).scalar_subquery()
        old_ids = select(inbox.c.message_id).where(inbox.c.consumed_at < now - KEEP_CONSUMED).limit(1_000)
        while True:
            async with self._store.database.begin() as transaction:
                first = await transaction.connection.execute(delete(outbox).where(outbox.c.seq.in_(old_rows)))
                second = await transaction.connection.execute(
                    delete(inbox).where(inbox.c.consumed_at < now - KEEP_CONSUMED, inbox.c.message_id.in_(old_ids))
                )
                await transaction.commit()
            if first.rowcount + second.rowcount == 0:
                return


def _claim_statement(outbox: Table, lowest_lane: Lane) -> Any:
    """Built once: it runs after every commit, and building it takes longer than running it."""
    # As a common table expression the choice is made once; a subquery could be made again and claim too many.
    due = (
        select(outbox.c.seq)
        .where(outbox.c.sent_at.is_(None), outbox.c.due_at <= bindparam("now"), outbox.c.lane >= int(lowest_lane))
        .order_by(outbox.c.lane.desc(), outbox.c.seq)
        .limit(bindparam("most", type_=Integer))
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    return update(outbox).where(outbox.c.seq == due.c.seq).values(due_at=bindparam("until")).returning(outbox)
