"""Lanes, held deliveries, failed deliveries and dead messages; scope `operate`."""

import asyncio
from enum import StrEnum
from typing import Annotated, Final
from uuid import UUID

from fastapi import FastAPI, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from gateway.api.answers import SIGNED_IN, problems, write_json
from gateway.api.context import Context
from gateway.api.examples import UUID_7
from gateway.api.moments import GivenMoment
from gateway.api.route import AccessToken, AgencyCode, Cursor, IdempotencyKey
from shared.contracts.base import MAX_ITEMS, Lane
from shared.contracts.dead import ActOnDead, DeadMessage, DeadMessages, DeadResult, ListDead, dead_operations
from shared.contracts.routing import (
    CANCEL,
    LIST_FAILED,
    READ_QUEUES,
    REQUEUE,
    SET_PAUSE,
    ActOnDeliveries,
    ActResults,
    FailedPage,
    ListFailed,
    Queues,
    ReadQueues,
    SetPause,
)
from shared.errors import Unavailable

_AHEAD: Final = Lane.VERY_URGENT
"""An operator must get through when a flood of documents does not."""

_BODY: Final = ("wrong-media-type", "request-too-large", "body-incomplete")


class ServiceName(StrEnum):
    """
    A service that may have dead messages.
    """

    REGISTRY = "registry"
    SIGNING = "signing"
    ROUTING = "routing"
    DELIVERY = "delivery"
    AUDIT = "audit"


class PauseRequest(BaseModel):
    """
    Why, and until when; without `until`, until resumed.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "Bảo trì đường truyền"}]})

    reason: str = Field(default="", max_length=500)
    until: GivenMoment | None = None


class DeliveriesRequest(BaseModel):
    """
    Which deliveries, and why.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"delivery_ids": [UUID_7], "reason": "Cơ quan nhận đã sửa hệ thống"}]}
    )

    delivery_ids: Annotated[tuple[UUID, ...], Field(min_length=1, max_length=MAX_ITEMS)]
    reason: str = Field(min_length=1, max_length=500)


