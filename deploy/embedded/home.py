"""The node's folder: what `axis init` makes and everything else finds."""

import secrets
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from deploy.embedded.errors import NodeError
from shared.durable import replace_private

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 8080
DEFAULT_ADMIN_PORT: Final = 8081

_SECRETS: Final = ("passphrase", "pepper", "webhook-key")


class NodeConfig(BaseModel):
    """
    Who this node is; written once, in `node.json`.

    Attributes:
        node_id: Code of the agency that runs the node; part of every receipt, never changed.
        host, port: Where agencies reach it.
        admin_port: Where the command line reaches it; always on loopback.
        public_url: Address in receipts, tokens and links; never changed lightly, tokens and receipts name it.
    """

    model_config = ConfigDict(frozen=True)

    node_id: str = Field(pattern=r"^[A-Z0-9][A-Z0-9.]{0,34}$")
    host: str = DEFAULT_HOST
    port: int = Field(default=DEFAULT_PORT, ge=1, le=65535)
    admin_port: int = Field(default=DEFAULT_ADMIN_PORT, ge=1, le=65535)
    public_url: str


@dataclass(frozen=True)
class Home:
    """
    The places inside a node's folder.

    Attributes:
        root: The folder itself, mode 0700 if we made it.
    """

    root: Path

    @property
    def config_file(self) -> Path:
        return self.root / "node.json"

    @property
    def keys(self) -> Path:
        return self.root / "keys"

    @property
    def key_file(self) -> Path:
        return self.keys / "keystore.json"

    @property
    def blobs(self) -> Path:
        return self.root / "blobs"

    @property
    def postgres(self) -> Path:
        return self.root / "postgres"

    @property
    def admin_credential(self) -> Path:
        return self.root / "admin-credential.json"

    @property
    def log_file(self) -> Path:
        return self.root / "node.log"

    @property
    def systems(self) -> Path:
        """
        Credentials of the systems that this folder's owner made for trying things out.
        """
        return self.root / "systems"

    def secret_file(self, name: str) -> Path:
        """
        A file that holds one secret, mode 0600.
        """
        return self.keys / name

    def secret(self, name: str) -> str:
        """
        Read one secret.

        Raises:
            NodeError: It is missing or unreadable.
        """
        path = self.secret_file(name)
        try:
            return path.read_text(encoding="ascii").strip()
        except OSError as error:
            raise NodeError(
                f"The secret {path} cannot be read: {error.strerror}",
                remedy="Restore the keys folder from your backup; without it the node's keys cannot be opened.",
            ) from error

    def values_for(self, process: str) -> dict[str, Any]:
        """
        Give what this folder knows of the settings of a process: who the node is, and only its own secrets.
        """
        config = self.config()
        found: dict[str, Any] = {"node_id": config.node_id, "public_url": config.public_url}
        match process:
            case "gateway":
                found["node_name"] = f"Trục {config.node_id}"
            case "signing":
                found |= {"key_file": self.key_file, "passphrase_file": self.secret_file("passphrase")}
            case "registry":
                found |= {
                    "pepper": SecretStr(self.secret("pepper")),
                    "webhook_key": SecretStr(self.secret("webhook-key")),
                }
        return found

    def config(self) -> NodeConfig:
        """
        Read who this node is.

        Raises:
            NodeError: The folder was not made by `axis init`, or the file was spoiled.
        """
        try:
            return NodeConfig.model_validate_json(self.config_file.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise NodeError(
                f"{self.root} is not a node's folder: it has no node.json",
                remedy=f"Make it with: axis --home {self.root} init",
            ) from error
        except (OSError, ValidationError) as error:
            raise NodeError(
                f"{self.config_file} cannot be read", remedy="Mend the file or restore it from your backup."
            ) from error


@dataclass(frozen=True)
class InitReport:
    """
    What `axis init` found or made.

    Attributes:
        created: False when the folder was a node's already; then nothing was changed.
    """

    home: Path
    created: bool
    config: NodeConfig


def init_home(
    home: Path,
    *,
    node_id: str,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    admin_port: int = DEFAULT_ADMIN_PORT,
    public_url: str | None = None,
) -> InitReport:
    """
    Make a node's folder with its secrets; a folder that is one already is left as it is.

    The keys themselves and the first administrative credential are made when the node first starts, because they are
    bound to its database.

    Args:
        home: The folder; made if missing.
        node_id: Code of the agency that runs the node.
        host: Address agencies will reach it at.
        port: Port they will reach it at; 0 takes a free one.
        admin_port: Where the command line will reach it; port 0 takes a free one.
        public_url: Address others will see; None: `http://host:port`.

    Raises:
        NodeError: The folder cannot be written to, or holds something else.
    """
    place = Home(home.absolute())
    if place.config_file.exists():
        return InitReport(place.root, created=False, config=place.config())
    try:
        if not place.root.exists():
            place.root.mkdir(parents=True, mode=0o700)
        elif any(entry.name not in {"keys", "lost+found", "distributed"} for entry in place.root.iterdir()):
            raise NodeError(
                f"{place.root} holds other things", remedy="Choose an empty folder: axis --home FOLDER init"
            )
        place.keys.mkdir(mode=0o700, exist_ok=True)
        for name in _SECRETS:
            if not place.secret_file(name).exists():
                replace_private(place.secret_file(name), f"{secrets.token_urlsafe(32)}\n".encode())
        port = port or free_port(host)
        config = NodeConfig(
            node_id=node_id,
            host=host,
            port=port,
            admin_port=admin_port or free_port(DEFAULT_HOST),
            public_url=(public_url or f"http://{host}:{port}").rstrip("/"),
        )
        # Written last: a folder with node.json is whole.
        temporary = place.config_file.with_suffix(".new")
        temporary.write_text(config.model_dump_json(indent=2) + "\n", encoding="utf-8")
        temporary.replace(place.config_file)
    except ValidationError as error:
        wrong = ", ".join(".".join(str(part) for part in entry["loc"]) for entry in error.errors())
        raise NodeError(
            f"These do not fit: {wrong}", remedy="Give a code such as H43 and ports from 1 to 65535."
        ) from error
    except OSError as error:
        raise NodeError(
            f"{place.root} cannot be written to: {error.strerror}", remedy="Choose another folder with --home."
        ) from error
    return InitReport(place.root, created=True, config=config)


def free_port(host: str) -> int:
    """
    Find a port nobody listens on just now.
    """
    with socket.socket() as probe:
        probe.bind((host, 0))
        number: int = probe.getsockname()[1]
        return number
