"""
The version log.

One row counts. Every transaction that changes an agency or a system locks it first and gives each changed row a number
of its own, so numbers are handed out in the order of commits: whoever has read up to N can never miss a smaller one.
"""

from datetime import datetime

from sqlalchemy import bindparam, exists, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.registry.tables import credentials, register_version

_BEAT = select(
    register_version.c.version,
    exists().where(credentials.c.ended_at.is_(None), credentials.c.ends_at <= bindparam("now")),
)


async def read_version(connection: AsyncConnection) -> int:
    """
    Read the newest version.
    """
    version: int = (await connection.execute(select(register_version.c.version))).scalar_one()
    return version


async def read_beat(connection: AsyncConnection, now: datetime) -> tuple[int, bool]:
    """
    Read the newest version, and whether a credential's time has come; each second, so it is one statement.
    """
    version, due = (await connection.execute(_BEAT, {"now": now})).one()
    return version, due


async def begin_change(connection: AsyncConnection) -> int:
    """
    Lock the log until the transaction ends; the first statement of every change, so that no two can lock each other
    out.

    Returns:
        The newest version, which stays it until this transaction advances.
    """
    version: int = (await connection.execute(select(register_version.c.version).with_for_update())).scalar_one()
    return version


async def advance(connection: AsyncConnection, count: int = 1) -> int:
    """
    Take numbers for changed rows.

    Returns:
        The last one; the others are the `count - 1` before it.
    """
    statement = update(register_version).values(version=register_version.c.version + count)
    version: int = (await connection.execute(statement.returning(register_version.c.version))).scalar_one()
    return version
