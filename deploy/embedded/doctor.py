"""`axis doctor`: looks at everything the node depends on and says what to do."""

import os
import shutil
import socket
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final

import httpx
from cryptography import x509

from deploy.embedded.errors import NodeError
from deploy.embedded.home import Home, NodeConfig
from deploy.embedded.postgres.account import server_account
from deploy.embedded.postgres.binaries import find_binaries

MIN_FREE_BYTES: Final = 1 << 30
CERTIFICATE_WARNING: Final = timedelta(days=30)
CLOCK_TOLERANCE: Final = timedelta(seconds=5)


@dataclass(frozen=True)
class Finding:
    """
    One thing looked at.

    Attributes:
        ok: Nothing to do.
        what: What was looked at and what was found.
        remedy: What to do; empty when all is well.
    """

    ok: bool
    what: str
    remedy: str = ""


def run_doctor(home: Path) -> list[Finding]:
    """
    Look at a node's folder, its machine, and the node itself where it runs.
    """
    place = Home(home.absolute())
    try:
        config = place.config()
    except NodeError as error:
        return [Finding(ok=False, what=error.problem, remedy=error.remedy)]
    return [
        Finding(ok=True, what=f"{place.root} is the folder of node {config.node_id}"),
        *_machine(place),
        *_secrets(place),
        *_node(config),
    ]


def _machine(place: Home) -> Iterator[Finding]:
    version = ".".join(str(part) for part in sys.version_info[:3])
    yield Finding(ok=True, what=f"Python {version}")
    try:
        find_binaries(None, server_account())
        yield Finding(ok=True, what="the programs of PostgreSQL are there")
    except NodeError as error:
        yield Finding(ok=False, what=error.problem, remedy=error.remedy)
    free = shutil.disk_usage(place.root).free
    yield Finding(
        ok=free >= MIN_FREE_BYTES,
        what=f"{free / (1 << 30):.1f} GiB are free where packets are kept",
        remedy="" if free >= MIN_FREE_BYTES else "Make room: intake stops before the disk is full.",
    )
    writable = os.access(place.root, os.W_OK)
    yield Finding(
        ok=writable,
        what=f"{place.root} can {'' if writable else 'not '}be written to",
        remedy="" if writable else "Run as the owner of the folder.",
    )


def _secrets(place: Home) -> Iterator[Finding]:
    for path in (*(place.secret_file(name) for name in ("passphrase", "pepper", "webhook-key")), place.key_file):
        if not path.exists():
            made_at_start = path == place.key_file
            yield Finding(
                ok=made_at_start,
                what=f"{path} does not exist{' yet: it is made at the first start' if made_at_start else ''}",
                remedy="" if made_at_start else "Restore the keys folder from your backup.",
            )
            continue
        open_to_others = stat.S_IMODE(path.stat().st_mode) & 0o077
        yield Finding(
            ok=not open_to_others,
            what=f"{path} is {'readable by others' if open_to_others else 'readable by its owner alone'}",
            remedy=f"chmod 600 {path}" if open_to_others else "",
        )


def _node(config: NodeConfig) -> Iterator[Finding]:
    if not _listens(config.host, config.port):
        yield Finding(ok=False, what=f"no node answers at {config.public_url}", remedy="Start it with: axis run")
        return
    try:
        with httpx.Client(base_url=f"http://{config.host}:{config.port}", timeout=10.0) as http:
            ready = http.get("/health/ready")
            known = http.get("/.well-known/axis").json()
            anchors = http.get("/v1/trust/anchors").text
    except (httpx.HTTPError, ValueError):
        yield Finding(
            ok=False,
            what=f"something answers on port {config.port} that is not an axis node",
            remedy="Stop it, or choose another port in node.json.",
        )
        return
    is_ready = ready.status_code == httpx.codes.OK
    yield Finding(
        ok=is_ready,
        what="the node is ready: it can write, route and sign" if is_ready else f"the node is not ready: {ready.text}",
        remedy="" if is_ready else "Look at the node's log; what it names must be mended.",
    )
    same = known.get("issuer", config.public_url) == config.public_url
    yield Finding(
        ok=same,
        what=f"it calls itself {known.get('issuer', config.public_url)}",
        remedy="" if same else f"node.json says {config.public_url}: restart the node, or mend public_url.",
    )
    yield _clock(ready)
    yield from _certificates(anchors)


def _clock(response: httpx.Response) -> Finding:
    theirs = parsedate_to_datetime(response.headers["Date"])
    off = abs(datetime.now(UTC) - theirs)
    good = off <= CLOCK_TOLERANCE
    return Finding(
        ok=good,
        what=f"the node's clock and this machine's differ by {off.total_seconds():.0f} s",
        remedy="" if good else "Synchronise the clock (systemctl enable --now systemd-timesyncd).",
    )


def _certificates(anchors: str) -> Iterator[Finding]:
    for certificate in x509.load_pem_x509_certificates(anchors.encode()):
        left = certificate.not_valid_after_utc - datetime.now(UTC)
        good = left > CERTIFICATE_WARNING
        yield Finding(
            ok=good,
            what=f"the certificate of {certificate.subject.rfc4514_string()} ends in {left.days} days",
            remedy="" if good else "Renew it before it ends; agencies stop trusting receipts on that day.",
        )


def _listens(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=2.0):
            return True
    except OSError:
        return False
