import pytest

from gateway.errors import Busy, TooMany
from gateway.limits import MAX_CALLERS, RateLimit, Uploads
from shared.contracts.base import Lane


class Seconds:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_empties_and_fills_again() -> None:
    seconds = Seconds()
    limit = RateLimit(per_second=2, burst=3, monotonic=seconds)
    for _ in range(3):
        limit.take("a")
    with pytest.raises(TooMany) as refused:
        limit.take("a")
    assert refused.value.retry_after == 1
    seconds.now = 0.5
    limit.take("a")
    with pytest.raises(TooMany):
        limit.take("a")


def test_callers_do_not_share_a_bucket() -> None:
    limit = RateLimit(per_second=1, burst=1, monotonic=Seconds())
    limit.take("a")
    limit.take("b")


def test_the_memory_for_callers_is_bounded() -> None:
    limit = RateLimit(per_second=1, burst=1, monotonic=Seconds())
    for number in range(MAX_CALLERS + 10):
        limit.take(str(number))
    assert len(limit._buckets) == MAX_CALLERS


def test_urgent_packets_have_places_of_their_own() -> None:
    uploads = Uploads(ordinary=1, urgent=1)
    with uploads.place(Lane.ORDINARY):
        with pytest.raises(Busy), uploads.place(Lane.URGENT):
            pass
        with uploads.place(Lane.VERY_URGENT), pytest.raises(Busy), uploads.place(Lane.EXPRESS):
            pass
    with uploads.place(Lane.ORDINARY):
        pass
