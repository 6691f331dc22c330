"""What there is to save of a node, wherever its parts lie."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings
from sqlalchemy import URL, make_url

from deploy.composition import SERVICES, unusable
from deploy.distributed.settings import Given, database_urls
from deploy.embedded.errors import NodeError
from deploy.embedded.home import Home
from deploy.embedded.postgres import PrivatePostgres
from deploy.embedded.postgres.seat import lock_folder
from services.registry.settings import Settings as RegistrySettings
from services.signing.settings import Settings as SigningSettings

SettingsT = TypeVar("SettingsT", bound=BaseSettings)

APART: Final = ("passphrase", "pepper", "webhook-key")
"""The secrets that are in no backup."""


@dataclass(frozen=True)
class Site:
    """
    Where the parts of a node lie.

    Attributes:
        databases: The address of each service's schema; all in one database.
        blobs: The folder of packets.
        key_file: The node's keys, encrypted.
        config_file: `node.json` of an embedded node; elsewhere the settings are the environment's.
        secrets: What no backup holds, by the names of `APART`.
    """

    node_id: str
    public_url: str
    databases: Mapping[str, URL]
    blobs: Path
    key_file: Path
    config_file: Path | None
    secrets: Mapping[str, bytes]


@asynccontextmanager
async def embedded_site(home: Home) -> AsyncIterator[Site]:
    """
    Look into a node's folder; its database is started for as long as this takes, unless the node runs.

    Raises:
        NodeError: It is no node's folder, or the database cannot be started.
    """
    config = home.config()
    secrets = {name: home.secret(name).encode("ascii") for name in APART}
    postgres = PrivatePostgres(home.postgres)
    if home.postgres.is_dir() and not _is_used(home.postgres):
        await postgres.start()
    try:
        yield Site(
            node_id=config.node_id,
            public_url=config.public_url,
            databases={service: make_url(postgres.dsn(service)) for service in SERVICES},
            blobs=home.blobs,
            key_file=home.key_file,
            config_file=home.config_file,
            secrets=secrets,
        )
    finally:
        await postgres.stop()


def distributed_site(home: Home | None) -> Site:
    """
    Take every part from what the processes are given: their environment, the folder of secrets, the node's folder.

    Raises:
        NodeError: A setting is missing or wrong, or two databases are named.
    """
    databases = {service: make_url(url) for service, url in database_urls(home).items()}
    if len({(url.host, url.port, url.database, url.query.get("host")) for url in databases.values()}) > 1:
        raise NodeError(
            "Các dịch vụ ở nhiều cơ sở dữ liệu. / The services are in several databases.",
            remedy="Một bản sao lưu nhất quán cần một cơ sở dữ liệu chung. / A consistent backup needs one for all.",
        )
    signing = read_settings(SigningSettings, home)
    registry = read_settings(RegistrySettings, home)
    try:
        passphrase = signing.passphrase_file.read_bytes().strip()
    except OSError as error:
        raise NodeError(
            f"Không đọc được {signing.passphrase_file}: {error.strerror}. / The passphrase cannot be read.",
            remedy="Chạy bằng tài khoản của tiến trình signing. / Run as the account of the signing process.",
        ) from error
    routing = Given("routing", home)
    return Site(
        node_id=routing.node_id,
        public_url=routing.public_url,
        databases=databases,
        blobs=routing.blob_folder,
        key_file=signing.key_file,
        config_file=None,
        secrets={
            "passphrase": passphrase,
            "pepper": registry.pepper.get_secret_value().encode(),
            "webhook-key": registry.webhook_key.get_secret_value().encode(),
        },
    )


def read_settings(kind: type[SettingsT], home: Home | None) -> SettingsT:
    """
    Read a service's settings as its process would.

    Raises:
        NodeError: One is missing or wrong.
    """
    process = kind.__module__.split(".")[-2]
    try:
        return kind(**Given(process, home).values())
    except ValidationError as error:
        raise unusable(kind, error) from None  # what the library quotes may be a secret


def _is_used(folder: Path) -> bool:
    try:
        lock_folder(folder).close()
    except NodeError:
        return True
    return False
