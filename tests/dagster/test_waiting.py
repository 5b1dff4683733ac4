"""What a partition says of itself whose batches wait."""

from typing import Any

import dagster as dg
import pytest

import batch_assets as ba
from batch_assets.sandbox import AccountRefusal, QueueFull

ACCOUNT = "openai/127.0.0.1"


def openai(world, **over: Any) -> ba.OpenAIResource:
    return ba.OpenAIResource(api_key="sk-test", base_url=world.sandbox.base_url, **over)


def submit(world, *between: str, **tags: str) -> dg.ExecuteInProcessResult:
    return world.run("requests", "batches", between=(between[0], between[-1]), tags=tags)


def said_of(world, partition: str) -> dict[str, Any]:
    """What stands beside the newest materialization of batches."""
    newest, *_ = world.materializations("batches", partition)
    return {
        name: [dict(row.data) for row in value.records]
        if isinstance(value, dg.TableMetadataValue)
        else value.value
        for name, value in newest.metadata.items()
    }


def logged(result: dg.ExecuteInProcessResult, world) -> str:
    """The log of a run, as the UI shows it."""
    return "\n".join(entry.user_message for entry in world.instance.all_logs(result.run_id))


# Why a partition waits


def a_full_budget(world) -> None:
    world.declare(world.inference(world.corpus(a=2, b=2)), openai=openai(world, max_open_batches=1))


def a_provider_without_room(world) -> None:
    world.declare(world.inference(world.corpus(a=2, b=2)))
    world.script.batches(QueueFull(), after=1)


def a_pause(world) -> None:
    world.declare(world.inference(world.corpus(a=2, b=2)))
    world.order("pause_batches", inference="words", partition_keys=["b"], reason="the bill")


@pytest.mark.parametrize(
    ("arrange", "kind", "reason"),
    [
        (a_full_budget, "budget", "the account holds 1 of 1 batches"),
        (a_provider_without_room, "capacity", "Enqueued token limit reached"),
        (a_pause, "paused", "partition b of words is paused by run "),
    ],
)
def test_a_partition_that_waits_is_green_and_says_why(world, arrange, kind, reason):
    arrange(world)

    result = submit(world, "a", "b")

    said = said_of(world, "b")
    assert result.success
    assert (said["sent_now"], said["waiting"], said["waiting_for"]) == (0, 1, kind)
    assert reason in said["waiting_reason"]
    [batch] = said["batches"]
    assert (batch["state"], batch["attempt"]) == ("planned", 1)
    assert reason in batch["reason"]
    assert f"b: 0 of 1 batches sent now, 1 waiting for {kind}: " in logged(result, world)
    assert said_of(world, "a")["waiting_for"] == "nothing"


def test_a_partition_waits_for_its_turn_behind_one_that_holds_less(world):
    """The room that a large backfill gives back goes to the one who has none."""
    two = openai(world, max_open_batches=2)
    world.declare(world.inference(world.corpus(a=2, b=2, c=2, d=2)), openai=two)
    large, small = ({"dagster/backfill": name} for name in ("large", "small"))
    submit(world, "a", **large)
    world.clock.advance(60)
    submit(world, "b", **large)
    submit(world, "d", **small)
    world.clock.advance(50)
    world.tick()

    submit(world, "c", **large)

    said = said_of(world, "c")
    assert (said["waiting"], said["waiting_for"]) == (1, "turn")
    assert "1 batches go first" in said["waiting_reason"]


def test_the_queue_shows_who_gets_room_next_and_who_asked(world):
    one = openai(world, max_open_batches=1)
    world.declare(world.inference(world.corpus(a=2, b=2, c=2, d=2)), openai=one)
    submit(world, "a", "c", **{"dagster/backfill": "large"})

    submit(world, "d", **{"dagster/backfill": "small"})

    queue = said_of(world, "d")["queue"]
    assert [(row["place"], row["partition"], row["asked_by"]) for row in queue] == [
        (1, "d", "small"),
        (2, "b", "large"),
        (3, "c", "large"),
    ]


