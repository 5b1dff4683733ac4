"""The page about the sensor gives the values that hold."""

import inspect
from datetime import timedelta
from pathlib import Path

import pytest

import batch_assets as ba
from batch_assets.assets import health, progress
from batch_assets.domain import cadence
from batch_assets.domain.spoken import spoken_age
from batch_assets.ledger import polls
from batch_assets.operations import looks, sensors, waits

PAGE = (Path(__file__).parents[2] / "docs" / "howto" / "sensor.md").read_text()

INTERVAL = inspect.signature(ba.with_operations).parameters["minimum_interval_seconds"].default


def minutes(span: timedelta) -> int:
    return span // timedelta(minutes=1)


@pytest.mark.parametrize(
    "said",
    [
        f"minimum_interval_seconds={INTERVAL}",
        f"the last {polls._NEWEST_ENDED} batches",
        f"fewer than {'five' if cadence.FEWEST == 5 else cadence.FEWEST}",
        f"younger than {minutes(cadence.YOUNG)} minutes",
        f"{minutes(cadence.SOON)} minutes at most",
        f"{minutes(cadence.OVERDUE)} minutes at most",
        f"never more than {minutes(cadence.LONGEST)} minutes",
        f"for {looks.PATIENCE.seconds} seconds and {looks.CALLS} calls together",
        f"left behind after {(looks.PATIENCE + looks.GRACE).seconds}",
        f"asks for {sensors.RUNS_PER_TICK} runs and tells of {progress.TOLD_AT_ONCE} partitions",
        f"longer than {minutes(health.WARNED_AFTER)} minutes",
        f"or {spoken_age(health.FAILED_AFTER).replace('h', 'hours')} (an error)",
    ],
)
def test_the_page_gives_the_value_that_holds(said):
    assert said in PAGE


@pytest.mark.parametrize("word", [*waits._WORDS.values(), waits._LATER, waits._NOTHING])
def test_the_page_explains_what_batches_wait_for(word):
    rows = [line for line in PAGE.splitlines() if line.startswith("| ")]

    assert any(word in row for row in rows)
