import re
from collections.abc import Iterable

import asyncpg

from deploy.embedded.errors import NodeError

_EXTENSIONS = ("pg_trgm", "unaccent", "btree_gist")
_PLAIN_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


async def create_database(connection: asyncpg.Connection, database: str) -> None:
    """
    Create a database, unless it is there: UTF-8, text ordered by code points.
    """
    if await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", database):
        return
    await connection.execute(f'CREATE DATABASE "{plain(database)}"')


async def create_schemas(connection: asyncpg.Connection, database: str, names: Iterable[str]) -> None:
    """
    Give every service a role and a schema of its own in the database connected to; what is there stays.

    A role may log in without a password, because only the node's own account reaches the socket, and it can neither
    see into another's schema nor add to the shared one.

    Raises:
        NodeError: The server lacks an extension that the services build on.
    """
    for extension in _EXTENSIONS:
        if not await connection.fetchval("SELECT 1 FROM pg_available_extensions WHERE name = $1", extension):
            raise NodeError(
                f"This PostgreSQL lacks the extension {extension}.",
                remedy="Use the wheel's PostgreSQL, or install the distribution's postgresql-contrib.",
            )
        await connection.execute(f"CREATE EXTENSION IF NOT EXISTS {extension} SCHEMA public")
    await connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    await connection.execute(f'REVOKE ALL ON DATABASE "{plain(database)}" FROM PUBLIC')
    for name in map(plain, names):
        if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", name):
            await connection.execute(f'CREATE ROLE "{name}" LOGIN')
        # For the role and not for the database, so that a database copied from this one behaves the same.
        await connection.execute(f'ALTER ROLE "{name}" SET search_path = "{name}", public')
        await connection.execute(f'GRANT CONNECT, TEMPORARY ON DATABASE "{database}" TO "{name}"')
        await connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{name}" AUTHORIZATION "{name}"')


def plain(name: str) -> str:
    """
    Pass on a name that needs no quoting rules.
    """
    if not _PLAIN_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no plain name for a database or role")
    return name
