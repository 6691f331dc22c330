"""The proxy as a process: in the foreground, following its gateways and its certificate as they change."""

import hashlib
import socket
import threading
from collections.abc import Iterable
from pathlib import Path

from deploy.proxy.errors import ProxyError
from deploy.proxy.nginx import Proxy
from deploy.proxy.settings import Settings
from shared.telemetry import get_logger

_logger = get_logger(__name__)


def run(settings: Settings, stop: threading.Event) -> None:
    """
    Run the proxy until it is told to stop.

    Args:
        settings: What it must be told.
        stop: Set by whoever ends it.

    Raises:
        ProxyError: It cannot start, or it ended by itself.
    """
    wanted = [part.strip() for part in settings.gateways.split(",") if part.strip()]
    gateways = _first_addresses(wanted, settings.look_seconds, stop)
    if stop.is_set():
        return
    files = [path for path in (settings.certificate_file, settings.key_file, settings.client_ca_file) if path]
    proxy = Proxy(
        settings.folder,
        gateways=gateways,
        certificate=settings.certificate_file,
        key=settings.key_file,
        client_ca=settings.client_ca_file,
        host=settings.host,
        port=settings.port,
        public_url=settings.public_url,
        workers=settings.workers,
        access_log="/dev/stdout",
        error_log="stderr",
        shutdown_seconds=settings.shutdown_seconds,
    )
    # Read before nginx reads them, so that a change in between is seen as one.
    known = digest_of(files)
    with proxy:
        _logger.info("proxy ready", url=proxy.url, gateways=gateways)
        while not stop.wait(settings.look_seconds):
            if proxy.ended():
                raise ProxyError("nginx ended by itself.", remedy="Read what it said above, and start it again.")
            found = addresses_of(wanted)
            changed = digest_of(files)
            if (found and found != gateways) or changed != known:
                known = changed
                if _reload(proxy, found or gateways):
                    gateways = found or gateways
        # Inside the block, so that the patience is the setting's and not the one of a test.
        proxy.stop(seconds=settings.shutdown_seconds)


def addresses_of(gateways: Iterable[str]) -> list[str]:
    """
    Look up `host:port`s: every address of every name, in one order; names nobody knows just now are left out.
    """
    found: set[str] = set()
    for gateway in gateways:
        host, _, port = gateway.rpartition(":")
        try:
            answers = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
        except (OSError, ValueError):
            continue
        for family, _, _, _, address in answers:
            text = f"[{address[0]}]" if family == socket.AF_INET6 else str(address[0])
            found.add(f"{text}:{port}")
    return sorted(found)


def digest_of(files: Iterable[Path]) -> str:
    """
    Tell one content of some files from another; a file that cannot be read counts as empty.
    """
    digest = hashlib.sha256()
    for path in files:
        try:
            content = path.read_bytes()
        except OSError:
            content = b""
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()


def _first_addresses(wanted: list[str], seconds: float, stop: threading.Event) -> list[str]:
    """Wait for the first gateway to have an address: in a cluster the proxy may be there first."""
    while not (found := addresses_of(wanted)):
        _logger.warning("no gateway has an address yet", gateways=wanted)
        if stop.wait(seconds):
            return []
    return found


def _reload(proxy: Proxy, gateways: list[str]) -> bool:
    try:
        proxy.reload(gateways=gateways)
    except ProxyError as error:
        # What runs goes on with what it has; a certificate may be half-written just now.
        _logger.error("the proxy keeps its old configuration", reason=error.problem, remedy=error.remedy)  # noqa: TRY400
    else:
        _logger.info("proxy took a change", gateways=gateways)
        return True
    return False
