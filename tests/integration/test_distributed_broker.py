"""
A broker before a process uses it: whose it is, who may enter, and who is alone.
"""

from collections.abc import Callable
from uuid import uuid4

import pytest

from deploy.distributed.broker import ADMIN, PrivateRabbit
from deploy.distributed.broker_checks import Place, check_broker, claim_broker
from deploy.distributed.database import Identity
from deploy.embedded.errors import NodeError

Url = Callable[[str], str]


@pytest.fixture
def url(rabbit: PrivateRabbit, vhost: str) -> Url:
    return lambda user: rabbit.url(user, vhost)


@pytest.fixture
def identity() -> Identity:
    return Identity("H43", uuid4())


async def test_a_claimed_broker_serves_every_process_of_its_node(url: Url, identity: Identity) -> None:
    await claim_broker(url(ADMIN), identity)
    await claim_broker(url(ADMIN), identity)
    await check_broker("routing", url("routing"), node_id="H43", identity=identity)
    await check_broker("gateway", url("gateway"), node_id="H43", identity=None)


async def test_a_broker_nobody_claimed_is_refused_with_the_remedy(url: Url, identity: Identity) -> None:
    with pytest.raises(NodeError) as caught:
        await check_broker("routing", url("routing"), node_id="H43", identity=identity)
    assert "axis broker setup" in caught.value.remedy


async def test_another_node_cannot_claim_it(url: Url, identity: Identity) -> None:
    await claim_broker(url(ADMIN), identity)
    with pytest.raises(NodeError, match="serves another node"):
        await claim_broker(url(ADMIN), Identity("H44", identity.installation))
    with pytest.raises(NodeError, match="not set up for this node H44"):
        await check_broker("gateway", url("gateway"), node_id="H44", identity=None)


async def test_the_same_node_with_another_database_cannot_claim_it(url: Url, identity: Identity) -> None:
    await claim_broker(url(ADMIN), identity)
    twin = Identity("H43", uuid4())
    with pytest.raises(NodeError, match="this one with another database"):
        await claim_broker(url(ADMIN), twin)
    with pytest.raises(NodeError, match="not set up for this node"):
        await check_broker("routing", url("routing"), node_id="H43", identity=twin)


async def test_a_wrong_password_is_said_to_be_wrong(url: Url, identity: Identity) -> None:
    wrong = url("routing").replace("routing:", "routing:not-")
    with pytest.raises(NodeError, match="refuses the name or password of routing"):
        await check_broker("routing", wrong, node_id="H43", identity=identity)


async def test_a_virtual_host_that_is_not_there_is_said_to_be_so(url: Url, vhost: str, identity: Identity) -> None:
    wrong = url("routing").replace(f"/{vhost}", "/nowhere")
    with pytest.raises(NodeError, match="does not let routing into this virtual host"):
        await check_broker("routing", wrong, node_id="H43", identity=identity)


async def test_of_two_sequencers_one_is_refused_until_the_other_has_gone(url: Url) -> None:
    first, second = Place("audit", url("audit")), Place("audit", url("audit"))
    await first.take(0)
    assert await first.holds()
    with pytest.raises(NodeError, match="Another audit"):
        await second.take(0)
    await first.leave()
    await second.take(5)
    assert await second.holds()
    await second.leave()


async def test_of_a_cluster_the_first_that_answers_is_taken(
    url: Url, rabbit: PrivateRabbit, identity: Identity
) -> None:
    dead = url("routing").replace(f":{rabbit.port}/", ":1/")
    await claim_broker(url(ADMIN), identity)
    await check_broker("routing", f"{dead},{url('routing')}", node_id="H43", identity=identity)
