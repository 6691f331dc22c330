"""What a broker does not let a party do, and what is said when it cannot work at all."""

from collections.abc import Awaitable, Callable

import aio_pika
import pytest
from aio_pika.exceptions import AMQPError

from deploy.distributed.broker import ADMIN, PrivateRabbit
from shared.clock import SystemClock
from shared.messaging.item import pack
from shared.messaging.rabbitmq import BrokerRefused, RabbitBus, Topology
from tests.contract.carriers import DOUBLE, NEW_ID, TOPOLOGY, RabbitCarrier, SomethingHappened, an_item, new_vhost_name
from tests.contract.parties import BETAS_QUEUE, Collector, act_as, double

# --- rights -----------------------------------------------------------------------------------------------------------


async def _publish(
    channel: aio_pika.abc.AbstractChannel, exchange: str, key: str, message: aio_pika.Message | None = None
) -> None:
    place = await channel.get_exchange(exchange, ensure=False)
    await place.publish(message or aio_pika.Message(b"{}"), key, timeout=10)


async def _bind(channel: aio_pika.abc.AbstractChannel, exchange: str) -> None:
    queue = await channel.declare_queue("answers.beta.probe", exclusive=True, auto_delete=True)
    await queue.bind(exchange, "#")


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(lambda channel: _publish(channel, "event.alpha", SomethingHappened.topic), id="publish as alpha"),
        pytest.param(lambda channel: _publish(channel, "", BETAS_QUEUE), id="publish to a queue past its exchange"),
        pytest.param(lambda channel: _publish(channel, "answer.beta", "key"), id="answer itself"),
        pytest.param(lambda channel: _bind(channel, "answer.gamma"), id="read another's answers"),
        pytest.param(lambda channel: _bind(channel, "ask.alpha"), id="read another's asks"),
        pytest.param(lambda channel: channel.declare_queue("events.gamma.everything", durable=True), id="declare"),
        pytest.param(lambda channel: channel.queue_delete("events.gamma.everything"), id="delete another's queue"),
        pytest.param(lambda channel: channel.exchange_delete("event.alpha"), id="delete an exchange"),
        pytest.param(lambda channel: channel.declare_queue("anything"), id="declare anything"),
    ],
)
async def test_a_party_may_do_no_more_than_its_part(
    rabbit_carrier: RabbitCarrier, act: Callable[[aio_pika.abc.AbstractChannel], Awaitable[object]]
) -> None:
    with pytest.raises(AMQPError, match="ACCESS_REFUSED"):
        await act_as(rabbit_carrier, "beta", act)


async def test_a_pack_that_does_not_name_its_true_sender_is_not_answered(rabbit_carrier: RabbitCarrier) -> None:
    rabbit_carrier.party("alpha").answer(DOUBLE, double)
    await rabbit_carrier.start()
    forged = aio_pika.Message(pack([an_item()]), user_id="gamma")
    with pytest.raises(AMQPError, match="user_id"):
        await act_as(rabbit_carrier, "beta", lambda channel: _publish(channel, "ask.alpha", "ordinary", forged))


# --- refusals at start ------------------------------------------------------------------------------------------------


async def _start(url: str) -> None:
    bus = RabbitBus(url, party="beta", clock=SystemClock(), new_id=NEW_ID, topology=TOPOLOGY)
    bus.subscribe(SomethingHappened.topic, Collector())
    try:
        await bus.start()
    finally:
        await bus.close()


async def test_a_wrong_password_is_said_at_start(rabbit_carrier: RabbitCarrier) -> None:
    url = rabbit_carrier.rabbit.url("beta", rabbit_carrier.vhost)
    password = rabbit_carrier.rabbit.password("beta")
    with pytest.raises(BrokerRefused, match="từ chối tên hoặc mật khẩu") as refusal:
        await _start(url.replace(password, "wrong"))
    assert password not in str(refusal.value)


async def test_a_missing_virtual_host_is_said_at_start(rabbit: PrivateRabbit, rabbit_carrier: RabbitCarrier) -> None:
    with pytest.raises(BrokerRefused, match="không có virtual host"):
        await _start(rabbit.url("beta", "nowhere"))


async def test_a_broker_that_was_not_set_up_is_said_at_start(rabbit_carrier: RabbitCarrier) -> None:
    async def forget(channel: aio_pika.abc.AbstractChannel) -> None:
        await channel.exchange_delete("ask.alpha")

    await act_as(rabbit_carrier, ADMIN, forget)
    with pytest.raises(BrokerRefused, match="chưa được khai báo") as refusal:
        await _start(rabbit_carrier.rabbit.url("beta", rabbit_carrier.vhost))
    assert "axis broker setup" in refusal.value.remedy


async def test_a_queue_of_another_kind_is_said_at_start(rabbit_carrier: RabbitCarrier) -> None:
    async def make_another(channel: aio_pika.abc.AbstractChannel) -> None:
        await channel.queue_delete(BETAS_QUEUE)
        await channel.declare_queue(BETAS_QUEUE, durable=True)

    await act_as(rabbit_carrier, ADMIN, make_another)
    with pytest.raises(BrokerRefused, match="khác loại"):
        await _start(rabbit_carrier.rabbit.url("beta", rabbit_carrier.vhost))


async def test_missing_rights_are_said_at_start(rabbit: PrivateRabbit) -> None:
    vhost = new_vhost_name()
    parties = TOPOLOGY.parties
    less = Topology.of([parties["alpha"], parties["gamma"], type(parties["beta"])("beta", asks=("alpha",))])
    await rabbit.add_vhosts([vhost], less)
    with pytest.raises(BrokerRefused) as refusal:
        await _start(rabbit.url("beta", vhost))
    assert "axis broker setup" in refusal.value.remedy
