"""
The version log.

One row counts. Every transaction that changes an agency or a system locks it first and gives each changed row a number
of its own, so numbers are handed out in the order of commits: whoever has read up to N can never miss a smaller one.
"""

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.registry.tables import register_version


async def read_version(connection: AsyncConnection) -> int:
    """
    Read the newest version.
    """
    version: int = (await connection.execute(select(register_version.c.version))).scalar_one()
    return version


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
