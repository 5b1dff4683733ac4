"""What `requests` and `results` tell of change and reuse, and how waiting for answers ends."""

from typing import Any

import dagster as dg
import factories
from dagster._core.definitions.data_version import CachingStaleStatusResolver
from dagster._core.loader import LoadingContextForTest
from pydantic import BaseModel, field_validator

import batch_assets as ba

ANIMALS = ba.Prompt(user="Is it an animal? {{ word }}")


def said(world, name: str, partition: str = "a") -> dict[str, Any]:
    """What the newest materialization of a partition says."""
    newest, *_ = world.materializations(name, partition)
    return {name: value.value for name, value in newest.metadata.items()}


def rows(value: Any) -> list[dict[str, Any]]:
    return [dict(record.data) for record in value]


def carry(world, **run: Any) -> None:
    """Partitions to their results, as runs and the sensor bring them."""
    assert world.run("requests", "batches", **run).success
    assert [result.success for result in world.collect()] == [True]


def executed(world) -> int:
    return int(world.sandbox.state.executions()["requests_executed"])


def logged(world, result: dg.ExecuteInProcessResult) -> str:
    records = world.instance.all_logs(result.run_id)
    return "\n".join(record.user_message for record in records)


# What requests tell


def test_requests_alone_are_a_dry_run_that_says_what_the_difference_costs(world):
    world.declare(world.inference(world.corpus(a=["oak", "wolf", "sea"])))
    carry(world, partition="a")
    world.corpus(a=["oak", "lake", "sea", "elm"])

    result = world.run("requests", partition="a")

    told = said(world, "requests")
    assert (told["items_new"], told["items_changed"]) == (1, 1)
    assert (told["items_unchanged"], told["items_gone"]) == (2, 0)
    assert (told["reused_requests"], told["requests_to_pay"]) == (2, 2)
    assert 0 < told["estimated_prompt_tokens_to_pay"] < told["estimated_prompt_tokens"]
    assert (told["changed_by"], told["awaits"]) == ("text", "nothing")
    assert "a: 1 new, 1 changed (text), 2 unchanged, 0 gone items" in logged(world, result)
    assert (executed(world), world.sent()) == (3, 1)


def test_a_table_says_which_items_and_which_part_of_the_declaration(world):
    corpus = world.corpus(a=["oak", "wolf"])
    world.declare(world.inference(corpus))
    carry(world, partition="a")
    world.declare(world.inference(corpus, model="gpt-5-mini"))

    world.run("requests", partition="a")

    newest, *_ = world.materializations("requests", "a")
    [items, model] = rows(newest.metadata["difference"].records)
    assert (items["what"], items["items"], items["why"]) == ("changed items", 2, "model")
    assert items["examples"] == "a-0, a-1"
    assert (model["what"], model["before"], model["now"]) == ("model", "gpt-4.1-mini", "gpt-5-mini")


def test_of_requests_that_did_not_change_nothing_is_said_to_be_paid_for(world):
    world.declare(world.inference(world.corpus(a=2)))
    carry(world, partition="a")

    world.run("requests", partition="a")

    told = said(world, "requests")
    assert (told["items_unchanged"], told["requests_to_pay"], told["difference"]) == (2, 0, "none")
    assert told["compared_with"] == told["request_set"]


def test_the_first_requests_of_a_partition_are_all_new(world):
    world.declare(world.inference(world.corpus(a=2)))

    world.run("requests", partition="a")

    told = said(world, "requests")
    assert (told["items_new"], told["requests_to_pay"]) == (2, 2)
    assert told["compared_with"] == "nothing: it is the first"


def test_each_partition_of_a_range_is_compared_with_its_own(world):
    world.declare(world.inference(world.corpus(a=2, b=3)))
    carry(world, between=("a", "b"))
    world.corpus(b=["oak", "oak 1 of b", "oak 2 of b"])

    assert world.run("requests", between=("a", "b")).success

    assert (
        said(world, "requests", "a")["items_changed"],
        said(world, "requests", "a")["items_unchanged"],
    ) == (0, 2)
    assert (
        said(world, "requests", "b")["items_changed"],
        said(world, "requests", "b")["items_unchanged"],
    ) == (1, 2)


# What results tell


def test_results_tell_what_was_carried_over_and_that_wave_0_is_that(world):
    world.declare(world.inference(world.corpus(a=["oak", "wolf", "oak"])))
    carry(world, partition="a")
    assert (said(world, "results")["reused"], said(world, "results")["reused_requests"]) == (0, 0)
    world.corpus(a=["oak", "lake", "oak"])

    carry(world, partition="a")

    told = said(world, "results")
    newest, *_ = world.materializations("results", "a")
    waves = rows(newest.metadata["waves"].records)
    assert (told["reused"], told["reused_requests"], told["executions"]) == (2, 1, 1)
    assert [(wave["what"], wave["requests"]) for wave in waves] == [
        ("carried over", 1),
        ("asked", 1),
    ]
    assert "changed_rows" not in told


def a_kind(reason: str) -> type[BaseModel]:
    """A model with the schema of the tests' own, and a validator that takes no plants."""

    class Kind(factories.Kind):
        __doc__ = factories.Kind.__doc__

        @field_validator("words")
        @classmethod
        def is_wrong(cls, words: list[str]) -> list[str]:
            raise ValueError(reason)

    return Kind


# Read anew


def stale(world, name: str, partition: str = "a") -> list[str]:
    """Why Dagster calls a partition stale; nothing where it is fresh."""
    resolver = CachingStaleStatusResolver(
        world.instance, world.defs.resolve_asset_graph(), LoadingContextForTest(world.instance)
    )
    causes = resolver.get_stale_causes(world.key(name), partition)
    return [f"{cause.category.value}: {cause.reason}" for cause in causes]


