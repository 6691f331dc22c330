"""
One private PostgreSQL for the whole run; a database of its own for whoever asks.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from deploy.embedded.postgres import PrivatePostgres
from shared.database import upgrade
from shared.testing.postgres import SampleDatabase, SampleDatabases, run_apart

# `sample` is the schema of no service: for tests of shared parts that bring tables of their own.
SERVICES = ["registry", "signing", "routing", "delivery", "audit", "sample"]
_HOME_PREFIX = "axis-tests-"
_SERVICES_FOLDER = Path(__file__).parents[1] / "services"


@pytest.fixture(scope="session")
def postgres() -> Iterator[PrivatePostgres]:
    """
    A server that ends with this run, even when the run is killed.
    """
    _remove_leftovers()
    home = Path(tempfile.mkdtemp(prefix=f"{_HOME_PREFIX}{os.getpid()}-"))
    home.chmod(0o755)  # as root the server's account must get through
    server = PrivatePostgres(home / "postgres", durable=False, tied=True)
    try:
        run_apart(server.start)
        yield server
    finally:
        run_apart(server.remove)
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def databases(postgres: PrivatePostgres) -> SampleDatabases:
    return SampleDatabases(postgres, SERVICES, _migrate)


@pytest.fixture
def database(databases: SampleDatabases) -> Iterator[SampleDatabase]:
    """
    A migrated database for one test.
    """
    with databases.fresh() as database:
        yield database


@pytest.fixture
def database_url(database: SampleDatabase) -> Callable[[str], str]:
    """
    `database_url("routing")`: where a service finds its schema in this test's database.
    """
    return database.url


@pytest.fixture(scope="module")
def module_database(databases: SampleDatabases) -> Iterator[SampleDatabase]:
    """
    A migrated database that the tests of one module share.
    """
    with databases.fresh() as database:
        yield database


@pytest.fixture(scope="module")
def module_database_url(module_database: SampleDatabase) -> Callable[[str], str]:
    return module_database.url


async def _migrate(service: str, url: str) -> None:
    if (_SERVICES_FOLDER / service / "migrations").is_dir():
        engine = create_async_engine(url)
        try:
            await upgrade(engine, service)
        finally:
            await engine.dispose()


def _remove_leftovers() -> None:
    # A run that was killed could not remove its folder; its server has ended by itself.
    for folder in Path(tempfile.gettempdir()).glob(f"{_HOME_PREFIX}*-*"):
        owner = folder.name.removeprefix(_HOME_PREFIX).split("-")[0]
        if owner.isdigit() and not Path("/proc", owner).exists() and folder.stat().st_uid == os.getuid():
            shutil.rmtree(folder, ignore_errors=True)
