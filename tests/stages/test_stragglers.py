"""What a batch provider has not answered in time is asked live, and nothing of it twice."""

from collections import Counter
from dataclasses import replace

import pytest
from stage_answers import DOWN, Flaky
from stage_world import lost
from stragglers_world import HOUR, accounts, asked_twice, at_deadline, not_json

from batch_assets.domain.batch import BatchState
from batch_assets.domain.budget import Budget
from batch_assets.domain.errors import ProviderUnavailable
from batch_assets.domain.shard import Limits
from batch_assets.domain.stragglers import Stragglers
from batch_assets.sandbox import HttpError
from batch_assets.stages.advance import Pending
from batch_assets.stages.resolve import Resolution

THREE_ROWS = Limits(requests=3, bytes=10**6)


def test_at_the_deadline_what_is_open_is_cancelled_and_what_it_left_is_asked_live(
    late_world,
) -> None:
    world = late_world(6)
    world.submit()

    at_deadline(world)
    cancelled = world.batch.rescued_at
    world.poll(after=61)
    resolution = world.advance()

    assert cancelled is not None
    assert isinstance(resolution, Resolution)
    assert world.column("outcome") == ["ok"] * 6
    assert accounts(world) == {"openai": 3, "openai-live": 3}
    assert not asked_twice(world)


def test_before_the_deadline_nothing_is_asked_live(late_world) -> None:
    world = late_world(6)
    world.submit()
    world.poll(after=20 * HOUR - 1)

    state = world.advance()

    assert isinstance(state, Pending)
    assert world.request_set.rescued_at is None
    assert (world.batch.cancel_requested_at, world.batch.rescued_at) == (None, None)


def test_nothing_is_asked_live_without_a_word_of_the_declaration(late_world) -> None:
    world = late_world(6, stragglers=None)
    world.submit()

    at_deadline(world)

    assert world.request_set.rescued_at is None
    assert world.states == ["submitted"]


def test_nothing_is_asked_live_while_its_batch_may_still_answer_it(late_world) -> None:
    world = late_world(6)
    world.submit()
    at_deadline(world)

    world.poll(after=59)
    state = world.advance()

    assert isinstance(state, Pending)
    assert [str(batch.account) for batch in world.batches] == ["openai"]
    assert world.states == ["submitted"]


def test_items_that_a_cancelled_batch_left_are_not_withdrawn(late_world) -> None:
    """They used up none of their times, and are asked though none is left."""
    world = late_world(6, max_waves=1)
    world.submit()
    at_deadline(world)

    world.poll(after=61)
    world.advance()

    assert (world.batches[0].cancel_requested_at, world.batches[0].provider_status) == (
        None,
        "cancelled",
    )
    assert world.column("attempts") == world.column("executions") == [1] * 6
    assert Counter(world.column("wave")) == {0: 3, 1: 3}


def test_planned_batches_that_were_never_sent_are_dropped_and_asked_live(
    late_world, provider_at, sandbox
) -> None:
    one_batch = provider_at(sandbox.base_url, budget=Budget(batches=1))
    world = late_world(9, limits=THREE_ROWS, via=one_batch)
    world.submit()

    at_deadline(world)
    states = Counter(world.states)
    world.finish(after=61)

    assert states == {"submitted": 1, "abandoned": 2}
    assert world.column("outcome") == ["ok"] * 9
    assert accounts(world)["openai-live"] >= 6
    assert not asked_twice(world)


def test_a_planned_retry_of_the_batch_provider_is_asked_live_instead(
    late_world, script, slow
) -> None:
    slow.state.change_settings({"latency": 100.0})
    script.line = Flaky({1: [DOWN]})
    world = late_world(3)
    world.submit()
    world.poll(after=100)
    world.advance()
    waiting = world.states

    world.clock.advance(20 * HOUR)
    world.advance()

    assert waiting == ["collected", "planned"]
    assert [str(batch.account) for batch in world.batches] == ["openai", "openai", "openai-live"]
    assert [batch.state for batch in world.batches][1] is BatchState.ABANDONED
    assert world.column("outcome") == ["ok"] * 3


def test_a_batch_that_ended_just_before_is_collected_and_nothing_is_asked_live(
    late_world, slow
) -> None:
    slow.state.change_settings({"latency": 20 * HOUR - 1})
    world = late_world(6)
    world.submit()
    world.clock.advance(20 * HOUR)

    world.advance()
    world.poll()
    resolution = world.advance()

    assert isinstance(resolution, Resolution)
    assert accounts(world) == {"openai": 6}
    assert world.request_set.rescue_wave is None
    assert not asked_twice(world)


