"""A transaction that is one statement: one round trip, where locking, looking and writing take one each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from pydantic_core import to_json
from sqlalchemy import TextClause, text
from sqlalchemy.exc import IntegrityError

from shared.database.engine import Database
from shared.database.rows import Insertion, rows_parameter


@dataclass(frozen=True)
class Change:
    """
    An update that is made only if every row is still as it was read.

    Attributes:
        columns: Names and types of what is given for each row, as in `id uuid, from_state text`.
        table: What is changed, with its schema; called `t` in the texts below, and what is given `r`.
        same: When a row of the table is still as it was read.
        values: What is written.
    """

    columns: str
    table: str
    same: str
    values: str

    @property
    def sql(self) -> str:
        """
        The parts of a statement that end in `gate`, whose one row tells whether all of it may happen.
        """
        return f"""
            asked AS (SELECT * FROM jsonb_to_recordset(CAST(:asked AS jsonb)) AS r ({self.columns})),
            same AS (
                SELECT t.id FROM {self.table} t JOIN asked r ON {self.same} ORDER BY t.id FOR UPDATE OF t
            ),
            gate AS MATERIALIZED (SELECT (SELECT count(*) FROM same) = (SELECT count(*) FROM asked) AS open),
            changed AS (
                UPDATE {self.table} t SET {self.values} FROM asked r WHERE {self.same} AND (SELECT open FROM gate)
            )"""  # noqa: S608 - texts of our own


_NO_CHANGE = "gate AS MATERIALIZED (SELECT true AS open)"


@dataclass
class AtOnce:
    """
    Rows to write, and a change they depend on, as one statement that is a whole transaction.

    It comes to pass as a whole or not at all: not when a row to be changed is no longer as it was read, nor when a row
    to be written is there already. The careful way is then to be taken: lock, look, decide.

    Attributes:
        database: Where.
        change: What must be as it was read, and what becomes of it; None: only write.
        asked: The rows to be changed.
    """

    database: Database
    change: Change | None = None
    asked: Sequence[Mapping[str, Any]] = ()
    _insertions: list[Insertion] = field(default_factory=list)
    _rows: list[Sequence[Mapping[str, Any]]] = field(default_factory=list)

    def add(self, insertion: Insertion, rows: Sequence[Mapping[str, Any]]) -> None:
        """
        Write rows, too.
        """
        if rows:
            self._insertions.append(insertion)
            self._rows.append(rows)

    async def run(self) -> bool:
        """
        Do it; False when it did not come to pass and nothing has happened.

        Raises:
            DatabaseBusy: No connection could be had, or it broke.
        """
        values = {f"rows_{n}": to_json(rows).decode() for n, rows in enumerate(self._rows)}
        if self.change is not None:
            values["asked"] = to_json(self.asked).decode()
        try:
            (row,) = await self.database.run_alone(_statement(self.change, tuple(self._insertions)), values)
        except IntegrityError:
            return False
        return bool(row.open)


@lru_cache(maxsize=64)
def _statement(change: Change | None, insertions: tuple[Insertion, ...]) -> TextClause:
    parameters = [f"rows_{n}" for n in range(len(insertions))]
    parts = [
        f"written_{n} AS ({insertion.select_from(parameters[n])} WHERE (SELECT open FROM gate))"  # noqa: S608
        for n, insertion in enumerate(insertions)
    ]
    whole = f"WITH {', '.join([_NO_CHANGE if change is None else change.sql, *parts])} SELECT open FROM gate"  # noqa: S608
    asked = [] if change is None else [rows_parameter("asked")]
    return text(whole).bindparams(*asked, *map(rows_parameter, parameters))
