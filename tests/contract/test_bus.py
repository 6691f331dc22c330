"""
What every bus does, whichever adapter carries it.
"""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.clock import SystemClock
from shared.contracts.base import Lane
from shared.errors import FieldError, Rejected, Unavailable
from shared.faults import NoFaults, SimulatedCrash
from shared.messaging import AskInTransactionError, Item, in_transaction
from shared.messaging.inprocess import InProcessBus
from shared.messaging.item import pack, unpack
from shared.telemetry import bind_correlation_id, correlation_id
from tests.contract.carriers import (
    DOUBLE,
    NEW_ID,
    Answer,
    Carrier,
    InProcessCarrier,
    Question,
    SomethingChanged,
    SomethingHappened,
    TooOdd,
    an_item,
    number_of,
)


async def test_an_ask_is_answered(bus: Carrier) -> None:
    async def double(question: Question) -> Answer:
        return Answer(number=question.number * 2)

    bus.party("alpha").answer(DOUBLE, double)
    asker = bus.party("beta")
    await bus.start()
    answers = await asyncio.gather(*(asker.ask(DOUBLE, Question(number=n)) for n in range(200)))
    assert [answer.number for answer in answers] == [n * 2 for n in range(200)]


async def test_a_refusal_travels_with_its_code_and_findings(bus: Carrier) -> None:
    async def refuse(question: Question) -> Answer:
        finding = FieldError(pointer="/number", code="odd", detail="take an even one")
        raise TooOdd(f"{question.number} is odd", errors=[finding])

    bus.party("alpha").answer(DOUBLE, refuse)
    asker = bus.party("beta")
    await bus.start()
    with pytest.raises(Rejected) as refusal:
        await asker.ask(DOUBLE, Question(number=3))
    assert refusal.value.problem_code == "too-odd"
    assert refusal.value.detail == "3 is odd"
    assert refusal.value.errors[0].pointer == "/number"


async def test_what_the_answerer_cannot_reach_is_unavailable_with_its_own_words(bus: Carrier) -> None:
    async def out_of_reach(_: Question) -> Answer:
        raise Unavailable("the database rests", retry_after=7)

    bus.party("alpha").answer(DOUBLE, out_of_reach)
    asker = bus.party("beta")
    await bus.start()
    with pytest.raises(Unavailable) as refusal:
        await asker.ask(DOUBLE, Question(number=3))
    assert (refusal.value.detail, refusal.value.retry_after) == ("the database rests", 7)


async def test_a_defect_of_the_answerer_is_one_of_the_asker_without_its_words(bus: Carrier) -> None:
    async def break_down(_: Question) -> Answer:
        raise KeyError("Nguyễn Văn A")

    bus.party("alpha").answer(DOUBLE, break_down)
    asker = bus.party("beta")
    await bus.start()
    with pytest.raises(RuntimeError) as defect:
        await asker.ask(DOUBLE, Question(number=3))
    assert "Nguyễn" not in str(defect.value)


async def test_one_refused_item_leaves_its_neighbours_alone(bus: Carrier) -> None:
    async def refuse_odd(question: Question) -> Answer:
        if question.number % 2:
            raise TooOdd("odd")
        return Answer(number=question.number)

    bus.party("alpha").answer(DOUBLE, refuse_odd)
    asker = bus.party("beta")
    await bus.start()
    outcomes = await asyncio.gather(*(asker.ask(DOUBLE, Question(number=n)) for n in range(64)), return_exceptions=True)
    assert [isinstance(outcome, Answer) for outcome in outcomes] == [n % 2 == 0 for n in range(64)]


async def test_an_ask_that_nobody_answers_is_unavailable(bus: Carrier) -> None:
    asker = bus.party("beta")
    await bus.start()
    with pytest.raises(Unavailable):
        await asker.ask(DOUBLE, Question(number=1))


async def test_an_ask_past_its_deadline_is_unavailable(bus: Carrier) -> None:
    async def never(_: Question) -> Answer:
        await asyncio.Event().wait()
        raise AssertionError

    bus.party("alpha").answer(DOUBLE, never)
    asker = bus.party("beta")
    await bus.start()
    with pytest.raises(Unavailable):
        await asker.ask(DOUBLE, Question(number=1), within=timedelta(milliseconds=20))


