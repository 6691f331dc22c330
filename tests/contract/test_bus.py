"""
What every bus does, whichever adapter carries it.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import ClassVar

import pytest

from shared.clock import SystemClock
from shared.contracts.base import Contract, Event, Hint, Lane, Operation
from shared.errors import FieldError, Rejected, Unavailable
from shared.faults import NoFaults, SimulatedCrash
from shared.identifiers import Uuid7Source
from shared.messaging import AskInTransactionError, Item, in_transaction
from shared.messaging.inprocess import InProcessBus
from shared.messaging.item import pack, unpack
from shared.telemetry import bind_correlation_id, correlation_id

NEW_ID = Uuid7Source(SystemClock())


class Question(Contract):
    number: int


class Answer(Contract):
    number: int


class SomethingHappened(Event):
    topic: ClassVar[str] = "alpha.something_happened.v1"
    number: int


class SomethingChanged(Hint):
    topic: ClassVar[str] = "alpha.something_changed"
    number: int


class TooOdd(Rejected):
    code = "too-odd"


DOUBLE = Operation("alpha.double_number", Question, Answer)


def an_item(number: int = 1, *, lane: Lane = Lane.ORDINARY) -> Item:
    event = SomethingHappened(number=number)
    return Item(
        id=NEW_ID(),
        type=SomethingHappened.topic,
        source="alpha",
        time=SystemClock().now(),
        data=event.model_dump_json(),
        lane=lane,
    )


@pytest.fixture
async def bus() -> AsyncIterator[InProcessBus]:
    bus = InProcessBus(clock=SystemClock(), new_id=NEW_ID)
    await bus.start()
    yield bus
    await bus.close()


async def test_an_ask_is_answered(bus: InProcessBus) -> None:
    async def double(question: Question) -> Answer:
        return Answer(number=question.number * 2)

    bus.party("alpha").answer(DOUBLE, double)
    asker = bus.party("beta")
    answers = await asyncio.gather(*(asker.ask(DOUBLE, Question(number=n)) for n in range(200)))
    assert [answer.number for answer in answers] == [n * 2 for n in range(200)]


async def test_a_refusal_travels_with_its_code_and_findings(bus: InProcessBus) -> None:
    async def refuse(question: Question) -> Answer:
        finding = FieldError(pointer="/number", code="odd", detail="take an even one")
        raise TooOdd(f"{question.number} is odd", errors=[finding])

    bus.party("alpha").answer(DOUBLE, refuse)
    with pytest.raises(Rejected) as refusal:
        await bus.party("beta").ask(DOUBLE, Question(number=3))
    assert refusal.value.problem_code == "too-odd"
    assert refusal.value.detail == "3 is odd"
    assert refusal.value.errors[0].pointer == "/number"


async def test_one_refused_item_leaves_its_neighbours_alone(bus: InProcessBus) -> None:
    async def refuse_odd(question: Question) -> Answer:
        if question.number % 2:
            raise TooOdd("odd")
        return Answer(number=question.number)

    bus.party("alpha").answer(DOUBLE, refuse_odd)
    asker = bus.party("beta")
    outcomes = await asyncio.gather(*(asker.ask(DOUBLE, Question(number=n)) for n in range(64)), return_exceptions=True)
    assert [isinstance(outcome, Answer) for outcome in outcomes] == [n % 2 == 0 for n in range(64)]


async def test_an_ask_that_nobody_answers_is_unavailable(bus: InProcessBus) -> None:
    with pytest.raises(Unavailable):
        await bus.party("beta").ask(DOUBLE, Question(number=1))


async def test_an_ask_past_its_deadline_is_unavailable(bus: InProcessBus) -> None:
    async def never(_: Question) -> Answer:
        await asyncio.Event().wait()
        raise AssertionError

    bus.party("alpha").answer(DOUBLE, never)
    with pytest.raises(Unavailable):
        await bus.party("beta").ask(DOUBLE, Question(number=1), within=timedelta(milliseconds=20))


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


async def test_an_ask_inside_a_transaction_is_a_defect(bus: InProcessBus) -> None:
    mark = in_transaction.set(True)
    with pytest.raises(AskInTransactionError):
        await bus.party("beta").ask(DOUBLE, Question(number=1))
    in_transaction.reset(mark)


async def test_a_handler_runs_with_the_callers_correlation_and_without_its_transaction(bus: InProcessBus) -> None:
    seen: list[tuple[str, bool]] = []

    async def look(question: Question) -> Answer:
        seen.append((correlation_id(), in_transaction.get()))
        return Answer(number=question.number)

    bus.party("alpha").answer(DOUBLE, look)
    bind_correlation_id("request-0001")
    await bus.party("beta").ask(DOUBLE, Question(number=1))
    assert seen == [("request-0001", False)]


async def test_every_subscriber_receives_an_event_before_it_is_confirmed(bus: InProcessBus) -> None:
    seen: list[str] = []

    def handler(name: str):  # noqa: ANN202 - a local factory
        async def handle(item: Item) -> None:
            await asyncio.sleep(0)
            seen.append(f"{name} {SomethingHappened.model_validate_json(item.data).number}")

        return handle

    bus.party("beta").subscribe(SomethingHappened.topic, handler("beta"))
    bus.party("gamma").subscribe("*", handler("gamma"))
    assert list(await bus.party("alpha").publish([an_item(7)])) == [True]
    assert sorted(seen) == ["beta 7", "gamma 7"]


async def test_an_event_comes_again_until_its_handler_returns(bus: InProcessBus) -> None:
    attempts: list[int] = []

    async def fail_twice(item: Item) -> None:
        attempts.append(item.attempt)
        if item.attempt < 2:
            raise RuntimeError("not yet")

    bus.party("beta").subscribe(SomethingHappened.topic, fail_twice)
    assert list(await bus.party("alpha").publish([an_item()])) == [True]
    assert attempts == [0, 1, 2]


async def test_a_poison_item_does_not_hold_up_the_good_ones(bus: InProcessBus) -> None:
    good: list[int] = []

    async def choke_on_13(item: Item) -> None:
        number = SomethingHappened.model_validate_json(item.data).number
        if number == 13:
            raise RuntimeError("poison")
        good.append(number)

    bus.party("beta").subscribe(SomethingHappened.topic, choke_on_13)
    alpha = bus.party("alpha")
    poison = asyncio.ensure_future(alpha.publish([an_item(13)]))
    confirmed = await alpha.publish([an_item(n) for n in range(12)])
    assert all(confirmed)
    assert sorted(good) == list(range(12))
    poison.cancel()


async def test_the_same_item_published_twice_at_once_is_handed_over_once(bus: InProcessBus) -> None:
    handed_over = 0
    gate = asyncio.Event()

    async def count(_: Item) -> None:
        nonlocal handed_over
        handed_over += 1
        await gate.wait()

    bus.party("beta").subscribe(SomethingHappened.topic, count)
    alpha, item = bus.party("alpha"), an_item()
    first = asyncio.ensure_future(alpha.publish([item]))
    await asyncio.sleep(0)
    second = asyncio.ensure_future(alpha.publish([item]))
    await asyncio.sleep(0)
    gate.set()
    assert [list(await first), list(await second)] == [[True], [True]]
    assert handed_over == 1


async def test_an_impatient_publisher_does_not_stop_the_handler(bus: InProcessBus) -> None:
    begun, gate, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow(_: Item) -> None:
        begun.set()
        await gate.wait()
        done.set()

    bus.party("beta").subscribe(SomethingHappened.topic, slow)
    publishing = asyncio.ensure_future(bus.party("alpha").publish([an_item()]))
    await asyncio.wait_for(begun.wait(), 5)
    publishing.cancel()
    gate.set()
    await asyncio.wait_for(done.wait(), 5)


async def test_a_hint_reaches_everyone_who_listens(bus: InProcessBus) -> None:
    heard: list[int] = []
    arrived = asyncio.Event()

    def listen(hint: SomethingChanged) -> None:
        heard.append(hint.number)
        if len(heard) == 2:
            arrived.set()

    bus.party("beta").on_hint(SomethingChanged, listen)
    bus.party("gamma").on_hint(SomethingChanged, listen)
    bus.party("alpha").hint(SomethingChanged(number=5))
    await asyncio.wait_for(arrived.wait(), 5)
    assert heard == [5, 5]


def test_one_wire_form_serves_one_item_and_many() -> None:
    items = [an_item(n, lane=Lane(n % 5)) for n in range(64)]
    assert unpack(pack(items)) == items
    assert unpack(pack(items[:1])) == items[:1]
