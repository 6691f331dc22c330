"""Webhook endpoints."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, any_, cast, delete, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import Uuid

from services.registry.tables import grants, systems, webhooks
from shared.contracts.registry import Role, SystemStatus, WebhookState


@dataclass(frozen=True)
class StoredWebhook:
    """
    An endpoint as stored.

    Attributes:
        agency_keys: Agencies it wants to hear about; empty: all whose mailbox its system sees.
        agencies: Their codes.
        heard: The asked-for agencies it wants to hear about; only where agencies were asked for.
    """

    id: UUID
    system_id: str
    url: str
    agency_keys: tuple[UUID, ...]
    agencies: tuple[str, ...]
    state: WebhookState
    reason: str | None
    sealed_secret: bytes
    request_sha256: str
    created_at: datetime
    heard: tuple[UUID, ...] = ()


async def add_webhook(
    connection: AsyncConnection, webhook: StoredWebhook, idempotency_key: str | None, now: datetime
) -> None:
    """
    Write a new endpoint.
    """
    await connection.execute(
        insert(webhooks).values(
            id=webhook.id,
            system_id=webhook.system_id,
            url=webhook.url,
            agency_keys=list(webhook.agency_keys),
            agencies=list(webhook.agencies),
            state=webhook.state.value,
            sealed_secret=webhook.sealed_secret,
            idempotency_key=idempotency_key,
            request_sha256=webhook.request_sha256,
            created_at=webhook.created_at,
            changed_at=now,
        )
    )


async def lock_system(connection: AsyncConnection, system_id: str) -> None:
    """
    Let one request at a time change the endpoints of a system.
    """
    await connection.execute(select(systems.c.id).where(systems.c.id == system_id).with_for_update(key_share=True))


async def find_same_request(connection: AsyncConnection, system_id: str, idempotency_key: str) -> StoredWebhook | None:
    """
    Find the endpoint made under an idempotency key.
    """
    statement = select(webhooks).where(webhooks.c.system_id == system_id, webhooks.c.idempotency_key == idempotency_key)
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else _to_webhook(row)


async def find_webhook(connection: AsyncConnection, webhook_id: UUID, *, lock: bool = False) -> StoredWebhook | None:
    """
    Find one endpoint.
    """
    statement = select(webhooks).where(webhooks.c.id == webhook_id)
    if lock:
        statement = statement.with_for_update()
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else _to_webhook(row)


async def list_webhooks(connection: AsyncConnection, system_id: str) -> list[StoredWebhook]:
    """
    Give the endpoints of a system, oldest first.
    """
    statement = select(webhooks).where(webhooks.c.system_id == system_id).order_by(webhooks.c.id)
    return [_to_webhook(row) for row in await connection.execute(statement)]


async def find_webhooks(connection: AsyncConnection, ids: Collection[UUID]) -> list[StoredWebhook]:
    """
    Give named endpoints in any state, those of disabled systems left out.
    """
    statement = (
        select(webhooks)
        .join(systems, systems.c.id == webhooks.c.system_id)
        .where(webhooks.c.id.in_(ids), systems.c.status == SystemStatus.ACTIVE.value)
        .order_by(webhooks.c.id)
    )
    return [_to_webhook(row) for row in await connection.execute(statement)]


async def find_listeners(connection: AsyncConnection, agency_keys: Collection[UUID]) -> list[StoredWebhook]:
    """
    Give the active endpoints of active systems that see a mailbox of these agencies and want to hear about it.
    """
    wanted = or_(
        func.cardinality(webhooks.c.agency_keys) == 0,
        grants.c.agency_key == any_(webhooks.c.agency_keys),
    )
    heard = (
        select(webhooks.c.id, func.array_agg(grants.c.agency_key.distinct()).label("heard"))
        .join(grants, grants.c.system_id == webhooks.c.system_id)
        .join(systems, systems.c.id == webhooks.c.system_id)
        .where(
            grants.c.agency_key == any_(cast(list(agency_keys), ARRAY(Uuid))),
            grants.c.role.in_((Role.READER.value, Role.RECEIVER.value)),
            grants.c.ended_at.is_(None),
            systems.c.status == SystemStatus.ACTIVE.value,
            webhooks.c.state == WebhookState.ACTIVE.value,
            wanted,
        )
        .group_by(webhooks.c.id)
        .subquery()
    )
    statement = select(webhooks, heard.c.heard).join(heard, heard.c.id == webhooks.c.id).order_by(webhooks.c.id)
    return [_to_webhook(row, tuple(row.heard)) for row in await connection.execute(statement)]


async def remove_webhook(connection: AsyncConnection, webhook_id: UUID) -> None:
    """
    Forget an endpoint.
    """
    await connection.execute(delete(webhooks).where(webhooks.c.id == webhook_id))


async def set_state(
    connection: AsyncConnection, webhook_id: UUID, state: WebhookState, reason: str, now: datetime
) -> None:
    """
    Write that an endpoint was confirmed or switched off.
    """
    statement = update(webhooks).where(webhooks.c.id == webhook_id)
    await connection.execute(statement.values(state=state.value, reason=reason or None, changed_at=now))


def _to_webhook(row: Row[Any], heard: tuple[UUID, ...] = ()) -> StoredWebhook:
    return StoredWebhook(
        id=row.id,
        system_id=row.system_id,
        url=row.url,
        agency_keys=tuple(row.agency_keys),
        agencies=tuple(row.agencies),
        state=WebhookState(row.state),
        reason=row.reason,
        sealed_secret=row.sealed_secret,
        request_sha256=row.request_sha256,
        created_at=row.created_at,
        heard=heard,
    )