def test_what_expired_before_is_asked_live_whatever_the_policy_has_left(
    late_world, a_world, lane, slow
) -> None:
    world = late_world(
        6, max_waves=1, stragglers=Stragglers(provider="openai_live", after_hours=25)
    )
    world.submit()
    world.poll(after=25 * HOUR)

    resolution = world.advance()

    assert isinstance(resolution, Resolution)
    assert world.batches[0].provider_status == "expired"
    assert world.column("outcome") == ["ok"] * 6
    assert world.column("attempts").count(2) == accounts(world)["openai-live"] > 0


def test_an_answer_that_failed_for_good_is_not_asked_live(late_world, script) -> None:
    """The policy holds for what was answered: invalid answers used up their times."""
    world = late_world(6, max_waves=1, user="{{ word }}")
    script.items(not_json(), containing="word 0")
    world.submit()

    at_deadline(world)
    world.finish(after=61)

    outcomes = dict(zip(world.column("item_id"), world.column("outcome"), strict=True))
    assert outcomes["i-0"] == "invalid"
    assert world.executions["max_executions_of_one_body"] == 1


def test_the_policy_holds_for_what_fails_live(late_world, script) -> None:
    script.calls("live.create", HttpError(500), times=None)
    world = late_world(2, max_waves=2)
    world.submit()
    at_deadline(world)
    world.poll(after=61)
    for _ in range(4):
        world.clock.advance(2 * HOUR)
        world.advance()

    assert Counter(world.column("outcome")) == {"ok": 1, "errored": 1}
    live = [batch for batch in world.batches if batch.account == "openai-live"]
    assert [batch.wave for batch in live] == [1, 2]


def test_every_wave_after_a_rescue_is_asked_live(late_world, script) -> None:
    script.calls("live.create", HttpError(500), times=3)
    world = late_world(2)
    world.submit()
    at_deadline(world)
    world.poll(after=61)
    world.advance()
    world.clock.advance(HOUR)

    world.advance()

    assert [str(batch.account) for batch in world.batches] == [
        "openai",
        "openai-live",
        "openai-live",
    ]
    assert world.column("outcome") == ["ok"] * 2


def test_a_batch_in_doubt_is_decided_on_before_anything_is_asked_live(
    late_world, border, provider_at
):
    """Its reply was lost: the provider has it."""
    border.change("POST /v1/batches$", lost)
    world = late_world(4, via=provider_at(border.base_url))
    world.submit()
    doubtful = world.states
    world.lease_over()
    at_deadline(world)

    world.finish(after=61)

    assert doubtful == ["reserved"]
    assert world.column("outcome") == ["ok"] * 4
    assert not asked_twice(world)


def test_a_provider_that_cannot_be_told_to_cancel_keeps_its_items(late_world, script) -> None:
    script.calls("batches.cancel", HttpError(503), times=1)
    world = late_world(6)
    world.submit()
    world.clock.advance(20 * HOUR)

    with pytest.raises(ProviderUnavailable):
        world.advance()
    untold = (world.batch.rescued_at, world.states)
    world.advance()
    world.finish(after=61)

    assert untold == (None, ["submitted"])
    assert world.column("outcome") == ["ok"] * 6
    assert not asked_twice(world)


def test_a_batch_that_cannot_be_cancelled_is_waited_for(late_world, script) -> None:
    script.calls("batches.cancel", HttpError(409), times=None)
    world = late_world(6)
    world.submit()

    at_deadline(world)
    state = world.advance()
    world.poll(after=5 * HOUR)
    world.advance()

    assert isinstance(state, Pending)
    assert world.batches[0].provider_status == "expired"
    assert world.column("outcome") == ["ok"] * 6
    assert not asked_twice(world)


def test_a_wave_of_stragglers_fits_the_lane(late_world, lane_at) -> None:
    small = lane_at(limits=Limits(requests=2, bytes=10**6))
    world = late_world(10)
    world = replace(world, deployment=replace(world.deployment, live=small))
    world.submit()
    at_deadline(world)

    world.finish(after=61)

    live = [batch for batch in world.batches if batch.account == "openai-live"]
    assert [batch.reservation.requests for batch in live] == [2, 2, 1]


def test_packs_that_were_not_answered_are_asked_live(late_world) -> None:
    world = late_world(8, rows_per_request=2)
    world.submit()

    at_deadline(world)
    world.finish(after=61)

    assert world.column("outcome") == ["ok"] * 8


def test_who_read_the_request_set_before_its_rescue_plans_nothing(late_world) -> None:
    """Its wave would ask the batch provider what is to be asked live."""
    world = late_world(6)
    world.submit()
    before = world.request_set
    at_deadline(world)

    shards = world.manifest.shards
    world.ledger.plan(
        before,
        shards,
        wave=1,
        account=world.batch.account,
        endpoint=world.batch.endpoint,
        owner="run-2",
    )

    assert world.states == ["submitted"]
    assert world.request_set.wave == 0
