"""A node of the signing service for each test."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from services.signing.app import create_app, create_keys
from services.signing.settings import Settings
from shared.identifiers import Uuid7Source
from shared.messaging.inprocess import InProcessBus
from tests.services.signing.node import URL, HandClock, Node


@pytest.fixture
def settings(tmp_path: Path, database_url: Callable[[str], str]) -> Settings:
    return Settings.model_validate(
        {
            "database_url": database_url("signing"),
            "node_id": "H43",
            "public_url": URL,
            "key_file": tmp_path / "keys.json",
            "passphrase_file": tmp_path / "passphrase",
        }
    )


@pytest.fixture
async def node(settings: Settings) -> AsyncIterator[Node]:
    clock = HandClock()
    create_keys(settings, clock=clock)
    bus = InProcessBus(clock=clock, new_id=Uuid7Source(clock))
    node = Node(settings, clock, bus, bus.party("routing"))
    bus.party("audit").subscribe("*", node.hear)
    await bus.start()
    async with create_app(settings, bus=bus.party("signing"), clock=clock):
        yield node
    await bus.close()
