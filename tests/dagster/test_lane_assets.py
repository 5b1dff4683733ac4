"""A lane in Dagster: its results come in the run that asks, and a tick takes up the rest."""

from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_assets.domain.control import Scope
from batch_assets.resources.live import LiveResource
from batch_assets.sandbox import AccountRefusal, HttpError
from batch_assets.stages.control import pause, resume
from batch_assets.stages.lease import LEASE


def a_lane(world, **over: Any) -> LiveResource:
    fields = {"api_key": "sk-test", "base_url": world.sandbox.base_url, "concurrency": 2}
    return LiveResource(**fields | over)


@pytest.fixture
def lane(world) -> LiveResource:
    return a_lane(world)


@pytest.fixture
def declared(world, lane) -> Any:
    """An inference over three partitions, on the lane."""
    corpus = world.corpus(a=3, b=3, c=3)
    return world.declare(world.inference(corpus, provider="openai_live"), openai_live=lane)


#: What differs from one time that an item is asked to the next.
_OF_THE_BATCH = ["batch_id"]


def rows_of(world, inference: str) -> pa.Table:
    [newest] = world.materializations("results", "a", inference)
    return pq.read_table(newest.metadata["dagster/uri"].value)


def named(request: dg.RunRequest) -> list[str]:
    return request.run_config["ops"]["words__collect"]["config"]["partition_keys"]


def test_a_plain_run_on_a_lane_ends_with_its_results(world, declared) -> None:
    result = world.run(partition="a")

    assert result.success
    assert world.materialized("results") == world.materialized("bundle") == {"a"}
    assert world.sandbox.state.executions()["requests_executed"] == 3
    assert world.sent() == 0


def test_a_backfills_runs_bring_the_results_of_each_partition(world, declared) -> None:
    tags = {"dagster/backfill": "abc"}
    world.submit("a", "c", tags=tags)

    result = world.run("raw_outputs", "results", between=("a", "c"), tags=tags)

    assert result.success
    assert world.materialized("results") == {"a", "b", "c"}


def test_a_tick_has_what_was_submitted_to_a_lane_carried_out(world, declared) -> None:
    world.submit("a", "b")

    [request] = world.tick().run_requests
    result = world.launch(request)

    assert named(request) == ["a", "b"]
    assert result.success
    assert world.materialized("results") == {"a", "b"}


def test_a_tick_leaves_a_lane_alone_that_a_run_has_in_hand(world, declared) -> None:
    world.submit("a", "a")
    [batch] = world.ledger.batches()
    world.ledger.hands.take(batch, holder="a run", lease=LEASE)

    in_hand = world.tick()
    world.clock.advance(LEASE.total_seconds() + 1)
    after = world.tick()

    assert in_hand.run_requests == []
    assert "1 batch open" in in_hand.skip_message
    assert [named(request) for request in after.run_requests] == [["a"]]


def test_a_tick_leaves_a_paused_lane_alone(world, declared) -> None:
    world.submit("a", "a")
    scope = Scope(inference="words")
    pause(world.ledger, scope, owner="ann", reason="dear")

    paused = world.tick().run_requests
    resume(world.ledger, scope, owner="ann")

    assert paused == []
    assert [named(request) for request in world.tick().run_requests] == [["a"]]


def test_a_refused_account_fails_the_run_and_the_rest_goes_on_once_it_is_resumed(
    world, declared
) -> None:
    world.script.calls("live.create", AccountRefusal("insufficient_quota"), after=1, times=None)

    refused = world.run(partition="a")
    while_stopped = world.tick().run_requests
    world.script.clear()
    resume(world.ledger, Scope(account=world.ledger.batches()[0].account), owner="ann")
    [request] = world.tick().run_requests
    result = world.launch(request)

    assert "resume account openai-live" in world.reason_of(refused)
    assert while_stopped == []
    assert result.success
    assert world.sandbox.state.executions()["max_executions_of_one_body"] == 1


def test_a_request_that_failed_is_asked_again_by_a_later_run(world) -> None:
    lane = a_lane(world, max_retries=0)
    world.declare(world.inference(world.corpus(a=3), provider="openai_live"), openai_live=lane)
    world.script.calls("live.create", HttpError(500), times=1)

    first = world.run(partition="a")
    waiting = world.tick().run_requests
    world.clock.advance(3_600)
    [request] = world.tick().run_requests
    world.launch(request)

    assert first.success
    assert waiting == []
    assert world.materialized("results") == {"a"}
    assert world.sandbox.state.executions()["max_executions_of_one_body"] == 1


def test_the_same_inference_goes_to_a_batch_or_to_a_lane_by_its_provider(world, lane) -> None:
    corpus = world.corpus(a=3)
    world.declare(
        world.inference(corpus, name="live", provider="openai_live"),
        world.inference(corpus, name="batched", provider="openai"),
        openai_live=lane,
    )
    world.run(partition="a")
    world.collect()

    tables = [rows_of(world, name).drop(_OF_THE_BATCH) for name in ("live", "batched")]
    assert tables[0].schema == tables[1].schema
    assert tables[0].to_pylist() == tables[1].to_pylist()


def test_answers_of_a_lane_cost_the_standard_price(world) -> None:
    lane = a_lane(world, price_list="openai")
    world.declare(world.inference(world.corpus(a=3), provider="openai_live"), openai_live=lane)

    world.run(partition="a")

    [requests] = world.materializations("requests", "a")
    said = " ".join(str(value.value) for value in requests.metadata.values())
    assert "standard price of openai gpt-4.1-mini" in said
