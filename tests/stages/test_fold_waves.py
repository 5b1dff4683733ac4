"""Lines of further waves fold into the verdicts of the waves before them."""

import json

import pytest
from output_lines import failing, fold, lines_of, ordinal_of, renamed, rewrite, without
from stage_world import World

from batch_assets.domain.shard import Limits
from batch_assets.stages.counts import LineCounts

THREE_ROWS = Limits(requests=3, bytes=10**6)


@pytest.fixture
def two_waves(a_world, script) -> World:
    """Nine items in three shards; 1, 3, 5 and 7, 8 are answered in two shards of wave 1."""
    script.line = failing({1, 3, 5, 7, 8})
    world = a_world(9, limits=THREE_ROWS, max_waves=2)
    world.carry()
    return world


def test_a_wave_is_folded_with_those_before_it(two_waves):
    assert two_waves.column("outcome") == ["ok"] * 9
    assert two_waves.column("wave") == [0, 1, 0, 1, 0, 1, 0, 1, 1]
    batches = [two_waves.batches[index].provider_id for index in (0, 3, 0, 3, 1, 3, 2, 4, 4)]
    assert two_waves.column("batch_id") == batches


def test_an_answer_nobody_asked_for_again_is_not_taken(two_waves):
    """Request 4 was answered in wave 0, request 8 was asked of the other shard of wave 1."""
    answers = {ordinal_of(line): line for batch in (3, 4) for line in lines_of(two_waves, batch)}
    prefix = json.loads(answers[1])["custom_id"].rpartition("-")[0]
    intruders = [renamed(answers[1], f"{prefix}-{ordinal}") for ordinal in (4, 8, 9)]
    expected = two_waves.results()

    rewrite(two_waves, lambda lines: [*intruders, *lines], batch=3)
    resolution = fold(two_waves)

    assert two_waves.results() == expected
    assert resolution.lines == LineCounts(foreign=3, duplicate=0)


def test_what_stays_unanswered_in_a_wave_says_so(two_waves):
    rewrite(two_waves, without(7), batch=4)

    fold(two_waves)

    assert two_waves.column("outcome") == ["ok"] * 7 + ["missing", "ok"]
    assert two_waves.column("wave")[7] == 1


def test_a_duplicate_in_a_wave_is_counted_once(two_waves):
    rewrite(two_waves, lambda lines: [*lines, *lines], batch=3)

    assert fold(two_waves).lines == LineCounts(foreign=0, duplicate=3)
