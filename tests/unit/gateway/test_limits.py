from contextlib import ExitStack

import pytest

from gateway.errors import Busy, TooMany, TooManyUploads, UploadTooSlow
from gateway.limits import MAX_CALLERS, Pace, RateLimit, Uploads
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
    uploads = Uploads(ordinary=1, urgent=1, ordinary_share=1, urgent_share=1)
    with uploads.place(Lane.ORDINARY, "a"):
        with pytest.raises(Busy), uploads.place(Lane.URGENT, "b"):
            pass
        with uploads.place(Lane.VERY_URGENT, "b"), pytest.raises(Busy), uploads.place(Lane.EXPRESS, "c"):
            pass
    with uploads.place(Lane.ORDINARY, "a"):
        pass


def test_no_system_can_take_the_places_of_the_others() -> None:
    uploads = Uploads(ordinary=10, urgent=10, ordinary_share=2, urgent_share=1)
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(uploads.place(Lane.ORDINARY, "greedy"))
        with pytest.raises(TooManyUploads) as refused, uploads.place(Lane.ORDINARY, "greedy"):
            pass
        assert refused.value.retry_after == 1
        stack.enter_context(uploads.place(Lane.EXPRESS, "greedy"))
        with pytest.raises(TooManyUploads), uploads.place(Lane.EXPRESS, "greedy"):
            pass
        stack.enter_context(uploads.place(Lane.ORDINARY, "modest"))
        assert uploads.taken == 4
    with uploads.place(Lane.ORDINARY, "greedy"):
        assert uploads.taken == 1


def test_a_packet_that_dribbles_is_ended_after_the_grace() -> None:
    course = Pace(bytes_per_second=100, grace_seconds=10, window_seconds=2).begin()
    course.moved(1, seconds=9)
    with pytest.raises(UploadTooSlow):
        course.moved(1, seconds=1)


def test_a_good_beginning_is_no_licence_to_dribble() -> None:
    course = Pace(bytes_per_second=100, grace_seconds=10, window_seconds=2).begin()
    course.moved(1_000_000, seconds=10)
    course.moved(150, seconds=1)
    course.moved(50, seconds=1)
    with pytest.raises(UploadTooSlow):
        course.moved(199, seconds=2)


def test_without_a_least_speed_a_packet_may_take_for_ever() -> None:
    course = Pace(bytes_per_second=0, grace_seconds=1, window_seconds=1).begin()
    course.moved(0, seconds=3600)
