"""Events in, notifications out, on a real database and bus, against a real listener; the registry is stood in for."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from services.delivery.app import create_app
from services.delivery.clients.listeners import Listeners
from services.delivery.clients.outside import Outside, open_http
from services.delivery.clients.registry import Registry
from services.delivery.domain import GIVE_UP_AFTER, LONGEST_REST, SCHEDULE
from services.delivery.settings import Settings
from services.delivery.tables import messaging, metadata
from services.delivery.usecases.finish import KEEP_ENDED, sweep
from services.delivery.usecases.notify import Notifier
from services.delivery.usecases.send import LEASE, Worker
from shared.contracts.base import Event, Lane, Nothing
from shared.contracts.delivery import READ_HEALTH, TEST_WEBHOOK, NotificationsEnded, TestWebhook
from shared.contracts.registry import (
    READ_ENDPOINTS,
    SET_WEBHOOK_STATE,
    Endpoint,
    Endpoints,
    ReadEndpoints,
    SetWebhookState,
    WebhooksChanged,
    WebhookState,
)
from shared.contracts.routing import DeliveriesChanged, DeliveryState, DeliveryStep, StatusesReported, StatusFact
from shared.contracts.signing import READ_KEYS, Keys
from shared.database import Database
from shared.errors import RejectedElsewhere, Unavailable
from shared.faults import NoFaults, SimulatedCrash
from shared.identifiers import Uuid7Source
from shared.jose import ACCESS_TOKEN, sign_compact, thumbprint, to_jwks
from shared.messaging import Item
from shared.messaging.inprocess import InProcessBus
from shared.outbox import Consumer, Relay, Store
from shared.runtime import Service
from shared.testing.postgres import SampleDatabase
from shared.testing.webhooks import SECRET, Call, Reply, agree, listening

ISSUER = "http://127.0.0.1:8080"
COMMUNE, PROVINCE = UUID(int=1), UUID(int=2)


class HandClock:
    def __init__(self) -> None:
        self.moment = datetime(2025, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment

    def pass_by(self, span: timedelta) -> None:
        self.moment += span


class OneCrash(NoFaults):
    """A fault plan that kills the process once, when it is about to commit for the n-th time."""

    def __init__(self) -> None:
        self.commits_left: int | None = None

    async def at(self, point: str, key: str) -> None:
        if point == "commit" and self.commits_left is not None:
            self.commits_left -= 1
            if self.commits_left < 0:
                self.commits_left = None
                raise SimulatedCrash


@dataclass
class Node:
    """
    Delivery in parts, so that a test turns the worker by hand.

    Attributes:
        endpoints: What the registry would answer.
        told: What the registry was told about endpoints.
        ended: Outcomes published.
    """

    database: SampleDatabase
    clock: HandClock = field(default_factory=HandClock)
    faults: OneCrash = field(default_factory=OneCrash)
    endpoints: dict[UUID, Endpoint] = field(default_factory=dict)
    told: list[SetWebhookState] = field(default_factory=list)
    ended: list[tuple[UUID, str]] = field(default_factory=list)
    registry_is_down: bool = False
    heard: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[ReadEndpoints] = field(default_factory=list)

    async def start(self) -> None:
        self.new_id = Uuid7Source(self.clock)
        self.bus = InProcessBus(self.clock, self.new_id)
        registry = self.bus.party("registry")
        registry.answer(READ_ENDPOINTS, self._read_endpoints)
        registry.answer(SET_WEBHOOK_STATE, self._set_state)
        self.bus.party("audit").subscribe("*", self._hear)
        await self.bus.start()
        self.settings = Settings(
            node_id="H43", public_url=ISSUER, database_url=self.database.url("delivery"), timeout_seconds=2
        )
        party = self.bus.party("delivery")
        self.db = Database(self.database.url("delivery"), service="delivery", faults=self.faults)
        self.store = Store(self.db, messaging, clock=self.clock, new_id=self.new_id)
        self.http = open_http(self.settings)
        self.worker = self.make_worker()
        listeners = Listeners(Registry(party), party, self.clock)
        notifier = Notifier(self.store, listeners, source=ISSUER, wake=lambda: None)
        consumer = Consumer(party, self.store)
        consumer.on(DeliveriesChanged, notifier.on_deliveries_changed)
        consumer.on(StatusesReported, notifier.on_statuses_reported)
        consumer.on(WebhooksChanged, notifier.on_webhooks_changed)
        self.relay = Relay(self.store, party)

    def make_worker(self, lowest_lane: Lane = Lane.ORDINARY) -> Worker:
        outside = Outside(self.http, self.settings)
        return Worker(
            self.store,
            Registry(self.bus.party("delivery")),
            outside,
            disable_after=self.settings.disable_after,
            lowest_lane=lowest_lane,
            chance=lambda: 0.5,
        )

    async def stop(self) -> None:
        await self.bus.close()
        await self.http.aclose()
        await self.db.close()

    def add_endpoint(
        self, url: str, *agencies: UUID, state: WebhookState = WebhookState.ACTIVE, system_id: str = "commune"
    ) -> UUID:
        webhook_id = self.new_id()
        self.endpoints[webhook_id] = Endpoint(
            webhook_id=webhook_id, system_id=system_id, url=url, state=state, agency_keys=agencies, secret=SECRET
        )
        return webhook_id

    async def publish(self, event: Event, event_id: UUID | None = None, lane: Lane = Lane.ORDINARY) -> UUID:
        item = Item(
            id=event_id or self.new_id(),
            type=type(event).topic,
            source="routing",
            time=self.clock.now(),
            data=event.model_dump_json(),
            lane=lane,
        )
        async with asyncio.timeout(60):  # a handler that keeps raising would be called for ever
            assert await self.bus.party("routing").publish([item]) == [True]
        return item.id

    async def ended_so_far(self) -> list[tuple[UUID, str]]:
        while await self.relay.run_once():
            pass
        return self.ended

    async def rows(self, query: str = "SELECT * FROM delivery.notifications ORDER BY id") -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.database.admin_dsn())
        try:
            return await connection.fetch(query)
        finally:
            await connection.close()

    async def _read_endpoints(self, request: ReadEndpoints) -> Endpoints:
        if self.registry_is_down:
            raise Unavailable("the registry is down")
        self.asked.append(request)
        found = [self.endpoints[one] for one in request.webhook_ids if one in self.endpoints]
        for endpoint in self.endpoints.values():
            keys = tuple(key for key in endpoint.agency_keys if key in request.agency_keys)
            if keys and endpoint.state is WebhookState.ACTIVE:
                found.append(endpoint.model_copy(update={"agency_keys": keys}))
        return Endpoints(items=tuple(found))

    async def _set_state(self, request: SetWebhookState) -> Nothing:
        self.told.append(request)
        self.heard.set()
        known = self.endpoints[request.webhook_id]
        self.endpoints[request.webhook_id] = known.model_copy(update={"state": request.state})
        return Nothing()

    async def _hear(self, item: Item) -> None:
        if item.type == NotificationsEnded.topic:
            facts = NotificationsEnded.model_validate_json(item.data).items
            self.ended += [(fact.webhook_id, fact.outcome) for fact in facts]


@pytest.fixture
async def node(database: SampleDatabase) -> AsyncIterator[Node]:
    node = Node(database)
    await node.start()
    try:
        yield node
    finally:
        await node.stop()


def a_step(
    to_state: DeliveryState = DeliveryState.AVAILABLE, lane: Lane = Lane.ORDINARY, number: int = 0
) -> DeliveryStep:
    return DeliveryStep(
        delivery_id=UUID(int=100 + number),
        document_id=UUID(int=50),
        sender_key=PROVINCE,
        addressee_key=COMMUNE,
        mailbox_key=COMMUNE,
        from_state=None,
        to_state=to_state,
        series=1,
        reason_code="unreadable" if to_state is DeliveryState.FAILED else None,
        lane=lane,
        at=datetime(2025, 1, 1, tzinfo=UTC),
    )


def steps(*items: DeliveryStep) -> DeliveriesChanged:
    return DeliveriesChanged(items=items)


def failing(status: int = 500, **headers: str) -> Callable[[Call], Reply]:
    return lambda _: Reply(status, {name.replace("_", "-"): value for name, value in headers.items()})


# --- what is notified ------------------------------------------------------------------------------------------------


async def test_an_addressee_hears_of_what_is_available(node: Node) -> None:
    async with listening() as listener:
        node.add_endpoint(listener.url, COMMUNE)
        await node.publish(steps(a_step()))
        assert await node.worker.run_once() == 1
    (call,) = listener.calls
    assert call.is_signed_with(SECRET)
    assert call.headers["webhook-timestamp"] == str(int(node.clock.now().timestamp()))
    assert call.event["id"] == call.headers["webhook-id"]
    assert call.event["type"] == "delivery.available"
    assert call.event["source"] == ISSUER
    assert call.event["subject"] == str(UUID(int=100))
    assert call.event["data"] == {
        "delivery_id": str(UUID(int=100)),
        "document_id": str(UUID(int=50)),
        "agency_key": str(COMMUNE),
        "series": 1,
        "lane": 0,
    }
    assert [outcome for _, outcome in await node.ended_so_far()] == ["delivered"]
    assert await node.worker.run_once() == 0


@pytest.mark.parametrize("state", list(DeliveryState))
async def test_a_sender_hears_of_every_end(node: Node, state: DeliveryState) -> None:
    node.add_endpoint("http://127.0.0.1:1/", PROVINCE)
    await node.publish(steps(a_step(state)))
    ends = {"delivered", "failed", "cancelled", "recalled", "expired"}
    expected = [f"delivery.{state}"] if state in ends else []
    assert [row["type"] for row in await node.rows()] == expected


async def test_a_sender_hears_of_statuses(node: Node) -> None:
    fact = StatusFact(
        status_id=UUID(int=9),
        delivery_id=UUID(int=100),
        document_id=UUID(int=50),
        reporter_key=COMMUNE,
        sender_key=PROVINCE,
        code="03",
        happened_at=node.clock.now(),
    )
    async with listening() as listener:
        node.add_endpoint(listener.url, PROVINCE)
        await node.publish(StatusesReported(items=(fact,)))
        await node.worker.run_once()
    assert listener.calls[0].event["type"] == "status.reported"
    assert listener.calls[0].event["data"]["code"] == "03"


async def test_a_redelivered_event_notifies_once(node: Node) -> None:
    node.add_endpoint("http://127.0.0.1:1/", COMMUNE)
    event = steps(a_step(number=1), a_step(number=2))
    event_id = await node.publish(event)
    await node.publish(event, event_id)
    assert len(await node.rows()) == 2


async def test_many_agencies_are_asked_about_in_packs(node: Node) -> None:
    items = [
        a_step(number=number).model_copy(update={"mailbox_key": UUID(int=1000 + number)}) for number in range(1100)
    ]
    node.add_endpoint("http://127.0.0.1:1/", *(UUID(int=1000 + number) for number in range(1100)))
    await node.publish(DeliveriesChanged(items=tuple(items)))
    assert [len(question.agency_keys) for question in node.asked] == [500, 500, 100]
    assert len(await node.rows()) == 1100


async def test_nobody_is_asked_when_nothing_is_to_be_told(node: Node) -> None:
    await node.publish(steps(a_step(DeliveryState.FETCHED)))
    assert node.asked == []


# --- handshake -------------------------------------------------------------------------------------------------------


def added(webhook_id: UUID, change: str = "added") -> WebhooksChanged:
    return WebhooksChanged(webhook_id=webhook_id, system_id="commune", change=change)


async def test_an_endpoint_that_returns_the_challenge_becomes_active(node: Node) -> None:
    async with listening() as listener:
        webhook_id = node.add_endpoint(listener.url, COMMUNE, state=WebhookState.PENDING)
        await node.publish(added(webhook_id))
        await node.worker.run_once()
    assert listener.calls[0].event["type"] == "axis.webhook.handshake"
    assert listener.calls[0].is_signed_with(SECRET)
    assert [(one.webhook_id, one.state) for one in node.told] == [(webhook_id, WebhookState.ACTIVE)]


async def test_an_endpoint_that_keeps_failing_the_handshake_is_switched_off_with_the_reason(node: Node) -> None:
    async with listening(lambda _: Reply(200, {}, b'{"challenge":"guessed"}')) as listener:
        webhook_id = node.add_endpoint(listener.url, COMMUNE, state=WebhookState.PENDING)
        await node.publish(added(webhook_id))
        for pause in (*SCHEDULE[1:4], timedelta(days=1)):
            assert node.told == []
            assert await node.worker.run_once() == 1
            node.clock.pass_by(pause)
        assert await node.worker.run_once() == 0
    assert [one.state for one in node.told] == [WebhookState.DISABLED]
    assert "challenge" in node.told[0].reason
    assert len({call.headers["webhook-id"] for call in listener.calls}) == 1
    assert await node.ended_so_far() == [(webhook_id, "given-up")]


async def test_an_endpoint_off_the_allow_list_is_switched_off_at_once(node: Node) -> None:
    webhook_id = node.add_endpoint("https://10.1.2.3/hook", COMMUNE, state=WebhookState.PENDING)
    await node.publish(added(webhook_id))
    await node.worker.run_once()
    assert [(one.webhook_id, one.state) for one in node.told] == [(webhook_id, WebhookState.DISABLED)]
    assert "10.1.2.3" in node.told[0].reason
    assert await node.ended_so_far() == [(webhook_id, "endpoint-off")]


async def test_a_handshake_agreed_before_a_crash_is_not_sent_again(node: Node) -> None:
    async with listening() as listener:
        webhook_id = node.add_endpoint(listener.url, COMMUNE, state=WebhookState.PENDING)
        await node.publish(added(webhook_id))
        node.faults.commits_left = 1  # the claim passes, the record dies
        with pytest.raises(SimulatedCrash):
            await node.worker.run_once()
        node.clock.pass_by(LEASE)
        await node.worker.run_once()
    assert len(listener.calls) == 1
    assert [row["state"] for row in await node.rows()] == ["delivered"]
    assert [one.state for one in node.told] == [WebhookState.ACTIVE]


async def test_an_endpoint_that_has_not_agreed_gets_nothing_else(node: Node) -> None:
    async with listening() as listener:
        webhook_id = node.add_endpoint(listener.url, COMMUNE)
        await node.publish(steps(a_step()))
        known = node.endpoints[webhook_id]
        node.endpoints[webhook_id] = known.model_copy(update={"state": WebhookState.PENDING})
        await node.worker.run_once()
    assert listener.calls == []


# --- failing ---------------------------------------------------------------------------------------------------------


async def test_a_crash_between_sending_and_recording_repeats_the_same_notification(node: Node) -> None:
    async with listening() as listener:
        node.add_endpoint(listener.url, COMMUNE)
        await node.publish(steps(a_step()))
        node.faults.commits_left = 1
        with pytest.raises(SimulatedCrash):
            await node.worker.run_once()
        assert await node.worker.run_once() == 0  # until the lease ends nobody else takes it
        node.clock.pass_by(LEASE)
        assert await node.worker.run_once() == 1
    first, second = listener.calls
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    assert first.headers["webhook-timestamp"] != second.headers["webhook-timestamp"]
    assert [outcome for _, outcome in await node.ended_so_far()] == ["delivered"]


async def test_attempts_come_at_the_times_of_the_schedule_until_it_is_given_up(node: Node) -> None:
    moments = []
    async with listening(failing()) as listener:
        webhook_id = node.add_endpoint(listener.url, COMMUNE)
        started = node.clock.now()
        await node.publish(steps(a_step()))
        while (due := (await node.rows())[0])["state"] == "pending":
            node.clock.moment = due["due_at"]
            moments.append(node.clock.now() - started)
            assert await node.worker.run_once() == 1
    passed = timedelta()
    assert moments == [passed := passed + pause for pause in SCHEDULE]
    assert len(listener.calls) == len(SCHEDULE)
    assert await node.ended_so_far() == [(webhook_id, "given-up")]
    assert node.told == []


async def test_retry_after_is_honoured_for_the_whole_endpoint(node: Node) -> None:
    replies = [failing(503, Retry_After="600"), failing(429, Retry_After="Wed, 01 Jan 2025 00:20:00 GMT"), agree]

    def in_turn(call: Call) -> Reply:
        return replies.pop(0)(call)

    async with listening(in_turn) as listener:
        node.add_endpoint(listener.url, COMMUNE)
        await node.publish(steps(a_step(number=1)))
        await node.worker.run_once()
        await node.publish(steps(a_step(number=2)))
        node.clock.pass_by(timedelta(seconds=599))
        assert await node.worker.run_once() == 0
        replies.append(agree)
        node.clock.pass_by(timedelta(seconds=1))
        assert await node.worker.run_once() == 2  # one of them is asked to wait until 00:20
        node.clock.pass_by(timedelta(seconds=599))
        assert await node.worker.run_once() == 0
        node.clock.pass_by(timedelta(seconds=1))
        assert await node.worker.run_once() == 1
    assert {row["state"] for row in await node.rows()} == {"delivered"}


async def test_after_five_failures_the_endpoint_is_only_probed(node: Node) -> None:
    async with listening(failing()) as dead, listening() as alive:
        node.add_endpoint(dead.url, COMMUNE)
        node.add_endpoint(alive.url, PROVINCE)
        await node.publish(steps(*(a_step(number=number) for number in range(20))))
        assert await node.worker.run_once() == 4
        assert await node.worker.run_once() == 4
        assert await node.worker.run_once() == 0  # open: what is due stays untouched
        await node.publish(steps(a_step(DeliveryState.DELIVERED)))
        assert await node.worker.run_once() == 1  # the other endpoint does not notice
        assert len(alive.calls) == 1
        for _ in range(3):
            node.clock.pass_by(LONGEST_REST)
            assert await node.worker.run_once() == 1
            assert await node.worker.run_once() == 0
        dead.answer = agree
        node.clock.pass_by(LONGEST_REST)
        assert await node.worker.run_once() == 1
        assert await node.worker.run_once() == 4  # closed again
        node.clock.pass_by(timedelta(hours=3))
        while await node.worker.run_once():
            pass
    assert {row["state"] for row in await node.rows()} == {"delivered"}


async def test_410_switches_the_endpoint_off_and_ends_what_waits(node: Node) -> None:
    async with listening(failing(410)) as listener:
        webhook_id = node.add_endpoint(listener.url, COMMUNE)
        await node.publish(steps(*(a_step(number=number) for number in range(10))))
        await node.worker.run_once()
        assert await node.worker.run_once() == 0
    assert [(one.webhook_id, one.state) for one in node.told] == [(webhook_id, WebhookState.DISABLED)]
    assert "410" in node.told[0].reason
    assert sorted(outcome for _, outcome in await node.ended_so_far()) == ["endpoint-off"] * 6 + ["given-up"] * 4


async def test_days_of_failure_switch_the_endpoint_off(node: Node) -> None:
    async with listening(failing(302, Location="http://127.0.0.1/")) as listener:
        node.add_endpoint(listener.url, COMMUNE)
        await node.publish(steps(a_step(number=1)))
        await node.worker.run_once()
        node.clock.pass_by(node.settings.disable_after)
        await node.publish(steps(a_step(number=2)))
        await node.worker.run_once()
    assert [one.state for one in node.told] == [WebhookState.DISABLED]
    assert "2025-01-01 00:00" in node.told[0].reason
    assert "redirects are not followed" in node.told[0].reason
    assert {row["state"] for row in await node.rows()} == {"endpoint-off"}


@pytest.mark.parametrize("change", ["removed", "disabled"])
async def test_what_waits_for_an_endpoint_ends_with_it(node: Node, change: str) -> None:
    webhook_id = node.add_endpoint("http://127.0.0.1:1/", COMMUNE)
    await node.publish(steps(*(a_step(number=number) for number in range(600))))
    await node.publish(added(webhook_id, change))
    assert {row["state"] for row in await node.rows()} == {"endpoint-off"}
    assert await node.ended_so_far() == [(webhook_id, "endpoint-off")] * 600


async def test_an_endpoint_the_registry_no_longer_knows_is_called_no_more(node: Node) -> None:
    async with listening() as listener:
        webhook_id = node.add_endpoint(listener.url, COMMUNE)
        await node.publish(steps(a_step()))
        del node.endpoints[webhook_id]
        await node.worker.run_once()
    assert listener.calls == []
    assert await node.ended_so_far() == [(webhook_id, "endpoint-off")]


async def test_without_the_registry_notifications_wait(node: Node) -> None:
    async with listening() as listener:
        node.add_endpoint(listener.url, COMMUNE)
        await node.publish(steps(a_step()))
        node.registry_is_down = True
        with pytest.raises(Unavailable):
            await node.worker.run_once()
        node.registry_is_down = False
        node.clock.pass_by(timedelta(seconds=5))
        assert await node.worker.run_once() == 1
    assert [row["attempts"] for row in await node.rows()] == [1]


async def test_what_is_too_old_is_given_up_and_deleted_later(node: Node) -> None:
    webhook_id = node.add_endpoint("http://127.0.0.1:1/", COMMUNE)
    await node.publish(steps(a_step()))
    node.clock.pass_by(GIVE_UP_AFTER)
    await sweep(node.store)
    assert [row["state"] for row in await node.rows()] == ["pending"]
    node.clock.pass_by(timedelta(seconds=1))
    await sweep(node.store)
    assert await node.ended_so_far() == [(webhook_id, "given-up")]
    node.clock.pass_by(KEEP_ENDED + timedelta(seconds=1))
    await sweep(node.store)
    assert await node.rows() == []


# --- order and sharing -----------------------------------------------------------------------------------------------


async def test_the_most_urgent_leave_first(node: Node) -> None:
    async with listening() as listener:
        node.add_endpoint(listener.url, COMMUNE)
        ordinary = [a_step(number=number) for number in range(8)]
        urgent = [a_step(lane=Lane.EXPRESS, number=100 + number) for number in range(4)]
        await node.publish(steps(*ordinary, *urgent))
        await node.worker.run_once()
        assert {call.event["data"]["lane"] for call in listener.calls} == {3}
        assert await node.make_worker(Lane.VERY_URGENT).run_once() == 0


async def test_two_workers_send_everything_once(node: Node) -> None:
    async with listening() as listener:
        for number in range(12):
            node.add_endpoint(listener.url, UUID(int=1000 + number))
        items = [
            a_step(number=number).model_copy(update={"mailbox_key": UUID(int=1000 + number % 12)})
            for number in range(60)
        ]
        await node.publish(steps(*items))
        workers = [node.worker, node.make_worker()]
        while any(await asyncio.gather(*(worker.run_once() for worker in workers))):
            pass
    ids = [call.headers["webhook-id"] for call in listener.calls]
    assert len(ids) == len(set(ids)) == 60


# --- the service as it runs ------------------------------------------------------------------------------------------


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
