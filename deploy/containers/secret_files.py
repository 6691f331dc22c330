"""`python -m deploy.containers.secret_files FOLDER`: every secret of a node, made once, a folder for each process."""

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Protocol

import typer

from deploy.composition import PROCESSES, SERVICES
from deploy.proxy.certificates import make_certificate
from shared.messaging.rabbitmq.topology import AXIS, VHOST, hash_password

ACCOUNT: Final = 10001
"""Account of every process in the image."""

DATABASE: Final = "axis"
ADMINISTRATOR: Final = "administrator"
"""Who sets up database and broker; no process of the node is it."""

_OWN: Final[Mapping[str, tuple[str, ...]]] = {
    "registry": ("registry_pepper", "registry_webhook_key"),
    "signing": ("signing_passphrase",),
}


@dataclass(frozen=True)
class Servers:
    """
    Where the processes find them.

    Attributes:
        database: `host:port` of PostgreSQL.
        broker: `host:port` of RabbitMQ.
    """

    database: str = "postgres:5432"
    broker: str = "rabbitmq:5672"


class _Write(Protocol):
    def __call__(self, place: str, text: str, *, mode: int = ...) -> str: ...


def make_secrets(folder: Path, servers: Servers, names: tuple[str, ...] = ("localhost", "127.0.0.1")) -> list[Path]:
    """
    Make every secret that is missing; what is there stays as it is.

    Args:
        folder: Where to, a subfolder for each process.
        servers: Where database and broker will be.
        names: Names of the proxy's certificate for tries, where it has none.

    Returns:
        The files made.
    """
    made: list[Path] = []
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def secret(place: str, text: str, *, mode: int = 0o400) -> str:
        path = folder / place
        if path.exists():
            return path.read_text(encoding="utf-8").strip()
        path.parent.mkdir(exist_ok=True, mode=0o700)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
            file.write(text + "\n")
        made.append(path)
        return text

    for service in SERVICES:
        password = secrets.token_urlsafe(24)
        url = f"postgresql+asyncpg://{service}:{password}@{servers.database}/{DATABASE}"
        secret(f"{service}/{service}_database_url", url)
    brokers = {name: secrets.token_urlsafe(24) for name in PROCESSES}
    for process, password in brokers.items():
        secret(f"{process}/{process}_broker_url", f"amqp://{process}:{password}@{servers.broker}/{VHOST}")
    for process, own in _OWN.items():
        for name in own:
            secret(f"{process}/{name}", secrets.token_urlsafe(32))

    password = secret("postgres/postgres_password", secrets.token_urlsafe(24))
    secret("setup/axis_database_admin_url", f"postgresql://postgres:{password}@{servers.database}/postgres")
    admin = secrets.token_urlsafe(24)
    secret("setup/axis_broker_admin_url", f"amqp://{ADMINISTRATOR}:{admin}@{servers.broker}/{VHOST}")
    _define_broker(folder, made, secret)
    _certify(folder, names, made)
    if os.geteuid() == 0:
        _hand_over(folder, made)
    return made


def _define_broker(folder: Path, made: list[Path], secret: _Write) -> None:
    """Only hashes of passwords; they are taken from the addresses, so that the two always agree."""
    hashes = {}
    for name in (*PROCESSES, ADMINISTRATOR):
        place = "setup/axis_broker_admin_url" if name == ADMINISTRATOR else f"{name}/{name}_broker_url"
        address = (folder / place).read_text(encoding="utf-8")
        hashes[name] = hash_password(address.split("@", maxsplit=1)[0].rpartition(":")[2])
    path = folder / "rabbitmq" / "broker_definitions.json"
    if not path.exists() or any(file.name.endswith("_broker_url") for file in made):
        path.unlink(missing_ok=True)
        secret("rabbitmq/broker_definitions.json", json.dumps(AXIS.definitions(hashes), indent=1), mode=0o444)


def _certify(folder: Path, names: tuple[str, ...], made: list[Path]) -> None:
    files = {name: folder / "proxy" / name for name in ("proxy_certificate", "proxy_key")}
    if any(path.exists() for path in files.values()):
        return
    tried = make_certificate(folder / "proxy-for-tries", names)
    (folder / "proxy").mkdir(exist_ok=True, mode=0o700)
    for path, source in ((files["proxy_certificate"], tried.certificate), (files["proxy_key"], tried.key)):
        path.write_bytes(source.read_bytes())
        path.chmod(0o400)
        made.append(path)


def _hand_over(folder: Path, made: list[Path]) -> None:
    """A file in a container keeps its owner, so the account there must be it."""
    for path in made:
        if path.relative_to(folder).parts[0] not in {"postgres", "rabbitmq"}:
            os.chown(path, ACCOUNT, ACCOUNT)


def main(
    folder: Annotated[Path, typer.Argument(help="Thư mục bí mật. / Folder of the secrets.")],
    database: Annotated[str, typer.Option(help="PostgreSQL, host:port.")] = Servers.database,
    broker: Annotated[str, typer.Option(help="RabbitMQ, host:port.")] = Servers.broker,
    name: Annotated[
        list[str] | None, typer.Option(help="Tên trong chứng thư thử của proxy. / Name in the proxy's certificate.")
    ] = None,
) -> None:
    """
    Tạo các bí mật còn thiếu. / Make the secrets that are missing.
    """
    made = make_secrets(folder, Servers(database, broker), tuple(name or ("localhost", "127.0.0.1")))
    typer.echo(f"{len(made)} tệp mới trong {folder}. / {len(made)} new files in {folder}.")
    if os.geteuid() != 0:
        typer.echo(
            f"Tài khoản {ACCOUNT} trong vùng chứa phải đọc được: / the account {ACCOUNT} must be able to read them: "
            f"sudo chown -R {ACCOUNT} {folder}/*/"
        )


if __name__ == "__main__":
    typer.run(main)
