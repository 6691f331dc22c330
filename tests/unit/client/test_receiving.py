import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from shared.client import (
    AxisClient,
    BlockingClient,
    Credential,
    DigestMismatch,
    RetryPolicy,
    WebhookInvalid,
    verify_webhook,
)
from shared.contracts.base import Lane
from shared.contracts.routing import DeliveryState, DeliveryView, InboxItem
from shared.contracts.signing import VerificationReport
from shared.testing.pki import MOMENT
from shared.testing.stand_in import StandInNode

CONTENT = b"packet" * 1000
DELIVERY = UUID("01940000-0000-7000-8000-000000000003")
PACKET = f"/v1/inbox/{DELIVERY}/packet"


def a_delivery() -> DeliveryView:
    item = InboxItem(
        delivery_id=DELIVERY,
        document_id=DELIVERY,
        agency="H43.30.01",
        sender="H43.30",
        sender_document_id="H43.30,2024/12/31,1/UBND",
        subject="Về việc thử nghiệm",
        code="1/UBND",
        lane=Lane.ORDINARY,
        state=DeliveryState.AVAILABLE,
        series=1,
        packet_sha256=hashlib.sha256(CONTENT).hexdigest(),
        packet_bytes=len(CONTENT),
        attachments=1,
        accepted_at=MOMENT,
    )
    return DeliveryView(item=item, header={}, attachments=(), report=VerificationReport(checked_at=MOMENT))


