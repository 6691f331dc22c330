"""Lanes: a short window, fair between senders, urgent first, paused and resumed by operators."""

from collections import Counter
from datetime import timedelta
from uuid import UUID

from services.routing.usecases.lanes import fill_window
from services.routing.usecases.open_chunk import open_chunk
from services.routing.usecases.release import release_held
from shared.contracts.base import Lane
from shared.contracts.routing import (
    CHUNK_READY,
    READ_QUEUES,
    SET_PAUSE,
    ControlsChanged,
    DeliveriesChanged,
    DeliveryState,
    Queues,
    ReadQueues,
    SetPause,
)
from shared.messaging import Item
from shared.testing.packets import a_packet
from tests.services.routing.conftest import COMMUNE, DEPARTMENT, DISTRICT, NOW, PROVINCE, House, an_agency


async def senders_offered(house: House) -> Counter[str]:
    rows = await house.rows(
        "SELECT doc.sender_code FROM routing.dispatch_chunks c JOIN routing.documents doc ON doc.id = c.document_id "
        "WHERE c.state = 'offered'"
    )
    return Counter(row[0] for row in rows)


async def ready_events(house: House, lane: Lane) -> list[Item]:
    rows = await house.rows(
        "SELECT * FROM routing.outbox WHERE topic = $1 ORDER BY lane DESC, seq", CHUNK_READY[lane].topic
    )
    return [
        Item(id=row["id"], type=row["topic"], source="routing", time=row["created_at"], data=row["data"], lane=lane)
        for row in rows
    ]


async def open_offered(house: House, lane: Lane, *, repeat: int = 1) -> None:
    for item in await ready_events(house, lane):
        event = CHUNK_READY[lane].model_validate_json(item.data)
        for _ in range(repeat):
            await open_chunk(house.context, event, item)


async def queues(house: House, operator: str) -> Queues:
    return await house.ask(READ_QUEUES, ReadQueues(token=await house.register.token(operator)))


async def test_a_window_is_never_fuller_than_it_may_be(idle_house: House) -> None:
    system = await idle_house.a_system(COMMUNE)
    for _ in range(13):
        await idle_house.submit(system)
    offered = 0
    while more := await fill_window(idle_house.context, Lane.ORDINARY):
        offered += more
    assert offered == idle_house.context.settings.lane_window == 10
    await open_offered(idle_house, Lane.ORDINARY)
    assert await fill_window(idle_house.context, Lane.ORDINARY) == 3


async def test_a_flood_of_one_sender_does_not_shut_out_another(idle_house: House) -> None:
    flood, other = await idle_house.a_system(COMMUNE), await idle_house.a_system(PROVINCE)
    for _ in range(15):
        await idle_house.submit(flood)
    for _ in range(2):
        await idle_house.submit(other, sender=PROVINCE)
    while await fill_window(idle_house.context, Lane.ORDINARY):
        pass
    assert await senders_offered(idle_house) == {COMMUNE: 8, PROVINCE: 2}
    order = [
        (
            await idle_house.rows(
                "SELECT doc.sender_code FROM routing.dispatch_chunks c JOIN routing.documents doc "
                "ON doc.id = c.document_id WHERE c.id = $1",
                CHUNK_READY[Lane.ORDINARY].model_validate_json(item.data).chunk_id,
            )
        )[0][0]
        for item in await ready_events(idle_house, Lane.ORDINARY)
    ]
    assert order[:4].count(PROVINCE) == 2


async def test_urgent_documents_have_a_window_of_their_own_and_leave_first(idle_house: House) -> None:
    system = await idle_house.a_system(COMMUNE)
    for _ in range(12):
        await idle_house.submit(system)
    await idle_house.submit(system, priority=3)
    for lane in Lane:
        await fill_window(idle_house.context, lane)
    assert len(await ready_events(idle_house, Lane.EXPRESS)) == 1
    first = (
        await idle_house.rows(
            "SELECT topic FROM routing.outbox WHERE topic LIKE '%chunk_ready%' ORDER BY lane DESC, seq LIMIT 1"
        )
    )[0]
    assert first[0] == CHUNK_READY[Lane.EXPRESS].topic


