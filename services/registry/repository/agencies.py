"""Agencies: looked up, searched, paged."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, and_, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from services.registry.tables import agencies
from shared.contracts.registry import AgencyEntry

ENTRY = tuple(agencies.c[name] for name in AgencyEntry.model_fields)
"""What a statement selects so that `to_entry` can read its rows."""


@dataclass(frozen=True)
class Search:
    """
    What a directory search asks for.

    Attributes:
        words: Folded words that must all occur in the name.
        codes: Beginnings of a code in either form, an alternative to the words.
        after: Sort key and key of the last agency of the page before.
    """

    at: datetime
    words: Sequence[str] = ()
    codes: Sequence[str] = ()
    level: str | None = None
    parent: str | None = None
    after: tuple[str, UUID] | None = None


async def find_agency(connection: AsyncConnection, code: str, at: datetime) -> AgencyEntry | None:
    """
    Find the agency that has a code in either form at a moment, or else had it last before.
    """
    statement = (
        select(*ENTRY)
        .where(or_(agencies.c.code == code, agencies.c.code102 == code), agencies.c.valid_from <= at)
        .order_by(agencies.c.valid_from.desc())
        .limit(1)
    )
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else to_entry(row)


async def find_agencies(connection: AsyncConnection, codes: Collection[str], at: datetime) -> dict[str, AgencyEntry]:
    """
    Find many at once, by the codes as given; those never known before the moment are left out.
    """
    statement = (
        select(*ENTRY)
        .where(or_(agencies.c.code.in_(codes), agencies.c.code102.in_(codes)), agencies.c.valid_from <= at)
        .order_by(agencies.c.valid_from)
    )
    found: dict[str, AgencyEntry] = {}
    for row in await connection.execute(statement):
        entry = to_entry(row)
        found[entry.code] = entry
        if entry.code102 is not None:
            found[entry.code102] = entry
    return {code: found[code] for code in codes if code in found}


async def search_agencies(connection: AsyncConnection, search: Search, limit: int) -> list[tuple[str, AgencyEntry]]:
    """
    Give a page of agencies with their sort keys, in Vietnamese order.
    """
    statement: Select[Any] = (
        select(agencies.c.sort_key, *ENTRY)
        .where(agencies.c.valid_from <= search.at)
        .where(or_(agencies.c.valid_to.is_(None), agencies.c.valid_to > search.at))
        .order_by(agencies.c.sort_key, agencies.c.key)
        .limit(limit)
    )
    if search.level is not None:
        statement = statement.where(agencies.c.level == search.level)
    if search.parent is not None:
        statement = statement.where(agencies.c.parent == search.parent)
    if search.words:
        by_name: ColumnElement[bool] = and_(
            *(agencies.c.name_folded.contains(word, autoescape=True) for word in search.words)
        )
        by_code = [
            column.startswith(code, autoescape=True)
            for code in search.codes
            for column in (agencies.c.code, agencies.c.code102)
        ]
        by_name = or_(by_name, *by_code)
        statement = statement.where(by_name)
    if search.after is not None:
        statement = statement.where(tuple_(agencies.c.sort_key, agencies.c.key) > tuple_(*search.after))
    return [(row.sort_key, to_entry(row)) for row in await connection.execute(statement)]


async def agencies_after(connection: AsyncConnection, after: int, limit: int) -> list[tuple[int, AgencyEntry]]:
    """
    Give the agencies whose last change came after a version, in the order of changes.
    """
    statement = (
        select(agencies.c.version, *ENTRY).where(agencies.c.version > after).order_by(agencies.c.version).limit(limit)
    )
    return [(row.version, to_entry(row)) for row in await connection.execute(statement)]


def to_entry(row: Row[Any]) -> AgencyEntry:
    """
    Read a row that holds `ENTRY`.
    """
    fields = {name: row._mapping[name] for name in AgencyEntry.model_fields}  # noqa: SLF001 - public in spite of its name
    return AgencyEntry.model_validate(fields)
