"""Stragglers in Dagster: a tick finds that it is time, and its runs ask live."""

from typing import Any

import dagster as dg
import pytest

import batch_assets as ba
from batch_assets.domain.control import Scope
from batch_assets.resources.live import LiveResource
from batch_assets.sandbox import AccountRefusal, HttpError
from batch_assets.stages.control import pause, resume

HOUR = 3600.0


@pytest.fixture
def lane(world) -> LiveResource:
    return LiveResource(
        api_key="sk-test", base_url=world.sandbox.base_url, price_list="openai", concurrency=2
    )


@pytest.fixture
def declared(world, lane) -> Any:
    """Stragglers after 20 hours, at a provider that needs 40."""
    world.sandbox.state.change_settings({"latency": 40 * HOUR, "cancel_delay": 60.0})
    inference = world.inference(
        world.corpus(a=4, b=4),
        stragglers=ba.Stragglers(provider="openai_live", after_hours=20),
        prices=ba.Prices(batch_discount=0.5),
    )
    own = ba.OpenAIResource(api_key="sk-test", base_url=world.sandbox.base_url, price_list="openai")
    return world.declare(inference, openai=own, openai_live=lane)


def named(request: dg.RunRequest) -> list[str]:
    return request.run_config["ops"]["words__collect"]["config"]["partition_keys"]


def told(world, partition: str) -> list[str]:
    """What was observed of the partition's stragglers, the newest first."""
    found = [each.metadata.get("stragglers") for each in world.observations(partition)]
    return [str(each.value) for each in found if each is not None]


def rescue(world) -> None:
    """From the deadline to the results, by ticks alone."""
    world.clock.advance(20 * HOUR)
    for _ in range(3):
        for request in world.tick().run_requests:
            assert world.launch(request).success
        world.clock.advance(130)


def test_a_tick_starts_a_run_once_it_is_time(world, declared) -> None:
    world.submit("a", "b")
    world.tick()

    world.clock.advance(20 * HOUR - 60)
    early = world.tick().run_requests
    world.clock.advance(60)
    requests = world.tick().run_requests

    assert early == []
    assert [named(request) for request in requests] == [["a", "b"]]


def test_ticks_bring_the_results_of_stragglers_without_a_person(world, declared) -> None:
    world.submit("a", "b")

    rescue(world)

    assert world.materialized("results") == world.materialized("bundle") == {"a", "b"}
    assert world.sandbox.state.executions()["max_executions_of_one_body"] == 1
    accounts = {str(batch.account) for batch in world.ledger.batches()}
    assert accounts == {"openai/127.0.0.1", "openai-live/127.0.0.1"}


def test_a_tick_leaves_partitions_alone_while_their_batches_are_cancelled(world, declared) -> None:
    world.submit("a", "a")
    world.clock.advance(20 * HOUR)
    [request] = world.tick().run_requests
    world.launch(request)

    assert world.tick().run_requests == []


def test_a_tick_leaves_stragglers_alone_that_a_person_paused(world, declared) -> None:
    world.submit("a", "a")
    scope = Scope(inference="words")
    pause(world.ledger, scope, owner="ann", reason="dear")
    world.clock.advance(20 * HOUR)

    paused = world.tick().run_requests
    resume(world.ledger, scope, owner="ann")

    assert paused == []
    assert [named(request) for request in world.tick().run_requests] == [["a"]]


def test_a_person_reads_what_is_asked_live_and_what_that_costs(world, declared) -> None:
    world.submit("a", "a")
    [requests] = world.materializations("requests", "a")

    rescue(world)

    quoted = str(requests.metadata["stragglers"].value)
    assert quoted.startswith("what is not answered 20 h after it is submitted is asked live by")
    [live, begun] = told(world, "a")
    assert begun.startswith("the time for answers is over (after 20 h by openai_live): 1 batches")
    assert live.startswith("2 requests that were not answered in time are asked live on account")
    assert "about $" in live
    assert "the answers come on top" in live, "it is told before anything is asked"
    [results] = world.materializations("results", "a")
    rows = [record.data for record in results.metadata["waves"].value.records]
    assert [(row["what"], row["requests"]) for row in rows] == [
        ("asked", 4),
        ("stragglers, live", 2),
    ]
    assert "batch price of openai gpt-4.1-mini" in rows[0]["price"]
    assert rows[1]["price"].endswith(
        "standard price of openai gpt-4.1-mini; 127.0.0.1, which "
        "answers, may charge something else or nothing"
    )
    assert results.metadata["stragglers_price_provenance"].value == "published"


