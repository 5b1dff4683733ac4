"""How long a caller in a hurry waits, and how often it calls."""

import pytest

from batch_assets.domain.errors import OutOfTime
from batch_assets.resources.patience import Patience


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def patience(clock) -> Patience:
    return Patience(clock)


def a_call(patience: Patience, clock: Clock, takes: float) -> float | None:
    left = patience.take("listing")
    with patience.timed():
        clock.now += takes
    return left


def test_who_is_in_no_hurry_has_time_without_end(patience, clock):
    assert [a_call(patience, clock, 100) for _ in range(3)] == [None, None, None]


def test_no_call_is_begun_that_would_outlast_the_time_by_the_slowest_before(patience, clock):
    with patience.within(17):
        begun = [a_call(patience, clock, takes) for takes in (5, 5, 2)]
        with pytest.raises(OutOfTime, match="listing: the time for it is over"):
            patience.take("listing")

    assert begun == [17, 12, 7]


def test_a_slow_call_of_one_hurry_says_nothing_of_the_next(patience, clock):
    with patience.within(10):
        a_call(patience, clock, 9)

    with patience.within(5):
        assert a_call(patience, clock, 1) == 5


def test_calls_are_counted_in_every_block_around_them(patience, clock):
    with patience.within(60, calls=3):
        with patience.within(60, calls=1):
            a_call(patience, clock, 0)
            with pytest.raises(OutOfTime):
                patience.take("listing")
        a_call(patience, clock, 0)
        a_call(patience, clock, 0)
        with pytest.raises(OutOfTime):
            patience.take("listing")
