"""The gateway on the in-process bus, with services that answer as told and remember what they were asked."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.app import Gateway, create_app
from gateway.settings import Settings
from shared.blobs import FolderBlobStore
from shared.clock import SystemClock
from shared.contracts import audit, delivery, registry, routing, signing
from shared.contracts.base import Health, Lane, Nothing, Operation
from shared.contracts.dead import DeadMessage, DeadMessages, DeadResult, dead_operations
from shared.errors import Rejected, RejectedElsewhere
from shared.identifiers import Uuid7Source
from shared.jose import sign_compact, thumbprint, to_jwks
from shared.messaging.inprocess import InProcessBus
from shared.telemetry.figures import Figures

URL = "http://axis.test"
ID = UUID("01940000-0000-7000-8000-000000000001")
AGENCY_KEY = UUID("01940000-0000-5000-8000-00000000000a")
NOW = datetime(2024, 12, 31, 8, tzinfo=UTC)
DIGEST = "ab" * 32
BODY = '{"document_id":"01940000-0000-7000-8000-000000000001","receipt":"ký"}'

AGENCY = registry.AgencyEntry(
    key=AGENCY_KEY, code="H43.30", name="Huyện", level="district", kind="district", valid_from=NOW, serving_node="H43"
)
ITEM = routing.InboxItem(
    delivery_id=ID,
    document_id=ID,
    agency="H43.30",
    sender="H43.30.01",
    sender_document_id="H43.30.01,2024/12/31,15/BC-UBND",
    subject="Báo cáo",
    code="15/BC-UBND",
    lane=Lane.ORDINARY,
    state=routing.DeliveryState.AVAILABLE,
    series=1,
    packet_sha256=DIGEST,
    packet_bytes=10,
    attachments=1,
    accepted_at=NOW,
)
DOCUMENT = routing.DocumentView(
    document_id=ID,
    sender="H43.30.01",
    sender_document_id="x",
    subject="Báo cáo",
    lane=Lane.ORDINARY,
    packet_sha256=DIGEST,
    packet_bytes=10,
    accepted_at=NOW,
    counts={"available": 1},
)
STATUS = routing.StatusView(
    status_id=ID,
    delivery_id=ID,
    agency="H43.30",
    code="03",
    description="",
    staff=None,
    happened_at=NOW,
    reported_at=NOW,
)
REPORT = signing.VerificationReport(
    checked_at=NOW, signatures=(signing.SignatureReport(indication=signing.Indication.PASSED),)
)
QUEUES = routing.Queues(lanes=(), paused_agencies=(), deliveries={}, unopened=0, outbox=0)
CREDENTIAL = registry.Credential(system_id="s", credential_id="c", secret="secret", scopes=("send",))
SYSTEM = registry.SystemEntry(
    id="s", name="S", dialect="rest", status=registry.SystemStatus.ACTIVE, grants=(), credentials=(), seals=()
)
REGISTRATION = registry.RegistrationView(
    id=ID,
    status=registry.RegistrationStatus.PENDING,
    system_id="s",
    system_name="S",
    contact_name="A",
    contact_email="a@example.vn",
    agencies=("H43.30",),
    created_at=NOW,
    next_step="registrar",
)
WEBHOOK = registry.WebhookView(
    id=ID, url="https://x.test/", agencies=(), state=registry.WebhookState.PENDING, created_at=NOW, secret="whsec_x"
)
HEAD = audit.TreeHead(log_id="l", tree_size=1, root_hash=DIGEST, time=NOW, statement="a.b.c")
OPENED = routing.OpenBlob(sha256=DIGEST, bytes=10, content_type="application/edxml+xml", file_name="văn bản.edxml")


@dataclass
class World:
    """
    The services as the gateway meets them.

    Attributes:
        asked: Name of the operation and its question, in order.
        answers: What to answer instead of the ordinary: a reply, an error, or a function of the question.
    """

    bus: InProcessBus
    blobs: FolderBlobStore
    gateway: Gateway
    key: ec.EllipticCurvePrivateKey
    figures: Figures
    asked: list[tuple[str, Any]] = field(default_factory=list)
    answers: dict[str, Any] = field(default_factory=dict)

    def token(self, scope: str = "send inbox acknowledge operate register approve", issuer: str = URL) -> str:
        now = int(datetime.now(UTC).timestamp())
        claims = {"iss": issuer, "aud": "axis", "sub": "s", "cid": "c", "scope": scope, "iat": now, "exp": now + 600}
        return sign_compact(claims, typ="at+jwt", key=self.key, kid=thumbprint(self.key.public_key()))

    def signed_in(self, **more: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token()}", **more}

    def client(self, app: Any = None) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(app or self.gateway.public), base_url=URL)

    def questions(self, operation: Operation[Any, Any]) -> list[Any]:
        return [question for name, question in self.asked if name == operation.name]

    def answer(self, operation: Operation[Any, Any], ordinary: Any) -> None:
        async def handle(question: Any) -> Any:
            self.asked.append((operation.name, question))
            answer = self.answers.get(operation.name, ordinary)
            if isinstance(answer, Exception):
                raise answer
            if callable(answer):
                answer = answer(question)
            return await answer if isinstance(answer, Awaitable) else answer

        self.bus.party(operation.service).answer(operation, handle)

    def kept(self) -> list[str]:
        root = self.blobs.path("00" * 32).parents[2]
        return [path.name for path in root.glob("??/??/*")] + [path.name for path in (root / "incoming").iterdir()]


@asynccontextmanager
async def a_world(folder: Path, **settings: Any) -> AsyncIterator[World]:
    clock = SystemClock()
    new_id = Uuid7Source(clock)
    bus = InProcessBus(clock, new_id)
    blobs = FolderBlobStore(folder, clock)
    await blobs.start()
    ready = {"public_url": URL, "min_free_bytes": 0, "rate_per_second": 0, "address_rate_per_second": 0}
    figures = Figures()
    gateway = create_app(
        Settings(**{**ready, **settings}),
        bus=bus.party("gateway"),
        blobs=blobs,
        clock=clock,
        new_id=new_id,
        figures=figures,
    )
    world = World(bus, blobs, gateway, ec.generate_private_key(ec.SECP256R1()), figures)
    _answer_everything(world)
    await bus.start()
    try:
        yield world
    finally:
        await bus.close()


def _answer_everything(world: World) -> None:
    keys = signing.Keys(
        token_keys=to_jwks([world.key.public_key()]),
        evidence_keys=to_jwks([ec.generate_private_key(ec.SECP256R1()).public_key()]),
        anchors=("-----BEGIN CERTIFICATE-----\n",),
    )
    acknowledged = routing.Acknowledged(
        created=True,
        delivery_id=ID,
        series=1,
        result="done",
        state=routing.DeliveryState.DELIVERED,
        acknowledged_at=NOW,
        evidence="a.b.c",
    )
    page = routing.InboxPage(items=(ITEM,), agency_keys=(AGENCY_KEY,))
    ordinary: list[tuple[Operation[Any, Any], Any]] = [
        (signing.READ_KEYS, keys),
        (registry.ISSUE_TOKEN, registry.TokenIssued(access_token="t", expires_in=600, scopes=("send", "inbox"))),
        (registry.LIST_AGENCIES, registry.AgencyPage(items=(AGENCY,))),
        (registry.READ_AGENCY, AGENCY),
        (
            registry.IMPORT_AGENCIES,
            registry.ImportReport(added=1, changed=0, unchanged=0, passed_over=0, version=1, dry_run=False),
        ),
        (registry.ADD_SYSTEM, CREDENTIAL),
        (registry.LIST_SYSTEMS, registry.SystemPage(items=(SYSTEM,))),
        (registry.ROTATE_CREDENTIAL, CREDENTIAL),
        (registry.SET_SOURCES, registry.SystemAccess(system_id="sys", sources=("203.0.113.0/24",))),
        (registry.SET_SYSTEM_STATUS, SYSTEM),
        (registry.REVOKE_CERTIFICATE, SYSTEM),
        (
            registry.REGISTER,
            registry.Registered(id=ID, claim_token="claim", status=registry.RegistrationStatus.PENDING),
        ),
        (registry.READ_REGISTRATION, REGISTRATION),
        (registry.LIST_REGISTRATIONS, registry.RegistrationPage(items=(REGISTRATION,))),
        (registry.DECIDE_REGISTRATION, REGISTRATION),
        (registry.HAND_OVER, CREDENTIAL),
        (registry.ADD_WEBHOOK, WEBHOOK),
        (registry.LIST_WEBHOOKS, registry.Webhooks(items=(WEBHOOK,))),
        (registry.REMOVE_WEBHOOK, Nothing()),
        (delivery.TEST_WEBHOOK, delivery.WebhookTried(delivered=True, status=204, detail="", tried_at=NOW)),
        (audit.READ_TREE_HEAD, HEAD),
        (
            audit.READ_INCLUSION,
            audit.Inclusion(leaf_index=0, leaf="{}", leaf_hash=DIGEST, audit_path=(), head=HEAD),
        ),
        (audit.READ_CONSISTENCY, audit.Consistency(first=1, second=1, path=())),
        (routing.SUBMIT_DOCUMENT, routing.Submitted(created=True, document_id=ID, body=BODY)),
        (routing.VALIDATE_PACKET, routing.PacketFindings(accepted=True, report=REPORT)),
        (routing.VERIFY_PACKET, REPORT),
        (routing.LIST_DOCUMENTS, routing.DocumentPage(items=(DOCUMENT,))),
        (routing.READ_DOCUMENT, DOCUMENT),
        (routing.READ_RECEIPT, routing.Receipt(dispatch_id=ID, receipt="a.b.c")),
        (routing.READ_JOURNEY, routing.Journey(document_id=ID, sender_document_id="x", items=())),
        (routing.LIST_INBOX, page),
        (routing.READ_DELIVERY, routing.DeliveryView(item=ITEM, header={}, attachments=(), report=REPORT)),
        (routing.OPEN_PACKET, OPENED),
        (routing.DESCRIBE_PACKET, OPENED),
        (routing.OPEN_ATTACHMENT, OPENED),
        (routing.DESCRIBE_ATTACHMENT, OPENED),
        (routing.ACKNOWLEDGE, acknowledged),
        (routing.REPORT_STATUS, routing.StatusReported(created=True, status=STATUS)),
        (routing.LIST_STATUSES, routing.StatusHistory(items=(STATUS,))),
        (routing.READ_QUEUES, QUEUES),
        (routing.SET_PAUSE, QUEUES),
        (routing.LIST_FAILED, routing.FailedPage(items=())),
        (routing.REQUEUE, routing.ActResults(items=())),
        (routing.CANCEL, routing.ActResults(items=())),
    ]
    ordinary += [
        (publisher.READ_HEALTH, Health(ready=True)) for publisher in (registry, signing, routing, delivery, audit)
    ]
    for number, service in enumerate(("registry", "signing", "routing", "delivery", "audit")):
        died_at = NOW - timedelta(hours=number)
        message = DeadMessage(message_id=ID, topic="t", attempts=5, error="E", died_at=died_at)
        operations = dead_operations(service)
        ordinary.append((operations.list, DeadMessages(items=(message,))))
        ordinary.append((operations.retry, DeadResult(found=1)))
        ordinary.append((operations.drop, DeadResult(found=1)))
    # Those only the national dialect asks; its tests say what is answered.
    of_the_dialect: tuple[Operation[Any, Any], ...] = (
        registry.CHECK_SIGNED_HEADER,
        registry.LIST_UNITS,
        registry.REGISTER_UNIT,
        registry.CANCEL_UNIT,
        routing.SUBMIT_STATUS,
        routing.LIST_STATUS_ITEMS,
        routing.OPEN_STATUS,
        routing.ACKNOWLEDGE_STATUS,
        routing.LIST_SENT,
        routing.COUNT_INBOX,
    )
    ordinary += [(operation, refused("vxp-signature")) for operation in of_the_dialect]
    for operation, answer in ordinary:
        world.answer(operation, answer)


def refused(code: str, detail: str = "no") -> Rejected:
    return RejectedElsewhere(code, detail)


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.01)