def test_at_a_price_that_nobody_approved_a_person_is_asked_once_before(world, lane) -> None:
    """It was approved before there were stragglers."""
    world.sandbox.state.change_settings({"latency": 40 * HOUR, "cancel_delay": 60.0})
    corpus = world.corpus(a=4)
    world.declare(world.inference(corpus, approval="required"))
    world.run("requests", partition="a")
    [requests] = world.materializations("requests", "a")
    world.order(
        "approve_batches",
        inference="words",
        partition_keys=["a"],
        request_set=requests.metadata["request_set"].value,
        given_by="ann",
    )
    world.submit("a")
    late = ba.Stragglers(provider="openai_live", after_hours=20)
    world.declare(world.inference(corpus, approval="required", stragglers=late), openai_live=lane)

    world.clock.advance(20 * HOUR)
    [request] = world.tick().run_requests
    world.launch(request)
    world.clock.advance(130)
    again = world.tick().run_requests
    asked = told(world, "a")
    world.order("approve_batches", inference="words", given_by="ann")
    world.clock.advance(130)
    [request] = world.tick().run_requests

    assert again == []
    assert ["at a price that nobody approved" in said for said in asked] == [True]
    assert world.states("a") == ["submitted"]
    assert named(request) == ["a"]


def test_a_refused_lane_fails_the_run_and_the_rest_goes_on_once_it_is_resumed(
    world, declared
) -> None:
    world.submit("a", "a")
    world.clock.advance(20 * HOUR)
    [request] = world.tick().run_requests
    world.launch(request)
    world.clock.advance(130)
    world.script.calls("live.create", AccountRefusal("insufficient_quota"), times=1)
    [request] = world.tick().run_requests

    refused = world.launch(request)
    resume(world.ledger, Scope(account=world.ledger.batches()[-1].account), owner="ann")
    world.clock.advance(130)
    [request] = world.tick().run_requests
    result = world.launch(request)

    assert "resume account openai-live" in world.reason_of(refused)
    assert result.success
    assert world.materialized("results") == {"a"}


def test_what_is_asked_live_goes_on_while_the_provider_of_batches_is_down(world, declared) -> None:
    world.submit("a", "a")
    world.clock.advance(20 * HOUR)
    [request] = world.tick().run_requests
    world.launch(request)
    world.clock.advance(130)
    world.submit("b", "b")
    world.script.calls("live.create", AccountRefusal("insufficient_quota"), times=1)
    [request] = world.tick().run_requests
    world.launch(request)
    resume(world.ledger, Scope(account=world.ledger.batches()[-1].account), owner="ann")
    world.script.calls("batches.list", HttpError(503), times=None)
    world.script.calls("batches.retrieve", HttpError(503), times=None)
    world.clock.advance(2 * HOUR)

    requests = world.tick().run_requests

    assert [named(request) for request in requests] == [["a"]]
    assert world.launch(requests[0]).success
    assert world.materialized("results") == {"a"}


def test_no_rescue_begins_while_the_provider_of_batches_is_down(world, declared) -> None:
    """It could not be told to cancel what it has."""
    world.submit("a", "a")
    world.script.calls("batches.list", HttpError(503), times=None)
    world.script.calls("batches.retrieve", HttpError(503), times=None)
    world.clock.advance(20 * HOUR)

    assert world.tick().run_requests == []


def test_a_waiting_run_asks_its_stragglers_itself(world, lane) -> None:
    world.sandbox.state.change_settings({"latency": 40 * HOUR, "cancel_delay": 60.0})
    inference = world.inference(
        world.corpus(a=4), stragglers=ba.Stragglers(provider="openai_live", after_hours=20)
    )

    def passing(seconds: float) -> None:
        world.clock.advance(HOUR)

    world.declare_waiting(inference, passing, openai_live=lane)
    world.submit("a")

    result = world.run("raw_outputs", "results", "bundle", partition="a", wait=True)

    assert result.success
    assert world.materialized("results") == {"a"}
    assert world.sandbox.state.executions()["max_executions_of_one_body"] == 1


def test_a_lane_of_another_wire_fails_the_run_before_anything_is_sent(world) -> None:
    wrong = LiveResource(api_key="sk-test", base_url=world.sandbox.base_url, wire="anthropic")
    inference = world.inference(
        world.corpus(a=2), stragglers=ba.Stragglers(provider="wrong", after_hours=20)
    )
    world.declare(inference, wrong=wrong)

    refused = world.submit("a")

    assert "takes no requests of /v1/chat/completions" in world.reason_of(refused)
    assert world.sent() == 0


def test_a_provider_of_batches_asks_nobody_live(world) -> None:
    other = ba.OpenAIResource(api_key="sk-test", base_url=world.sandbox.base_url, account="other")
    inference = world.inference(
        world.corpus(a=2), stragglers=ba.Stragglers(provider="other", after_hours=20)
    )
    world.declare(inference, other=other)

    refused = world.submit("a")

    assert "other, which is no lane" in world.reason_of(refused)
    assert world.sent() == 0


def test_stragglers_of_a_lane_by_itself_are_a_wrong_declaration(world) -> None:
    with pytest.raises(ba.DeclarationError, match="which has them: name a lane"):
        world.inference(
            world.corpus(a=2),
            provider="openai_live",
            stragglers=ba.Stragglers(provider="openai_live", after_hours=20),
        )
