"""A batch that fails validation ran nothing: the lines it names are items of the user's."""

import pytest
from stage_world import World

from batch_assets.domain.shard import Limits
from batch_assets.sandbox import FailsValidation, ItemError

THREE_ROWS = Limits(requests=3, bytes=10**6)


def test_the_named_line_is_its_item_and_the_others_are_asked_again(a_world, script):
    """Row 43: code, line and message come back to the user's own key."""
    script.batches(FailsValidation(code="invalid_value", message="No such role.", lines=(2,)))
    world = a_world(4)

    world.carry()

    row = world.results()[1]
    assert world.column("outcome") == ["ok", "errored", "ok", "ok"]
    assert (row["item_id"], row["error_code"]) == ("i-1", "invalid_value")
    assert row["error_message"] == "No such role."
    assert world.column("attempts") == [2, 1, 2, 2]
    assert world.column("executions") == [1, 0, 1, 1]
    assert world.executions["max_executions_of_one_body"] == 1


def test_a_line_of_a_later_wave_is_that_shards_own(a_world, script):
    """Wave 1 asks items 1, 3 and 4 only: its second line is item 3."""
    for word in ("word 1", "word 3", "word 4"):
        script.items(ItemError(status=500), containing=word, times=1)
    script.batches(FailsValidation(code="invalid_value", lines=(2,)), after=1)
    world = a_world(6)

    world.carry()

    assert world.column("outcome") == ["ok", "ok", "ok", "errored", "ok", "ok"]
    assert world.column("error_code")[3] == "invalid_value"
    assert world.column("wave") == [0, 2, 0, 1, 2, 0]


def test_every_item_that_a_line_names_is_final_and_its_neighbours_have_an_end(a_world, script):
    """A provider that always finds a line is asked as often as the policy says."""
    script.batches(FailsValidation(code="invalid_value", lines=(1, 3)), times=None)
    world = a_world(9, max_waves=3)

    world.carry()

    assert world.column("outcome") == ["errored"] * 9
    assert world.column("attempts") == [1, 2, 1, 3, 2, 3, 3, 3, 3]
    assert world.column("error_code").count("invalid_value") == 6
    assert world.column("error_code").count("not_run") == 3
    assert world.executions == world.executions | {"batches_created": 3, "requests_executed": 0}


def test_an_item_that_did_not_run_says_for_whose_sake(a_world, script):
    script.batches(FailsValidation(code="invalid_value", lines=(2, 3)))
    world = a_world(4, max_waves=1)

    world.carry()

    row = world.results()[0]
    assert (row["outcome"], row["error_code"]) == ("errored", "not_run")
    assert row["error_message"].startswith("not run: the provider refused the batch for its line 2")


@pytest.mark.parametrize("lines", [(), (99,)])
def test_a_failure_that_names_no_line_of_the_shard_is_every_items(a_world, script, lines):
    """Nobody can tell what would cure it: asking again would fail for ever."""
    script.batches(FailsValidation(code="too_odd", message="Too odd.", lines=lines))
    world = a_world(3)

    world.carry()

    assert world.column("outcome") == ["errored"] * 3
    assert set(world.column("error_code")) == {"too_odd"}
    assert all("Too odd." in message for message in world.column("error_message"))
    assert world.executions["batches_created"] == 1


def test_other_shards_of_the_partition_are_not_concerned(a_world, script):
    script.batches(FailsValidation(code="invalid_value", lines=(1,)))
    world: World = a_world(6, limits=THREE_ROWS)

    world.carry()

    assert world.column("outcome") == ["errored"] + ["ok"] * 5
    assert world.column("wave") == [0, 1, 1, 0, 0, 0]
