"""An endpoint agrees before it gets anything."""

from datetime import timedelta

import pytest

from services.delivery.domain.notifications import SCHEDULE
from services.delivery.usecases.send import LEASE
from shared.contracts.registry import WebhookState
from shared.faults import SimulatedCrash
from shared.testing.webhooks import SECRET, Reply, listening
from tests.services.delivery.node import COMMUNE, Node, a_step, added, steps


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
