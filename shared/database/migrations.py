"""Schema changes, service by service, by Alembic; each service's scripts stand in its own `migrations` folder."""

import importlib.util
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.errors import AxisError

VERSION_TABLE = "schema_version"


class MigrationMismatch(AxisError):
    """
    The database stands at another migration than this release: run `axis db upgrade`, or start the matching release.
    """


def scripts_of(service: str) -> ScriptDirectory:
    """
    Give the migrations of a service that this release knows.
    """
    spec = importlib.util.find_spec(f"services.{service}")
    if spec is None or spec.origin is None:
        raise MigrationMismatch(f"there is no service called {service}")
    return ScriptDirectory(str(Path(spec.origin).parent / "migrations"), version_locations=None)


def _run(connection: Connection, service: str) -> None:
    scripts = scripts_of(service)

    def steps(revision: Any, _context: Any) -> Any:
        return scripts._upgrade_revs("head", revision)  # noqa: SLF001 - the documented way to run without an env.py

    with EnvironmentContext(Config(), scripts, fn=steps, destination_rev="head") as environment:
        environment.configure(
            connection=connection, version_table=VERSION_TABLE, version_table_schema=service, transactional_ddl=True
        )
        with environment.begin_transaction():
            environment.run_migrations()


async def upgrade(engine: AsyncEngine, service: str) -> None:
    """
    Bring a service's schema to this release; does nothing when it is there already.

    Args:
        engine: Connects as the owner of the schema.
        service: Name of the service and its schema.
    """
    async with engine.begin() as connection:
        await connection.run_sync(_run, service)


async def check_migrations(engine: AsyncEngine, service: str) -> None:
    """
    Refuse a database that stands at another migration.

    Raises:
        MigrationMismatch: With the two revisions and the remedy.
    """
    expected = set(scripts_of(service).get_heads())

    def current(connection: Connection) -> set[str]:
        from alembic.migration import MigrationContext  # noqa: PLC0415 - heavy, needed once at start

        options = {"version_table": VERSION_TABLE, "version_table_schema": service}
        return set(MigrationContext.configure(connection, opts=options).get_current_heads())

    async with engine.connect() as connection:
        found = await connection.run_sync(current)
    if found != expected:
        raise MigrationMismatch(
            f"the schema {service} stands at {sorted(found) or 'nothing'}, this release needs {sorted(expected)}: "
            "run `axis db upgrade`"
        )
