from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from tests.services.gateway.conftest import MakeWorld
from tests.services.gateway.vxp.world import VxpWorld, listening

MakeVxp = Callable[..., Awaitable[VxpWorld]]


@pytest.fixture
async def make_vxp(make_world: MakeWorld) -> AsyncIterator[MakeVxp]:
    async with AsyncExitStack() as stack:

        async def make(**settings: object) -> VxpWorld:
            return await stack.enter_async_context(listening(await make_world(**settings)))

        yield make


@pytest.fixture
async def vxp(make_vxp: MakeVxp) -> VxpWorld:
    return await make_vxp()
