"""
Where a process finds the broker, the packets and its own listeners; what it decides by stands in its settings.

Every variable can be given for one process (`ROUTING_BROKER_URL`) or, where it is the same for all, for every one
(`AXIS_BLOB_FOLDER`). With `--home`, the node's folder gives what nobody else has given.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from deploy.composition import PROCESSES, SERVICES, settings_class, unusable
from deploy.embedded.errors import NodeError
from deploy.embedded.home import Home

COMMON: Final = "AXIS_"

_OF_THE_NODE: Final = ("node_id", "public_url")
"""Settings that every process has and that are the same in all."""


class ProcessSettings(BaseSettings):
    """
    What one process must be told beside its service's settings: `AXIS_…`, or under the prefix of the process.
    """

    model_config = SettingsConfigDict(env_prefix=COMMON, extra="ignore", frozen=True)

    node_id: str | None = Field(default=None, description="Identifier of the node, for every process at once.")
    public_url: str | None = Field(default=None, description="Public address of the node, for every process at once.")
    broker_url: SecretStr | None = Field(
        default=None, description="RabbitMQ, with the process' own user: amqp://routing:…@host:5672/vhost."
    )
    blob_folder: Path | None = Field(
        default=None, description="Where packets lie; the same folder for gateway, registry and routing."
    )
    secrets_folder: Path | None = Field(
        default=None,
        description="Folder in which a file called as a variable in small letters holds its value, as /run/secrets.",
    )
    listen_host: str = Field(default="127.0.0.1", description="Where the gateway listens for agencies, or its proxy.")
    listen_port: int = Field(default=8080, ge=1, le=65535, description="Port of the same.")
    admin_host: str = Field(
        default="127.0.0.1", description="Where the gateway listens for operators; never reachable from outside."
    )
    admin_port: int = Field(default=8081, ge=1, le=65535, description="Port of the same.")
    health_host: str = Field(default="127.0.0.1", description="Where a service tells its health and figures.")
    health_port: int = Field(default=9090, ge=1, le=65535, description="Port of the same.")
    drain_seconds: float = Field(
        default=15, gt=0, description="How long work in hand may take to end once the process is told to stop."
    )


class AdministrationSettings(BaseSettings):
    """
    What only `axis db upgrade` and `axis broker setup` need: `AXIS_…`.
    """

    model_config = SettingsConfigDict(env_prefix=COMMON, extra="ignore", frozen=True)

    database_admin_url: SecretStr | None = Field(
        default=None,
        description="PostgreSQL as a role that may make roles and databases: postgresql://postgres:…@host/postgres.",
    )
    broker_admin_url: SecretStr | None = Field(
        default=None, description="RabbitMQ as a user that may make users: amqp://admin:…@host:5672/vhost."
    )
    broker_api_url: SecretStr | None = Field(
        default=None, description="Its management interface, with the same user: http://admin:…@host:15672."
    )
    secrets_folder: Path | None = Field(default=None, description="As of every process.")


class Given:
    """
    Everything one process was given, by its environment, a folder of secrets, and the node's folder, in this order.

    Args:
        process: Which one.
        home: The node's folder; None where settings say everything.
    """

    def __init__(self, process: str, home: Home | None = None) -> None:
        settings_class(process)  # refuses what is no process of ours
        self.name = process
        self._home = home
        self._prefix = f"{process.upper()}_"
        common = _process_settings(COMMON, None)
        folder = _process_settings(self._prefix, None).secrets_folder or common.secrets_folder
        own = _process_settings(self._prefix, folder)
        common = _process_settings(COMMON, folder)
        self.process = common.model_copy(update={name: getattr(own, name) for name in own.model_fields_set})

    @property
    def node_id(self) -> str:
        """
        Identifier of the node.
        """
        return str(self.value("node_id"))

    @property
    def public_url(self) -> str:
        """
        Public address of the node.
        """
        return str(self.value("public_url"))

    @property
    def broker_url(self) -> str:
        """
        The broker, as this process' own user.
        """
        if self.process.broker_url is None:
            raise _missing(f"{self._prefix}BROKER_URL")
        return self.process.broker_url.get_secret_value()

    @property
    def database_url(self) -> str:
        """
        The database, as the service's own role; for SQLAlchemy.
        """
        return _plain(self.value("database_url"))

    @property
    def blob_folder(self) -> Path:
        """
        Where packets lie.
        """
        if self.process.blob_folder is not None:
            return self.process.blob_folder
        if self._home is None:
            raise _missing(f"{COMMON}BLOB_FOLDER")
        return self._home.blobs

    def values(self) -> dict[str, Any]:
        """
        What the service's settings are told outright: all that its own variables do not say.
        """
        fields = settings_class(self.name).model_fields
        found: dict[str, Any] = {}
        for name in fields:
            value = self.value(name, required=False)
            if value is not None and not self._in_environment(name):
                found[name] = value
        return found

    def value(self, name: str, *, required: bool = True) -> Any:
        """
        Look one setting of the service up: environment, folder of secrets, node's folder.

        Raises:
            NodeError: Nobody gave it, and it is required.
        """
        variable = f"{self._prefix}{name}"
        if (value := _in_environment(variable)) is not None:
            return value
        if (value := self._secret(variable)) is not None:
            return value
        if name in _OF_THE_NODE and (value := getattr(self.process, name)) is not None:
            return value
        if self._home is not None and (value := self._home.values_for(self.name).get(name)) is not None:
            return value
        if required:
            raise _missing(variable.upper())
        return None

    def _in_environment(self, name: str) -> bool:
        return _in_environment(f"{self._prefix}{name}") is not None

    def _secret(self, variable: str) -> str | None:
        folder = self.process.secrets_folder
        if folder is None:
            return None
        file = folder / variable.lower()
        try:
            return file.read_text(encoding="utf-8").strip() if file.exists() else None
        except OSError as error:
            raise NodeError(
                f"The secret {file} cannot be read: {error.strerror}.",
                remedy="Give the account of this process the right to read it.",
            ) from error


def variables_of(process: str) -> frozenset[str]:
    """
    Tell every variable a process reads.
    """
    own = [*settings_class(process).model_fields, *ProcessSettings.model_fields]
    return frozenset(
        [f"{process.upper()}_{name.upper()}" for name in own]
        + [f"{COMMON}{name.upper()}" for name in ProcessSettings.model_fields]
    )


def administration() -> AdministrationSettings:
    """
    Read what only setting up needs.
    """
    first = AdministrationSettings()
    return first if first.secrets_folder is None else _with_secrets(AdministrationSettings, first.secrets_folder)


def broker_urls(home: Home | None) -> Mapping[str, str]:
    """
    The broker as each process reaches it, as far as it was given.
    """
    given = {name: Given(name, home).process.broker_url for name in PROCESSES}
    return {name: url.get_secret_value() for name, url in given.items() if url is not None}


def database_urls(home: Home | None) -> Mapping[str, str]:
    """
    The database as each service reaches it.

    Raises:
        NodeError: One is missing.
    """
    return {name: Given(name, home).database_url for name in SERVICES}


def _process_settings(prefix: str, secrets: Path | None) -> ProcessSettings:
    try:
        return ProcessSettings(_env_prefix=prefix, _secrets_dir=_folder(secrets))
    except ValidationError as error:
        raise unusable(ProcessSettings, error, prefix=prefix) from None


def _with_secrets(settings: type[AdministrationSettings], folder: Path) -> AdministrationSettings:
    return settings(_secrets_dir=_folder(folder))


def _folder(folder: Path | None) -> Path | None:
    if folder is not None and not folder.is_dir():
        raise NodeError(f"{folder} is no folder of secrets.", remedy="Mend AXIS_SECRETS_FOLDER, or unset it.")
    return folder


def _in_environment(variable: str) -> str | None:
    # The settings classes do not mind how a variable is written, so we must not either.
    wanted = variable.upper()
    return next((value for name, value in os.environ.items() if name.upper() == wanted), None)


def _plain(value: Any) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def _missing(variable: str) -> NodeError:
    return NodeError(
        f"{variable} is missing.", remedy="Set it in the environment, or as a file of AXIS_SECRETS_FOLDER."
    )
