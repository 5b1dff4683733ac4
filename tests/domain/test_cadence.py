"""When a provider is asked about a batch again."""

from datetime import timedelta

import pytest
from factories import NOON

from batch_assets.domain.cadence import (
    FEWEST,
    LONGEST,
    History,
    due_at,
    expected_at,
    history_of,
    pause_after,
)

EVERY = timedelta(seconds=30)


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


def hours(number: float) -> timedelta:
    return timedelta(hours=number)


#: Of batches that take hours, one that takes minutes, and the sandbox.
SLOW = History(early=hours(1), usual=hours(2), late=hours(4))
QUICK = History(early=minutes(6), usual=minutes(8), late=minutes(20))
SANDBOX = History(early=seconds(28), usual=seconds(30), late=seconds(35))


@pytest.mark.parametrize(
    ("age", "history", "pause"),
    [
        # young: at each tick, whatever is known
        (seconds(0), None, EVERY),
        (minutes(4.9), None, EVERY),
        (minutes(4.9), SLOW, EVERY),
        (seconds(20), SANDBOX, EVERY),
        # nothing is known: a tenth of its age
        (minutes(5), None, seconds(30)),
        (minutes(30), None, minutes(3)),
        (hours(1.5), None, minutes(9)),
        (hours(20), None, LONGEST),
        # far off: when the first ones end, and never later than the longest pause
        (minutes(20), SLOW, LONGEST),
        (minutes(52), SLOW, minutes(8)),
        (minutes(5), QUICK, minutes(1)),
        # so near that the next look is as if it were due
        (minutes(59.9), SLOW, minutes(2)),
        # soon expected: a twentieth of the usual time, two minutes at most
        (hours(1), SLOW, minutes(2)),
        (hours(3), SLOW, minutes(2)),
        (minutes(10), QUICK, EVERY),
        # overdue: a steady pace
        (hours(5), SLOW, minutes(5)),
        (hours(23), SLOW, minutes(5)),
        (minutes(25), QUICK, minutes(2.5)),
        (minutes(10), SANDBOX, minutes(1)),
    ],
)
def test_a_batch_is_left_alone_by_its_age_and_what_others_took(age, history, pause):
    assert pause_after(age, history, EVERY) == pause


@pytest.mark.parametrize("history", [None, SLOW, QUICK, SANDBOX])
@pytest.mark.parametrize("every", [seconds(5), EVERY, minutes(3)])
def test_no_pause_is_shorter_than_the_interval_or_longer_than_ten_minutes(history, every):
    pauses = [pause_after(minutes(age), history, every) for age in range(0, 26 * 60, 3)]

    assert min(pauses) >= every
    assert max(pauses) <= LONGEST


def test_an_interval_above_ten_minutes_is_kept():
    assert pause_after(hours(1), None, minutes(20)) == minutes(20)


def test_a_batch_that_nobody_asked_about_is_due_at_once():
    assert due_at(NOON, None, SLOW, EVERY) == NOON


def test_a_tick_that_comes_a_little_early_counts():
    """The look before was written down some seconds after its tick began."""
    assert due_at(NOON, NOON, None, EVERY) == NOON + seconds(22.5)


def test_a_look_is_due_by_the_age_at_the_look_before():
    asked = NOON + hours(1.5)

    assert due_at(NOON, asked, SLOW, EVERY) == asked + minutes(2) - seconds(7.5)


def test_what_is_usual_is_said_by_the_middle_and_the_tenths():
    history = history_of([minutes(number) for number in range(100, -1, -1)])

    assert history == History(early=minutes(10), usual=minutes(50), late=minutes(90))


def test_too_few_batches_say_nothing():
    assert history_of([hours(1)] * (FEWEST - 1)) is None


def test_a_batch_is_expected_when_half_of_the_others_were_done():
    assert expected_at(NOON, SLOW) == NOON + hours(2)
    assert expected_at(NOON, None) is None