def test_the_table_of_batches_shows_refusals_and_the_time_before_the_next_offer(world):
    world.declare(world.inference(world.corpus(a=2)))
    world.script.refuse("batches.create", 429)
    submit(world, "a")
    world.clock.advance(5)

    submit(world, "a")

    [batch] = said_of(world, "a")["batches"]
    assert batch["age"] == "0:00:05"
    assert (batch["attempt"], batch["refusals"]) == (1, 1)


def test_a_collecting_run_says_why_the_rest_is_not_sent(world):
    world.declare(world.inference(world.corpus(a=2)))
    world.order("pause_batches", inference="words", reason="the bill")
    submit(world, "a")

    result = world.run("raw_outputs", "results", partition="a")

    [said, *_] = world.observations("a")
    assert result.success
    assert said.metadata["waiting_for"].value == "paused"
    assert said.metadata["waiting"].value == 1
    assert "(for paused: inference words is paused by run " in logged(result, world)


# An account that the provider refuses


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [("insufficient_quota", "credit"), ("invalid_key", "key"), ("billing_hard_limit", "limit")],
)
def test_an_account_stop_makes_the_run_red_with_the_reason_and_what_to_do(world, refusal, reason):
    world.declare(world.inference(world.corpus(a=2, b=2)))
    world.script.calls("batches.create", AccountRefusal(reason=refusal))

    result = submit(world, "a", "b")

    [event] = [event for event in result.all_events if event.is_step_failure]
    said = event.step_failure_data.user_failure_data
    assert not result.success
    assert said.metadata["a"].text == said.metadata["b"].text
    assert reason in said.metadata["a"].text
    assert f"resume account {ACCOUNT} (job resume_batches)" in said.metadata["a"].text
    assert said.description.count(f"a, b: account {ACCOUNT} is stopped") == 1
    assert world.script.called("batches.create") == 1


def test_a_tick_names_the_stop_of_an_account_and_the_job_that_lifts_it(world):
    world.declare(world.inference(world.corpus(a=2)))
    world.script.calls("batches.create", AccountRefusal(reason="insufficient_quota"))
    submit(world, "a")

    tick = world.tick()

    assert tick.run_requests == []
    assert f"account {ACCOUNT} is stopped: " in tick.skip_message
    assert f"resume account {ACCOUNT} (job resume_batches)" in tick.skip_message


def test_a_partition_that_was_red_for_a_stop_is_green_once_its_results_are_there(world):
    world.declare(world.inference(world.corpus(a=2)))
    world.script.calls("batches.create", AccountRefusal(reason="insufficient_quota"))
    submit(world, "a")
    assert world.materializations("batches", "a") == []
    world.order("resume_batches", account=ACCOUNT)
    world.collect()
    world.collect()

    assert world.materialized("results") == {"a"}
    [sent] = world.materializations("batches", "a")

    assert sent.tags["dagster/data_version"] == world.data_version("requests", "a")
    assert [row["state"] for row in said_of(world, "a")["batches"]] == ["collected"]


def test_a_partition_that_was_sent_by_its_own_run_is_not_materialized_again(world):
    world.declare(world.inference(world.corpus(a=2, b=2)))
    submit(world, "a", "b")

    world.collect()

    assert world.materialized("results") == {"a", "b"}
    assert len(world.materializations("batches", "a")) == 1
    [said] = world.observations("a")
    assert said.metadata["progress"].value == "1 collected"


def test_a_tick_says_that_the_provider_has_no_room_and_until_when(world):
    world.declare(world.inference(world.corpus(a=2)))
    world.script.batches(QueueFull())
    submit(world, "a")

    said = world.tick().skip_message

    assert "1 waiting for room at the provider (from " in said
    assert " UTC on: " in said


def test_what_a_partition_no_longer_waits_for_is_said_anew(world):
    """Dagster shows an observation merged with the materialization before it."""
    world.declare(world.inference(world.corpus(a=2)))
    world.script.batches(QueueFull())
    submit(world, "a")
    world.clock.advance(60)

    [request] = world.tick().run_requests
    world.launch(request)

    [said, *_] = world.observations("a")
    assert said_of(world, "a").keys() >= {"waiting", "waiting_for", "waiting_reason"}
    assert said.metadata["waiting"].value == 0
    assert said.metadata["waiting_for"].value == "nothing"
    assert said.metadata["waiting_reason"].value == "none"
