"""Many rows in one statement with one parameter: what an insert costs does not grow with the number of statements."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic_core import to_json
from sqlalchemy import Table, Text, TextClause, bindparam, text


@dataclass(frozen=True)
class Insertion:
    """
    An insert of rows that are given as one parameter, made by `as_rows`.

    Attributes:
        table: With its schema.
        columns: What is given; the others get their defaults.
        more: What follows when it is a statement of its own, such as `ON CONFLICT DO NOTHING RETURNING id`.
    """

    table: str
    columns: tuple[str, ...]
    more: str = ""

    @cached_property
    def alone(self) -> TextClause:
        """
        It as a statement of its own, with the parameter `rows`.
        """
        return text(f"{self.select_from('rows')} {self.more}").bindparams(rows_parameter("rows"))

    def select_from(self, parameter: str) -> str:
        """
        Its text up to where a condition may follow.
        """
        names = ", ".join(f'"{name}"' for name in self.columns)
        source = f"jsonb_populate_recordset(CAST(NULL AS {self.table}), CAST(:{parameter} AS jsonb))"
        return f"INSERT INTO {self.table} ({names}) SELECT {names} FROM {source}"  # noqa: S608 - names of our own tables


def inserting(table: Table, *columns: str, more: str = "") -> Insertion:
    """
    Describe an insert into a table. Do it once: its statement is built with the first use.

    Args:
        table: Its schema is its own.
        columns: What is given.
        more: What follows when it is a statement of its own.
    """
    return Insertion(table.fullname, columns, more)


def as_rows(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """
    Write rows as the parameter of an insertion that stands alone.
    """
    return {"rows": to_json(rows).decode()}


def rows_parameter(name: str) -> Any:
    """
    The parameter by which rows are given.
    """
    return bindparam(name, type_=Text)
