"""Each partition has its own checks, and those that block stand before its bundle."""

from collections.abc import Sequence
from typing import Any

import dagster as dg
import pytest

import batch_assets as ba
from batch_assets.sandbox import Answer, MissingLine, NotJson, Refusal, TruncatedAnswer

RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"

#: Nothing is asked a second time.
ONCE = ba.RetryPolicy(max_waves=1)
TONES = ba.Labels("warm", "cold")
STRICT = ba.Checks(coverage=ba.Check(at_least=0.9, blocking=True))


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    """What a run that failed says to a person."""
    [event] = [event for event in result.all_events if event.is_step_failure]
    return str(event.step_failure_data.user_failure_data.description)


def evaluation(world: Any, check: str, partition: str) -> dg.AssetCheckEvaluation:
    """The newest state of a partition's check, as Dagster's event log has it."""
    key = dg.AssetCheckKey(world.key("results"), check)
    for record in world.instance.event_log_storage.get_asset_check_execution_history(key, 100):
        if record.partition == partition and record.status.value in ("SUCCEEDED", "FAILED"):
            found: dg.AssetCheckEvaluation = record.event.dagster_event.event_specific_data
            return found
    raise AssertionError(f"{check} of {partition} was never made")


def value(world: Any, check: str, partition: str = "a") -> Any:
    return evaluation(world, check, partition).metadata["value"].value


def passed(world: Any, check: str, *partitions: str) -> list[bool]:
    return [evaluation(world, check, partition).passed for partition in partitions]


def worst(world: Any, check: str, partition: str = "a") -> list[tuple[Any, Any]]:
    table = evaluation(world, check, partition).metadata["worst"]
    return [(row.data["what"], row.data["count_or_share"]) for row in table.records]


def checked_names(world: Any) -> set[str]:
    graph = world.defs.resolve_asset_graph()
    return {key.name for key in graph.asset_check_keys if key.asset_key == world.key("results")}


def brought(world: Any, *keys: str) -> dg.ExecuteInProcessResult:
    """Send partitions, of which the first and last are given, and collect them in one run."""
    world.run("requests", "batches", between=(keys[0], keys[-1]))
    world.finish()
    world.tick()
    return world.run("raw_outputs", "results", "bundle", between=(keys[0], keys[-1]))


def tones(key: str, warm: int, cold: int) -> Sequence[str]:
    """Words of a partition's own, of which so many are going to be warm."""
    return [f"sun {n} of {key}" for n in range(warm)] + [f"ice {n} of {key}" for n in range(cold)]


def answer_tones(world: Any) -> None:
    world.script.items(Answer(text='{"label":"warm"}'), containing="sun")
    world.script.items(Answer(text='{"label":"cold"}'), containing="ice")


# What is checked


@pytest.mark.parametrize(
    ("over", "unmade"),
    [
        ({}, set()),
        # No labels in free text, no free text in labels.
        ({"output": None}, {"label_drift"}),
        ({"output": TONES}, {"duplicate_answers"}),
        (
            {"endpoint": "embeddings", "output": None, "settings": {"dimensions": 8}},
            {"duplicate_answers", "label_drift"},
        ),
        ({"endpoint": "moderations", "output": None}, {"duplicate_answers", "label_drift"}),
        ({"checks": ba.Checks(coverage="off", label_drift="off")}, {"coverage", "label_drift"}),
    ],
)
def test_only_checks_that_the_answers_allow_and_nobody_put_off_are_made(world, over, unmade):
    every = set(ba.Checks.__dataclass_fields__)
    prompt = ba.Prompt(field="word") if "endpoint" in over else ba.Prompt(user="{{ word }}")

    world.declare(world.inference(world.corpus(a=2), prompt=prompt, **over))

    assert checked_names(world) == every - unmade


