"""Webhook endpoints: owned by systems, read by delivery."""

from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from shared.contracts.registry import (
    ADD_WEBHOOK,
    LIST_WEBHOOKS,
    READ_AGENCY,
    READ_ENDPOINTS,
    REMOVE_WEBHOOK,
    SET_SYSTEM_STATUS,
    SET_WEBHOOK_STATE,
    AddWebhook,
    ChooseWebhook,
    ListWebhooks,
    ReadAgency,
    ReadEndpoints,
    SetSystemStatus,
    SetWebhookState,
    SystemStatus,
    WebhooksChanged,
    WebhookState,
)

if TYPE_CHECKING:
    from conftest import Node

pytestmark = pytest.mark.filterwarnings("ignore::services.signing.errors.DevelopmentModeWarning")

COMMUNE, OTHER = "H43.36.01", "H43.36.02"
HOOK = "https://hook.example.vn/axis?x=1"


async def key_of(node: "Node", code: str) -> UUID:
    return (await node.ask(READ_AGENCY, ReadAgency(code=code))).key


async def test_an_endpoint_lives_from_its_handshake_to_its_removal(node: "Node") -> None:
    await node.import_table()
    token = await node.token(await node.add_system("xa-1", COMMUNE, OTHER))
    key, other = await key_of(node, COMMUNE), await key_of(node, OTHER)
    made = await node.ask(ADD_WEBHOOK, AddWebhook(token=token, url=HOOK, agencies=(COMMUNE,)))
    assert made.state == "pending"
    assert made.secret is not None
    assert made.secret.startswith("whsec_")
    (listed,) = (await node.ask(LIST_WEBHOOKS, ListWebhooks(token=token))).items
    assert (listed.url, listed.agencies, listed.secret) == (HOOK, (COMMUNE,), None)

    by_agency = ReadEndpoints(agency_keys=(key, other))
    assert (await node.ask(READ_ENDPOINTS, by_agency)).items == (), "it has not answered the handshake"
    (named,) = (await node.ask(READ_ENDPOINTS, ReadEndpoints(webhook_ids=(made.id,)))).items
    assert (named.secret, named.state, named.agency_keys) == (made.secret, "pending", ())
    await node.ask(SET_WEBHOOK_STATE, SetWebhookState(webhook_id=made.id, state=WebhookState.ACTIVE))
    (found,) = (await node.ask(READ_ENDPOINTS, by_agency)).items
    assert (found.system_id, found.secret, found.agency_keys) == ("xa-1", made.secret, (key,))

    off = SetWebhookState(webhook_id=made.id, state=WebhookState.DISABLED, reason="410")
    await node.ask(SET_WEBHOOK_STATE, off)
    await node.ask(SET_WEBHOOK_STATE, off)
    assert (await node.ask(READ_ENDPOINTS, by_agency)).items == ()
    await node.ask(REMOVE_WEBHOOK, ChooseWebhook(token=token, id=made.id))
    assert await node.refusal(REMOVE_WEBHOOK, ChooseWebhook(token=token, id=made.id)) == "not-found"
    await node.ask(SET_WEBHOOK_STATE, off)
    changes = [event.change for event in await node.events(WebhooksChanged, 4)]
    assert changes == ["added", "confirmed", "disabled", "removed"]


async def test_an_endpoint_without_agencies_hears_about_all_of_its_system(node: "Node") -> None:
    await node.import_table()
    token = await node.token(await node.add_system("xa-1", COMMUNE, OTHER))
    made = await node.ask(ADD_WEBHOOK, AddWebhook(token=token, url=HOOK))
    await node.ask(SET_WEBHOOK_STATE, SetWebhookState(webhook_id=made.id, state=WebhookState.ACTIVE))
    keys = {await key_of(node, COMMUNE), await key_of(node, OTHER)}
    asked = ReadEndpoints(agency_keys=(*keys, await key_of(node, "H43")))
    (found,) = (await node.ask(READ_ENDPOINTS, asked)).items
    assert set(found.agency_keys) == keys
    disabled = SetSystemStatus(token=await node.token(), system_id="xa-1", status=SystemStatus.DISABLED)
    await node.ask(SET_SYSTEM_STATUS, disabled)
    assert (await node.ask(READ_ENDPOINTS, asked)).items == ()


async def test_a_stranger_sees_and_removes_nothing(node: "Node") -> None:
    await node.import_table()
    token = await node.token(await node.add_system("xa-1", COMMUNE))
    made = await node.ask(ADD_WEBHOOK, AddWebhook(token=token, url=HOOK))
    stranger = await node.token(await node.add_system("xa-2", OTHER))
    assert (await node.ask(LIST_WEBHOOKS, ListWebhooks(token=stranger))).items == ()
    assert await node.refusal(REMOVE_WEBHOOK, ChooseWebhook(token=stranger, id=made.id)) == "not-found"
    foreign = AddWebhook(token=stranger, url=HOOK, agencies=(COMMUNE,))
    assert await node.refusal(ADD_WEBHOOK, foreign) == "agency-not-yours"


async def test_a_narrowed_token_makes_a_narrowed_endpoint(node: "Node") -> None:
    await node.import_table()
    credential = await node.add_system("xa-1", COMMUNE, OTHER)
    token = await node.token(credential, agencies=(COMMUNE,))
    assert (await node.ask(ADD_WEBHOOK, AddWebhook(token=token, url=HOOK))).agencies == (COMMUNE,)
    beyond = AddWebhook(token=token, url=HOOK, agencies=(OTHER,))
    assert await node.refusal(ADD_WEBHOOK, beyond) == "agency-not-yours"


async def test_the_same_request_with_its_key_gets_the_same_secret(node: "Node") -> None:
    await node.import_table()
    token = await node.token(await node.add_system("xa-1", COMMUNE))
    request = AddWebhook(token=token, url=HOOK, idempotency_key="k")
    first = await node.ask(ADD_WEBHOOK, request)
    assert await node.ask(ADD_WEBHOOK, request) == first
    other = request.model_copy(update={"url": "https://other.example.vn"})
    assert await node.refusal(ADD_WEBHOOK, other) == "idempotency-key-reused"
    stored = await node.rows("SELECT webhooks::text AS row FROM registry.webhooks")
    assert first.secret is not None
    assert first.secret not in stored[0]["row"]


async def test_an_address_nobody_can_call_is_refused(node: "Node") -> None:
    token = await node.token(await node.add_system("xa-1"))
    assert await node.refusal(ADD_WEBHOOK, AddWebhook(token=token, url="ftp://x")) == "webhook-invalid"


async def test_whoever_remembers_listeners_hears_of_every_change_of_an_endpoint(node: "Node") -> None:
    await node.import_table()
    token = await node.token(await node.add_system("xa-1", COMMUNE))
    made = await node.ask(ADD_WEBHOOK, AddWebhook(token=token, url=HOOK))
    *_, before = await node.read_all()
    await node.ask(SET_WEBHOOK_STATE, SetWebhookState(webhook_id=made.id, state=WebhookState.ACTIVE))
    *_, active = await node.read_all()
    await node.ask(REMOVE_WEBHOOK, ChooseWebhook(token=token, id=made.id))
    *_, removed = await node.read_all()
    assert before < active < removed