class DeadRequest(BaseModel):
    """
    Which dead messages.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [{"message_ids": [UUID_7]}]})

    message_ids: Annotated[tuple[UUID, ...], Field(min_length=1, max_length=MAX_ITEMS)]


class DeadEntry(DeadMessage):
    """
    A dead message and the service it killed.
    """

    service: str


class DeadList(BaseModel):
    """
    Dead messages of all services, oldest first; `unavailable` names services that did not answer.
    """

    items: tuple[DeadEntry, ...]
    next_cursor: str | None = None
    unavailable: tuple[str, ...] = ()


def add_operating(app: FastAPI, context: Context) -> None:
    """
    Add the operator's routes.
    """
    _add_pauses(app, context)
    _add_failed(app, context)
    _add_dead(app, context)

    @app.get(
        "/v1/admin/queues",
        tags=["operating"],
        summary="Lanes, held addressees and counts",
        response_model=Queues,
        responses=problems(*SIGNED_IN),
    )
    async def read_queues(token: AccessToken) -> Response:
        return write_json(await context.bus.ask(READ_QUEUES, ReadQueues(token=token), lane=_AHEAD))


def _add_pauses(app: FastAPI, context: Context) -> None:
    answers = problems(*SIGNED_IN, "not-found", *_BODY)

    async def set_pause(question: SetPause) -> Response:
        return write_json(await context.bus.ask(SET_PAUSE, question, lane=_AHEAD))

    @app.post(
        "/v1/admin/lanes/{lane}/pause",
        tags=["operating"],
        summary="Hold a lane",
        response_model=Queues,
        responses=answers,
    )
    async def pause_lane(
        lane: Lane, token: AccessToken, body: PauseRequest, _idempotency_key: IdempotencyKey = None
    ) -> Response:
        return await set_pause(SetPause(token=token, lane=lane, paused=True, reason=body.reason, until=body.until))

    @app.post(
        "/v1/admin/lanes/{lane}/resume",
        tags=["operating"],
        summary="Let a lane go on",
        response_model=Queues,
        responses=answers,
    )
    async def resume_lane(lane: Lane, token: AccessToken, _idempotency_key: IdempotencyKey = None) -> Response:
        return await set_pause(SetPause(token=token, lane=lane, paused=False))

    @app.post(
        "/v1/admin/agencies/{code}/pause",
        tags=["operating"],
        summary="Hold deliveries to an agency",
        response_model=Queues,
        responses=answers,
    )
    async def pause_agency(
        code: Annotated[AgencyCode, Path()],
        token: AccessToken,
        body: PauseRequest,
        _idempotency_key: IdempotencyKey = None,
    ) -> Response:
        return await set_pause(SetPause(token=token, agency=code, paused=True, reason=body.reason, until=body.until))

    @app.post(
        "/v1/admin/agencies/{code}/resume",
        tags=["operating"],
        summary="Let deliveries to an agency go on",
        response_model=Queues,
        responses=answers,
    )
    async def resume_agency(
        code: Annotated[AgencyCode, Path()], token: AccessToken, _idempotency_key: IdempotencyKey = None
    ) -> Response:
        return await set_pause(SetPause(token=token, agency=code, paused=False))


def _add_failed(app: FastAPI, context: Context) -> None:
    answers = problems(*SIGNED_IN, *_BODY)

    @app.get(
        "/v1/admin/failed",
        tags=["operating"],
        summary="Deliveries that were given up",
        response_model=FailedPage,
        responses=problems(*SIGNED_IN, "not-found", "cursor-invalid"),
    )
    async def list_failed(
        token: AccessToken,
        agency: Annotated[AgencyCode | None, Query()] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
        cursor: Cursor = None,
    ) -> Response:
        question = ListFailed(token=token, agency=agency, limit=limit, cursor=cursor)
        return write_json(await context.bus.ask(LIST_FAILED, question, lane=_AHEAD))

    @app.post(
        "/v1/admin/failed/requeue",
        tags=["operating"],
        summary="Try failed deliveries again; each is answered for itself",
        response_model=ActResults,
        responses=answers,
    )
    async def requeue(token: AccessToken, body: DeliveriesRequest, _idempotency_key: IdempotencyKey = None) -> Response:
        question = ActOnDeliveries(token=token, delivery_ids=body.delivery_ids, reason=body.reason)
        return write_json(await context.bus.ask(REQUEUE, question, lane=_AHEAD))

    @app.post(
        "/v1/admin/failed/cancel",
        tags=["operating"],
        summary="Cancel deliveries for good; each is answered for itself",
        response_model=ActResults,
        responses=answers,
    )
    async def cancel(token: AccessToken, body: DeliveriesRequest, _idempotency_key: IdempotencyKey = None) -> Response:
        question = ActOnDeliveries(token=token, delivery_ids=body.delivery_ids, reason=body.reason)
        return write_json(await context.bus.ask(CANCEL, question, lane=_AHEAD))


def _add_dead(app: FastAPI, context: Context) -> None:
    answers = problems(*SIGNED_IN, "not-found", *_BODY)

    async def list_one(service: ServiceName, question: ListDead) -> DeadMessages | None:
        try:
            return await context.bus.ask(dead_operations(service).list, question, lane=_AHEAD)
        except Unavailable:
            return None

    @app.get(
        "/v1/admin/dead",
        tags=["operating"],
        summary="Dead messages of all services",
        response_model=DeadList,
        responses=problems(*SIGNED_IN),
    )
    async def list_dead(token: AccessToken, limit: Annotated[int, Query(ge=1, le=500)] = 100) -> Response:
        question = ListDead(token=token, limit=limit)
        found = await asyncio.gather(*(list_one(service, question) for service in ServiceName))
        answered = dict(zip(ServiceName, found, strict=True))
        items = [
            DeadEntry(service=service, **message.model_dump())
            for service, messages in answered.items()
            if messages is not None
            for message in messages.items
        ]
        items.sort(key=lambda entry: entry.died_at)
        silent = tuple(service for service, messages in answered.items() if messages is None)
        return write_json(DeadList(items=tuple(items[:limit]), unavailable=silent))

    @app.post(
        "/v1/admin/dead/{service}/retry",
        tags=["operating"],
        summary="Hand dead messages over again",
        response_model=DeadResult,
        responses=answers,
    )
    async def retry_dead(
        service: ServiceName, token: AccessToken, body: DeadRequest, _idempotency_key: IdempotencyKey = None
    ) -> Response:
        question = ActOnDead(token=token, message_ids=body.message_ids)
        return write_json(await context.bus.ask(dead_operations(service).retry, question, lane=_AHEAD))

    @app.post(
        "/v1/admin/dead/{service}/drop",
        tags=["operating"],
        summary="Drop dead messages for good",
        response_model=DeadResult,
        responses=answers,
    )
    async def drop_dead(
        service: ServiceName, token: AccessToken, body: DeadRequest, _idempotency_key: IdempotencyKey = None
    ) -> Response:
        question = ActOnDead(token=token, message_ids=body.message_ids)
        return write_json(await context.bus.ask(dead_operations(service).drop, question, lane=_AHEAD))