def test_a_check_that_the_answers_do_not_allow_cannot_be_set(world):
    with pytest.raises(
        ba.DeclarationError,
        match="checks: label_drift cannot be made: the answers have no field with declared labels; "
        "leave it out",
    ):
        world.inference(world.corpus(a=2), output=None, checks=ba.Checks(label_drift=0.1))


@pytest.mark.parametrize(
    ("fault", "check", "reason"),
    [
        (NotJson(), "invalid_share", "invalid: answer: Invalid JSON"),
        (Refusal(text="No."), "refused_share", "refused"),
        (TruncatedAnswer(), "truncated_share", "truncated"),
    ],
)
def test_the_share_of_each_bad_outcome_warns_with_its_reasons(world, fault, check, reason):
    world.declare(world.inference(world.corpus(a=["elk", "oak", "fir", "yew"]), retries=ONCE))
    world.script.items(fault, containing="elk")
    result = brought(world, "a")

    found = evaluation(world, check, "a")

    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert found.metadata["value"].value == 0.25
    assert found.metadata["threshold"].value == "at most 0.02"
    assert (found.metadata["items"].value, found.metadata["partition"].value) == (4, "a")
    [(said, count)] = worst(world, check)
    assert (said.startswith(reason), count) == (True, 1.0)
    assert result.success
    assert world.materialized("bundle") == {"a"}


def test_the_token_estimate_is_held_against_what_the_provider_reports(world):
    world.declare(world.inference(world.corpus(a=40)))
    brought(world, "a")

    [results] = world.materializations("results", "a")
    [requests] = world.materializations("requests", "a")

    reported = results.metadata["input_tokens"].value
    estimated = requests.metadata["estimated_prompt_tokens"].value
    assert value(world, "token_estimate") == pytest.approx(reported / estimated)


def test_answers_that_are_carried_over_do_not_count_against_the_token_estimate(world):
    world.declare(world.inference(world.corpus(a=30)))
    brought(world, "a")
    first = value(world, "token_estimate")
    world.corpus(a=[f"oak {number} of a" for number in range(30)] + ["yew"])
    brought(world, "a")

    found = evaluation(world, "token_estimate", "a")

    assert found.metadata["items"].value == 1
    assert found.metadata["value"].value == pytest.approx(first, rel=0.3)


def test_where_nothing_is_executed_the_token_estimate_says_nothing(world):
    world.declare(world.inference(world.corpus(a=3)))
    brought(world, "a")
    world.declare(world.inference(world.corpus(b=3, a=3)))
    world.corpus(b=[f"oak {number} of a" for number in range(3)])
    brought(world, "b")

    assert value(world, "token_estimate", "b") == "nothing to judge"
    assert passed(world, "token_estimate", "b") == [True]


def test_one_answer_to_many_questions_warns_and_is_shown(world):
    world.declare(world.inference(world.corpus(a=30), output=None))
    world.script.items(Answer(text="As an AI model, I cannot."), containing=" 1")
    for number in range(30):
        world.script.items(Answer(text=f"It is tree {number}."), containing=f" {number} of")
    brought(world, "a")

    assert passed(world, "duplicate_answers", "a") == [False]
    # 1, and 10 to 19.
    assert value(world, "duplicate_answers") == pytest.approx(11 / 30)
    assert worst(world, "duplicate_answers") == [("As an AI model, I cannot.", 11.0)]


def test_equal_questions_may_have_equal_answers(world):
    world.declare(world.inference(world.corpus(a=["elk", *["oak"] * 39]), output=None))
    brought(world, "a")

    found = evaluation(world, "duplicate_answers", "a")

    # Two requests are too few to say anything.
    assert (found.passed, found.metadata["items"].value) == (True, 2)


