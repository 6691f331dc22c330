"""The database of many processes: made and migrated by an administrator, looked at by each process before it starts."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote, unquote, urlsplit, urlunsplit
from uuid import UUID, uuid4

import asyncpg

from deploy.composition import SERVICES
from deploy.distributed.settings import Given, administration, database_urls
from deploy.embedded.errors import NodeError
from deploy.embedded.home import Home
from deploy.embedded.postgres.schemas import Role, create_database, create_schemas, plain
from shared.database import Database, MigrationMismatch, check_migrations, upgrade

CLOCK_TOLERANCE: Final = timedelta(seconds=60)
"""Beyond this tokens are refused for no fault of their caller's; `axis doctor` complains far earlier."""

_CONNECT_SECONDS: Final = 10.0
_ANSWER_SECONDS: Final = 2.0
_WAIT_FOR_SERVER_SECONDS: Final = 30.0
"""A machine that has just booted starts everything at once; a server that needs longer is started by somebody else."""

_SINGLETON_LOCK: Final = 0x61786973
"""Advisory lock of the one sequencer: "axis"."""

_NOTICED_SOON: Final = {
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
"""A holder whose machine has died loses its place within half a minute, not after the two hours TCP would take."""

_NODE_TABLE: Final = """
CREATE TABLE IF NOT EXISTS public.node (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    node_id text NOT NULL,
    public_url text NOT NULL,
    installation uuid NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now()
)
"""


@dataclass(frozen=True)
class Identity:
    """
    Whose database it is.

    Attributes:
        node_id: Identifier of the node.
        installation: Made with the database; the broker is claimed for it.
    """

    node_id: str
    installation: UUID


async def upgrade_all(admin_url: str, urls: Mapping[str, str], *, node_id: str, public_url: str) -> Identity:
    """
    Make database, roles and schemas where they are missing, and bring each schema to this release.

    Args:
        admin_url: A role that may make roles and databases.
        urls: Each service's own way in; its role is named as the service, its password becomes the role's.
        node_id: Whose database this is from now on.
        public_url: Noted for people who find the database and wonder.

    Raises:
        NodeError: The server refuses, or the database belongs to another node.
    """
    names = {urlsplit(url).path.lstrip("/") or "axis" for url in urls.values()}
    if len(names) != 1:
        raise NodeError(
            f"The services name several databases: {', '.join(sorted(names))}.",
            remedy="One node keeps everything in one database, a schema for each service: name the same in all.",
        )
    database = names.pop()
    roles = [_role(service, url) for service, url in urls.items()]
    async with _administrator(admin_url, None) as connection:
        await create_database(connection, database)
    async with _administrator(admin_url, database) as connection:
        identity = await _claim(connection, node_id, public_url)
        await create_schemas(connection, database, roles)
        for role in roles:
            await connection.execute(f'GRANT SELECT ON public.node TO "{role.name}"')
    for service, url in urls.items():
        its = Database(url, service=service, pool_size=1)
        try:
            await upgrade(its.engine, service)
        finally:
            await its.close()
    return identity


async def upgrade_as_administrator(home: Home | None) -> Identity:
    """
    The same, by settings alone: what `axis db upgrade` does for a server that somebody else runs.
    """
    admin_url = administration().database_admin_url
    assert admin_url is not None
    first = Given(SERVICES[0], home)
    return await upgrade_all(
        admin_url.get_secret_value(), database_urls(home), node_id=first.node_id, public_url=first.public_url
    )


async def check_database(service: str, url: str, *, node_id: str) -> Identity:
    """
    Look whether a service can work with its database.

    Raises:
        NodeError: It cannot, with the remedy.
    """
    connection = await connect_patiently(url, service)
    try:
        theirs: datetime = await connection.fetchval("SELECT clock_timestamp()")
        apart = abs(datetime.now(UTC) - theirs)
        if apart > CLOCK_TOLERANCE:
            raise NodeError(
                f"The clocks of this machine and of the database are {apart.total_seconds():.0f} s apart.",
                remedy="Synchronise both (systemctl enable --now systemd-timesyncd), then start again.",
            )
        if not await connection.fetchval(
            "SELECT has_schema_privilege(oid, 'CREATE') FROM pg_namespace WHERE nspname = $1", service
        ):
            user = await connection.fetchval("SELECT current_user")
            raise NodeError(
                f"The database holds no schema {service} that the role {user} may use.",
                remedy="Run `axis db upgrade`, and let each service connect as the role that is named like it.",
            )
        identity = await _read_identity(connection)
    finally:
        await connection.close()
    if identity is None or identity.node_id != node_id:
        whose = "no node" if identity is None else f"node {identity.node_id}"
        raise NodeError(
            f"The database belongs to {whose}, and this process to node {node_id}.",
            remedy=f"Name the database of {node_id}, or run `axis db upgrade` to make one.",
        )
    its = Database(url, service=service, pool_size=1)
    try:
        await check_migrations(its.engine, service)
    except MigrationMismatch as error:
        raise NodeError(
            f"The database does not fit this release: {error}.",
            remedy="Run `axis db upgrade` of the newest release that runs, then start again.",
        ) from error
    finally:
        await its.close()
    return identity


async def read_identity(url: str) -> Identity | None:
    """
    Read whose database it is; None when nobody has claimed it.
    """
    connection = await connect(url, "the administrator")
    try:
        return await _read_identity(connection)
    finally:
        await connection.close()


class Line:
    """
    One connection kept as long as the process lives: it tells readiness, and keeps the one sequencer the only one.

    Args:
        service: Whose.
        url: Its way in.
        alone: True where no second copy may run.
    """

    def __init__(self, service: str, url: str, *, alone: bool) -> None:
        self._service = service
        self._url = url
        self._alone = alone
        self._connection: asyncpg.Connection | None = None
        self._has_place = not alone
        self._turn = asyncio.Lock()

    async def open(self, patience_seconds: float) -> None:
        """
        Connect; where no second copy may run, wait a while for the former to go.

        Raises:
            NodeError: Another copy runs.
        """
        deadline = asyncio.get_running_loop().time() + patience_seconds
        while not await self.holds():
            if asyncio.get_running_loop().time() > deadline:
                raise NodeError(
                    f"Another {self._service} works on this database, and only one may.",
                    remedy=f"Stop the other, or name another database: a node has exactly one {self._service}.",
                )
            await asyncio.sleep(0.5)

    async def holds(self) -> bool:
        """
        Tell whether the database answers, and whether we are still the only one where that matters.
        """
        async with self._turn:
            try:
                return await self._ask()
            except BaseException:
                # On a connection whose answer never came nothing can be asked again.
                if self._connection is not None:
                    self._connection.terminate()
                    self._connection = None
                raise

    async def close(self) -> None:
        """
        Give the connection back, and with it the place.
        """
        if self._connection is not None:
            with contextlib.suppress(OSError, asyncpg.PostgresError):
                await self._connection.close(timeout=2.0)
            self._connection = None

    async def _ask(self) -> bool:
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(
                _dsn(self._url), timeout=_CONNECT_SECONDS, server_settings=_NOTICED_SOON
            )
            self._has_place = not self._alone
        if self._has_place:
            await self._connection.fetchval("SELECT 1", timeout=_ANSWER_SECONDS)
        else:
            # The lock is the connection's: whoever dies, or is cut off, gives it up.
            self._has_place = await self._connection.fetchval("SELECT pg_try_advisory_lock($1)", _SINGLETON_LOCK)
        return self._has_place


async def connect_patiently(url: str, who: str) -> asyncpg.Connection:
    """
    Connect, and wait for a server that is only just starting.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _WAIT_FOR_SERVER_SECONDS
    while True:
        try:
            return await connect(url, who)
        except NodeError as error:
            passing = isinstance(error.__cause__, OSError | asyncpg.CannotConnectNowError)
            if not passing or loop.time() > deadline:
                raise
        await asyncio.sleep(0.5)


async def connect(url: str, who: str) -> asyncpg.Connection:
    """
    Connect once.

    Raises:
        NodeError: With what was refused, and the remedy.
    """
    where = _where(url)
    try:
        return await asyncpg.connect(_dsn(url), timeout=_CONNECT_SECONDS)
    except (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError) as error:
        raise NodeError(
            f"The database at {where} refuses the name or password of {who}.",
            remedy="Mend the …DATABASE_URL; `axis db upgrade` gives the roles the passwords named there.",
        ) from error
    except asyncpg.InvalidCatalogNameError as error:
        raise NodeError(
            f"The server at {where} has no such database.", remedy="Make it with `axis db upgrade`."
        ) from error
    except asyncpg.TooManyConnectionsError as error:
        raise NodeError(
            f"The database at {where} has no connection left.",
            remedy="Raise max_connections of PostgreSQL: every copy of a service takes up to 16.",
        ) from error
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        raise NodeError(
            f"The database at {where} cannot be reached: {error}.".replace("..", "."),
            remedy="Start PostgreSQL, or mend host and port in the …DATABASE_URL.",
        ) from error


@contextlib.asynccontextmanager
async def _administrator(admin_url: str, database: str | None) -> AsyncIterator[asyncpg.Connection]:
    parts = urlsplit(admin_url)
    url = admin_url if database is None else urlunsplit(parts._replace(path=f"/{quote(database)}"))
    connection = await connect(url, "the administrator")
    try:
        yield connection
    except asyncpg.InsufficientPrivilegeError as error:
        raise NodeError(
            f"The role {unquote(parts.username or '')} may not set up the database: {error}.",
            remedy="Name a role that may make roles and databases in AXIS_DATABASE_ADMIN_URL.",
        ) from error
    finally:
        await connection.close()


async def _claim(connection: asyncpg.Connection, node_id: str, public_url: str) -> Identity:
    await connection.execute(_NODE_TABLE)
    await connection.execute(
        "INSERT INTO public.node (node_id, public_url, installation) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        node_id,
        public_url,
        uuid4(),
    )
    identity = await _read_identity(connection)
    assert identity is not None
    if identity.node_id != node_id:
        raise NodeError(
            f"The database belongs to node {identity.node_id}, not to {node_id}.",
            remedy="Name another database: two nodes never share one.",
        )
    return identity


async def _read_identity(connection: asyncpg.Connection) -> Identity | None:
    try:
        row = await connection.fetchrow("SELECT node_id, installation FROM public.node")
    except (asyncpg.UndefinedTableError, asyncpg.InsufficientPrivilegeError):
        return None
    return None if row is None else Identity(row["node_id"], UUID(str(row["installation"])))


def _role(service: str, url: str) -> Role:
    parts = urlsplit(url)
    name = unquote(parts.username or "")
    if name != service:
        raise NodeError(
            f"{service.upper()}_DATABASE_URL names the role {name or '(none)'}; it must be {plain(service)}.",
            remedy="Each service connects as the role that is named like it; `axis db upgrade` makes the roles.",
        )
    return Role(name, None if parts.password is None else unquote(parts.password))


def _dsn(url: str) -> str:
    return url.replace("postgresql+asyncpg://", "postgresql://", 1)


def _where(url: str) -> str:
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.hostname or 'a socket'}{port}{parts.path}"
