import pytest

from gateway.mailboxes import Mailboxes, Waiter
from shared.clock import SystemClock
from shared.identifiers import Uuid7Source
from shared.messaging.inprocess import InProcessBus

NEW_ID = Uuid7Source(SystemClock())


async def test_a_waiter_hears_every_hint_until_it_is_narrowed() -> None:
    waiter = Waiter()
    mine, other = frozenset({NEW_ID()}), frozenset({NEW_ID()})
    waiter.hear(other)
    await waiter.wait()
    waiter.forget()
    waiter.narrow(mine)
    waiter.hear(other)
    assert not waiter.is_woken
    waiter.hear(mine | other)
    assert waiter.is_woken


@pytest.mark.parametrize("places", [0, 1])
async def test_only_so_many_wait(places: int) -> None:
    mailboxes = Mailboxes(InProcessBus(SystemClock(), NEW_ID).party("gateway"), max_waiting=places)
    with mailboxes.waiter() as first, mailboxes.waiter() as second:
        assert (first is None, second is None) == (places == 0, True)
    assert mailboxes.waiting == 0
