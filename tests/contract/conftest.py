from collections import deque
from collections.abc import AsyncIterator

import pytest

from deploy.distributed.broker import PrivateRabbit
from tests.contract.carriers import TOPOLOGY, Carrier, InProcessCarrier, RabbitCarrier, new_vhost_name


@pytest.fixture(params=["in_process_carrier", "rabbit_carrier"], ids=["in-process", "rabbitmq"])
def bus(request: pytest.FixtureRequest) -> Carrier:
    """
    Each adapter in turn.
    """
    carrier: Carrier = request.getfixturevalue(request.param)
    return carrier


@pytest.fixture
async def in_process_carrier() -> AsyncIterator[InProcessCarrier]:
    carrier = InProcessCarrier()
    yield carrier
    await carrier.close()


@pytest.fixture(scope="session")
def vhosts() -> deque[str]:
    """
    Virtual hosts that nobody has used yet; they are made by the handful, because each making takes seconds.
    """
    return deque()


@pytest.fixture
async def rabbit_carrier(rabbit: PrivateRabbit, vhosts: deque[str]) -> AsyncIterator[RabbitCarrier]:
    if not vhosts:
        names = [new_vhost_name() for _ in range(10)]
        await rabbit.add_vhosts(names, TOPOLOGY)
        vhosts.extend(names)
    carrier = RabbitCarrier(rabbit, vhosts.popleft())
    yield carrier
    await carrier.close()