def test_labels_that_moved_since_the_partition_before_warn_and_are_named(world):
    corpus = world.corpus(a=tones("a", 60, 40), b=tones("b", 62, 38), c=tones("c", 10, 90))
    world.declare(world.inference(corpus, output=TONES, prompt=ba.Prompt(user="{{ word }}")))
    answer_tones(world)
    brought(world, "a", "b", "c")

    assert passed(world, "label_drift", "a", "b", "c") == [True, True, False]
    assert value(world, "label_drift", "a") == "nothing to judge"
    assert value(world, "label_drift", "b") == 0.0
    # 52 % moved, and chance alone makes some 5 % in a hundred items.
    assert value(world, "label_drift", "c") == pytest.approx(0.52 - 0.053, abs=0.005)
    assert sorted(worst(world, "label_drift", "c")) == [
        ("label: cold", pytest.approx(0.52)),
        ("label: warm", pytest.approx(-0.52)),
    ]
    assert "than in partition b" in str(evaluation(world, "label_drift", "c").description)


def test_labels_are_compared_with_results_of_an_earlier_run(world):
    corpus = world.corpus(a=tones("a", 90, 10), b=tones("b", 1, 1), c=tones("c", 10, 90))
    world.declare(world.inference(corpus, output=TONES, prompt=ba.Prompt(user="{{ word }}")))
    answer_tones(world)
    brought(world, "a")
    brought(world, "c")

    # Of b there are no results.
    assert passed(world, "label_drift", "c") == [False]
    assert "than in partition a" in str(evaluation(world, "label_drift", "c").description)


def test_few_items_have_no_drift(world):
    corpus = world.corpus(a=tones("a", 50, 50), b=tones("b", 0, 99))
    world.declare(world.inference(corpus, output=TONES, prompt=ba.Prompt(user="{{ word }}")))
    answer_tones(world)
    brought(world, "a", "b")

    assert value(world, "label_drift", "b") == "nothing to judge"
    assert "99 items are too few" in str(evaluation(world, "label_drift", "b").description)


# What blocks


def test_a_check_that_blocks_leaves_results_and_no_bundle_and_names_the_way_out(world):
    world.declare(world.inference(world.corpus(a=4), retries=ONCE, checks=STRICT))
    world.script.fail_once(ordinal=1)

    result = brought(world, "a")

    said = failure_of(result)
    assert not result.success
    assert world.materialized("raw_outputs") == world.materialized("results") == {"a"}
    assert world.materialized("bundle") == set()
    assert "a: check coverage is 0.75, demanded is at least 0.9 (3 of 4 items are ok)" in said
    assert "with the job words_ask_again, correct the prompt, or lower checks.coverage" in said
    assert evaluation(world, "coverage", "a").severity is dg.AssetCheckSeverity.ERROR


def test_an_item_that_was_lost_blocks_by_itself(world):
    world.declare(world.inference(world.corpus(a=["elk", "oak"]), retries=ONCE))
    world.script.items(MissingLine(), containing="elk")

    result = brought(world, "a")

    assert "a: check nothing_lost is 1, demanded is at most 0" in failure_of(result)
    assert world.materialized("bundle") == set()
    assert world.materialized("results") == {"a"}


@pytest.mark.parametrize("tags", [{}, {"dagster/backfill": "b"}], ids=["a run", "a backfill"])
def test_in_a_range_only_the_partition_that_does_not_pass_has_no_bundle(world, tags):
    corpus = world.corpus(a=4, b=["elk", "oak", "fir"], c=4)
    world.declare(world.inference(corpus, retries=ONCE, checks=STRICT))
    world.script.items(Refusal(), containing="elk")
    world.run("requests", "batches", between=("a", "c"))
    world.finish()
    world.tick()

    result = world.run("raw_outputs", "results", "bundle", between=("a", "c"), tags=tags)

    assert failure_of(result).startswith("collect failed for 1 partition(s)\nb: check coverage is")
    assert world.materialized("results") == {"a", "b", "c"}
    assert world.materialized("bundle") == {"a", "c"}
    assert passed(world, "coverage", "a", "b", "c") == [True, False, True]
    assert passed(world, "nothing_lost", "a", "b", "c") == [True, True, True]


