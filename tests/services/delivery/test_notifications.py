"""Events in, notifications out, on a real database and bus, against a real listener; the registry is stood in for."""

import asyncio
from uuid import UUID

import pytest

from shared.contracts.base import Lane
from shared.contracts.routing import DeliveriesChanged, DeliveryState, StatusesReported, StatusFact
from shared.testing.webhooks import SECRET, listening
from tests.services.delivery.node import COMMUNE, ISSUER, PROVINCE, Node, a_step, steps

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