async def test_an_asker_that_gives_up_does_not_stop_the_answerer(bus: Carrier) -> None:
    begun, gate, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow(question: Question) -> Answer:
        begun.set()
        await gate.wait()
        done.set()
        return Answer(number=question.number)

    bus.party("alpha").answer(DOUBLE, slow)
    asker = bus.party("beta")
    await bus.start()
    asking = asyncio.ensure_future(asker.ask(DOUBLE, Question(number=1)))
    await asyncio.wait_for(begun.wait(), 5)
    asking.cancel()
    gate.set()
    await asyncio.wait_for(done.wait(), 5)


async def test_an_answerer_that_dies_makes_the_ask_unavailable() -> None:
    class DieOnce(NoFaults):
        async def at(self, point: str, key: str) -> None:
            if point == "deliver":
                raise SimulatedCrash

    bus = InProcessBus(clock=SystemClock(), new_id=NEW_ID, faults=DieOnce())
    await bus.start()

    async def double(question: Question) -> Answer:
        return Answer(number=question.number * 2)

    bus.party("alpha").answer(DOUBLE, double)
    with pytest.raises(Unavailable):
        await bus.party("beta").ask(DOUBLE, Question(number=1))
    await bus.close()


async def test_an_ask_inside_a_transaction_is_a_defect(bus: Carrier) -> None:
    asker = bus.party("beta")
    await bus.start()
    mark = in_transaction.set(True)
    with pytest.raises(AskInTransactionError):
        await asker.ask(DOUBLE, Question(number=1))
    in_transaction.reset(mark)


async def test_a_handler_runs_with_the_callers_correlation_and_without_its_transaction(bus: Carrier) -> None:
    seen: list[tuple[str, bool]] = []

    async def look(question: Question) -> Answer:
        seen.append((correlation_id(), in_transaction.get()))
        return Answer(number=question.number)

    bus.party("alpha").answer(DOUBLE, look)
    asker = bus.party("beta")
    await bus.start()
    bind_correlation_id("request-0001")
    await asker.ask(DOUBLE, Question(number=1))
    assert seen == [("request-0001", False)]


async def test_every_subscriber_receives_an_event(bus: Carrier) -> None:
    seen: list[str] = []
    both = asyncio.Event()

    def handler(name: str):  # noqa: ANN202 - a local factory
        async def handle(item: Item) -> None:
            await asyncio.sleep(0)
            seen.append(f"{name} {number_of(item)}")
            if len(seen) == 2:
                both.set()

        return handle

    bus.party("beta").subscribe(SomethingHappened.topic, handler("beta"))
    bus.party("gamma").subscribe("*", handler("gamma"))
    alpha = bus.party("alpha")
    await bus.start()
    assert list(await alpha.publish([an_item(7)])) == [True]
    await asyncio.wait_for(both.wait(), 5)
    assert sorted(seen) == ["beta 7", "gamma 7"]


async def test_in_one_process_an_event_is_confirmed_when_every_subscriber_has_committed() -> None:
    bus = InProcessCarrier()
    seen: list[int] = []

    async def handle(item: Item) -> None:
        await asyncio.sleep(0)
        seen.append(number_of(item))

    bus.party("beta").subscribe(SomethingHappened.topic, handle)
    bus.party("gamma").subscribe("*", handle)
    await bus.start()
    assert list(await bus.party("alpha").publish([an_item(7)])) == [True]
    assert seen == [7, 7]
    await bus.close()


async def test_an_event_keeps_all_that_belongs_to_it(bus: Carrier) -> None:
    received: list[Item] = []
    arrived = asyncio.Event()

    async def handle(item: Item) -> None:
        received.append(item)
        if len(received) == 100:
            arrived.set()

    bus.party("beta").subscribe(SomethingHappened.topic, handle)
    alpha = bus.party("alpha")
    await bus.start()
    items = [replace(an_item(n, lane=Lane(n % 5)), correlation_id=f"request-{n:04}") for n in range(100)]
    assert all(await alpha.publish(items))
    await asyncio.wait_for(arrived.wait(), 5)
    assert sorted(received, key=number_of) == items


async def test_an_event_comes_again_until_its_handler_returns(bus: Carrier) -> None:
    attempts: list[int] = []
    done = asyncio.Event()

    async def fail_twice(item: Item) -> None:
        attempts.append(item.attempt)
        if item.attempt < 2:
            raise RuntimeError("not yet")
        done.set()

    bus.party("beta").subscribe(SomethingHappened.topic, fail_twice)
    alpha = bus.party("alpha")
    await bus.start()
    assert list(await alpha.publish([an_item()])) == [True]
    await asyncio.wait_for(done.wait(), 5)
    assert attempts == [0, 1, 2]


