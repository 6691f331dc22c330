"""The unit of work that is one statement."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from shared.database import AtOnce, Change, Insertion
from shared.outbox.unit_of_work import Outbox, Store


class WorkAtOnce:
    """
    One use case's transaction as one statement, whose events leave with it; see `shared.database.AtOnce`.

    Args:
        store: Where.
        change: What must be as it was read, and what becomes of it; None: only write.
        asked: The rows to be changed.
    """

    def __init__(self, store: Store, change: Change | None = None, asked: Sequence[Mapping[str, Any]] = ()) -> None:
        self.outbox = Outbox(store)
        self._store = store
        self._statement = AtOnce(store.database, change, asked)
        self._after_commit: list[Callable[[], None]] = []

    def add(self, insertion: Insertion, rows: Sequence[Mapping[str, Any]]) -> None:
        """
        Write rows, too.
        """
        self._statement.add(insertion, rows)

    def after_commit(self, callback: Callable[[], None]) -> None:
        """
        Call something once the commit has succeeded; it must not block.
        """
        self._after_commit.append(callback)

    async def commit(self) -> bool:
        """
        Make everything durable, events included, and let the relay know; False when nothing has happened.

        Raises:
            DatabaseBusy: No connection could be had, or it broke.
        """
        rows = self.outbox.rows
        for row in rows:
            self._store.set_due(row)
        self._statement.add(self._store.adding, rows)
        if not await self._statement.run():
            return False
        for callback in self._after_commit:
            callback()
        self._store.hand_over(rows)
        return True
