"""Room goes to whoever holds least of it: a large backfill does not starve a daily partition."""

from dataclasses import replace
from datetime import timedelta

import pytest
from factories import a_corpus

from batch_assets.domain.budget import Budget
from batch_assets.domain.control import Scope, WaitKind
from batch_assets.domain.shard import Limits
from batch_assets.ledger.turns import DEMAND_LASTS
from batch_assets.stages.control import pause
from batch_assets.stages.dispatch import dispatch

ONE_ROW = Limits(requests=1, bytes=10**6)


@pytest.fixture
def backfill(a_world, sandbox, provider_at):
    """Eight shards of a backfill; the account has room for two at a time."""
    via = provider_at(sandbox.base_url, budget=Budget(batches=2))
    world = a_world(8, limits=ONE_ROW, via=via, reuse=False)
    world.deployment = replace(world.deployment, owner="run-1", origin="backfill")
    world.submit()
    return world


@pytest.fixture
def daily(backfill, tmp_path):
    """A partition of the same inference that a schedule asks for; one shard."""
    a_corpus(tmp_path / "corpus", 1, key="today")
    world = replace(backfill, partition_key="today", manifests=[])
    world.deployment = replace(backfill.deployment, owner="run-2", origin="schedule")
    return world


def sent(world) -> int:
    return sum(batch.state.value == "submitted" for batch in batches_of(world))


def batches_of(world):
    return world.ledger.batches(partition=("words", world.partition_key))


def test_a_daily_partition_gets_the_next_room_before_the_backfill(backfill, daily):
    assert (sent(backfill), daily.submit().sent) == (2, 0)

    backfill.poll(after=100)
    refused = dispatch(backfill.deployment, backfill.request_set)
    served = dispatch(daily.deployment, daily.request_set)
    rest = dispatch(backfill.deployment, backfill.request_set)

    assert (refused.sent, served.sent, rest.sent) == (1, 1, 0)


def test_whoever_must_wait_for_others_is_told_whose_turn_it_is(backfill, daily):
    daily.submit()
    backfill.poll(after=100)
    dispatch(backfill.deployment, backfill.request_set)

    told = dispatch(backfill.deployment, backfill.request_set).waiting_for

    assert told.kind is WaitKind.TURN
    assert "1 batches go first" in told.reason


def test_the_queue_shows_the_order_in_which_room_is_given(backfill, daily):
    daily.submit()

    queue = daily.ledger.queue("openai", Budget(batches=2))

    assert [batch.request_set.partition_key for batch in queue] == ["today"] + ["p"] * 6


def test_nobody_waits_for_a_partition_that_no_process_wants_to_send_any_more(backfill, daily):
    daily.submit()
    backfill.poll(after=DEMAND_LASTS.total_seconds() + 100)

    assert dispatch(backfill.deployment, backfill.request_set).sent == 2


def test_a_live_code_location_keeps_its_place_in_line(backfill, daily):
    daily.submit()
    backfill.clock.advance(DEMAND_LASTS.total_seconds() + 1)
    daily.ledger.request_sets.want(["words"])
    backfill.poll(after=100)

    assert dispatch(backfill.deployment, backfill.request_set).sent == 1


def test_nobody_waits_for_a_paused_partition(backfill, daily):
    daily.submit()
    scope = Scope(inference="words", partition_key="today")
    pause(daily.ledger, scope, owner="Ann", reason="later")
    backfill.poll(after=100)

    assert dispatch(backfill.deployment, backfill.request_set).sent == 2


def test_two_who_want_all_the_room_get_half_of_it_each(backfill, tmp_path):
    a_corpus(tmp_path / "corpus", 8, key="other")
    other = replace(backfill, partition_key="other", manifests=[])
    other.deployment = replace(backfill.deployment, owner="run-2", origin="another backfill")
    other.submit()
    shares = []

    for _ in range(4):
        backfill.poll(after=100)
        for world in (backfill, other, backfill, other):
            dispatch(world.deployment, world.request_set)
        shares.append((sent(backfill), sent(other)))

    assert shares == [(1, 1)] * 4


def test_demand_lasts_longer_than_the_sensor_sleeps():
    assert timedelta(seconds=30) * 4 < DEMAND_LASTS