async def test_a_poison_item_does_not_hold_up_the_good_ones(bus: Carrier) -> None:
    good: list[int] = []
    done = asyncio.Event()

    async def choke_on_13(item: Item) -> None:
        number = number_of(item)
        if number == 13:
            raise RuntimeError("poison")
        good.append(number)
        if len(good) == 12:
            done.set()

    bus.party("beta").subscribe(SomethingHappened.topic, choke_on_13)
    alpha = bus.party("alpha")
    await bus.start()
    poison = asyncio.ensure_future(alpha.publish([an_item(13)]))
    confirmed = await alpha.publish([an_item(n) for n in range(12)])
    assert all(confirmed)
    await asyncio.wait_for(done.wait(), 5)
    assert sorted(good) == list(range(12))
    poison.cancel()


async def test_the_same_item_published_twice_at_once_is_handed_over_once(bus: Carrier) -> None:
    handed_over: list[int] = []
    gate, last = asyncio.Event(), asyncio.Event()

    async def count(item: Item) -> None:
        handed_over.append(number_of(item))
        if handed_over[-1] == 2:
            last.set()
        await gate.wait()

    bus.party("beta").subscribe(SomethingHappened.topic, count)
    alpha, item = bus.party("alpha"), an_item(1)
    await bus.start()
    first = asyncio.ensure_future(alpha.publish([item]))
    await asyncio.sleep(0)
    second = asyncio.ensure_future(alpha.publish([item]))
    await asyncio.sleep(0)
    gate.set()
    assert [list(await first), list(await second)] == [[True], [True]]
    await alpha.publish([an_item(2)])  # behind it nothing of the first can come any more
    await asyncio.wait_for(last.wait(), 5)
    assert handed_over == [1, 2]


async def test_an_impatient_publisher_does_not_stop_the_handler(bus: Carrier) -> None:
    begun, gate, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow(_: Item) -> None:
        begun.set()
        await gate.wait()
        done.set()

    bus.party("beta").subscribe(SomethingHappened.topic, slow)
    alpha = bus.party("alpha")
    await bus.start()
    publishing = asyncio.ensure_future(alpha.publish([an_item()]))
    await asyncio.wait_for(begun.wait(), 5)
    publishing.cancel()
    gate.set()
    await asyncio.wait_for(done.wait(), 5)


async def test_no_more_items_are_handled_at_once_than_was_said(bus: Carrier) -> None:
    at_once, most, handled = 0, 0, 0
    done = asyncio.Event()

    async def handle(_: Item) -> None:
        nonlocal at_once, most, handled
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0)
        at_once -= 1
        handled += 1
        if handled == 50:
            done.set()

    bus.party("beta").subscribe(SomethingHappened.topic, handle, concurrency=3)
    alpha = bus.party("alpha")
    await bus.start()
    await alpha.publish([an_item(n) for n in range(50)])
    await asyncio.wait_for(done.wait(), 5)
    assert most <= 3


async def test_a_hint_reaches_everyone_who_listens(bus: Carrier) -> None:
    heard: list[int] = []
    arrived = asyncio.Event()

    def listen(hint: SomethingChanged) -> None:
        heard.append(hint.number)
        if len(heard) == 2:
            arrived.set()

    bus.party("beta").on_hint(SomethingChanged, listen)
    bus.party("gamma").on_hint(SomethingChanged, listen)
    alpha = bus.party("alpha")
    await bus.start()
    alpha.hint(SomethingChanged(number=5))
    await asyncio.wait_for(arrived.wait(), 5)
    assert heard == [5, 5]


async def test_a_service_answers_only_for_itself(bus: Carrier) -> None:
    async def double(question: Question) -> Answer:
        return Answer(number=question.number * 2)

    with pytest.raises(ValueError, match="not for beta"):
        bus.party("beta").answer(DOUBLE, double)


def test_one_wire_form_serves_one_item_and_many() -> None:
    items = [an_item(n, lane=Lane(n % 5)) for n in range(64)]
    assert unpack(pack(items)) == items
    assert unpack(pack(items[:1])) == items[:1]