async def test_a_mailbox_shows_the_most_urgent_and_oldest_first(house: House) -> None:
    sender, receiver = await house.a_system(COMMUNE), await house.a_system(DISTRICT)
    submitted = []
    for priority in (0, 2, 0, 4, 2):
        house.clock.forward(seconds=1)
        submitted.append((await house.submit(sender, priority=priority)).document_id)
    for document_id in submitted:
        await house.arrival(receiver, document_id)
    assert [item.document_id for item in await house.inbox(receiver)] == [submitted[i] for i in (3, 1, 4, 0, 2)]


async def test_a_message_or_a_chunk_that_comes_twice_opens_once(idle_house: House) -> None:
    system = await idle_house.a_system(COMMUNE)
    await idle_house.submit(system, to=(DISTRICT, DEPARTMENT, PROVINCE))
    await fill_window(idle_house.context, Lane.ORDINARY)
    await open_offered(idle_house, Lane.ORDINARY, repeat=3)
    await idle_house.rows("UPDATE routing.dispatch_chunks SET state = 'offered'")
    await idle_house.rows("DELETE FROM routing.inbox")
    await idle_house.rows("UPDATE routing.dispatches SET unopened_count = opening_count")
    await open_offered(idle_house, Lane.ORDINARY)
    assert await idle_house.count("deliveries") == 3
    await idle_house.check_invariants()


async def test_a_chunk_that_was_offered_and_forgotten_is_offered_again(idle_house: House) -> None:
    system = await idle_house.a_system(COMMUNE)
    await idle_house.submit(system)
    await fill_window(idle_house.context, Lane.ORDINARY)
    await fill_window(idle_house.context, Lane.ORDINARY)
    assert len(await ready_events(idle_house, Lane.ORDINARY)) == 1
    for _ in range(9):
        idle_house.clock.forward(seconds=61)
        await fill_window(idle_house.context, Lane.ORDINARY)
    assert len(await ready_events(idle_house, Lane.ORDINARY)) == 5


async def test_a_paused_lane_keeps_its_backlog_and_a_resumed_one_drains(house: House) -> None:
    sender, receiver = await house.a_system(COMMUNE), await house.a_system(DISTRICT)
    token = await house.register.token(sender)
    paused = await house.ask(SET_PAUSE, SetPause(token=token, lane=Lane.ORDINARY, paused=True, reason="bảo trì"))
    assert [(lane.lane, lane.pause_reason) for lane in paused.lanes if lane.paused] == [(Lane.ORDINARY, "bảo trì")]
    waiting = await house.submit(sender, to=(DISTRICT,))
    urgent = await house.submit(sender, to=(DISTRICT,), priority=3)
    await house.arrival(receiver, urgent.document_id)
    shown = next(lane for lane in (await queues(house, sender)).lanes if lane.lane is Lane.ORDINARY)
    assert (shown.waiting, shown.waiting_addressees, shown.outstanding) == (1, 1, 0)
    assert (await house.document(sender, waiting.document_id)).counts == {"unopened": 1}
    await house.ask(SET_PAUSE, SetPause(token=token, lane=Lane.ORDINARY, paused=False))
    await house.arrival(receiver, waiting.document_id)

    async def is_published() -> bool:
        return [event.paused for event in house.events(ControlsChanged)] == [True, False]

    await house.until(is_published)
    await house.check_invariants()


async def test_a_chunk_under_way_when_its_lane_is_paused_goes_back(idle_house: House) -> None:
    system = await idle_house.a_system(COMMUNE)
    await idle_house.submit(system)
    await fill_window(idle_house.context, Lane.ORDINARY)
    token = await idle_house.register.token(system)
    await idle_house.ask(SET_PAUSE, SetPause(token=token, lane=Lane.ORDINARY, paused=True, reason="x"))
    await open_offered(idle_house, Lane.ORDINARY)
    assert (await idle_house.rows("SELECT state FROM routing.dispatch_chunks"))[0][0] == "waiting"
    assert await idle_house.count("deliveries") == 0
    assert await fill_window(idle_house.context, Lane.ORDINARY) == 0


