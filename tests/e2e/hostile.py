"""Whom a hostile client knocks at, and packets that are wrong in every way we know."""

import base64
import io
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from deploy.embedded.home import Home
from deploy.embedded.papers import REPORT, paper, seal_of
from deploy.embedded.postgres import PrivatePostgres
from shared.client import Credential
from shared.testing.invariants import check_invariants
from shared.testing.node_process import NodeProcess
from shared.testing.packets import a_status_packet

SENDER, RECEIVER, SISTER, STRANGER = "H43.31", "H43.32", "H43.33", "H43.34"
_LEFT_BEHIND = (
    "routing.documents",
    "routing.dispatches",
    "routing.dispatch_chunks",
    "routing.deliveries",
    "routing.acknowledgements",
    "routing.status_reports",
    "routing.idempotency_keys",
    "routing.dead_messages",
    "registry.dead_messages",
    "signing.dead_messages",
    "delivery.dead_messages",
    "audit.dead_messages",
    "registry.webhooks",
    "registry.registrations",
)

Expected = tuple[int, str]
Case = tuple[str, bytes, Expected]


@dataclass
class Target:
    """
    The node, and who knocks.
    """

    home: Home
    node: NodeProcess
    http: httpx.AsyncClient
    sender: Credential
    receiver: Credential
    stranger: Credential

    async def token(self, system: Credential, **wanted: str) -> dict[str, str]:
        assert system.secret is not None
        answer = await self.http.post(
            "/oauth2/token",
            data={"grant_type": "client_credentials", **wanted},
            auth=(system.system_id, system.secret.get_secret_value()),
        )
        assert answer.status_code == 200, answer.text
        return bearer(answer.json()["access_token"])

    def packet(self, number: str, **changes: Any) -> bytes:
        facts: dict[str, Any] = {
            "sender": (SENDER, "Bên gửi"),
            "to": [(RECEIVER, "Bên nhận")],
            "subject": "s",
            "attachments": (REPORT,),
            "seal": seal_of(self.sender),
        }
        return paper(number=number, **{**facts, **changes})

    async def counts(self) -> dict[str, int]:
        connection = await asyncpg.connect(PrivatePostgres(self.home.postgres).dsn("postgres", driver="postgresql"))
        try:
            assert await check_invariants(connection) == []
            return {table: await connection.fetchval(f"SELECT count(*) FROM {table}") for table in _LEFT_BEHIND}
        finally:
            await connection.close()

    def resident_bytes(self) -> int:
        status = Path(f"/proc/{self.node.pid}/status").read_text(encoding="ascii")
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) * 1024


