"""A cancelled request set gets no further wave, and its results say what was never asked."""

from collections import Counter

from stage_answers import DOWN, Flaky
from stage_world import World

from batch_assets.domain.budget import Budget
from batch_assets.domain.control import Scope
from batch_assets.domain.shard import Limits
from batch_assets.sandbox import LineError
from batch_assets.stages.advance import Pending
from batch_assets.stages.control import cancel

THREE_ROWS = Limits(requests=3, bytes=10**6)


def cancel_partition(world: World, *, at_provider: bool = False) -> None:
    scope = Scope(inference="words", partition_key="p")
    cancel(world.deployment, scope, owner="Ann", reason="wrong prompt", at_provider=at_provider)


def test_items_that_were_never_sent_end_as_cancelled(a_world, provider_at, sandbox):
    """No batch, no attempt, nothing paid."""
    one_batch = provider_at(sandbox.base_url, budget=Budget(batches=1))
    world = a_world(6, limits=THREE_ROWS, via=one_batch)
    world.submit()
    cancel_partition(world)

    world.finish()

    assert world.column("outcome") == ["ok"] * 3 + ["cancelled"] * 3
    assert world.column("attempts") == world.column("executions") == [1] * 3 + [0] * 3
    assert [batch_id is None for batch_id in world.column("batch_id")] == [False] * 3 + [True] * 3
    assert world.column("error_message")[5].startswith("its batch was cancelled")


def test_a_wave_that_waits_when_its_set_is_cancelled_is_never_sent(a_world, script):
    script.line = Flaky({1: [DOWN] * 9})
    world = a_world(3)
    world.submit()
    world.poll(after=100)
    assert isinstance(world.advance(), Pending)
    cancel_partition(world)

    world.finish()

    assert world.column("outcome") == ["ok", "cancelled", "ok"]
    assert (world.column("wave"), world.column("attempts")) == ([0, 1, 0], [1, 1, 1])
    assert script.line.asked[1] == 1


def test_no_wave_is_planned_for_a_cancelled_set(a_world, script):
    script.line = Flaky({1: [DOWN] * 9})
    world = a_world(3)
    world.submit()
    cancel_partition(world)

    world.finish()

    assert world.column("outcome") == ["ok", "errored", "ok"]
    assert world.request_set.wave == 0


def test_items_of_a_batch_that_we_cancelled_are_asked_when_the_set_is_taken_up(a_world):
    """With all their attempts, and no answer that is there is asked for again."""
    world = a_world(4, max_waves=1)
    world.submit()
    world.poll(after=50)
    cancel_partition(world, at_provider=True)
    world.finish()
    assert Counter(world.column("outcome")) == {"ok": 2, "cancelled": 2}

    world.submit()
    world.finish()

    assert world.column("outcome") == ["ok"] * 4
    assert (world.column("attempts"), world.column("executions")) == ([1] * 4, [1] * 4)
    assert world.executions["max_executions_of_one_body"] == 1


def test_a_line_that_says_cancelled_is_not_asked_again(a_world, script):
    """Nobody of ours cancelled it."""
    script.items(LineError(code="batch_cancelled"), containing="word 1")
    world = a_world(3)

    world.carry()

    assert world.column("outcome") == ["ok", "cancelled", "ok"]
    assert world.executions["batches_created"] == 1
