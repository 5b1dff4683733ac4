"""A lane carries a partition from its submission to its results, in the same run."""

from collections.abc import Callable

import pytest
from stage_world import Script, World

from batch_assets.domain.shard import Limits
from batch_assets.sandbox import ItemError
from batch_assets.stages.advance import Pending
from batch_assets.stages.lease import LEASE
from batch_assets.stages.resolve import Resolution

AWorld = Callable[..., World]


def test_what_is_submitted_to_a_lane_has_its_results_in_the_same_run(a_world: AWorld, lane) -> None:
    world = a_world(5, via=lane)
    world.submit()

    state = world.advance()

    assert isinstance(state, Resolution)
    assert world.column("outcome") == ["ok"] * 5
    assert world.executions["requests_executed"] == 5
    assert world.states == ["collected"]


def test_to_submit_to_a_lane_asks_nothing(a_world: AWorld, lane) -> None:
    world = a_world(5, via=lane)

    world.submit()

    assert world.states == ["submitted"]
    assert world.executions["requests_executed"] == 0


def test_an_answer_of_a_lane_is_stored_in_the_form_of_a_batchs_own(a_world: AWorld, lane) -> None:
    world = a_world(1, via=lane)
    world.submit()
    world.advance()

    [line] = world.files.read(world.layout.raw_output(world.batch)).splitlines()

    [read] = world.recipe.endpoint.read_lines(line + b"\n")
    assert read.custom_id == f"{world.manifest.digest[:16]}-0"
    assert (read.response.status_code, read.error) == (200, None)


def test_what_a_lane_kept_on_its_way_is_gone_when_its_batch_is_collected(
    a_world: AWorld, lane
) -> None:
    world = a_world(3, via=lane)
    world.submit()
    world.advance()

    assert world.files.names(world.layout.answers(world.batch)) == []


def test_several_shards_and_threads_ask_each_request_once(a_world: AWorld, lane_at) -> None:
    limits = Limits(requests=10, bytes=10**6)
    world = a_world(35, via=lane_at(concurrency=8, limits=limits), limits=limits)
    world.submit()

    world.advance()

    assert world.states == ["collected"] * 4
    assert world.executions["requests_executed"] == 35
    assert world.executions["max_executions_of_one_body"] == 1
    assert world.column("item_id") == [f"i-{row}" for row in range(35)]


def test_a_request_that_keeps_failing_is_asked_again_in_the_next_wave(
    a_world: AWorld, lane, script: Script
) -> None:
    broken = script.items(ItemError(500), containing="word 1", times=3)
    world = a_world(3, via=lane)
    world.submit()

    pending = world.advance()
    world.clock.advance(3_600)
    resolved = world.advance()

    assert broken.hits == 3  # the lane's own tries
    assert isinstance(pending, Pending)
    assert world.states == ["collected", "collected"]
    assert isinstance(resolved, Resolution)
    assert world.column("outcome") == ["ok"] * 3
    assert world.column("wave") == [0, 1, 0]


def test_a_request_that_the_endpoint_refuses_is_asked_once(
    a_world: AWorld, lane, script: Script
) -> None:
    refused = script.items(ItemError(400), containing="word 1")
    world = a_world(3, via=lane)
    world.submit()

    world.advance()

    assert refused.hits == 1
    assert world.column("outcome") == ["ok", "errored", "ok"]
    assert world.column("error_code")[1] == "invalid_value"


def test_a_poll_of_a_lane_says_what_the_one_who_carries_it_out_said(a_world: AWorld, lane) -> None:
    world = a_world(3, via=lane)
    world.submit()
    hands, batch = world.ledger.hands, world.batch
    assert hands.take(batch, holder="other", lease=LEASE)
    hands.report(batch, holder="other", completed=2, failed=0)

    report = world.poll(after=60)

    assert (report.open, report.ended, world.batch.completed) == (1, 0, 2)


def test_a_canary_goes_first_on_a_lane_too(a_world: AWorld, lane) -> None:
    world = a_world(10, via=lane, canary=3)
    world.submit()

    state = world.advance()

    assert isinstance(state, Resolution)
    assert [batch.reservation.requests for batch in world.batches] == [3, 7]
    assert world.executions["max_executions_of_one_body"] == 1


def test_items_that_share_a_request_share_it_on_a_lane(a_world: AWorld, lane) -> None:
    world = a_world(10, via=lane, rows_per_request=5)
    world.submit()

    world.advance()

    assert world.executions["requests_executed"] == 2
    assert world.column("outcome") == ["ok"] * 10


@pytest.mark.parametrize("endpoint", ["chat", "responses"])
def test_the_results_of_a_lane_have_the_schema_of_a_batchs(
    a_world: AWorld, lane, provider, endpoint: str
) -> None:
    live = a_world(2, via=lane, endpoint=endpoint, inference="live")
    live.submit()
    live.advance()
    batch = a_world(2, via=provider, endpoint=endpoint, inference="batched")
    batch.carry()

    assert live.table().schema == batch.table().schema
    assert live.column("output") == batch.column("output")