async def test_a_pause_ends_by_itself_when_it_has_an_end(idle_house: House) -> None:
    system = await idle_house.a_system(COMMUNE)
    token = await idle_house.register.token(system)
    until = NOW + timedelta(minutes=5)
    pause = SetPause(token=token, lane=Lane.ORDINARY, paused=True, reason="x", until=until)
    await idle_house.ask(SET_PAUSE, pause)
    await idle_house.submit(system)
    assert await fill_window(idle_house.context, Lane.ORDINARY) == 0
    idle_house.clock.forward(minutes=5)
    assert await fill_window(idle_house.context, Lane.ORDINARY) == 1


async def test_deliveries_to_a_paused_addressee_are_held_and_released(house: House) -> None:
    sender, receiver = await house.a_system(COMMUNE), await house.a_system(DISTRICT)
    token = await house.register.token(sender)
    paused = await house.ask(SET_PAUSE, SetPause(token=token, agency=DISTRICT, paused=True, reason="mất điện"))
    assert [(one.agency, one.reason) for one in paused.paused_agencies] == [(DISTRICT, "mất điện")]
    submitted = await house.submit(sender, to=(DISTRICT, DEPARTMENT))

    async def is_held() -> bool:
        return (await house.document(sender, submitted.document_id)).counts == {"queued": 1, "available": 1}

    await house.until(is_held)
    shown = await house.document(sender, submitted.document_id)
    assert {one.agency: one.held for one in shown.addressees} == {DISTRICT: "addressee-paused", DEPARTMENT: None}
    assert await house.inbox(receiver) == ()
    await house.ask(SET_PAUSE, SetPause(token=token, agency=DISTRICT, paused=False))
    item = await house.arrival(receiver, submitted.document_id)
    assert item.state is DeliveryState.AVAILABLE
    await house.check_invariants()


async def test_an_addressee_that_closed_meanwhile_holds_its_delivery(idle_house: House) -> None:
    sender = await idle_house.a_system(COMMUNE)
    submitted = await idle_house.submit(sender, to=(DISTRICT, DEPARTMENT))
    idle_house.register.put_agency(an_agency(DISTRICT, valid_to=NOW))
    idle_house.register.put_agency(an_agency(DEPARTMENT, serving_node="H44"))
    await idle_house.context.register.refresh()
    await fill_window(idle_house.context, Lane.ORDINARY)
    await open_offered(idle_house, Lane.ORDINARY)
    shown = await idle_house.document(sender, submitted.document_id)
    assert {one.agency: one.held for one in shown.addressees} == {
        DISTRICT: "successor-undecided",
        DEPARTMENT: "no-link",
    }
    assert await release_held(idle_house.context) == 0
    idle_house.register.put_agency(an_agency(DEPARTMENT))
    await idle_house.context.register.refresh()
    assert await release_held(idle_house.context) == 1
    await idle_house.check_invariants()


async def test_a_circular_to_1201_addressees_is_three_chunks_and_all_of_it_arrives(house: House) -> None:
    codes = [f"H43.{number // 100 + 50}.{number % 100:02}" for number in range(1_201)]
    for code in codes:
        house.register.put_agency(an_agency(code))
    sender = await house.a_system(PROVINCE, dialect="vxp", seal=False)
    last = await house.a_system(codes[-1])
    packet = a_packet(sender=PROVINCE, to=codes, priority=3)
    submitted = await house.submit(sender, packet)

    async def is_open() -> bool:
        return (await house.document(sender, submitted.document_id)).counts == {"available": 1_201}

    await house.until(is_open)
    assert await house.count("dispatch_chunks") == 3
    assert [item.document_id for item in await house.inbox(last)] == [submitted.document_id]

    async def is_published() -> bool:
        return sum(len(event.items) for event in house.events(DeliveriesChanged)) == 1_201

    await house.until(is_published)
    assert max(len(event.items) for event in house.events(DeliveriesChanged)) == 500
    seen: set[UUID] = set()
    shown = await house.document(sender, submitted.document_id)
    assert len(shown.addressees) == 500
    assert shown.next_cursor is not None
    seen.update(one.delivery_id for one in shown.addressees if one.delivery_id)
    assert len(seen) == 500
    await house.check_invariants()
