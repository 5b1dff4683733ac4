"""What another try may cure is asked again, and nothing else."""

from collections import Counter

import pytest
from stage_answers import DOWN, NOT_JSON, WRONG, Flaky

from batch_assets.domain.budget import Budget
from batch_assets.domain.shard import Limits
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
