"""
Notifications checked before anything is believed.
"""

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any, Final

from shared.client.errors import WebhookInvalid

TOLERANCE_SECONDS: Final = 300
"""Older or newer than this is a replay or a wrong clock."""

_PREFIX: Final = "whsec_"


def verify_webhook(headers: Mapping[str, str], body: bytes, secret: str, *, now: float | None = None) -> dict[str, Any]:
    """
    Check a notification and return the CloudEvent in it.

    Remember `id` and pass over one that was seen before: a notification may come twice.

    Args:
        headers: Of the request; names in any case.
        body: Raw bytes as received.
        secret: `whsec_…` of the endpoint.
        now: Seconds since 1970; given by tests.

    Raises:
        WebhookInvalid: It was not sent by the node, or not now.

    Source:
        Standard Webhooks 1.0, https://www.standardwebhooks.com
    """
    found = {name.lower(): value for name, value in headers.items()}
    message_id, timestamp, signatures = (found.get(f"webhook-{part}", "") for part in ("id", "timestamp", "signature"))
    if not message_id or not signatures:
        raise WebhookInvalid("webhook-id or webhook-signature is missing")
    if not (timestamp.isascii() and timestamp.isdigit()):
        raise WebhookInvalid("webhook-timestamp is no whole number")
    current = time.time() if now is None else now
    if abs(current - int(timestamp)) > TOLERANCE_SECONDS:
        raise WebhookInvalid("the notification is too old, or one of the clocks is wrong")
    signed = f"{message_id}.{timestamp}.".encode() + body
    expected = base64.b64encode(hmac.new(_key(secret), signed, hashlib.sha256).digest())
    # During a rotation there are several; every one is compared, so that time tells nothing.
    versions = [one.partition(",") for one in signatures.split()]
    matches = [hmac.compare_digest(value.encode(), expected) for version, _, value in versions if version == "v1"]
    if not any(matches):
        raise WebhookInvalid("the signature does not fit")
    try:
        event = json.loads(body)
    except (ValueError, RecursionError) as malformed:
        raise WebhookInvalid("the body is not JSON") from malformed
    if not isinstance(event, dict):
        raise WebhookInvalid("the body is no JSON object")
    return event


def _key(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (ValueError, binascii.Error) as malformed:
        raise WebhookInvalid("the secret is not whsec_ and base64") from malformed
