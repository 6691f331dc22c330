"""The node as callers see it: ready, under its own name, with this clock, with a certificate that lasts, and alone."""

import contextlib
import json
import ssl
from collections.abc import Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx
from cryptography import x509

from deploy.distributed.database import connect
from deploy.doctor.database import clock_finding
from deploy.doctor.finding import Finding, bad, good
from deploy.doctor.machine import PROXY_REMEDY, certificate_finding
from deploy.doctor.subject import Subject
from deploy.embedded.errors import NodeError
from shared.clock import Clock

_SECONDS = 10.0


def look_at_settings(subject: Subject) -> Iterator[Finding]:
    """
    Look whether all processes were told the same of the node.
    """
    for what, told in (("node_id", subject.node_id), ("public_url", subject.public_url)):
        if len(set(told.values())) > 1:
            pairs = ", ".join(f"{process}: {value}" for process, value in sorted(told.items()))
            yield bad(
                "public-url" if what == "public_url" else "identity",
                (f"các tiến trình không cùng {what}: {pairs}", "the processes were told different things"),
                (
                    f"Đặt một giá trị chung: AXIS_{what.upper()}, rồi khởi động lại; token chỉ hợp lệ khi trùng.",
                    f"Set one for all: AXIS_{what.upper()}, then restart; tokens count only where it is the same.",
                ),
            )


async def look_at_door(subject: Subject, clock: Clock) -> list[Finding]:
    """
    Ask the node as a caller does.
    """
    if not subject.door:
        return []
    findings = _served_certificate(subject, clock.now())
    before = clock.now()
    try:
        async with httpx.AsyncClient(base_url=subject.door, timeout=_SECONDS, verify=_trust(subject)) as http:
            ready = await http.get("/health/ready")
            after = clock.now()
            known = (await http.get("/.well-known/axis")).json()
            head = await http.get("/v1/trust/tree-head")
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        start = "axis run" if subject.is_private and not subject.brokers else "make up"
        silent = bad(
            "node",
            (f"không có nút nào trả lời ở {subject.door}", f"no node answers there: {error}"),
            (f"Khởi động nút: {start}", f"Start it: {start}"),
        )
        return [*findings, silent]
    except (httpx.HTTPError, json.JSONDecodeError):
        stranger = bad(
            "node",
            (f"ở {subject.door} có thứ khác, không phải nút axis", "something answers there that is no axis node"),
            ("Dừng nó, hoặc đổi cổng, địa chỉ.", "Stop it, or choose another port or address."),
        )
        return [*findings, stranger]
    findings += [_ready(ready), _issuer(subject, known)]
    if "date" in ready.headers:
        # Seconds only: what says 12:00:00 may mean any moment of that second.
        theirs = parsedate_to_datetime(ready.headers["date"])
        findings.append(clock_finding("nút", "the node", theirs, before, after))
    if head.is_success:
        findings += await _alone(subject, head.json())
    return findings


def _ready(ready: httpx.Response) -> Finding:
    if ready.status_code == httpx.codes.OK:
        return good("node", "nút sẵn sàng", "the node is ready: it can write, route and sign")
    parts = {}
    with contextlib.suppress(json.JSONDecodeError):
        parts = ready.json().get("parts", {})
    names = ", ".join(name for name, part in parts.items() if part["needed"] and not part["ready"]) or ready.text[:200]
    return bad(
        "node",
        (f"nút chưa sẵn sàng: {names}", "the node is not ready"),
        (
            "Xem nhật ký của phần đó và các mục ✗ khác ở đây.",
            "Look at the log of that part, and at what else is marked ✗ here.",
        ),
    )


def _issuer(subject: Subject, known: dict[str, Any]) -> Finding:
    told = set(subject.public_url.values())
    issuer = str(known.get("issuer", ""))
    if issuer in told:
        return good("public-url", f"nút tự xưng là {issuer}", "it calls itself so")
    return bad(
        "public-url",
        (
            f"nút tự xưng là {issuer}, cấu hình ghi {', '.join(sorted(told))}",
            "the node calls itself otherwise than the settings say; its tokens name the former as issuer",
        ),
        (
            "Sửa public_url (node.json hoặc AXIS_PUBLIC_URL) cho khớp rồi khởi động lại mọi tiến trình.",
            "Mend public_url (node.json or AXIS_PUBLIC_URL), then restart every process.",
        ),
    )


async def _alone(subject: Subject, head: dict[str, Any]) -> list[Finding]:
    """
    Look whether the newest head that the node has signed stands in its database; else a second node signed it.

    Heads are signed each minute whether the journal grows or not, so a copy is told apart within one.
    """
    url = subject.databases.get("audit")
    if url is None:
        return []
    try:
        connection = await connect(url, "audit")
    except NodeError:
        return []  # said where the database is looked at
    try:
        known = await connection.fetchval(
            "SELECT EXISTS (SELECT FROM audit.tree_heads WHERE tree_size = $1 AND statement = $2)",
            head["tree_size"],
            head["statement"],
        )
    except asyncpg.PostgresError:
        return []
    finally:
        await connection.close()
    if known:
        return [good("identity", "nút trả lời dùng đúng cơ sở dữ liệu này", "the node that answers uses this database")]
    return [
        bad(
            "identity",
            (
                f"hai nút cùng danh tính: nút ở {subject.door} ký nhật ký khác với cơ sở dữ liệu này",
                "two nodes of one identity: the one that answers has signed a journal that is not in this database",
            ),
            (
                "Dừng một trong hai ngay (bản sao hay bản gốc); chỉ một được chạy, vì cả hai ký như cùng một nút.",
                "Stop one of the two at once, copy or original: both sign as the same node.",
            ),
        )
    ]


def _served_certificate(subject: Subject, now: datetime) -> list[Finding]:
    parts = urlsplit(subject.door)
    if parts.scheme != "https" or parts.hostname is None:
        return []
    try:
        pem = ssl.get_server_certificate((parts.hostname, parts.port or 443), timeout=_SECONDS)
    except (OSError, ValueError):
        return []  # nobody answers, which is said by whoever asks the node
    return [certificate_finding("proxy-certificate", x509.load_pem_x509_certificate(pem.encode()), now, PROXY_REMEDY)]


def _trust(subject: Subject) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if subject.authority is not None:
        context.load_verify_locations(subject.authority)
    return context
