"""Which endpoints listen, remembered between two versions of the register; over a real bus."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from services.delivery.clients.listeners import MAX_AGE, Listeners
from services.delivery.clients.registry import Registry
from shared.contracts.registry import (
    READ_ENDPOINTS,
    Endpoint,
    Endpoints,
    ReadEndpoints,
    RegistryBeat,
    WebhookState,
)
from shared.errors import Unavailable
from shared.identifiers import Uuid7Source
from shared.messaging.inprocess import InProcessBus

COMMUNE, PROVINCE = UUID(int=1), UUID(int=2)
HOOK = UUID(int=9)


class HandClock:
    def __init__(self) -> None:
        self.moment = datetime(2025, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment


@dataclass
class House:
    """
    A registry that notes what it is asked, and the listeners beside it.
    """

    clock: HandClock = field(default_factory=HandClock)
    listens: set[UUID] = field(default_factory=set)
    asked: list[frozenset[UUID]] = field(default_factory=list)
    change_while_answering: bool = False
    is_down: bool = False
    version: int = 1

    async def start(self) -> None:
        self.bus = InProcessBus(self.clock, Uuid7Source(self.clock))
        self.registry = self.bus.party("registry")
        self.registry.answer(READ_ENDPOINTS, self._answer)
        await self.bus.start()
        delivery = self.bus.party("delivery")
        self.heard: list[RegistryBeat] = []
        self.listeners = Listeners(Registry(delivery), delivery, self.clock)
        delivery.on_hint(RegistryBeat, self.heard.append)

    async def beat(self, *, moved: bool = False) -> None:
        self.version += moved
        self.registry.hint(RegistryBeat(version=self.version, at=self.clock.now()))
        before = len(self.heard)
        while len(self.heard) == before:
            await asyncio.sleep(0)

    async def _answer(self, request: ReadEndpoints) -> Endpoints:
        if self.is_down:
            raise Unavailable("the registry is down")
        self.asked.append(frozenset(request.agency_keys))
        keys = tuple(key for key in request.agency_keys if key in self.listens)
        if self.change_while_answering:
            await self.beat(moved=True)
        endpoint = Endpoint(
            webhook_id=HOOK,
            system_id="commune",
            url="http://127.0.0.1/",
            state=WebhookState.ACTIVE,
            agency_keys=keys,
            secret="whsec_",
        )
        return Endpoints(items=(endpoint,) if keys else ())


@pytest.fixture
async def house() -> AsyncIterator[House]:
    house = House()
    await house.start()
    try:
        yield house
    finally:
        await house.bus.close()


async def test_between_two_versions_of_the_register_each_agency_is_asked_for_once(house: House) -> None:
    house.listens = {COMMUNE}
    await house.beat()
    assert await house.listeners.of([COMMUNE]) == {COMMUNE: (HOOK,)}
    assert await house.listeners.of([COMMUNE, PROVINCE]) == {COMMUNE: (HOOK,), PROVINCE: ()}
    await house.beat()
    assert await house.listeners.of([PROVINCE, COMMUNE]) == {COMMUNE: (HOOK,), PROVINCE: ()}
    assert house.asked == [{COMMUNE}, {PROVINCE}]


async def test_a_new_version_of_the_register_has_everything_asked_anew(house: House) -> None:
    await house.beat()
    assert await house.listeners.of([COMMUNE]) == {COMMUNE: ()}
    house.listens = {COMMUNE}
    await house.beat(moved=True)
    assert await house.listeners.of([COMMUNE]) == {COMMUNE: (HOOK,)}


async def test_what_was_asked_before_a_change_is_not_remembered_after_it(house: House) -> None:
    await house.beat()
    house.change_while_answering = True
    assert await house.listeners.of([COMMUNE]) == {COMMUNE: ()}
    house.change_while_answering, house.listens = False, {COMMUNE}
    assert await house.listeners.of([COMMUNE]) == {COMMUNE: (HOOK,)}


async def test_without_beats_nothing_remembered_is_believed(house: House) -> None:
    await house.listeners.of([COMMUNE])
    await house.listeners.of([COMMUNE])
    assert len(house.asked) == 2
    await house.beat()
    await house.listeners.of([COMMUNE])
    house.clock.moment += MAX_AGE + timedelta(seconds=1)
    house.is_down = True
    with pytest.raises(Unavailable):
        await house.listeners.of([COMMUNE])
    house.is_down = False
    await house.beat()
    await house.listeners.of([COMMUNE])
    assert len(house.asked) == 3