def test_a_changed_validator_makes_results_stale_and_asks_nothing_again(world):
    corpus = world.corpus(a=3)
    world.declare(world.inference(corpus))
    carry(world, partition="a")
    world.declare(world.inference(corpus, output=a_kind("no words are right")))
    reasons = {name: stale(world, name) for name in ("requests", "batches", "results")}

    assert world.run("results", partition="a").success

    assert reasons == {
        "requests": [],
        "batches": [],
        "results": ["CODE: has a new code version"],
    }
    told = said(world, "results")
    assert (told["changed_rows"], told["coverage"]) == (3, 0.0)
    assert (executed(world), world.sent()) == (3, 1)
    assert stale(world, "results") == []


def test_results_made_anew_as_they_were_have_no_changed_rows(world):
    world.declare(world.inference(world.corpus(a=3)))
    carry(world, partition="a")

    world.run("results", partition="a")

    assert said(world, "results")["changed_rows"] == 0


# Waiting for answers


def named(tick: Any) -> list[list[str]]:
    """The partitions of each run that a tick asks for."""
    configs = [
        request.run_config["ops"]["words__collect"]["config"] for request in tick.run_requests
    ]
    return [config["partition_keys"] for config in configs]


def collect_until_quiet(world) -> list[list[str]]:
    """Ticks and their runs until a tick asks for none; the partitions of each run."""
    runs = []
    for _ in range(10):
        tick = world.tick()
        if not tick.run_requests:
            return runs
        runs += named(tick)
        assert all(world.launch(request).success for request in tick.run_requests)
    raise AssertionError(f"no end of runs: {runs}")


WORDS = [f"oak {number}" for number in range(12)]


def test_batches_say_that_they_wait_for_answers_and_of_which_request_set(world):
    world.declare(world.inference(world.corpus(a=WORDS, b=WORDS)))
    world.run("requests", "batches", partition="a")

    result = world.run(partition="b")

    digest = said(world, "requests", "a")["request_set"]
    told = said(world, "batches", "b")
    [observation] = world.observations("b")
    assert result.success
    assert (told["waiting_for"], told["sent_now"]) == ("answers", 0)
    assert (
        f"partition a has asked some of its requests already (request set {digest[:12]})"
        in (told["waiting_reason"])
    )
    assert observation.metadata["waiting_for"].value == "answers"
    assert said(world, "requests", "b")["awaited_requests"] == 12
    assert said(world, "requests", "b")["requests_to_pay"] == 0
    assert said(world, "requests", "b")["awaits"] == f"request set {digest} of partition a"


def test_a_tick_counts_those_that_wait_for_answers(world):
    world.declare(world.inference(world.corpus(a=WORDS, b=WORDS, c=WORDS)))
    world.run("requests", "batches", between=("a", "c"))

    tick = world.tick()

    assert tick.run_requests == []
    assert "2 partitions wait for answers of other request sets" in tick.skip_message


def test_copies_are_brought_once_what_they_wait_for_is_collected(world):
    world.declare(world.inference(world.corpus(a=WORDS, b=WORDS, c=WORDS)))
    world.run("requests", "batches", between=("a", "c"))
    world.finish()

    runs = collect_until_quiet(world)

    assert runs[0] == ["a"]
    assert sorted(key for keys in runs for key in keys) == ["a", "b", "c"]
    assert world.materialized("results") == {"a", "b", "c"}
    assert (executed(world), world.sent()) == (12, 1)
    assert said(world, "results", "c")["reused"] == 12


def test_rows_that_change_while_the_first_version_is_at_the_provider_are_asked_alone(world):
    world.declare(world.inference(world.corpus(a=WORDS)))
    world.run("requests", "batches", partition="a")
    world.corpus(a=["changed", *WORDS[1:]])
    world.run("requests", "batches", partition="a")
    assert said(world, "batches")["waiting_for"] == "answers"
    assert world.tick().run_requests == []

    world.finish()
    collect_until_quiet(world)
    world.finish()
    collect_until_quiet(world)

    told = said(world, "results")
    assert (told["coverage"], told["reused"], told["executions"]) == (1.0, 11, 1)
    assert (executed(world), world.sent()) == (13, 2)
    assert world.tick().skip_message == "no open batches"


def test_what_is_all_carried_over_is_brought_by_the_sensor_after_a_run_of_batches_alone(world):
    world.declare(world.inference(world.corpus(a=WORDS, b=["other"])))
    carry(world, partition="a")
    world.corpus(a=WORDS[:5])

    assert world.run("batches", partition="a").success
    runs = collect_until_quiet(world)

    assert runs == [["a"]]
    assert (said(world, "batches")["sent_now"], said(world, "batches")["waiting_for"]) == (
        0,
        "nothing",
    )
    assert said(world, "results")["dagster/row_count"] == said(world, "results")["reused"] == 5
    assert executed(world) == 12


def test_nobody_waits_for_a_request_set_that_was_cancelled_before_it_was_sent(world):
    """b waits for a, and c for b: once b is cancelled, c goes on without it."""
    world.declare(
        world.inference(world.corpus(a=WORDS, b=[*WORDS[:8], *"wxyz"], c=[*WORDS[8:], *"wxyz"]))
    )
    world.run("requests", "batches", between=("a", "c"))
    assert said(world, "batches", "c")["waiting_for"] == "answers"

    ordered = world.order(
        "cancel_batches", inference="words", partition_keys=["b"], reason="over", at_provider=False
    )
    world.finish()
    collect_until_quiet(world)
    world.finish()
    collect_until_quiet(world)

    assert ordered.success
    assert said(world, "results", "c")["coverage"] == 1.0
