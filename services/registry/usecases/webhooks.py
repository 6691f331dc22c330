"""Webhook endpoints: owned here, called by the delivery service."""

import hashlib
from collections.abc import Sequence

import rfc8785

from services.registry.domain.texts import clean_text
from services.registry.domain.webhooks import check_url
from services.registry.errors import AgencyNotYours, IdempotencyKeyReused, NotFound, TooMany
from services.registry.repository import systems as stored_systems
from services.registry.repository import versions
from services.registry.repository import webhooks as stored
from services.registry.repository.webhooks import StoredWebhook
from services.registry.usecases.agencies import open_agencies
from services.registry.usecases.collaborators import Collaborators
from shared.contracts.base import Nothing
from shared.contracts.registry import (
    AddWebhook,
    AgencyEntry,
    ChooseWebhook,
    Endpoint,
    Endpoints,
    ListWebhooks,
    ReadEndpoints,
    Role,
    Scope,
    SetWebhookState,
    Webhooks,
    WebhooksChanged,
    WebhookState,
    WebhookView,
)
from shared.errors import FieldError
from shared.outbox import UnitOfWork
from shared.tokens import Caller

MAX_WEBHOOKS = 50
MAX_REASON = 500
_MAX_KEY = 255
_CHANGES = {WebhookState.ACTIVE: "confirmed", WebhookState.DISABLED: "disabled", WebhookState.PENDING: "pending"}


async def add_webhook(its: Collaborators, request: AddWebhook) -> WebhookView:
    """
    Note an endpoint of the caller's system and give its signing secret; it waits for the handshake.

    The same request under the same idempotency key gets the same endpoint and secret again.

    Raises:
        WebhookInvalid: The address cannot be called.
        AgencyNotYours: The caller does not see the mailbox of an agency named.
        IdempotencyKeyReused: The key came with another request.
        TooMany: The system has too many endpoints.
    """
    caller = await its.identify(request.token, Scope.INBOX)
    check_url(request.url)
    agencies = await _check_agencies(its, caller, request.agencies)
    key = None if request.idempotency_key is None else clean_text(request.idempotency_key)[:_MAX_KEY]
    digest = _digest(request)
    now = its.clock.now()
    async with its.store.begin() as uow:
        await stored.lock_system(uow.connection, caller.system_id)
        if key is not None:
            former = await stored.find_same_request(uow.connection, caller.system_id, key)
            if former is not None:
                if former.request_sha256 != digest:
                    raise IdempotencyKeyReused("this idempotency key came with another request before")
                return _view(former, its.vault.unseal(former.id, former.sealed_secret))
        if len(await stored.list_webhooks(uow.connection, caller.system_id)) >= MAX_WEBHOOKS:
            raise TooMany(f"a system may have at most {MAX_WEBHOOKS} webhooks")
        webhook_id, secret = its.new_id(), its.vault.new_webhook_secret()
        webhook = StoredWebhook(
            id=webhook_id,
            system_id=caller.system_id,
            url=request.url,
            agency_keys=tuple(agency.key for agency in agencies),
            agencies=tuple(agency.code for agency in agencies),
            state=WebhookState.PENDING,
            reason=None,
            sealed_secret=its.vault.seal(webhook_id, secret),
            request_sha256=digest,
            created_at=now,
        )
        await stored.add_webhook(uow.connection, webhook, key, now)
        _publish(uow, webhook, "added")
        await uow.commit()
    return _view(webhook, secret)


async def list_webhooks(its: Collaborators, request: ListWebhooks) -> Webhooks:
    """
    Give the endpoints of the caller's system, without secrets.
    """
    caller = await its.identify(request.token, Scope.INBOX)
    async with its.store.read() as connection:
        found = await stored.list_webhooks(connection, caller.system_id)
    return Webhooks(items=tuple(_view(webhook) for webhook in found))


