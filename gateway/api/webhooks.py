"""Receiving: endpoints that want thin notifications."""

from datetime import timedelta
from typing import Annotated, Final
from uuid import UUID

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from gateway.api.answers import SIGNED_IN, problems, write_json
from gateway.api.context import Context
from gateway.api.route import AccessToken, AgencyCode, IdempotencyKey, named
from shared.contracts.delivery import TEST_WEBHOOK, TestWebhook, WebhookTried
from shared.contracts.registry import (
    ADD_WEBHOOK,
    LIST_WEBHOOKS,
    REMOVE_WEBHOOK,
    AddWebhook,
    ChooseWebhook,
    ListWebhooks,
    Webhooks,
    WebhookView,
)

_TRY: Final = timedelta(seconds=20)
"""An endpoint has 15 seconds to answer."""


class WebhookRequest(BaseModel):
    """
    An address to notify; without agencies, about all of the system's.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"url": "https://10.0.0.5/axis-hook", "agencies": ["H43.30.01"]}]}
    )

    url: str = Field(min_length=1, max_length=2_000)
    agencies: Annotated[tuple[AgencyCode, ...], Field(max_length=200)] = ()


def add_webhooks(app: FastAPI, context: Context) -> None:
    """
    Add the routes of webhooks.
    """

    @app.post(
        "/v1/webhooks",
        tags=["receiving"],
        summary="Ask for notifications; the secret is shown this once",
        status_code=201,
        response_model=WebhookView,
        responses=problems(
            *SIGNED_IN,
            "agency-not-yours",
            "webhook-invalid",
            "idempotency-key-reused",
            "wrong-media-type",
            "request-too-large",
            "body-incomplete",
        ),
    )
    async def add_webhook(token: AccessToken, body: WebhookRequest, idempotency_key: IdempotencyKey = None) -> Response:
        key = named(idempotency_key)
        question = AddWebhook(token=token, url=body.url, agencies=body.agencies, idempotency_key=key)
        return write_json(await context.bus.ask(ADD_WEBHOOK, question), status=201)

    @app.get(
        "/v1/webhooks",
        tags=["receiving"],
        summary="Endpoints of my system",
        response_model=Webhooks,
        responses=problems(*SIGNED_IN),
    )
    async def list_webhooks(token: AccessToken) -> Response:
        return write_json(await context.bus.ask(LIST_WEBHOOKS, ListWebhooks(token=token)))

    @app.delete(
        "/v1/webhooks/{webhook_id}",
        tags=["receiving"],
        summary="Remove an endpoint",
        status_code=204,
        responses=problems(*SIGNED_IN, "not-found"),
    )
    async def remove_webhook(webhook_id: UUID, token: AccessToken) -> Response:
        await context.bus.ask(REMOVE_WEBHOOK, ChooseWebhook(token=token, id=webhook_id))
        return Response(status_code=204)

    @app.post(
        "/v1/webhooks/{webhook_id}/test",
        tags=["receiving"],
        summary="Send a test notification now",
        response_model=WebhookTried,
        responses=problems(*SIGNED_IN, "not-found", "webhook-not-active"),
    )
    async def test_webhook(webhook_id: UUID, token: AccessToken) -> Response:
        return write_json(await context.bus.ask(TEST_WEBHOOK, TestWebhook(token=token, id=webhook_id), within=_TRY))
