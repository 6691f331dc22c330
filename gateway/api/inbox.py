"""Receiving: the mailbox with its long poll, acknowledgements and statuses."""

import asyncio
from typing import Annotated, Final
from uuid import UUID

from fastapi import FastAPI, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.answers import SIGNED_IN, problems, write_json
from gateway.api.context import Context
from gateway.api.moments import GivenMoment
from gateway.api.route import AccessToken, AgencyCode, Cursor, IdempotencyKey, named
from gateway.errors import RequestInvalid
from gateway.mailboxes import Waiter
from shared.contracts.routing import (
    ACKNOWLEDGE,
    LIST_INBOX,
    LIST_STATUSES,
    READ_DELIVERY,
    REPORT_STATUS,
    Acknowledge,
    Acknowledged,
    ChooseDelivery,
    DeliveryState,
    DeliveryView,
    InboxItem,
    InboxPage,
    ListInbox,
    ReportStatus,
    StaffInfo,
    StatusHistory,
    StatusView,
)

MAX_WAIT_SECONDS: Final = 60
MAX_SHARDS: Final = 64
_BREATH_SECONDS: Final = 0.1
"""A busy mailbox that stays empty for this caller is not asked for more often than this."""


class InboxList(BaseModel):
    """
    A page of the mailboxes, most urgent and oldest first.
    """

    items: tuple[InboxItem, ...]
    next_cursor: str | None = None


class AcknowledgementRequest(BaseModel):
    """
    `done`: the packet is safely stored. `fail`: it cannot be taken, and why.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [{"result": "done"}]})

    result: str = Field(pattern=r"^(done|fail)$")
    reason: str = Field(default="", max_length=2_000)


class StatusRequest(BaseModel):
    """
    What the agency does with a document. `02` and `16` need the reason in `description`.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"code": "03", "staff": {"department": "Văn phòng", "staff": "Nguyễn Văn A"}},
                {"code": "02", "description": "Gửi nhầm cơ quan"},
            ]
        }
    )

    code: str = Field(pattern=r"^(01|02|03|04|05|06|15|16)$")
    description: str = Field(default="", max_length=2_000)
    staff: StaffInfo | None = None
    at: GivenMoment | None = None