def test_a_bundle_alone_is_exported_once_the_threshold_is_changed_and_nothing_is_paid(world):
    corpus = world.corpus(a=4)
    world.declare(world.inference(corpus, retries=ONCE, checks=STRICT))
    world.script.fail_once(ordinal=1)
    brought(world, "a")
    executed = world.sandbox.state.executions()["requests_executed"]

    refused = world.run("bundle", partition="a")
    lower = ba.Checks(coverage=ba.Check(at_least=0.7, blocking=True))
    world.declare(world.inference(corpus, retries=ONCE, checks=lower))
    exported = world.run("bundle", partition="a")

    # Selected or not, the checks stand before the bundle, and their state is the newest.
    assert "check coverage is 0.75, demanded is at least 0.9" in failure_of(refused)
    assert exported.success
    assert world.materialized("bundle") == {"a"}
    assert passed(world, "coverage", "a") == [True]
    assert world.sandbox.state.executions()["requests_executed"] == executed


def test_what_was_asked_again_passes(world):
    world.declare(world.inference(world.corpus(a=4), retries=ONCE, checks=STRICT))
    world.script.fail_once(ordinal=1)
    brought(world, "a")

    config = {"partition_keys": ["a"], "outcomes": ["errored"]}
    world.order("words_ask_again", **config)
    for request in world.tick().run_requests:
        world.launch(request)
    [result] = world.collect()

    assert result.success
    assert world.materialized("bundle") == {"a"}
    assert passed(world, "coverage", "a") == [True]


def test_the_sensor_does_not_collect_a_blocked_partition_again_and_again(world):
    world.declare(world.inference(world.corpus(a=4), retries=ONCE, checks=STRICT))
    world.script.fail_once(ordinal=1)
    world.run(partition="a")

    [first] = world.collect()

    assert not first.success
    assert not world.collect()


# Made again from the UI


def checks_alone(world: Any, **partitions: Any) -> dg.ExecuteInProcessResult:
    """A run of the checks and of no asset, as the UI launches it."""
    checks = world.defs.resolve_asset_graph().asset_check_keys
    return (
        world.defs.resolve_implicit_global_asset_job_def()
        .get_subset(
            asset_selection=set(),
            asset_check_selection={key for key in checks if key.asset_key == world.key("results")},
        )
        .execute_in_process(instance=world.instance, raise_on_error=False, **partitions)
    )


@pytest.mark.parametrize(
    ("partitions", "made"),
    [
        # The button names no partition: it means all that have results.
        ({}, ["a", "b"]),
        ({"partition_key": "b"}, ["b"]),
        ({"tags": {RANGE_START: "b", RANGE_END: "c"}}, ["b"]),
    ],
    ids=["all", "one", "a range"],
)
def test_checks_run_alone_judge_the_results_that_are_there_without_a_call(world, partitions, made):
    corpus = world.corpus(a=3, b=3, c=3)
    world.declare(world.inference(corpus))
    brought(world, "a", "b")
    world.declare(world.inference(corpus, checks=ba.Checks(token_estimate=ba.Check(at_most=0.6))))
    calls = world.script.called("*")

    result = checks_alone(world, **partitions)

    found = [e for e in result.get_asset_check_evaluations() if e.check_name == "token_estimate"]
    assert result.success
    assert {each.partition: each.passed for each in found} == dict.fromkeys(made, False)
    assert world.script.called("*") == calls


def test_checks_run_alone_are_red_and_their_run_is_green(world):
    corpus = world.corpus(a=4)
    world.declare(world.inference(corpus, retries=ONCE, checks=STRICT))
    world.script.fail_once(ordinal=1)
    brought(world, "a")

    result = checks_alone(world)

    assert result.success
    assert passed(world, "coverage", "a") == [False]


def test_checks_run_alone_without_results_fail_with_the_way_out(world):
    world.declare(world.inference(world.corpus(a=3)))

    result = checks_alone(world)

    assert failure_of(result) == "no partition has results to check: materialize words/results"
