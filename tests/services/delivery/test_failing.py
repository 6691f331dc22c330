"""Endpoints that fail: when they are tried again, and when no more."""

from datetime import timedelta

import pytest

from services.delivery.domain.notifications import GIVE_UP_AFTER, LONGEST_REST, SCHEDULE
from services.delivery.usecases.finish import KEEP_ENDED, sweep
from services.delivery.usecases.send import LEASE
from shared.contracts.registry import WebhookState
from shared.contracts.routing import DeliveryState
from shared.errors import Unavailable
from shared.faults import SimulatedCrash
from shared.testing.webhooks import Call, Reply, agree, listening
from tests.services.delivery.node import COMMUNE, PROVINCE, Node, a_step, added, failing, steps


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
