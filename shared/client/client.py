"""
The client of an agency's system.
"""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self
from uuid import UUID

import httpx

from shared.client.answers import Accepted, Fetched, FetchedPacket, SentDocument
from shared.client.bodies import Body
from shared.client.credential import Credential
from shared.client.downloads import Open, download
from shared.client.errors import ReceiptInvalid
from shared.client.receipts import ReceiptClaims, Trust, verify_receipt
from shared.client.retries import RetryPolicy
from shared.client.transport import Call, Transport, read_answer
from shared.client.trust import read_trust
from shared.contracts.base import Lane
from shared.contracts.delivery import WebhookTried
from shared.contracts.registry import AgencyEntry, AgencyPage, Webhooks, WebhookView
from shared.contracts.routing import (
    Acknowledged,
    DeliveryState,
    DeliveryView,
    DocumentPage,
    DocumentView,
    InboxPage,
    Journey,
    PacketFindings,
    StaffInfo,
    StatusHistory,
    StatusReported,
    StatusView,
)
from shared.contracts.signing import VerificationReport

MAX_WAIT_SECONDS: Final = 60
"""The longest a node keeps a long poll open."""


class AxisClient:
    """
    Everything an agency's system does at its node.

    Use it as a context manager, one per process; it may be used by many tasks at once. Every call is tried again where
    that may help, with the same idempotency key, so a call that fails at last may simply be made again later.

    Args:
        credential: The credential, its file, or None for the file that `AXIS_CREDENTIAL` names.
        retries: When to try again.
        http: Transport for tests.

    Raises:
        CredentialInvalid: The credential cannot be used.
    """

    def __init__(
        self,
        credential: Credential | Path | None = None,
        *,
        retries: RetryPolicy | None = None,
        http: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        if credential is None:
            credential = Credential.from_environment()
        elif isinstance(credential, Path):
            credential = Credential.read(credential)
        self.credential = credential
        self._retries = retries or RetryPolicy()
        self._transport = Transport(credential.url, credential, retries=self._retries, http=http)
        self._trust: Trust | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """
        Close every connection.
        """
        await self._transport.close()

    # --- sending ---

    async def send(
        self, packet: Path | bytes, priority: Lane | None = None, *, idempotency_key: str | None = None
    ) -> SentDocument:
        """
        Send a packet and check the receipt.

        Sending the same packet again is safe at any time: it gives the first receipt again.

        Args:
            packet: A file that does not change meanwhile, of any size, or the bytes.
            priority: Puts the intake into the urgent queue before the node has read the packet.
            idempotency_key: One of your own, kept for repeats by another process.

        Raises:
            Rejected: The packet was refused; nothing of it was kept.
            ReceiptInvalid: What came back is no receipt for these bytes.
        """
        body = await Body.of(packet)
        headers = {"Content-Digest": _content_digest(body.sha256)}
        if priority is not None:
            headers["Axis-Priority"] = str(int(priority))
        call = Call("POST", "/v1/documents", packet=body, headers=headers, idempotency_key=idempotency_key)
        response = await self._transport.send(call)
        answer = read_answer(response, Accepted)
        claims = await self._check_receipt(answer.receipt, body.sha256)
        if (claims.document_id, claims.dispatch_id) != (answer.document_id, answer.dispatch_id):
            raise ReceiptInvalid("it is for another document than the answer names")
        created = response.status_code == HTTPStatus.CREATED
        return SentDocument(created, answer, claims, response.content)

    async def validate(self, packet: Path | bytes) -> PacketFindings:
        """
        Have a packet checked as if it were sent.
        """
        return await self._transport.ask(Call("POST", "/v1/validations", packet=await Body.of(packet)), PacketFindings)

    async def verify(self, packet: Path | bytes) -> VerificationReport:
        """
        Have the signature of a packet judged.
        """
        return await self._transport.ask(
            Call("POST", "/v1/verifications", packet=await Body.of(packet)), VerificationReport
        )

    async def documents(
        self, agency: str | None = None, *, limit: int | None = None, cursor: str | None = None
    ) -> DocumentPage:
        """
        List what the system's agencies sent, newest first.
        """
        params = {"agency": agency, "limit": limit, "cursor": cursor}
        return await self._transport.ask(Call("GET", "/v1/documents", params), DocumentPage)

    async def document(self, document_id: UUID, *, limit: int | None = None, cursor: str | None = None) -> DocumentView:
        """
        Show one document with the state of each addressee.
        """
        params = {"limit": limit, "cursor": cursor}
        return await self._transport.ask(Call("GET", f"/v1/documents/{document_id}", params), DocumentView)

    async def journey(self, document_id: UUID, *, limit: int | None = None, cursor: str | None = None) -> Journey:
        """
        Show everything that happened to a document, in order.
        """
        params = {"limit": limit, "cursor": cursor}
        return await self._transport.ask(Call("GET", f"/v1/documents/{document_id}/journey", params), Journey)

    async def receipt(self, document_id: UUID, *, dispatch_id: UUID | None = None) -> str:
        """
        Get the receipt of a document again, checked.

        Raises:
            ReceiptInvalid: What came is no receipt for this document.
        """
        call = Call("GET", f"/v1/documents/{document_id}/receipt", {"dispatch": dispatch_id})
        receipt = (await self._transport.send(call)).text.strip()
        if (await self._check_receipt(receipt, None)).document_id != document_id:
            raise ReceiptInvalid("it is for another document")
        return receipt

    # --- receiving ---

    async def inbox(
        self,
        wait: int = 0,
        agency: str | None = None,
        state: DeliveryState | None = None,
        *,
        shard: tuple[int, int] | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> InboxPage:
        """
        List what is not yet acknowledged, most urgent and oldest first.

        Args:
            wait: Seconds to wait for something to come, up to 60.
            agency: Only what lies for this agency.
            state: Only what is in this state.
            shard: `(i, n)`: the share of worker i of n.
            limit: Items at most.
            cursor: `next_cursor` of the page before.
        """
        params = {
            "wait": min(wait, MAX_WAIT_SECONDS) or None,
            "agency": agency,
            "state": state.value if state else None,
            "shard": f"{shard[0]}/{shard[1]}" if shard else None,
            "limit": limit,
            "cursor": cursor,
        }
        return await self._transport.ask(Call("GET", "/v1/inbox", params, wait_seconds=wait), InboxPage)

    async def delivery(self, delivery_id: UUID) -> DeliveryView:
        """
        Show the header of a delivery and the verification report; does not count as fetching.
        """
        return await self._transport.ask(Call("GET", f"/v1/inbox/{delivery_id}"), DeliveryView)

    async def fetch(self, delivery_id: UUID, into: Path) -> FetchedPacket:
        """
        Fetch a packet into a file; resumed where the line breaks.

        Raises:
            DigestMismatch: The bytes are not those the sender was given a receipt for; no file is left.
        """
        delivery = await self.delivery(delivery_id)
        path = f"/v1/inbox/{delivery_id}/packet"
        file = await download(self._opener(path), into, expected=delivery.item.packet_sha256, retries=self._retries)
        return FetchedPacket(file, delivery)

    async def attachment(self, delivery_id: UUID, n: int, into: Path) -> Fetched:
        """
        Fetch one attachment, counted from 0, into a file.

        Raises:
            DigestMismatch: The bytes are not those announced; no file is left.
        """
        path = f"/v1/inbox/{delivery_id}/attachments/{n}"
        return await download(self._opener(path), into, expected=None, retries=self._retries)

    async def acknowledge(
        self, delivery_id: UUID, result: Literal["done", "fail"] = "done", reason: str = ""
    ) -> Acknowledged:
        """
        Say that the packet is safely stored, or that it could not be taken.
        """
        body = {"result": result, "reason": reason}
        call = Call("POST", f"/v1/inbox/{delivery_id}/acknowledgement", json=body)
        return await self._transport.ask(call, Acknowledged)

    async def report_status(
        self,
        delivery_id: UUID,
        code: str,
        description: str = "",
        *,
        staff: StaffInfo | None = None,
        at: datetime | None = None,
        idempotency_key: str | None = None,
    ) -> StatusReported:
        """
        Say what the agency does with a document.

        Args:
            delivery_id: The document as it was delivered.
            code: 01 arrived, 02 returned, 03 registered, 04 assigned, 05 in work, 06 done, 15 and 16 answers to a
                recall, update or replacement.
            description: Required with 02 and 16: the reason.
            staff: Who handles it.
            at: When it happened; aware; None: now.
            idempotency_key: One of your own, kept for repeats by another process.
        """
        body: dict[str, Any] = {"code": code, "description": description}
        if staff is not None:
            body["staff"] = staff.model_dump(mode="json")
        if at is not None:
            body["at"] = at.astimezone(UTC).isoformat().replace("+00:00", "Z")
        call = Call("POST", f"/v1/inbox/{delivery_id}/statuses", json=body, idempotency_key=idempotency_key)
        response = await self._transport.send(call)
        status = read_answer(response, StatusView)
        return StatusReported(created=response.status_code == HTTPStatus.CREATED, status=status)

    async def statuses(self, delivery_id: UUID) -> StatusHistory:
        """
        List every status of a delivery, oldest first.
        """
        return await self._transport.ask(Call("GET", f"/v1/inbox/{delivery_id}/statuses"), StatusHistory)

    # --- directory ---

    async def agencies(
        self,
        query: str = "",
        *,
        level: str | None = None,
        parent: str | None = None,
        at: datetime | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> AgencyPage:
        """
        Search the directory; accents do not matter.
        """
        params = {"query": query or None, "level": level, "parent": parent, "limit": limit, "cursor": cursor}
        params["at"] = at.isoformat() if at else None
        return await self._transport.ask(Call("GET", "/v1/agencies", params), AgencyPage)

    async def agency(self, code: str) -> AgencyEntry:
        """
        Look one agency up by either form of its identifier.
        """
        return await self._transport.ask(Call("GET", f"/v1/agencies/{code}"), AgencyEntry)

    # --- notifications ---

    async def add_webhook(self, url: str, agencies: Sequence[str] = ()) -> WebhookView:
        """
        Ask for notifications at an address; the answer alone holds the secret for `verify_webhook`.
        """
        body = {"url": url, "agencies": list(agencies)}
        return await self._transport.ask(Call("POST", "/v1/webhooks", json=body), WebhookView)

    async def webhooks(self) -> Webhooks:
        """
        List the system's endpoints.
        """
        return await self._transport.ask(Call("GET", "/v1/webhooks"), Webhooks)

    async def remove_webhook(self, webhook_id: UUID) -> None:
        """
        End the notifications to an endpoint.
        """
        await self._transport.send(Call("DELETE", f"/v1/webhooks/{webhook_id}"))

    async def try_webhook(self, webhook_id: UUID) -> WebhookTried:
        """
        Have a test notification sent now.
        """
        return await self._transport.ask(Call("POST", f"/v1/webhooks/{webhook_id}/test", json={}), WebhookTried)

    # --- trust ---

    async def _check_receipt(self, receipt: str, packet_sha256: str | None) -> ReceiptClaims:
        known = self._trust is not None
        trust = self._trust = self._trust or await read_trust(self._transport, self.credential)
        try:
            return verify_receipt(receipt, trust, now=datetime.now(UTC), packet_sha256=packet_sha256)
        except ReceiptInvalid:
            if not known:
                raise
        # The node may have taken a new key since we asked for its keys.
        self._trust = await read_trust(self._transport, self.credential)
        return verify_receipt(receipt, self._trust, now=datetime.now(UTC), packet_sha256=packet_sha256)

    def _opener(self, path: str) -> Open:
        # The digest is of the bytes themselves, so nothing may pack them on the way.
        return lambda headers: self._transport.stream(
            Call("GET", path, headers={"Accept-Encoding": "identity", **headers})
        )


def _content_digest(sha256: str) -> str:
    """
    Write a digest as RFC 9530 wants it, so that the node notices bytes that changed on the way.
    """
    return f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode('ascii')}:"
