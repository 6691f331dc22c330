"""
What comes together is done together, and nobody pays for another.
"""

import asyncio
from collections.abc import Sequence

import pytest

from shared.errors import Unavailable
from shared.faults import SimulatedCrash
from shared.groups import EachAlone, Group


class Doubling:
    """
    Doubles numbers, and notes in which groups.
    """

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.open = asyncio.Event()

    async def __call__(self, numbers: Sequence[int]) -> list[int | Exception]:
        self.groups.append(list(numbers))
        await self.open.wait()
        if len(numbers) > 1 and 13 in numbers:
            raise EachAlone("13 wants to be alone")
        if 13 in numbers:
            raise EachAlone("and even then")
        if 99 in numbers:
            raise Unavailable("nobody is there")
        if 66 in numbers:
            raise SimulatedCrash("dies")
        if 7 in numbers and len(numbers) > 1:
            raise RuntimeError("a defect that 7 brings about")
        return [ValueError("not three") if number == 3 else number * 2 for number in numbers]


async def results_of(doubling: Doubling, *numbers: int, most: int = 64) -> list[int | BaseException]:
    group = Group(doubling, most=most)
    tasks = [asyncio.create_task(group.do(number)) for number in numbers]
    await asyncio.sleep(0)
    doubling.open.set()
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_the_first_goes_alone_and_the_others_together() -> None:
    doubling = Doubling()
    assert await results_of(doubling, 1, 2, 4, 5) == [2, 4, 8, 10]
    assert doubling.groups == [[1], [2, 4, 5]]


async def test_a_group_has_a_limit() -> None:
    doubling = Doubling()
    assert await results_of(doubling, 1, 2, 4, 5, 6, 8, most=2) == [2, 4, 8, 10, 12, 16]
    assert doubling.groups == [[1], [2, 4], [5, 6], [8]]


async def test_one_refusal_is_one_callers_own() -> None:
    results = await results_of(Doubling(), 1, 2, 3, 4)
    assert [results[0], results[1], results[3]] == [2, 4, 8]
    assert isinstance(results[2], ValueError)


@pytest.mark.parametrize("culprit", [13, 7])
async def test_what_cannot_be_done_together_is_done_alone(culprit: int) -> None:
    doubling = Doubling()
    results = await results_of(doubling, 1, 2, culprit, 4)
    assert [results[0], results[1], results[3]] == [2, 4, 8]
    assert doubling.groups == [[1], [2, culprit, 4], [2], [culprit], [4]]
    assert results[2] == 14 if culprit == 7 else isinstance(results[2], Unavailable)


async def test_out_of_reach_is_out_of_reach_for_all_and_not_tried_again() -> None:
    doubling = Doubling()
    results = await results_of(doubling, 1, 2, 99)
    assert results[0] == 2
    assert all(isinstance(result, Unavailable) for result in results[1:])
    assert doubling.groups == [[1], [2, 99]]


async def test_whose_turn_it_is_may_die_and_nobody_waits_for_ever() -> None:
    doubling = Doubling()
    group = Group(doubling)
    first = asyncio.create_task(group.do(1))
    await asyncio.sleep(0)
    others = [asyncio.create_task(group.do(number)) for number in (2, 4)]
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    doubling.open.set()
    assert await asyncio.gather(*others) == [4, 8]


async def test_a_waiting_caller_that_gives_up_disturbs_nobody() -> None:
    doubling = Doubling()
    group = Group(doubling)
    tasks = [asyncio.create_task(group.do(number)) for number in (1, 2, 4)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    doubling.open.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert (results[0], results[2]) == (2, 8)
    assert isinstance(results[1], asyncio.CancelledError)
