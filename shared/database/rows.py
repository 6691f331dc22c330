"""Many rows in one statement with one parameter: what an insert costs does not grow with the number of statements."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import to_json
from sqlalchemy import BindParameter, Table, Text, TextClause, bindparam, text


def inserting(table: Table, *columns: str, more: str = "") -> TextClause:
    """
    Build a statement that inserts rows given as the parameter `rows`, made by `as_rows`. Build it once.

    Args:
        table: Its schema is its own.
        columns: What is given; the others get their defaults.
        more: What follows, such as `ON CONFLICT DO NOTHING RETURNING id`.
    """
    names = ", ".join(f'"{name}"' for name in columns)
    source = f"jsonb_populate_recordset(CAST(NULL AS {table.fullname}), CAST(:rows AS jsonb))"
    return text(f"INSERT INTO {table.fullname} ({names}) SELECT {names} FROM {source} {more}").bindparams(_ROWS)  # noqa: S608 - names of our own tables


def as_rows(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """
    Write rows as the parameter of a statement made by `inserting`.
    """
    return {"rows": to_json(rows).decode()}


_ROWS: BindParameter[str] = bindparam("rows", type_=Text)
