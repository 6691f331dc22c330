"""The relay: carries committed events from the outbox to the bus, urgent lanes first, and marks them sent."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Row, Table, any_, bindparam, delete, func, select, update

from shared.contracts.base import Lane
from shared.messaging import Bus, Item
from shared.outbox.unit_of_work import Store
from shared.runtime import ring_or_pass

BATCH = 64
IDLE_SECONDS = 5.0
"""Another copy's leftovers are looked for this often; our own commits wake the relay at once."""

CONFIRM_SECONDS = 10.0
CLAIM = timedelta(seconds=15)
"""Longer than a confirm may take, so that nobody else takes rows that are still under way."""

RETRY_AFTER = timedelta(seconds=1)
LONGEST_RETRY = timedelta(seconds=30)
KEEP_SENT = timedelta(days=1)
KEEP_CONSUMED = timedelta(days=30)


class Relay:
    """
    Relays one service's outbox.

    A batch is claimed by moving its rows' `due_at` past the time a confirm may take, published with no transaction
    open, and marked. Rows that a killed relay had claimed are due again after that time, or at once when a relay
    starts; what leaves twice is recognised by the consumers' inboxes.

    Args:
        store: The service's database.
        bus: Where the events go.
        lowest_lane: Rows of lower lanes are left to another relay, so that a flood of them delays nothing urgent.
    """

    def __init__(self, store: Store, bus: Bus, *, lowest_lane: Lane = Lane.ORDINARY) -> None:
        self._store = store
        self._bus = bus
        self._lowest_lane = lowest_lane
        self._wake = asyncio.Event()
        outbox = store.tables.outbox
        self._claiming = _claim_statement(outbox, lowest_lane)
        self._marking = (
            update(outbox)
            .where(outbox.c.seq == any_(bindparam("seqs", type_=ARRAY(BigInteger))))
            .values(sent_at=bindparam("now"))
        )
        store.on_outbox(self._hear)

    async def run(self) -> None:
        """
        Relay for ever.
        """
        await self.release()
        while True:
            self._wake.clear()
            if await self.run_once() == BATCH:
                continue
            await ring_or_pass(self._wake, IDLE_SECONDS)

    def _hear(self, highest: Lane) -> None:
        if highest >= self._lowest_lane:
            self._wake.set()

    async def release(self) -> None:
        """
        Make rows due that an earlier life of this process had claimed.
        """
        outbox, now = self._store.tables.outbox, self._store.clock.now()
        async with self._store.database.begin() as transaction:
            await transaction.connection.execute(
                update(outbox)
                .where(outbox.c.sent_at.is_(None), outbox.c.due_at > now, outbox.c.lane >= int(self._lowest_lane))
                .values(due_at=now)
            )
            await transaction.commit()

    async def run_once(self) -> int:
        """
        Relay one batch.

        Returns:
            How many rows were taken up; fewer than `BATCH` means the outbox is empty for now.
        """
        rows = await self._claim()
        if not rows:
            return 0
        sending = [asyncio.ensure_future(self._bus.publish([self._item(row)])) for row in rows]
        await asyncio.wait(sending, timeout=CONFIRM_SECONDS)
        sent: list[int] = []
        unsent: list[int] = []
        for row, task in zip(rows, sending, strict=True):
            confirmed = task.done() and not task.cancelled() and task.exception() is None and all(task.result())
            if not confirmed:
                task.cancel()
            (sent if confirmed else unsent).append(row.seq)
        await self._mark(sent, unsent)
        return len(rows)

    async def _claim(self) -> Sequence[Row[Any]]:
        now = self._store.clock.now()
        async with self._store.database.begin() as transaction:
            values = {"now": now, "until": now + CLAIM}
            rows = (await transaction.connection.execute(self._claiming, values)).all()
            if rows:
                await transaction.commit()
        return sorted(rows, key=lambda row: (-row.lane, row.seq))

    def _item(self, row: Row[Any]) -> Item:
        return Item(
            id=row.id,
            type=row.topic,
            source=self._store.database.service,
            time=row.created_at,
            data=row.data,
            lane=Lane(row.lane),
            correlation_id=row.correlation_id,
        )

    async def _mark(self, sent: Sequence[int], unsent: Sequence[int]) -> None:
        outbox, now = self._store.tables.outbox, self._store.clock.now()
        async with self._store.database.begin() as transaction:
            if sent:
                await transaction.connection.execute(self._marking, {"seqs": sent, "now": now})
            if unsent:
                pause = func.least(outbox.c.attempts * RETRY_AFTER, LONGEST_RETRY)
                await transaction.connection.execute(
                    update(outbox).where(outbox.c.seq.in_(unsent)).values(due_at=now + pause)
                )
            await transaction.commit()

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
        .limit(BATCH)
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    return (
        update(outbox)
        .where(outbox.c.seq == due.c.seq)
        .values(due_at=bindparam("until"), attempts=outbox.c.attempts + 1)
        .returning(outbox)
    )