async def remove_webhook(its: Collaborators, request: ChooseWebhook) -> Nothing:
    """
    Forget an endpoint of the caller's system.

    Raises:
        NotFound: The caller's system has no such endpoint.
    """
    caller = await its.identify(request.token, Scope.INBOX)
    async with its.store.begin() as uow:
        await versions.begin_change(uow.connection)
        webhook = await stored.find_webhook(uow.connection, request.id, lock=True)
        if webhook is None or webhook.system_id != caller.system_id:
            raise NotFound("the system has no such webhook")
        await stored.remove_webhook(uow.connection, webhook.id)
        await _have_listeners_asked_anew(its, uow)
        _publish(uow, webhook, "removed")
        await uow.commit()
    return Nothing()


async def read_endpoints(its: Collaborators, request: ReadEndpoints) -> Endpoints:
    """
    Give the delivery service what it needs to call: active endpoints of agencies, and named ones in any state.
    """
    async with its.store.read() as connection:
        listeners = await stored.find_listeners(connection, request.agency_keys) if request.agency_keys else []
        named = await stored.find_webhooks(connection, request.webhook_ids) if request.webhook_ids else []
    found = {webhook.id: webhook for webhook in (*named, *listeners)}
    return Endpoints(
        items=tuple(
            Endpoint(
                webhook_id=webhook.id,
                system_id=webhook.system_id,
                url=webhook.url,
                state=webhook.state,
                agency_keys=webhook.heard,
                secret=its.vault.unseal(webhook.id, webhook.sealed_secret),
            )
            for webhook in found.values()
        )
    )


async def set_webhook_state(its: Collaborators, request: SetWebhookState) -> Nothing:
    """
    Note that an endpoint answered its handshake, or was switched off; one that is gone by now needs nothing.
    """
    async with its.store.begin() as uow:
        await versions.begin_change(uow.connection)
        webhook = await stored.find_webhook(uow.connection, request.webhook_id, lock=True)
        if webhook is not None and webhook.state is not request.state:
            reason = clean_text(request.reason)[:MAX_REASON]
            await stored.set_state(uow.connection, webhook.id, request.state, reason, its.clock.now())
            await _have_listeners_asked_anew(its, uow)
            _publish(uow, webhook, _CHANGES[request.state])
            await uow.commit()
    return Nothing()


async def _check_agencies(its: Collaborators, caller: Caller, codes: Sequence[str]) -> list[AgencyEntry]:
    narrowed = caller.agencies
    if not codes and narrowed is not None:
        codes = narrowed
    agencies = await open_agencies(its, codes, "/agencies") if codes else []
    async with its.store.read() as connection:
        keys = [agency.key for agency in agencies]
        roles = await stored_systems.find_roles(connection, caller.system_id, keys)
    seen = {key for key, role in roles if role in {Role.READER, Role.RECEIVER}}
    errors = [
        FieldError(pointer="/agencies", code=AgencyNotYours.code, detail=f"you do not see the mailbox of {agency.code}")
        for agency in agencies
        if agency.key not in seen or (narrowed is not None and agency.code not in narrowed)
    ]
    if errors:
        raise AgencyNotYours("a webhook hears only about mailboxes that its system sees", errors=errors)
    return agencies


async def _have_listeners_asked_anew(its: Collaborators, uow: UnitOfWork) -> None:
    """Whoever remembers which endpoints listen forgets it with the next version of the register."""
    its.announce(uow, await versions.advance(uow.connection))


def _digest(request: AddWebhook) -> str:
    content = {"url": request.url, "agencies": list(request.agencies)}
    return hashlib.sha256(rfc8785.dumps(content)).hexdigest()


def _publish(uow: UnitOfWork, webhook: StoredWebhook, change: str) -> None:
    uow.outbox.add(WebhooksChanged(webhook_id=webhook.id, system_id=webhook.system_id, change=change))


def _view(webhook: StoredWebhook, secret: str | None = None) -> WebhookView:
    return WebhookView(
        id=webhook.id,
        url=webhook.url,
        agencies=webhook.agencies,
        state=webhook.state,
        reason=webhook.reason,
        created_at=webhook.created_at,
        secret=secret,
    )
