"""
The library agencies use: keys, tokens, retries, receipts checked, notifications checked.

    async with AxisClient(Path("credential.json")) as axis:
        sent = await axis.send(Path("document.edxml"))
        for item in (await axis.inbox(wait=20)).items:
            packet = await axis.fetch(item.delivery_id, Path("packet.edxml"))
            ...  # store it safely first
            await axis.acknowledge(item.delivery_id)
"""

from shared.client.answers import Accepted, Fetched, FetchedPacket, SentDocument
from shared.client.blocking import BlockingClient
from shared.client.client import AxisClient
from shared.client.credential import Credential, write_private
from shared.client.errors import (
    ClientError,
    CredentialInvalid,
    DigestMismatch,
    NodeFault,
    NodeUnreachable,
    ProblemEntry,
    ProblemError,
    ReceiptInvalid,
    Rejected,
    Unavailable,
    WebhookInvalid,
)
from shared.client.keys import certificate_request, key_to_pem, make_key
from shared.client.receipts import ReceiptClaims, Trust, read_keys, verify_receipt
from shared.client.registration import RegistrationClient, assemble, key_requests
from shared.client.retries import RetryPolicy
from shared.client.transport import Call, Transport
from shared.client.trust import read_anchors
from shared.client.webhooks import verify_webhook

__all__ = [
    "Accepted",
    "AxisClient",
    "BlockingClient",
    "Call",
    "ClientError",
    "Credential",
    "CredentialInvalid",
    "DigestMismatch",
    "Fetched",
    "FetchedPacket",
    "NodeFault",
    "NodeUnreachable",
    "ProblemEntry",
    "ProblemError",
    "ReceiptClaims",
    "ReceiptInvalid",
    "RegistrationClient",
    "Rejected",
    "RetryPolicy",
    "SentDocument",
    "Transport",
    "Trust",
    "Unavailable",
    "WebhookInvalid",
    "assemble",
    "certificate_request",
    "key_requests",
    "key_to_pem",
    "make_key",
    "read_anchors",
    "read_keys",
    "verify_receipt",
    "verify_webhook",
    "write_private",
]
