"""A node of delivery for each test."""

from collections.abc import AsyncIterator

import pytest

from shared.testing.postgres import SampleDatabase
from tests.services.delivery.node import Node


@pytest.fixture
async def node(database: SampleDatabase) -> AsyncIterator[Node]:
    node = Node(database)
    await node.start()
    try:
        yield node
    finally:
        await node.stop()
