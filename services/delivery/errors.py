"""
Refusals of delivery.

    Rejected
    ├── NotFound            no such endpoint of the caller
    └── WebhookNotActive    the endpoint has not agreed to be called, or was switched off
"""

from typing import ClassVar

from shared.errors import Rejected


class NotFound(Rejected):
    """
    The caller's system has no such webhook. List the webhooks to see their identifiers.
    """

    code: ClassVar[str] = "not-found"


class WebhookNotActive(Rejected):
    """
    The endpoint is not called: it has not answered the handshake yet, or it was switched off. The webhook's `state` and
    `reason` say which; once the endpoint works, remove the webhook and add it again.
    """

    code: ClassVar[str] = "webhook-not-active"
