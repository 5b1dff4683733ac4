"""What another try may cure is asked again, and nothing else."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from stage_answers import DOWN, NOT_JSON, WRONG, Flaky

from batch_assets.domain.budget import Budget
from batch_assets.domain.shard import Limits
from batch_assets.domain.usage import Usage
from batch_assets.domain.wave import RetryPolicy
from batch_assets.sandbox import ItemError, MissingLine, NotJson, TruncatedAnswer
from batch_assets.stages.advance import Pending

ONE_ROW = Limits(requests=1, bytes=10**6)
THREE_ROWS = Limits(requests=3, bytes=10**6)


def test_expired_items_are_asked_again_and_no_other(a_world, sandbox):
    """Row 8: the part that was answered is not sent again."""
    sandbox.state.change_settings({"latency": 48 * 3600.0})
    world = a_world(10)
    world.submit()
    world.poll(after=24 * 3600)
    sandbox.state.change_settings({"latency": 100.0})

    pending = world.advance()
    assert isinstance(pending, Pending)
    assert [batch.reservation.requests for batch in world.batches] == [10, 5]
    world.finish()

    assert world.column("outcome") == ["ok"] * 10
    assert Counter(world.column("wave")) == {0: 5, 1: 5}
    assert world.executions["requests_executed"] == 10
    assert world.executions["max_executions_of_one_body"] == 1


def test_items_of_a_cancelled_batch_are_not_asked_again(a_world):
    world = a_world(10)
    world.submit()
    world.poll(after=50)
    world.deployment.provider.cancel(world.batch.provider_id)

    world.finish()

    assert Counter(world.column("outcome")) == {"ok": 5, "cancelled": 5}
    assert world.executions["batches_created"] == 1


@pytest.mark.parametrize("max_waves", [1, 2, 3])
def test_an_item_is_asked_at_most_so_often(a_world, script, max_waves):
    """Row 27: retries are counted by the provider, not hoped for."""
    script.line = Flaky({1: [DOWN] * 9})
    world = a_world(3, max_waves=max_waves)

    world.carry()

    assert script.line.asked == {0: 1, 1: max_waves, 2: 1}
    assert world.column("outcome") == ["ok", "errored", "ok"]
    assert world.column("wave") == [0, max_waves - 1, 0]


def test_an_error_that_no_further_try_cures_is_final(a_world, script):
    script.line = Flaky({1: [WRONG] * 9})
    world = a_world(3)

    world.carry()

    assert script.line.asked == {0: 1, 1: 1, 2: 1}


def test_the_last_verdict_is_the_items(a_world, script):
    script.line = Flaky({0: [DOWN, NOT_JSON], 1: [NOT_JSON, WRONG], 2: [NOT_JSON] * 3})
    world = a_world(4)

    world.carry()

    assert world.column("outcome") == ["ok", "errored", "invalid", "ok"]
    assert world.column("error_code") == [None, "invalid_value", None, None]
    assert world.column("wave") == [2, 1, 2, 0]


def test_tokens_of_every_try_are_counted(a_world, script):
    """An answer that is not valid was paid for like any other."""
    script.line = Flaky({0: [NOT_JSON] * 3, 1: [NOT_JSON, DOWN], 2: [DOWN]})
    world = a_world(4)

    usage = world.carry().summary.usage

    once = world.column("input_tokens")[3]
    assert world.column("input_tokens") == [30, 10 + once, once, once]
    assert usage.input_tokens == 40 + 3 * once


def test_waves_are_cut_into_shards_of_their_own(a_world, script):
    """Shards of later waves reach over several of the first; one has nothing to ask again."""
    failing = {1: [DOWN], 2: [DOWN, DOWN], 4: [DOWN, DOWN], 9: [DOWN], 11: [DOWN], 12: [DOWN] * 3}
    script.line = Flaky(failing)
    world = a_world(13, limits=THREE_ROWS)

    world.carry()

    sent = [(batch.wave, batch.shard, batch.reservation.requests) for batch in world.batches]
    assert sent == [
        *((0, shard, 3) for shard in range(4)),
        (0, 4, 1),
        (1, 0, 3),
        (1, 1, 3),
        (2, 0, 3),
    ]
    assert world.column("outcome") == ["ok"] * 12 + ["errored"]
    assert world.column("wave") == [0, 1, 2, 0, 2, 0, 0, 0, 0, 1, 0, 1, 2]
    assert [row["output"]["words"] for row in world.results()[:12]] == [
        [f"Word: word {row}"] for row in range(12)
    ]
    assert world.executions["max_executions_of_one_body"] == 1


def test_a_wave_waits_for_room_like_the_first(a_world, script, provider_at, sandbox):
    script.line = Flaky({0: [DOWN], 1: [DOWN]})
    provider = provider_at(sandbox.base_url, budget=Budget(batches=1))
    world = a_world(2, limits=ONE_ROW, via=provider)

    world.carry()

    assert world.column("outcome") == ["ok", "ok"]
    assert world.executions["batches_created"] == 4


# What a policy says


def with_policy(world, **policy):
    world.recipe = replace(world.recipe, retries=RetryPolicy(**policy))
    return world


def test_what_a_policy_names_is_asked_again_and_nothing_else(a_world, script):
    script.items(TruncatedAnswer(), containing="word 0", times=1)
    script.items(ItemError(status=500), containing="word 1", times=1)
    script.items(NotJson(), containing="word 2", times=1)
    world = with_policy(a_world(4), ask_again=["truncated", "server_error"])

    world.carry()

    assert world.column("outcome") == ["ok", "ok", "invalid", "ok"]
    assert world.column("attempts") == [2, 2, 1, 1]


def test_attempts_are_counted_for_each_item(a_world, script):
    """Item 1 fails first in wave 1, and has a further wave all the same."""
    script.line = Flaky({0: [DOWN, DOWN, DOWN], 1: [DOWN, NOT_JSON], 2: [DOWN]})
    world = a_world(4, max_waves=3)

    world.carry()

    assert world.column("outcome") == ["errored", "ok", "ok", "ok"]
    assert world.column("attempts") == [3, 3, 2, 1]
    assert world.request_set.wave == 2


def test_a_further_wave_waits_longer_than_the_one_before(a_world, script):
    script.line = Flaky({0: [DOWN] * 9})
    world = with_policy(
        a_world(1), max_waves=4, first_wait=timedelta(minutes=10), longest_wait=timedelta(hours=1)
    )
    world.submit()
    waits = []
    for _ in range(3):
        world.poll(after=100)
        world.advance()
        planned = world.batches[-1]
        waits.append((planned.not_before - planned.created_at).total_seconds() / 60)
        assert world.advance().progress.planned == 1
        world.clock.advance(waits[-1] * 60)
        assert world.advance().progress.open == 1

    assert [7.5 <= waits[0] <= 12.5, 15 <= waits[1] <= 25, 30 <= waits[2] <= 50] == [True] * 3


def test_a_policy_that_changed_meanwhile_loses_no_answer(a_world, script):
    """What a wave asked stands in its shards: its answers are paid for, whatever is asked now."""
    script.line = Flaky({1: [NOT_JSON]})
    world = a_world(3)
    world.carry()
    results = world.results()
    world.files.delete(world.layout.results)
    with_policy(world, max_waves=1, ask_again=[])

    world.advance()

    assert world.results() == results
    assert world.column("outcome") == ["ok"] * 3


# What the waves cost


def test_every_paid_answer_is_counted_for_its_item(a_world, script, sandbox):
    """The provider's own book is the judge; an answer that never came back is not in ours."""
    script.items(NotJson(), containing="word 0", times=2)
    script.items(ItemError(status=500), containing="word 1", times=1)
    script.items(ItemError(status=400), containing="word 2")
    script.items(TruncatedAnswer(), containing="word 3")
    world = a_world(5)

    resolution = world.carry()

    assert world.column("attempts") == [3, 2, 1, 1, 1]
    assert world.column("executions") == [3, 1, 0, 1, 1]
    assert resolution.summary.executions == world.executions["requests_executed"] == 6


def test_an_answer_whose_line_is_lost_is_asked_again(a_world, script):
    """Row 16: nobody can tell that it was paid for, so it is no execution of ours."""
    script.items(MissingLine(), containing="word 0", times=1)
    world = a_world(2)

    world.carry()

    assert world.column("outcome") == ["ok", "ok"]
    assert (world.column("attempts"), world.column("executions")) == ([2, 1], [1, 1])
    assert world.executions["requests_executed"] == 3


def test_each_wave_says_what_it_asked_and_what_it_used(a_world, script):
    script.line = Flaky({0: [NOT_JSON, DOWN], 1: [DOWN]})
    world = a_world(4, limits=ONE_ROW)

    summary = world.carry().summary

    assert [wave.requests for wave in summary.waves] == [4, 2, 1]
    assert [dict(wave.outcomes) for wave in summary.waves] == [
        {"invalid": 1, "errored": 1, "ok": 2},
        {"errored": 1, "ok": 1},
        {"ok": 1},
    ]
    assert [wave.executions for wave in summary.waves] == [3, 1, 1]
    assert sum((wave.usage for wave in summary.waves), Usage()) == summary.usage
