"""Times and durations as a person says them."""

from datetime import timedelta

import pytest
from factories import NOON

from batch_assets.domain.spoken import spoken_age, spoken_time


@pytest.mark.parametrize(
    ("age", "said"),
    [
        (timedelta(seconds=-3), "0 s"),
        (timedelta(seconds=61.9), "61 s"),
        (timedelta(minutes=2), "2 min"),
        (timedelta(minutes=119), "119 min"),
        (timedelta(hours=2, minutes=59), "2 h"),
        (timedelta(hours=47), "47 h"),
        (timedelta(days=3, hours=5), "3 days"),
    ],
)
def test_an_age_is_said_in_one_unit(age, said):
    assert spoken_age(age) == said


def test_a_time_of_today_is_the_clocks():
    assert spoken_time(NOON + timedelta(minutes=5), NOON) == "12:05 UTC"


def test_a_time_of_another_day_has_its_date():
    assert spoken_time(NOON + timedelta(days=1), NOON) == "2026-11-22 12:00 UTC"