class Broken(httpx.AsyncByteStream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield CONTENT[:1000]
        raise httpx.ReadError("line cut")


@pytest.fixture(autouse=True)
def delivery(node: StandInNode) -> None:
    node.on("GET", f"/v1/inbox/{DELIVERY}", lambda _: httpx.Response(200, text=a_delivery().model_dump_json()))


async def test_a_packet_is_fetched_into_a_file(node: StandInNode, client: AxisClient, tmp_path: Path) -> None:
    node.on("GET", PACKET, lambda _: httpx.Response(200, content=CONTENT))

    fetched = await client.fetch(DELIVERY, tmp_path / "packet.edxml")

    assert fetched.file.path.read_bytes() == CONTENT
    assert fetched.delivery.item.subject == "Về việc thử nghiệm"


async def test_a_broken_line_is_taken_up_where_it_broke(node: StandInNode, client: AxisClient, tmp_path: Path) -> None:
    node.on(
        "GET",
        PACKET,
        lambda _: httpx.Response(200, stream=Broken()),
        lambda _: httpx.Response(206, content=CONTENT[1000:]),
    )

    await client.fetch(DELIVERY, tmp_path / "packet.edxml")

    assert (tmp_path / "packet.edxml").read_bytes() == CONTENT
    assert node.called("GET", PACKET)[1].headers["Range"] == "bytes=1000-"


async def test_a_node_that_starts_anew_after_a_broken_line_is_followed(
    node: StandInNode, client: AxisClient, tmp_path: Path
) -> None:
    node.on(
        "GET", PACKET, lambda _: httpx.Response(200, stream=Broken()), lambda _: httpx.Response(200, content=CONTENT)
    )

    await client.fetch(DELIVERY, tmp_path / "packet.edxml")

    assert (tmp_path / "packet.edxml").read_bytes() == CONTENT


def test_other_bytes_than_announced_leave_no_file(
    node: StandInNode, credential: Credential, retries: RetryPolicy, tmp_path: Path
) -> None:
    node.on("GET", PACKET, lambda _: httpx.Response(200, content=b"other"))

    http = httpx.MockTransport(node.handle)
    with BlockingClient(credential, retries=retries, http=http) as client, pytest.raises(DigestMismatch):
        client.fetch(DELIVERY, tmp_path / "packet.edxml")

    assert list(tmp_path.iterdir()) == []


async def test_an_attachment_is_held_to_its_etag(node: StandInNode, client: AxisClient, tmp_path: Path) -> None:
    path = f"/v1/inbox/{DELIVERY}/attachments/0"
    digest = hashlib.sha256(CONTENT).hexdigest()
    node.on(
        "GET",
        path,
        lambda _: httpx.Response(200, content=CONTENT, headers={"ETag": f'"{digest}"'}),
        lambda _: httpx.Response(200, content=b"other", headers={"ETag": f'"{digest}"'}),
    )

    assert (await client.attachment(DELIVERY, 0, tmp_path / "a.pdf")).sha256 == digest
    with pytest.raises(DigestMismatch):
        await client.attachment(DELIVERY, 0, tmp_path / "b.pdf")


async def test_a_long_poll_waits_at_most_a_minute(node: StandInNode, client: AxisClient) -> None:
    node.on("GET", "/v1/inbox", lambda _: httpx.Response(200, json={"items": []}))

    await client.inbox(wait=300, agency="H43.30.01", shard=(1, 4))

    (request,) = node.called("GET", "/v1/inbox")
    assert dict(request.url.params) == {"wait": "60", "agency": "H43.30.01", "shard": "1/4"}


async def test_an_acknowledgement_carries_an_idempotency_key(node: StandInNode, client: AxisClient) -> None:
    path = f"/v1/inbox/{DELIVERY}/acknowledgement"
    answer = {
        "created": True,
        "delivery_id": str(DELIVERY),
        "series": 1,
        "result": "done",
        "state": "delivered",
        "acknowledged_at": "2024-12-31T03:00:00Z",
        "evidence": "a.b.c",
    }
    node.on("POST", path, httpx.Response(201, json=answer))

    acknowledged = await client.acknowledge(DELIVERY, "done")

    (request,) = node.called("POST", path)
    assert acknowledged.state is DeliveryState.DELIVERED
    assert request.headers["Idempotency-Key"]
    assert json.loads(request.content) == {"result": "done", "reason": ""}


def test_the_blocking_client_does_the_same(
    node: StandInNode, credential: Credential, retries: RetryPolicy, tmp_path: Path
) -> None:
    node.on("GET", PACKET, lambda _: httpx.Response(200, content=CONTENT))

    with BlockingClient(credential, retries=retries, http=httpx.MockTransport(node.handle)) as client:
        fetched = client.fetch(DELIVERY, tmp_path / "packet.edxml")

    assert fetched.file.size == len(CONTENT)


KEY = b"k" * 32
SECRET = "whsec_" + base64.b64encode(KEY).decode()
BODY = '{"type": "routing.mailbox_changed", "subject": "Phước Dinh"}'.encode()


def signed(body: bytes = BODY, *, at: int = 1000, key: bytes = KEY, version: str = "v1") -> dict[str, str]:
    value = base64.b64encode(hmac.new(key, f"m1.{at}.".encode() + body, hashlib.sha256).digest()).decode()
    return {"Webhook-Id": "m1", "Webhook-Timestamp": str(at), "Webhook-Signature": f"v1a,x {version},{value}"}


def test_a_notification_of_the_node_is_believed() -> None:
    assert verify_webhook(signed(), BODY, SECRET, now=1200)["subject"] == "Phước Dinh"


@pytest.mark.parametrize(
    ("headers", "body", "now"),
    [
        (signed(), BODY + b" ", 1000),
        (signed(key=b"other"), BODY, 1000),
        (signed(version="v2"), BODY, 1000),
        (signed(), BODY, 1301),
        (signed(), BODY, 699),
        (signed() | {"Webhook-Timestamp": "soon"}, BODY, 1000),
        ({}, BODY, 1000),
        (signed(b"[]"), b"[]", 1000),
        (signed(b"{"), b"{", 1000),
    ],
)
def test_any_other_notification_is_not(headers: dict[str, str], body: bytes, now: int) -> None:
    with pytest.raises(WebhookInvalid):
        verify_webhook(headers, body, SECRET, now=now)
