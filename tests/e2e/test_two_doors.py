"""One document, two doors, on a node in one process."""

from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
import pytest_asyncio

from deploy.demo.cast import RunningNode
from deploy.embedded.home import Home, init_home
from deploy.embedded.postgres import PrivatePostgres
from shared.testing.node_process import NodeProcess
from tests.e2e.two_doors import BUSINESSES, DIRECTIONS, TwoDoors, exchange

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def doors(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TwoDoors]:
    folder = tmp_path_factory.mktemp("two-doors")
    config = init_home(folder / "home", node_id="H43", port=0, admin_port=0).config
    home, process = Home(folder / "home"), NodeProcess(folder / "home", config.public_url)
    try:
        await process.start()
        node = RunningNode(config.public_url, home.admin_credential, home.systems)
        opened = await TwoDoors.open(node, folder / "home", folder)
        yield opened
        await opened.close()
    finally:
        with suppress(AssertionError):
            await process.stop()
        await PrivatePostgres(home.postgres).remove()


@pytest.mark.parametrize("kind", BUSINESSES)
async def test_what_happens_is_the_same_through_any_door(doors: TwoDoors, kind: str) -> None:
    ways = {direction: await exchange(doors, direction, kind) for direction in DIRECTIONS}
    assert ways["vxp to rest"] == ways["vxp to vxp"]
    assert ways["rest to vxp"] == ways["vxp to vxp"]
    assert ("delivery", "fetched", "delivered", None, "proved") in ways["vxp to vxp"]
