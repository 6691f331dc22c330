"""Endpoints that want notifications."""

from enum import StrEnum
from uuid import UUID

from pydantic import Field

from shared.contracts.base import MAX_ITEMS, Contract, Moment, Nothing, Operation


class WebhookState(StrEnum):
    """
    Where a webhook endpoint stands.
    """

    PENDING = "pending"
    """Waits for the endpoint to answer the handshake."""
    ACTIVE = "active"
    DISABLED = "disabled"


class AddWebhook(Contract):
    """
    An endpoint that wants thin notifications about agencies of the caller.
    """

    token: str
    url: str = Field(max_length=2_000)
    agencies: tuple[str, ...] = ()
    idempotency_key: str | None = None


class WebhookView(Contract):
    """
    An endpoint as its owner sees it; the secret (`whsec_…`) only in the answer that created it.
    """

    id: UUID
    url: str
    agencies: tuple[str, ...]
    state: WebhookState
    reason: str | None = None
    created_at: Moment
    secret: str | None = None


class ListWebhooks(Contract):
    """
    The endpoints of the caller's system.
    """

    token: str


class Webhooks(Contract):
    """
    Endpoints of one system.
    """

    items: tuple[WebhookView, ...]


class ChooseWebhook(Contract):
    """
    One endpoint of the caller's system.
    """

    token: str
    id: UUID


class ReadEndpoints(Contract):
    """
    For the delivery service: active endpoints of agencies, or named ones in any state.
    """

    agency_keys: tuple[UUID, ...] = Field(default=(), max_length=MAX_ITEMS)
    webhook_ids: tuple[UUID, ...] = Field(default=(), max_length=MAX_ITEMS)


class Endpoint(Contract):
    """
    An endpoint with what is needed to call it.

    Attributes:
        agency_keys: The asked-for agencies that it wants to hear about.
        secret: `whsec_` and base64; for signing, never logged.
    """

    webhook_id: UUID
    system_id: str
    url: str
    state: WebhookState
    agency_keys: tuple[UUID, ...]
    secret: str


class Endpoints(Contract):
    """
    Endpoints found.
    """

    items: tuple[Endpoint, ...]


class SetWebhookState(Contract):
    """
    The delivery service reports that an endpoint answered the handshake, or that it must be switched off.
    """

    webhook_id: UUID
    state: WebhookState
    reason: str = ""


ADD_WEBHOOK = Operation("registry.add_webhook", AddWebhook, WebhookView)
LIST_WEBHOOKS = Operation("registry.list_webhooks", ListWebhooks, Webhooks)
REMOVE_WEBHOOK = Operation("registry.remove_webhook", ChooseWebhook, Nothing)
READ_ENDPOINTS = Operation("registry.read_endpoints", ReadEndpoints, Endpoints)
SET_WEBHOOK_STATE = Operation("registry.set_webhook_state", SetWebhookState, Nothing)
