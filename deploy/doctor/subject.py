"""Whom the doctor looks at: an embedded node by its folder, a distributed one by its settings."""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from deploy.backup.site import read_settings
from deploy.composition import GATEWAY, PROCESSES, SERVICES
from deploy.distributed.broker import PrivateRabbit
from deploy.distributed.folder import Folder
from deploy.distributed.settings import Given
from deploy.embedded.errors import NodeError
from deploy.embedded.home import Home
from deploy.embedded.postgres import PrivatePostgres
from deploy.embedded.postgres.seat import find_seat, lock_folder
from gateway.settings import Settings as GatewaySettings

_LISTENER: Final = re.compile(r"^listeners\.tcp\S*\s*=\s*\S*?(\d+)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Subject:
    """
    A node and where its parts are.

    Attributes:
        node_id, public_url: Who it is; of a distributed node what each process was told, by process.
        databases: The address of each service's schema, as far as it is known.
        brokers: The address of the broker for each process; none of an embedded node.
        blobs: Folder of the packets; None where it is not known.
        key_file, passphrase_file: The key store; None where signing runs elsewhere.
        secret_files: Files that nobody else may read.
        writers: What is written where on this machine, by Vietnamese and English name.
        door: Address at which the node is asked.
        authority: PEM file of who vouches for that address, beside those the machine knows.
        certificates: PEM files of the proxy.
        is_private: The database is the node's own, on this machine.
        is_stopped: Known not to run, so that nothing can drain.
        missing: What could not be found out, and the remedy.
    """

    node_id: Mapping[str, str]
    public_url: Mapping[str, str]
    databases: Mapping[str, str]
    brokers: Mapping[str, str]
    blobs: Path | None
    key_file: Path | None
    passphrase_file: Path | None
    secret_files: tuple[Path, ...]
    writers: Mapping[tuple[str, str], Path]
    door: str
    authority: Path | None = None
    certificates: tuple[Path, ...] = ()
    is_private: bool = False
    is_stopped: bool = False
    missing: tuple[NodeError, ...] = field(default=())


@asynccontextmanager
async def embedded_subject(home: Home) -> AsyncIterator[Subject]:
    """
    Look into a node's folder. Its database is started for as long as this takes, unless the node runs.

    Raises:
        NodeError: It is no node's folder.
    """
    config = home.config()
    postgres = PrivatePostgres(home.postgres)
    missing: list[NodeError] = []
    databases: dict[str, str] = {}
    is_stopped = False
    try:
        if find_seat(home.postgres) is not None:
            is_stopped = not _is_used(home.postgres)
            if is_stopped:
                await postgres.start()
            databases = {service: postgres.dsn(service) for service in SERVICES}
    except NodeError as error:
        missing.append(error)
    try:
        yield Subject(
            node_id={"node.json": config.node_id},
            public_url={"node.json": config.public_url},
            databases=databases,
            brokers={},
            blobs=home.blobs,
            key_file=home.key_file,
            passphrase_file=home.secret_file("passphrase"),
            secret_files=(*(home.secret_file(one) for one in ("passphrase", "pepper", "webhook-key")), home.key_file),
            writers=_writers(home, home.blobs, home.root),
            door=f"http://{config.host}:{config.port}",
            is_private=True,
            is_stopped=is_stopped,
            missing=tuple(missing),
        )
    finally:
        await postgres.stop()


async def distributed_subject(home: Home | None) -> Subject:
    """
    Take every part from what the processes are given; of a deployment that `make up` started, from its folder.
    """
    found = _Found(home)
    databases = {name: url for name in SERVICES if (url := found.ask(lambda given: given.database_url, name))}
    brokers = {name: url for name in PROCESSES if (url := found.ask(lambda given: given.broker_url, name))}
    folder = None if home is None else Folder(home.root)
    is_private = folder is not None and not databases and folder.home.postgres.is_dir()
    if folder is not None and is_private:
        found.forgive("DATABASE_URL")
        try:
            postgres = PrivatePostgres(folder.home.postgres)
            databases = {name: await asyncio.to_thread(postgres.dsn, name) for name in SERVICES}
        except NodeError as error:
            found.missing.append(error)
    if folder is not None and not brokers and folder.rabbitmq.is_dir():
        found.forgive("BROKER_URL")
        port, rabbit = _broker_port(folder.rabbitmq), PrivateRabbit(folder.rabbitmq)
        if port is None:
            found.missing.append(NodeError("The private RabbitMQ was never started.", remedy="Start it: make up."))
        else:
            brokers = {name: rabbit.url(name, port=port) for name in PROCESSES}
    blobs = found.ask(lambda given: given.blob_folder, "routing")
    values: dict[str, Any] = {}
    for name in ("key_file", "passphrase_file"):
        given = found.ask(lambda given, name=name: given.value(name), "signing")
        values[name] = None if given is None else Path(given)
    secrets = [path for path in values.values() if path is not None]
    if home is not None and home.config_file.exists():
        secrets += [home.secret_file("pepper"), home.secret_file("webhook-key")]
    authority = folder.authority if folder is not None and folder.authority.exists() else None
    proxy = _variable("PROXY_CERTIFICATE_FILE")
    public_url = {name: url for name in PROCESSES if (url := found.ask(lambda given: given.public_url, name))}
    return Subject(
        node_id={name: one for name in PROCESSES if (one := found.ask(lambda given: given.node_id, name))},
        public_url=public_url,
        databases=databases,
        brokers=brokers,
        blobs=blobs,
        key_file=values["key_file"],
        passphrase_file=values["passphrase_file"],
        secret_files=tuple(secrets),
        writers=_writers(home, blobs, None if folder is None else folder.logs),
        door=public_url.get(GATEWAY, ""),
        authority=authority,
        certificates=() if proxy is None else (Path(proxy),),
        is_private=is_private,
        missing=tuple(found.missing),
    )


def watermark(home: Home | None) -> int:
    """
    Tell the room below which the gateway takes no packets.
    """
    return read_settings(GatewaySettings, home).min_free_bytes


class _Found:
    """Asks each process' settings, and keeps what they do not say."""

    def __init__(self, home: Home | None) -> None:
        self._home = home if home is not None and home.config_file.exists() else None
        self.missing: list[NodeError] = []

    def ask(self, question: Any, process: str) -> Any:
        try:
            return question(Given(process, self._home))
        except NodeError as error:
            if error.problem not in {one.problem for one in self.missing}:
                self.missing.append(error)
            return None

    def forgive(self, what: str) -> None:
        """What the folder knows need not be set."""
        self.missing = [one for one in self.missing if what not in one.problem]


def _writers(home: Home | None, blobs: Path | None, logs: Path | None) -> dict[tuple[str, str], Path]:
    found: dict[tuple[str, str], Path] = {}
    if blobs is not None:
        found["gói tin", "packets"] = blobs
    if logs is not None:
        found["nhật ký", "logs"] = logs
    if home is not None:
        found["khóa", "keys"] = home.keys
        try:
            seat = find_seat(home.postgres)
        except NodeError:
            seat = None
        if seat is not None:
            found["cơ sở dữ liệu", "database"] = seat.root
    return found


def _broker_port(folder: Path) -> int | None:
    """Read the port of a private broker from the configuration that it was started with."""
    try:
        place = Path((folder / "place").read_text(encoding="utf-8").strip())
        listener = _LISTENER.search((place / "rabbitmq.conf").read_text(encoding="utf-8"))
    except OSError:
        return None
    return None if listener is None else int(listener[1])


def _variable(name: str) -> str | None:
    return next((value for key, value in os.environ.items() if key.upper() == name.upper()), None)


def _is_used(folder: Path) -> bool:
    try:
        lock_folder(folder).close()
    except NodeError:
        return True
    return False
