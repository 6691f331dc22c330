"""The read model of the register: fed by signed pages, kept fresh by beats, never believed when old."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from services.routing.usecases.collect import collect_blobs
from shared.contracts.base import Nothing
from shared.contracts.registry import Changes, ReadChanges
from shared.contracts.routing import READ_HEALTH, SUBMIT_DOCUMENT
from shared.errors import Unavailable
from shared.messaging import inprocess
from tests.services.routing.conftest import COMMUNE, DISTRICT, House, an_agency


async def test_a_register_of_many_pages_is_read_whole(idle_house: House) -> None:
    for number in range(1_203):
        idle_house.register.put_agency(an_agency(f"X{number // 100:02}.{number % 100:02}"))
    register = await idle_house.context.register.current()
    assert len(register.agencies) == 1_208
    assert register.version == idle_house.register.version
    assert idle_house.register.reads == 3


async def test_a_fresh_model_asks_nobody_and_an_old_one_asks_once(idle_house: House) -> None:
    await idle_house.context.register.current()
    reads = idle_house.register.reads
    idle_house.clock.forward(seconds=5)
    await idle_house.context.register.current()
    assert idle_house.register.reads == reads
    idle_house.clock.forward(seconds=1)
    await idle_house.context.register.current()
    assert idle_house.register.reads == reads + 1


async def test_an_old_model_is_unavailable_when_the_registry_does_not_answer(idle_house: House) -> None:
    system = await idle_house.a_system(COMMUNE)
    await idle_house.submit(system)
    request = await idle_house.submission(system, idle_house.packet(system))
    idle_house.register.is_down = True
    idle_house.clock.forward(seconds=6)
    with pytest.raises(Unavailable):
        await idle_house.ask(SUBMIT_DOCUMENT, request)
    health = await idle_house.ask(READ_HEALTH, Nothing())
    assert not health.ready


async def test_a_beat_keeps_the_model_fresh(house: House) -> None:
    await house.context.register.current()
    house.clock.forward(seconds=6)
    house.register.beat()
    await asyncio.sleep(0)  # a hint is handed over at the loop's next turn
    assert house.context.register.is_fresh
    reads = house.register.reads
    await house.context.register.current()
    assert house.register.reads == reads


@pytest.mark.parametrize(
    "spoil",
    [
        lambda page: page.model_copy(update={"agencies": page.agencies[1:]}),
        lambda page: page.model_copy(update={"version": page.version + 1, "latest": page.version + 1}),
        lambda page: page.model_copy(update={"statement": page.statement[:-4] + "AAAA"}),
        lambda page: page.model_copy(update={"after": 3}),
    ],
)
async def test_a_page_that_was_not_signed_so_is_not_believed(
    idle_house: House, spoil: Callable[[Changes], Changes]
) -> None:
    honest: Callable[[ReadChanges], Awaitable[Changes]] = idle_house.register.read_changes

    async def dishonest(request: ReadChanges) -> Changes:
        return spoil(await honest(request))

    handlers: dict[str, Any] = idle_house.bus._handlers
    operation, _ = handlers["registry.read_changes"]
    handlers["registry.read_changes"] = (operation, dishonest)
    assert isinstance(idle_house.bus, inprocess.InProcessBus)
    with pytest.raises(Unavailable):
        await idle_house.context.register.current()
    assert idle_house.context.register._register.version == 0


async def test_what_no_document_refers_to_is_collected_after_a_day_and_an_hour(idle_house: House) -> None:
    system = await idle_house.a_system(COMMUNE)
    kept = idle_house.packet(system, to=(DISTRICT,))
    await idle_house.submit(system, kept)
    lost = await idle_house.put(b"refused long ago")
    kept_sha256 = await idle_house.put(kept)
    await collect_blobs(idle_house.context)
    idle_house.clock.forward(hours=25)
    await collect_blobs(idle_house.context)
    assert not idle_house.blobs.path(lost).exists()
    idle_house.clock.forward(hours=2)
    await collect_blobs(idle_house.context)
    assert not await idle_house.blobs.exists(lost)
    assert await idle_house.blobs.exists(kept_sha256)