def add_inbox(app: FastAPI, context: Context) -> None:
    """
    Add the routes of addressees, except those that give out bytes.
    """

    @app.get(
        "/v1/inbox",
        tags=["receiving"],
        summary="What my agencies have not acknowledged",
        response_model=InboxList,
        responses=problems(*SIGNED_IN, "agency-not-yours", "cursor-invalid"),
    )
    async def list_inbox(
        request: Request,
        token: AccessToken,
        wait: Annotated[int, Query(ge=0, le=MAX_WAIT_SECONDS, description="Seconds of long poll.")] = 0,
        agency: Annotated[AgencyCode | None, Query()] = None,
        state: Annotated[DeliveryState | None, Query(description="Narrow to `available` or `fetched`.")] = None,
        shard: Annotated[
            str | None, Query(pattern=r"^[0-9]{1,2}/[0-9]{1,2}$", description="`i/n`: the share of worker i of n.")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        cursor: Cursor = None,
    ) -> Response:
        number, shards = _read_shard(shard)
        question = ListInbox(
            token=token, agency=agency, state=state, shard=number, shards=shards, limit=limit, cursor=cursor
        )
        page = await _poll(request, context, question, wait)
        return write_json(InboxList(items=page.items, next_cursor=page.next_cursor))

    @app.get(
        "/v1/inbox/{delivery_id}",
        tags=["receiving"],
        summary="Header and verification report of a delivery",
        response_model=DeliveryView,
        responses=problems(*SIGNED_IN, "not-found"),
    )
    async def read_delivery(delivery_id: UUID, token: AccessToken) -> Response:
        question = ChooseDelivery(token=token, delivery_id=delivery_id)
        return write_json(await context.bus.ask(READ_DELIVERY, question))

    @app.post(
        "/v1/inbox/{delivery_id}/acknowledgement",
        tags=["receiving"],
        summary="Acknowledge a delivery",
        status_code=201,
        response_model=Acknowledged,
        responses={
            200: {"model": Acknowledged, "description": "The same was said before."},
            **problems(
                *SIGNED_IN,
                "agency-not-yours",
                "not-found",
                "not-fetched",
                "acknowledgement-conflict",
                "illegal-step",
                "idempotency-key-reused",
                "wrong-media-type",
                "request-too-large",
                "body-incomplete",
            ),
        },
    )
    async def acknowledge(
        delivery_id: UUID,
        token: AccessToken,
        body: AcknowledgementRequest,
        idempotency_key: IdempotencyKey = None,
    ) -> Response:
        question = Acknowledge(
            token=token,
            delivery_id=delivery_id,
            result=body.result,
            reason=body.reason,
            idempotency_key=named(idempotency_key),
        )
        answer = await context.bus.ask(ACKNOWLEDGE, question)
        return write_json(answer, status=201 if answer.created else 200)

    @app.post(
        "/v1/inbox/{delivery_id}/statuses",
        tags=["receiving"],
        summary="Report what the agency does with a document",
        status_code=201,
        response_model=StatusView,
        responses={
            200: {"model": StatusView, "description": "The same was reported before."},
            **problems(
                *SIGNED_IN,
                "agency-not-yours",
                "not-found",
                "illegal-step",
                "idempotency-key-reused",
                "wrong-media-type",
                "request-too-large",
                "body-incomplete",
            ),
        },
    )
    async def report_status(
        delivery_id: UUID, token: AccessToken, body: StatusRequest, idempotency_key: IdempotencyKey = None
    ) -> Response:
        question = ReportStatus(
            token=token,
            delivery_id=delivery_id,
            code=body.code,
            description=body.description,
            staff=body.staff,
            at=body.at,
            idempotency_key=idempotency_key,
        )
        answer = await context.bus.ask(REPORT_STATUS, question)
        return write_json(answer.status, status=201 if answer.created else 200)

    @app.get(
        "/v1/inbox/{delivery_id}/statuses",
        tags=["receiving"],
        summary="Statuses of a delivery so far",
        response_model=StatusHistory,
        responses=problems(*SIGNED_IN, "not-found"),
    )
    async def list_statuses(delivery_id: UUID, token: AccessToken) -> Response:
        question = ChooseDelivery(token=token, delivery_id=delivery_id)
        return write_json(await context.bus.ask(LIST_STATUSES, question))


def _read_shard(text: str | None) -> tuple[int, int]:
    if text is None:
        return 0, 1
    number, shards = (int(part) for part in text.split("/"))
    if not number < shards <= MAX_SHARDS:
        raise RequestInvalid(f"shard must be i/n with i from 0 to n-1 and n up to {MAX_SHARDS}")
    return number, shards


async def _poll(request: Request, context: Context, question: ListInbox, wait: int) -> InboxPage:
    if not wait:
        return await context.bus.ask(LIST_INBOX, question)
    # Listening begins before the first look: what arrives between look and wait is then heard.
    with context.mailboxes.waiter() as waiter:
        if waiter is None:
            return await context.bus.ask(LIST_INBOX, question)
        gone = asyncio.create_task(_disconnected(request))
        try:
            return await _look_and_wait(context, question, wait, waiter, gone)
        finally:
            gone.cancel()


async def _look_and_wait(
    context: Context, question: ListInbox, wait: int, waiter: Waiter, gone: "asyncio.Task[None]"
) -> InboxPage:
    loop = asyncio.get_running_loop()
    end = loop.time() + wait
    while True:
        waiter.forget()
        page = await context.bus.ask(LIST_INBOX, question)
        looked_at = loop.time()
        if page.items or looked_at >= end or gone.done() or not context.mailboxes.open:
            return page
        waiter.narrow(frozenset(page.agency_keys))
        hint = asyncio.create_task(waiter.wait())
        try:
            patience = min(end - looked_at, context.settings.poll_seconds)
            await asyncio.wait({hint, gone}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        finally:
            hint.cancel()
        if (breath := looked_at + _BREATH_SECONDS - loop.time()) > 0 and context.mailboxes.open:
            await asyncio.wait({gone}, timeout=breath)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
