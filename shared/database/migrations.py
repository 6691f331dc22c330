"""
Schema changes, service by service, by Alembic; each service's scripts stand in its own `migrations` folder.

Releases run side by side while one takes over from the other, so a schema is brought to the newer one first and the
older one goes on with it. Each migration after the first says in `oldest_reader` from which revision on a release can
work with the schema it leaves; that stands in the database, for releases that do not know the migration.
"""

import importlib.util
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, cast, func, select
from sqlalchemy.dialects.postgresql import REGCLASS
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.errors import AxisError
from shared.telemetry import get_logger

VERSION_TABLE = "schema_version"
_OLDEST_READER = "oldest reader: "
"""Begins the comment on the version table; the rest of it is a revision."""

_logger = get_logger(__name__)


class MigrationMismatch(AxisError):
    """
    The database stands at a migration this release cannot work with: run `axis db upgrade`, or start the matching
    release.
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
    known = _known(scripts)
    if (found := _found(connection, service)) - known:
        _refuse_unreadable(connection, service, found, known)
        return

    def steps(revision: Any, _context: Any) -> Any:
        return scripts._upgrade_revs("head", revision)  # noqa: SLF001 - the documented way to run without an env.py

    with EnvironmentContext(Config(), scripts, fn=steps, destination_rev="head") as environment:
        environment.configure(
            connection=connection, version_table=VERSION_TABLE, version_table_schema=service, transactional_ddl=True
        )
        with environment.begin_transaction():
            environment.run_migrations()
    reader = oldest_reader(scripts)
    connection.exec_driver_sql(f"COMMENT ON TABLE {service}.{VERSION_TABLE} IS '{_OLDEST_READER}{reader}'")


def oldest_reader(scripts: ScriptDirectory) -> str:
    """
    Tell from which revision on a release can work with the newest schema; what does not say suits its own only.
    """
    head = scripts.get_revision("head")
    assert head is not None
    return str(getattr(head.module, "oldest_reader", head.revision))


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
    Refuse a database this release cannot work with: an older one, or a newer one that says so.

    Raises:
        MigrationMismatch: With the revisions and the remedy.
    """
    async with engine.connect() as connection:
        await connection.run_sync(_check, service)


def _check(connection: Connection, service: str) -> None:
    scripts = scripts_of(service)
    expected, known = set(scripts.get_heads()), _known(scripts)
    found = _found(connection, service)
    if found == expected:
        return
    if found <= known:
        raise MigrationMismatch(
            f"the schema {service} stands at {sorted(found) or 'nothing'}, this release needs {sorted(expected)}: "
            "run `axis db upgrade`"
        )
    _refuse_unreadable(connection, service, found, known)


def _refuse_unreadable(connection: Connection, service: str, found: set[str], known: set[str]) -> None:
    table = f"{service}.{VERSION_TABLE}"
    said = connection.execute(select(func.obj_description(cast(table, REGCLASS), "pg_class"))).scalar_one()
    reader = (said or "").removeprefix(_OLDEST_READER)
    if reader not in known:
        raise MigrationMismatch(
            f"the schema {service} stands at {sorted(found)}, which releases before {reader or 'it'} cannot work with: "
            "start the matching release"
        )
    _logger.info("the database is newer than this release", schema=service, found=sorted(found))


def _known(scripts: ScriptDirectory) -> set[str]:
    return {script.revision for script in scripts.walk_revisions()}


def _found(connection: Connection, service: str) -> set[str]:
    from alembic.migration import MigrationContext  # noqa: PLC0415 - heavy, needed once at start

    options = {"version_table": VERSION_TABLE, "version_table_schema": service}
    return set(MigrationContext.configure(connection, opts=options).get_current_heads())
