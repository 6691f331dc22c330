import re
from collections.abc import Iterable
from dataclasses import dataclass

import asyncpg

from deploy.embedded.errors import NodeError

_EXTENSIONS = ("pg_trgm", "unaccent", "btree_gist")
_PLAIN_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


@dataclass(frozen=True)
class Role:
    """
    Who owns a schema.

    Attributes:
        name: Of the role, and of its schema.
        password: None leaves it as it is: whoever reaches the socket needs none.
    """

    name: str
    password: str | None = None


async def create_database(connection: asyncpg.Connection, database: str) -> None:
    """
    Create a database, unless it is there: UTF-8, text ordered by code points.
    """
    if await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", database):
        return
    await connection.execute(f'CREATE DATABASE "{plain(database)}"')


async def create_schemas(connection: asyncpg.Connection, database: str, roles: Iterable[Role]) -> None:
    """
    Give every service a role and a schema of its own in the database connected to; what is there stays.

    A role can neither see into another's schema nor add to the shared one. On a private server it logs in without a
    password, because only the node's own account reaches the socket.

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
    for role in roles:
        name = plain(role.name)
        if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", name):
            await connection.execute(f'CREATE ROLE "{name}" LOGIN')
        if role.password is not None:
            # Such statements take no parameters; the server does the quoting.
            statement = await connection.fetchval(
                "SELECT format('ALTER ROLE %I PASSWORD %L', $1, $2)", name, role.password
            )
            await connection.execute(statement)
        # For the role and not for the database, so that a database copied from this one behaves the same.
        await connection.execute(f'ALTER ROLE "{name}" SET search_path = "{name}", public')
        await connection.execute(f'GRANT CONNECT, TEMPORARY ON DATABASE "{database}" TO "{name}"')
        if not await connection.fetchval("SELECT pg_has_role($1, 'MEMBER')", name):
            await connection.execute(f'GRANT "{name}" TO CURRENT_USER')
        await connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{name}" AUTHORIZATION "{name}"')


def plain(name: str) -> str:
    """
    Pass on a name that needs no quoting rules.
    """
    if not _PLAIN_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no plain name for a database or role")
    return name
