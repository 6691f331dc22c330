"""A RabbitMQ that somebody else runs, made ready for this node: users with least rights, topology, and the claim."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx

from deploy.composition import PROCESSES, SERVICES
from deploy.distributed.broker_checks import claim_broker
from deploy.distributed.database import read_identity
from deploy.distributed.settings import administration, broker_urls, database_urls
from deploy.embedded.errors import NodeError
from deploy.embedded.home import Home
from shared.messaging.rabbitmq.topology import AXIS, VHOST, hash_password


def definitions_for(home: Path | None) -> dict[str, Any]:
    """
    Write what RabbitMQ loads: every process' user with the password of its …_BROKER_URL.

    Raises:
        NodeError: One of them is missing, or they do not fit together.
    """
    urls = broker_urls(None if home is None else Home(home))
    missing = [f"{name.upper()}_BROKER_URL" for name in PROCESSES if name not in urls]
    if missing:
        raise NodeError(f"Missing: {', '.join(missing)}.", remedy="Set each, with a user named as the process.")
    hashes: dict[str, str] = {}
    for name in PROCESSES:
        parts = urlsplit(urls[name])
        if unquote(parts.username or "") != name or not parts.password:
            raise NodeError(
                f"{name.upper()}_BROKER_URL must name the user {name} and a password.",
                remedy=f"Write it as amqp://{name}:PASSWORD@HOST:5672/{VHOST}.",
            )
        hashes[name] = hash_password(unquote(parts.password))
    return AXIS.definitions(hashes, vhost=_vhost(urls))


async def set_up_broker(home: Path | None) -> None:
    """
    Load the definitions over the management interface, where one is named, and claim the broker for this node.

    Raises:
        NodeError: It refuses, is out of reach, or belongs to another node.
    """
    settings = administration()
    if settings.broker_admin_url is None:
        raise NodeError("AXIS_BROKER_ADMIN_URL is missing.", remedy="Name a user that may declare queues.")
    if settings.broker_api_url is not None:
        await _load(settings.broker_api_url.get_secret_value(), definitions_for(home))
    urls = database_urls(None if home is None else Home(home))
    identity = await read_identity(urls[SERVICES[0]])
    if identity is None:
        raise NodeError("The database was never set up.", remedy="Run `axis db upgrade` first.")
    await claim_broker(settings.broker_admin_url.get_secret_value(), identity)


async def _load(api_url: str, definitions: dict[str, Any]) -> None:
    parts = urlsplit(api_url)
    auth = (unquote(parts.username or ""), unquote(parts.password or ""))
    where = f"{parts.scheme}://{parts.hostname}:{parts.port or 15672}"
    try:
        async with httpx.AsyncClient(auth=auth, timeout=30.0) as http:
            answer = await http.post(f"{where}/api/definitions", json=definitions)
    except httpx.HTTPError as error:
        raise NodeError(
            f"RabbitMQ's management interface at {where} cannot be reached: {error}.",
            remedy="Enable it (rabbitmq-plugins enable rabbitmq_management), or load `axis broker definitions` with "
            "rabbitmqctl import_definitions and leave AXIS_BROKER_API_URL out.",
        ) from error
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        raise NodeError(
            f"RabbitMQ's management interface at {where} refuses the user {auth[0]}.",
            remedy="Name a user with the tag administrator in AXIS_BROKER_API_URL.",
        )
    if answer.is_error:
        raise NodeError(
            f"RabbitMQ refuses the topology: {answer.text[:500]}.",
            remedy="A queue of that name with other arguments is there: delete it, or use another virtual host.",
        )


def _vhost(urls: Mapping[str, str]) -> str:
    names = {unquote(urlsplit(url).path[1:]) for url in urls.values()}
    if len(names) != 1:
        raise NodeError(
            f"The …_BROKER_URL name several virtual hosts: {', '.join(sorted(names))}.",
            remedy="Name the same in all of them.",
        )
    return names.pop()
