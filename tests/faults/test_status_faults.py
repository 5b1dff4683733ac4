"""Whatever a batch says of itself, its files are the truth, and they are waited for."""

from collections import Counter

import pytest
from stage_world import LATENCY

from batch_assets.sandbox import (
    EmptyFileIds,
    Expires,
    ItemError,
    LateFiles,
    LyingCounts,
    StatusWord,
)
from batch_assets.stages.poll import SETTLED, poll
from batch_assets.stages.resolve import Resolution

A_DAY = 24 * 3_600.0


@pytest.mark.parametrize("instead_of", ["validating", "in_progress", "completed"])
def test_a_status_that_nobody_knows_is_reported_and_waited_out(a_world, faults, instead_of):
    """Row 29: a new word is neither an end nor an error."""
    faults.batches(StatusWord("on_hold", instead_of=instead_of, looks=3))
    world = a_world(4)
    world.send()
    said = [poll(world.deployment).unknown for _ in range(2)]
    world.clock.advance(LATENCY / 2)
    said += [poll(world.deployment).unknown for _ in range(2)]
    world.clock.advance(LATENCY / 2)
    said += [poll(world.deployment).unknown for _ in range(3)]

    assert {batch.status for unknown in said for batch in unknown} == {"on_hold"}
    world.bring_home()

    world.judged("ok", executed=4)
    assert world.executions["batches_created"] == 1


def test_a_status_that_stays_unknown_ends_nothing_and_sends_nothing(a_world, faults):
    """Row 29: an alarm at every look, for as long as it says so."""
    faults.batches(StatusWord("done", instead_of="completed"))
    world = a_world(4)
    world.send()

    for _ in range(10):
        assert world.tick(A_DAY) is None
        assert [batch.status for batch in poll(world.deployment).unknown] == ["done"]

    assert "'done', which is not known" in world.batch.reason
    assert world.executions["batches_created"] == 1


@pytest.mark.parametrize("fault", [LateFiles(looks=3), LateFiles(seconds=3_600)], ids=repr)
def test_files_that_come_late_are_waited_for(a_world, faults, fault):
    """Row 11: completed, with counts and without files, is neither an end nor a failure."""
    faults.batches(fault)
    world = a_world(4)

    world.carry()

    world.judged("ok", executed=4)
    assert world.executions["batches_created"] == 1


def test_files_that_never_come_are_waited_for_and_then_asked_for_again(a_world, faults):
    """Row 11: the wait is bounded; what was paid for and is lost may be bought again, once."""
    faults.batches(LateFiles())
    world = a_world(4, max_waves=2)
    world.send()
    assert world.tick(SETTLED.total_seconds() - LATENCY) is None
    assert world.states == ["submitted"]

    world.bring_home()

    world.judged("ok", executed=8, most=2, unseen=4)


def test_files_that_never_come_end_as_missing_where_nothing_may_be_asked_again(a_world, faults):
    faults.batches(LateFiles(), times=None)
    world = a_world(4, max_waves=1)
    world.send()
    world.tick(SETTLED.total_seconds())

    world.bring_home()

    world.judged("missing", executed=4, unseen=4)


@pytest.mark.parametrize("failed", [False, True])
def test_an_empty_file_id_is_no_file(a_world, faults, failed):
    """Row 14: it would be fetched as /files//content."""
    faults.batches(EmptyFileIds())
    if failed:
        faults.items(ItemError(400))
    world = a_world(4)

    world.carry()

    world.judged("errored" if failed else "ok", executed=0 if failed else 4, most=int(not failed))
    assert faults.called("files.content") == 1


def test_no_output_file_and_nine_of_nine_failed_is_no_success(a_world, faults):
    """Row 10: completed, output_file_id null; the reasons are in the error file."""
    faults.items(ItemError(400, message="No such model."))
    world = a_world(9)

    summary = world.carry().summary

    world.judged("errored", executed=0, most=0)
    assert (summary.coverage, summary.reasons) == (0.0, {("errored", "invalid_value"): 9})


@pytest.mark.parametrize(
    ("lie", "failing"),
    [
        (LyingCounts(completed=0, failed=4), 0),
        (LyingCounts(completed=2_000, failed=0), 1),
        (LyingCounts(total=0, completed=0, failed=0), 1),
    ],
    ids=repr,
)
def test_counts_that_lie_change_nothing_and_are_noticed(a_world, faults, lie, failing):
    """Rows 15 and 19: numbers come from the lines, never from the provider's counts."""
    faults.batches(lie)
    if failing:
        faults.items(ItemError(400), containing="word 1")
    world = a_world(4)

    resolution = world.carry()

    outcomes = ["ok", "errored" if failing else "ok", "ok", "ok"]
    world.judged(*outcomes, executed=4 - failing)
    assert resolution.summary.outcomes == Counter(outcomes)
    assert resolution.lines.count_mismatches > 0


def test_several_faults_of_one_batch_lose_nothing_together(a_world, faults):
    faults.batches(
        Expires(0.5), EmptyFileIds(), LyingCounts(completed=0), StatusWord("on_hold", looks=2)
    )
    world = a_world(10)

    assert isinstance(world.carry(), Resolution)

    world.judged("ok", executed=10)
