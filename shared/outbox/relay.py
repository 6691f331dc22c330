"""The relay: carries committed events from the outbox to the bus, urgent lanes first, and marks them sent."""

import asyncio
from datetime import timedelta
from typing import Any

from sqlalchemy import Row, delete, select, update

from shared.contracts.base import Lane
from shared.errors import Unavailable
from shared.messaging import Bus, Item
from shared.outbox.unit_of_work import Store
from shared.telemetry import get_logger

BATCH = 64
IDLE_SECONDS = 1.0
"""Another copy's leftovers are looked for this often; our own commits wake the relay at once."""

CONFIRM_SECONDS = 10.0
RETRY_AFTER = timedelta(seconds=1)
LONGEST_RETRY = timedelta(seconds=30)
KEEP_SENT = timedelta(days=1)
KEEP_CONSUMED = timedelta(days=30)

_logger = get_logger(__name__)


class Relay:
    """
    Relays one service's outbox.

    The rows stay locked while they are under way, so that a killed relay's rows are free again at once and a second
    copy takes others meanwhile. A row that is not confirmed in time is left for later: the rest need not wait for it.

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
        store.on_outbox(self._wake.set)

    async def run(self) -> None:
        """
        Relay for ever.
        """
        while True:
            self._wake.clear()
            try:
                busy = await self.run_once() == BATCH
            except Unavailable as error:
                _logger.warning("outbox waits", service=self._store.database.service, error=error.detail)
                busy = False
            if not busy:
                try:
                    await asyncio.wait_for(self._wake.wait(), IDLE_SECONDS)
                except TimeoutError:
                    continue

    async def run_once(self) -> int:
        """
        Relay one batch.

        Returns:
            How many rows were taken up; fewer than `BATCH` means the outbox is empty for now.
        """
        outbox = self._store.tables.outbox
        now = self._store.clock.now()
        async with self._store.database.begin() as transaction:
            rows = (
                await transaction.connection.execute(
                    select(outbox)
                    .where(outbox.c.sent_at.is_(None), outbox.c.due_at <= now, outbox.c.lane >= int(self._lowest_lane))
                    .order_by(outbox.c.lane.desc(), outbox.c.seq)
                    .limit(BATCH)
                    .with_for_update(skip_locked=True)
                )
            ).all()
            if not rows:
                return 0
            items = [
                Item(
                    id=row.id,
                    type=row.topic,
                    source=self._store.database.service,
                    time=row.created_at,
                    data=row.data,
                    lane=Lane(row.lane),
                    correlation_id=row.correlation_id,
                )
                for row in rows
            ]
            sending = [asyncio.ensure_future(self._bus.publish([item])) for item in items]
            await asyncio.wait(sending, timeout=CONFIRM_SECONDS)
            sent: list[Row[Any]] = []
            unsent: list[Row[Any]] = []
            for row, task in zip(rows, sending, strict=True):
                confirmed = task.done() and not task.cancelled() and task.exception() is None and all(task.result())
                if not confirmed:
                    task.cancel()
                (sent if confirmed else unsent).append(row)
            if sent:
                await transaction.connection.execute(
                    update(outbox)
                    .where(outbox.c.seq.in_([row.seq for row in sent]))
                    .values(sent_at=self._store.clock.now(), attempts=outbox.c.attempts + 1)
                )
            for row in unsent:
                pause = min(LONGEST_RETRY, RETRY_AFTER * 2 ** min(row.attempts, 5))
                await transaction.connection.execute(
                    update(outbox)
                    .where(outbox.c.seq == row.seq)
                    .values(due_at=self._store.clock.now() + pause, attempts=outbox.c.attempts + 1)
                )
            await transaction.commit()
        return len(rows)

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
