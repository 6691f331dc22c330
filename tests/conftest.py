"""
One private PostgreSQL and one private RabbitMQ for the whole run; a database or a virtual host of its own for whoever
asks.
"""

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from deploy.distributed.broker import PROGRAMS, PrivateRabbit
from deploy.embedded.postgres import PrivatePostgres
from shared.database import upgrade
from shared.messaging.rabbitmq.topology import AXIS
from shared.testing.postgres import SampleDatabase, SampleDatabases, run_apart

# `sample` is the schema of no service: for tests of shared parts that bring tables of their own.
SERVICES = ["registry", "signing", "routing", "delivery", "audit", "sample"]
_HOME_PREFIX = "axis-tests-"
_vhosts = itertools.count(1)
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


@pytest.fixture(scope="session")
def rabbit() -> Iterator[PrivateRabbit]:
    """
    A broker that ends with this run, even when the run is killed.
    """
    if not PROGRAMS.exists():
        pytest.skip("RabbitMQ is not installed: apt-get install rabbitmq-server")
    _remove_leftovers()
    home = Path(tempfile.mkdtemp(prefix=f"{_HOME_PREFIX}{os.getpid()}-"))
    home.chmod(0o755)  # as root the broker's account must get through
    broker = PrivateRabbit(home / "rabbitmq", tied=True)
    try:
        run_apart(broker.start)
        yield broker
    finally:
        run_apart(broker.remove)
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def vhost(rabbit: PrivateRabbit) -> Iterator[str]:
    """
    A virtual host with the product's topology for one test: `rabbit.url("routing", vhost)`.
    """
    name = f"test-{next(_vhosts)}"
    run_apart(lambda: rabbit.add_vhosts([name], AXIS))
    yield name
    run_apart(lambda: rabbit.remove_vhost(name))


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