def unreadable(target: Target) -> list[Case]:
    good = target.packet("doc")
    start = good.index(b"?>") + 2
    malformed = (422, "packet-malformed")

    def with_doctype(inside: bytes) -> bytes:
        return good[:start] + b"<!DOCTYPE a [" + inside + b"]>" + good[start:]

    return [
        ("nothing", b"", malformed),
        ("no XML", b"hello", malformed),
        ("cut off", good[: len(good) // 2], malformed),
        ("two roots", good + b"<a/>", malformed),
        ("another namespace", good.replace(b"QCVN_102_2016", b"QCVN_102_2017"), malformed),
        ("another encoding", good.decode().encode("utf-16"), malformed),
        ("DOCTYPE", with_doctype(b""), malformed),
        ("entities", with_doctype(b'<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">'), malformed),
        ("external entity", with_doctype(b'<!ENTITY a SYSTEM "file:///etc/passwd">'), malformed),
        ("10,000 deep", b"<a>" * 10_000 + b"</a>" * 10_000, malformed),
        ("a million attributes", b"<a %b/>" % b" ".join(b'a%d=""' % n for n in range(1_000_000)), malformed),
        ("a million elements", b"<a>" + b"<b/>" * 1_000_000 + b"</a>", malformed),
        ("an endless name", b"<" + b"x" * 5_000_000, malformed),
        ("NUL", good.replace(b">s<", b">\0<"), malformed),
        ("bad base64", good.replace(b"<ContentTransferEncoded>", b"<ContentTransferEncoded>!!!!"), malformed),
        ("zip bomb", _with_payload(good.replace(b"application/pdf", b"application/zip"), _bomb()), malformed),
    ]


def wrong_content(target: Target) -> list[Case]:
    good = target.packet("noi-dung")
    invalid = (422, "packet-invalid")
    refused = (422, "addressees-refused")
    long = "đ".encode() * 3_000

    def changed(pattern: bytes, by: bytes | Callable[[re.Match[bytes]], bytes]) -> bytes:
        text, count = re.subn(pattern, by, good, count=1, flags=re.DOTALL)
        assert count == 1, pattern
        return text

    def twice(found: re.Match[bytes]) -> bytes:
        return found[0] * 2

    return [
        ("attachment missing", changed(rb"<AttachmentEncoded>.*</AttachmentEncoded>", b""), invalid),
        ("attachment unreferenced", changed(rb"<edXML:Reference>.*?</edXML:Reference>", b""), invalid),
        ("attachment doubled", changed(rb"<Attachment>.*?</Attachment>", twice), invalid),
        ("no date", changed(rb"(PromulgationDate>)[^<]*", rb"\g<1>2026/13/45"), invalid),
        ("no moment", changed(rb"(Timestamp>)[^<]*", rb"\g<1>yesterday"), invalid),
        ("no priority", changed(rb"(Priority>)0", rb"\g<1>9"), invalid),
        ("endless subject", changed(rb"(Subject>)s", rb"\g<1>" + long), invalid),
        ("endless DocumentId", changed(rb"(DocumentId>)H43[^<]*", rb"\g<1>" + long), invalid),
        ("no DocumentId", changed(rb"<edXML:DocumentId>H43.*?</edXML:DocumentId>", b""), (422, "document-id-missing")),
        ("no addressee", changed(rb"<edXML:To>.*?</edXML:To>", b""), invalid),
        ("a status package", a_status_packet(sender=SENDER, seal=seal_of(target.sender)), invalid),
        ("From of others", target.packet("1", sender=(RECEIVER, "x")), (403, "sender-not-yours")),
        ("From of nobody", target.packet("2", sender=("ZZ.99", "x")), (403, "sender-not-yours")),
        ("unknown addressees", target.packet("3", to=[("ZZ.1", "x"), ("ZZ.2\u202e", "y"), (RECEIVER, "z")]), refused),
        ("2,000 unknown addressees", target.packet("4", to=[(f"ZZ.{n}", "x") for n in range(2_000)]), refused),
        ("secret", target.packet("5", subject="(MẬT) Kế hoạch"), (422, "secrecy-mark")),
        ("secret in double width", target.packet("6", subject="ＭẬＴ: Kế hoạch"), (422, "secrecy-mark")),
    ]


def wrong_seals(target: Target) -> list[Case]:
    good = target.packet("ky")
    found = re.search(rb"<edXML:MessageHeader .*?</edXML:MessageHeader>", good, re.DOTALL)
    assert found is not None
    header, evil = found[0], found[0].replace(b"Subject>s<", b"Subject>evil<")
    hidden = b"<ds:Object>" + header + b"</ds:Object></ds:Signature>"
    failed, invalid = (422, "signature-failed"), (422, "packet-invalid")
    moved = good.replace(header, evil.replace(b' Id="MessageHeader"', b' Id="x"'))
    return [
        ("unsigned", target.packet("7", seal=None), (422, "signature-missing")),
        ("empty signature", re.sub(rb"<ds:Reference.*?</ds:Reference>", b"", good, flags=re.DOTALL), failed),
        ("signed by somebody else", target.packet("8", seal=seal_of(target.receiver)), (422, "signer-not-bound")),
        ("changed after signing", good.replace(header, evil), failed),
        ("another value", re.sub(rb"(<ds:SignatureValue>.{5}).", rb"\1!", good), failed),
        ("two headers", good.replace(header, evil + header), invalid),
        ("the signed header hidden", moved.replace(b"</ds:Signature>", hidden), invalid),
        ("two signatures", re.sub(rb"<ds:Signature .*?</ds:Signature>", lambda found: found[0] * 2, good), failed),
        ("a reference to everything", good.replace(b'URI="#MessageHeader"', b'URI=""'), failed),
        ("a reference outside", good.replace(b'URI="#MessageHeader"', b'URI="file:///etc/passwd"'), failed),
        ("a secret key's method", good.replace(b"xmldsig-more#ecdsa-sha256", b"xmldsig-more#hmac-sha256"), failed),
        ("no certificate", re.sub(rb"<ds:KeyInfo>.*?</ds:KeyInfo>", b"", good), failed),
        ("no certificate at all", re.sub(rb"(<ds:X509Certificate>)[^<]*", rb"\1AAAA", good), failed),
    ]


def _with_payload(packet: bytes, payload: bytes) -> bytes:
    text = b"<ContentTransferEncoded>" + base64.b64encode(payload) + b"</ContentTransferEncoded>"
    return re.sub(rb"<ContentTransferEncoded>.*?</ContentTransferEncoded>", lambda _: text, packet, flags=re.DOTALL)


def _bomb() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bao-cao.pdf", bytes(50_000_000))
    return out.getvalue()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
