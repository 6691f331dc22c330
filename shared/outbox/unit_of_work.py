"""The unit of work: a transaction whose events leave with it, and whose item is consumed with it."""

from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from shared.clock import Clock
from shared.contracts.base import Event, Lane
from shared.database import Database, Transaction, as_rows, inserting
from shared.faults import Faults
from shared.identifiers import IdSource
from shared.outbox.tables import MessagingTables
from shared.telemetry import correlation_id

CLAIM = timedelta(seconds=15)
"""Longer than a confirm may take, so that nobody else takes rows that are still under way."""


class Taker(Protocol):
    """
    A relay, as the unit of work sees it.
    """

    lowest_lane: Lane

    def has_room(self) -> bool:
        """
        Tell whether it takes more, or leaves them in the table for later.
        """
        ...

    def take(self, row: Mapping[str, Any]) -> None:
        """
        Take a row of the outbox that was committed.
        """

    def look(self) -> None:
        """
        Look into the table: something was committed that nobody took.
        """


@dataclass
class Outbox:
    """
    Events that become public with the transaction.
    """

    _store: "Store"
    _rows: list[dict[str, Any]] = field(default_factory=list)

    def add(self, event: Event, *, lane: Lane = Lane.ORDINARY, correlation: str | None = None) -> UUID:
        """
        Publish an event with the commit.

        Args:
            event: What happened.
            lane: Urgent events leave first.
            correlation: Of the request it comes from, where several are committed together; None: of the one at hand.

        Returns:
            The event's id, which is also its key in the journal.
        """
        now = self._store.clock.now()
        event_id = self._store.new_id()
        self._rows.append(
            {
                "id": event_id,
                "topic": type(event).topic,
                "lane": int(lane),
                "data": event.model_dump_json(),
                "correlation_id": correlation or correlation_id(),
                "created_at": now,
            }
        )
        return event_id

    @property
    def rows(self) -> list[dict[str, Any]]:
        return self._rows


@dataclass
class UnitOfWork:
    """
    One use case's transaction. Nothing is kept unless `commit` is awaited.

    Attributes:
        connection: Runs the statements.
        outbox: Takes events.
    """

    transaction: Transaction
    _store: "Store"
    outbox: Outbox

    @property
    def connection(self) -> AsyncConnection:
        return self.transaction.connection

    async def first_time(self, consumer: str, message_id: UUID) -> bool:
        """
        Note that a consumer takes an item; False when it has taken it before and nothing is to be done.
        """
        return message_id in await self.first_times(consumer, [message_id])

    async def first_times(self, consumer: str, message_ids: Collection[UUID]) -> set[UUID]:
        """
        Note that a consumer takes items; those among them that it has not taken before.
        """
        now = self._store.clock.now()
        rows = [{"consumer": consumer, "message_id": one, "consumed_at": now} for one in sorted(set(message_ids))]
        return set((await self.connection.execute(self._store.taking.alone, as_rows(rows))).scalars())

    def after_commit(self, callback: Callable[[], None]) -> None:
        """
        Call something once the commit has succeeded; it must not block.
        """
        self.transaction.after_commit(callback)

    async def commit(self) -> None:
        """
        Make everything durable, events included, and let the relay know.
        """
        if self.outbox.rows:
            for row in self.outbox.rows:
                self._store.set_due(row)
            await self.connection.execute(self._store.adding.alone, as_rows(self.outbox.rows))
            self.transaction.after_commit(lambda: self._store.hand_over(self.outbox.rows))
        await self.transaction.commit()


class Store:
    """
    A service's database together with its messaging tables; what use cases open their transactions on.

    Args:
        database: The service's schema.
        tables: Its messaging tables.
        clock: For the times written.
        new_id: Identities of events.
    """

    def __init__(self, database: Database, tables: MessagingTables, *, clock: Clock, new_id: IdSource) -> None:
        self.database = database
        self.tables = tables
        self.clock = clock
        self.new_id = new_id
        # Built once: they run with nearly every commit, and building them takes longer than running them.
        self.adding = inserting(tables.outbox, "id", "topic", "lane", "data", "correlation_id", "created_at", "due_at")
        self.taking = inserting(
            tables.inbox,
            "consumer",
            "message_id",
            "consumed_at",
            more="ON CONFLICT DO NOTHING RETURNING message_id",
        )
        self._takers: list[Taker] = []

    @property
    def faults(self) -> Faults:
        return self.database.faults

    @contextmanager
    def relaying(self, taker: "Taker") -> Iterator[None]:
        """
        Hand committed events over to a relay of this process while it runs: they need not be looked for in the table.
        """
        self._takers.append(taker)
        self._takers.sort(key=lambda one: one.lowest_lane, reverse=True)
        try:
            yield
        finally:
            self._takers.remove(taker)

    def set_due(self, row: dict[str, Any]) -> None:
        """
        Say when an event about to be written may be taken from the table: at once, unless a relay takes it over.
        """
        taker = self._taker(row)
        taken = taker is not None and taker.has_room()
        row["due_at"] = row["created_at"] + CLAIM if taken else row["created_at"]

    def hand_over(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """
        Give events that were committed to their relays.
        """
        for row in rows:
            taker = self._taker(row)
            if taker is None:
                continue
            if row["due_at"] > row["created_at"]:
                taker.take(row)
            else:
                taker.look()

    def _taker(self, row: Mapping[str, Any]) -> "Taker | None":
        return next((taker for taker in self._takers if row["lane"] >= taker.lowest_lane), None)

    def read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """
        Only look; see `Database.read`.
        """
        return self.database.read()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[UnitOfWork]:
        """
        Open a unit of work; it is rolled back unless it was committed.

        Raises:
            DatabaseBusy: No connection could be had, or it broke.
        """
        async with self.database.begin() as transaction:
            yield UnitOfWork(transaction, self, Outbox(self))
