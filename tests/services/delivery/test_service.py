"""The service as it runs, and its tables."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from services.delivery.app import create_app
from services.delivery.settings import Settings
from services.delivery.tables import metadata
from shared.contracts.base import Lane, Nothing
from shared.contracts.delivery import READ_HEALTH, TEST_WEBHOOK, TestWebhook
from shared.contracts.registry import READ_ENDPOINTS, SET_WEBHOOK_STATE, WebhookState
from shared.contracts.signing import READ_KEYS, Keys
from shared.errors import RejectedElsewhere
from shared.identifiers import Uuid7Source
from shared.jose import ACCESS_TOKEN, sign_compact, thumbprint, to_jwks
from shared.messaging.inprocess import InProcessBus
from shared.runtime import Service
from shared.testing.postgres import SampleDatabase
from shared.testing.webhooks import SECRET, listening
from tests.services.delivery.node import COMMUNE, ISSUER, Node, a_step, added, failing, steps


@dataclass
class Running:
    node: Node
    service: Service
    key: ec.EllipticCurvePrivateKey

    def token(self, system_id: str = "commune", scope: str = "inbox") -> str:
        now = int(self.node.clock.now().timestamp())
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "aud": "axis",
            "sub": system_id,
            "cid": "c",
            "scope": scope,
            "jti": "j",
            "iat": now,
            "exp": now + 600,
        }
        return sign_compact(claims, typ=ACCESS_TOKEN, key=self.key, kid=thumbprint(self.key.public_key()))


@pytest.fixture
async def running(database: SampleDatabase) -> AsyncIterator[Running]:
    node = Node(database)
    node.new_id = Uuid7Source(node.clock)
    node.bus = InProcessBus(node.clock, node.new_id)
    key = ec.generate_private_key(ec.SECP256R1())

    async def read_keys(_: Nothing) -> Keys:
        return Keys(token_keys=to_jwks([key.public_key()]), evidence_keys={"keys": []}, anchors=())

    node.bus.party("registry").answer(READ_ENDPOINTS, node._read_endpoints)
    node.bus.party("registry").answer(SET_WEBHOOK_STATE, node._set_state)
    node.bus.party("signing").answer(READ_KEYS, read_keys)
    settings = Settings(node_id="H43", public_url=ISSUER, database_url=database.url("delivery"), timeout_seconds=2)
    service = create_app(settings, bus=node.bus.party("delivery"), clock=node.clock, new_id=node.new_id)
    await node.bus.start()
    async with service:
        yield Running(node, service, key)
    await node.bus.close()


async def test_the_running_service_shakes_hands_and_notifies(running: Running) -> None:
    node = running.node
    async with listening() as listener, asyncio.timeout(20):
        webhook_id = node.add_endpoint(listener.url, COMMUNE, state=WebhookState.PENDING)
        await node.publish(added(webhook_id))
        await listener.wait_for(1)
        await node.heard.wait()
        await node.publish(steps(a_step(number=1), a_step(lane=Lane.EXPRESS, number=2)))
        await listener.wait_for(3)
    assert {call.event["type"] for call in listener.calls} == {"axis.webhook.handshake", "delivery.available"}
    assert all(call.is_signed_with(SECRET) for call in listener.calls)


async def test_an_endpoint_is_tried_for_its_owner_only(running: Running) -> None:
    gateway = running.node.bus.party("gateway")
    async with listening() as listener:
        webhook_id = running.node.add_endpoint(listener.url, COMMUNE)
        tried = await gateway.ask(TEST_WEBHOOK, TestWebhook(token=running.token(), id=webhook_id))
        assert (tried.delivered, tried.status) == (True, 204)
        assert listener.calls[0].event["type"] == "axis.webhook.test"
        assert listener.calls[0].is_signed_with(SECRET)
        listener.answer = failing(500)
        tried = await gateway.ask(TEST_WEBHOOK, TestWebhook(token=running.token(), id=webhook_id))
        assert (tried.delivered, tried.status) == (False, 500)
        for code, token, chosen in (
            ("not-found", running.token("district"), webhook_id),
            ("not-found", running.token(), UUID(int=7)),
            ("scope-missing", running.token(scope="send"), webhook_id),
            ("token-invalid", "x.y.z", webhook_id),
        ):
            with pytest.raises(RejectedElsewhere) as refusal:
                await gateway.ask(TEST_WEBHOOK, TestWebhook(token=token, id=chosen))
            assert refusal.value.problem_code == code
    assert len(listener.calls) == 2


async def test_an_endpoint_that_has_not_agreed_is_not_tried(running: Running) -> None:
    webhook_id = running.node.add_endpoint("http://127.0.0.1:1/", COMMUNE, state=WebhookState.PENDING)
    with pytest.raises(RejectedElsewhere) as refusal:
        await running.node.bus.party("gateway").ask(TEST_WEBHOOK, TestWebhook(token=running.token(), id=webhook_id))
    assert refusal.value.problem_code == "webhook-not-active"


async def test_it_says_whether_it_is_ready(running: Running) -> None:
    assert (await running.node.bus.party("gateway").ask(READ_HEALTH, Nothing())).ready


async def test_the_tables_are_those_the_migration_makes(database: SampleDatabase) -> None:
    def differences(connection: Connection) -> list[Any]:
        def is_ours(name: str | None, kind: str, _: object) -> bool:
            return name == "delivery" if kind == "schema" else name != "schema_version"

        options = {"include_schemas": True, "include_name": is_ours, "compare_type": True}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))

    # As the superuser: to the role itself its schema is the default one, which goes without a name.
    engine = create_async_engine(database.admin_dsn().replace("postgresql://", "postgresql+asyncpg://"))
    try:
        async with engine.connect() as connection:
            assert await connection.run_sync(differences) == []
    finally:
        await engine.dispose()
