"""A partition's way through the assets, as runs of Dagster against a sandbox."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import dagster as dg
import pyarrow.parquet as pq
import pytest
from dagster._core.definitions import data_version as dagster_tags
from dagster._core.definitions.data_version import CachingStaleStatusResolver
from dagster._core.loader import LoadingContextForTest

import batch_assets as ba
from batch_assets.assets import events

ANIMALS = ba.Prompt(user="Is it an animal? {{ word }}")


def failure_of(result: dg.ExecuteInProcessResult) -> dg.Failure:
    """What a run that failed says to a person."""
    [event] = [event for event in result.all_events if event.is_step_failure]
    return event.step_failure_data.user_failure_data


def metadata_of(materialization: dg.AssetMaterialization) -> dict[str, Any]:
    return {name: value.value for name, value in materialization.metadata.items()}


def rows_of(table: dg.TableMetadataValue) -> list[dict[str, Any]]:
    return [dict(record.data) for record in table.records]


# A plain run


def test_a_plain_run_sends_a_partition_and_ends_green_without_its_results(world):
    world.declare(world.inference(world.corpus(a=3)))

    result = world.run(partition="a")

    assert result.success
    assert world.sent() == 1
    assert world.materialized("requests") == world.materialized("batches") == {"a"}
    assert world.materialized("raw_outputs") == world.materialized("results") == set()


def test_a_plain_run_observes_on_batches_what_it_left_to_the_sensor(world):
    world.declare(world.inference(world.corpus(a=3)))

    world.run(partition="a")

    [record] = world.instance.fetch_observations(world.key("batches"), limit=10).records
    observation = record.asset_observation
    [batch] = rows_of(observation.metadata["batches"])
    assert observation.partition == "a"
    assert observation.metadata["progress"].value == "1 at the provider"
    assert (batch["state"], batch["requests"]) == ("submitted", 3)


def test_what_the_provider_finished_is_collected_by_a_run_of_the_sensor(world):
    world.declare(world.inference(world.corpus(a=3)))
    world.run(partition="a")

    [result] = world.collect()

    checks = {check.check_name: check.passed for check in result.get_asset_check_evaluations()}
    assert result.success
    assert checks["nothing_lost"] is checks["coverage"] is True
    for name in ("raw_outputs", "results", "bundle"):
        assert world.materialized(name) == {"a"}


def test_results_say_what_a_person_asks_first(world):
    world.declare(world.inference(world.corpus(a=["oak", "wolf", "oak"])))
    world.run(partition="a")
    world.collect()

    [materialization] = world.materializations("results", "a")

    said = metadata_of(materialization)
    table = pq.read_table(said["dagster/uri"])
    assert (said["dagster/row_count"], said["coverage"]) == (3, 1.0)
    [wave] = rows_of(materialization.metadata["waves"])
    assert (wave["wave"], wave["requests"], wave["executions"]) == (0, 2, 2)
    assert rows_of(materialization.metadata["outcomes"]) == [{"outcome": "ok", "items": 3}]
    assert said["input_tokens"] == sum(table["input_tokens"].drop_null().to_pylist()) > 0
    assert said["output_tokens"] == sum(table["output_tokens"].drop_null().to_pylist()) > 0
    assert said["tokens_per_item"] == (said["input_tokens"] + said["output_tokens"]) / 3
    sample = rows_of(materialization.metadata["sample"])
    assert [row["item_id"] for row in sample] == ["a-0", "a-1", "a-2"]
    assert [row["answer"] for row in sample] == table["answer"].to_pylist()
    columns = [column.name for column in said["dagster/column_schema"].columns]
    assert columns == table.schema.names


def test_requests_say_what_asking_would_take(world):
    world.declare(world.inference(world.corpus(a=["oak", "wolf", "oak"])))

    world.run("requests", partition="a")

    [materialization] = world.materializations("requests", "a")
    said = metadata_of(materialization)
    [shard] = rows_of(materialization.metadata["shards"])
    assert (said["dagster/row_count"], said["requests"], said["duplicates"]) == (3, 2, 1)
    assert said["estimated_prompt_tokens"] == shard["prompt_tokens"] > 0
    with open(shard["file"]) as lines:
        assert len(lines.readlines()) == shard["requests"] == 2


def test_every_file_that_metadata_names_exists(world):
    world.declare(world.inference(world.corpus(a=3)))
    world.run(partition="a")
    world.collect()

    [raw], [bundle] = (world.materializations(name, "a") for name in ("raw_outputs", "bundle"))

    [output] = rows_of(raw.metadata["files"])
    with open(output["file"]) as lines:
        assert len(lines.readlines()) == 3
    folder = bundle.metadata["folder"].path
    bundled = rows_of(bundle.metadata["files"])
    assert {"results.parquet", "items.parquet", "request_set.json"} < {f["file"] for f in bundled}
    assert sum(file["bytes"] for file in bundled) == bundle.metadata["bytes"].value
    for file in bundled:
        assert (world.folder / folder / file["file"]).stat().st_size == file["bytes"]


def test_materializing_again_sends_nothing_and_keeps_every_data_version(world):
    world.declare(world.inference(world.corpus(a=3)))
    names = ("requests", "batches", "raw_outputs", "results", "bundle")
    world.run(partition="a")
    world.collect()
    before = {name: world.data_version(name, "a") for name in names}

    result = world.run(partition="a")

    assert result.success
    assert world.sent() == 1
    assert {name: world.data_version(name, "a") for name in names} == before
    assert all(len(world.materializations(name, "a")) == 2 for name in names)


def test_results_that_were_deleted_are_made_again_without_a_call(world):
    world.declare(world.inference(world.corpus(a=3)))
    world.run(partition="a")
    world.collect()
    before = world.data_version("results", "a")
    (world.folder / "files" / "words" / "results" / "a.parquet").unlink()
    called = world.script.called("*")

    result = world.run("results", partition="a")

    assert result.success
    assert world.script.called("*") == called
    assert world.data_version("results", "a") == before


def test_requests_alone_call_nobody(world):
    world.declare(world.inference(world.corpus(a=3)))

    result = world.run("requests", partition="a")

    assert result.success
    assert world.script.called("*") == 0
    assert world.materialized("requests") == {"a"}


def test_collecting_what_was_never_submitted_fails_with_the_way_out(world):
    world.declare(world.inference(world.corpus(a=3)))

    result = world.run("raw_outputs", "results", partition="a")

    assert not result.success
    assert "materialize words/batches first" in failure_of(result).description


def test_items_that_failed_for_a_while_are_asked_again_alone(world):
    at_once = ba.RetryPolicy(first_wait=timedelta())
    world.declare(world.inference(world.corpus(a=3), retries=at_once))
    world.script.fail_once(ordinal=1)
    world.run(partition="a")

    [first] = world.collect()
    [second] = world.collect()

    [materialization] = world.materializations("results", "a")
    table = pq.read_table(materialization.metadata["dagster/uri"].value)
    assert first.success
    assert second.success
    assert len(materialization.metadata["waves"].records) == 2
    assert table["wave"].to_pylist() == [0, 1, 0]
    assert world.sandbox.state.executions()["requests_executed"] == 3


# A range of partitions in one run


def test_a_range_run_materializes_each_partition_with_a_data_version_of_its_own(world):
    world.declare(world.inference(world.corpus(a=2, b=3, c=4)))

    submitted = world.run("requests", "batches", between=("a", "b"))
    [collected] = world.collect()

    assert submitted.success
    assert collected.success
    for name in ("requests", "batches", "raw_outputs", "results", "bundle"):
        assert world.materialized(name) == {"a", "b"}
        assert world.data_version(name, "a") != world.data_version(name, "b")


def test_a_range_of_one_partition_behaves_like_that_partition(world):
    world.declare(world.inference(world.corpus(a=2, b=3)))

    submitted = world.run(between=("b", "b"))
    world.finish()
    world.tick()
    collected = world.run("raw_outputs", "results", "bundle", between=("b", "b"))

    assert submitted.success
    assert collected.success
    assert world.materialized("results") == world.materialized("bundle") == {"b"}


def test_a_range_run_and_a_plain_run_leave_tags_of_the_same_names(world):
    """Dagster writes those of a plain run itself."""
    world.declare(world.inference(world.corpus(a=2, b=3)))
    world.run(partition="a")
    world.run("requests", "batches", between=("a", "b"))
    world.finish()
    world.tick()
    world.run("raw_outputs", "results", "bundle", partition="a")
    world.run("raw_outputs", "results", "bundle", between=("a", "b"))

    for name in ("requests", "batches", "raw_outputs", "results", "bundle"):
        ours, dagsters = (each.tags for each in world.materializations(name, "a")[:2])
        assert ours.keys() == dagsters.keys()
        assert ours["dagster/data_version"] == dagsters["dagster/data_version"]


def test_the_code_version_of_a_range_run_is_the_one_of_the_definitions(world):
    world.declare(world.inference(world.corpus(a=2, b=3)))

    world.run("requests", between=("a", "b"))

    [materialization] = world.materializations("requests", "b")
    declared = world.defs.resolve_assets_def(world.key("requests")).code_versions_by_key
    assert materialization.tags["dagster/code_version"] == declared[world.key("requests")]


def test_the_inputs_of_a_range_run_are_the_materializations_before_it(world):
    world.declare(world.inference(world.corpus(a=2, b=3)))

    world.run("requests", "batches", between=("a", "b"))

    for partition in ("a", "b"):
        wanted = dg.AssetRecordsFilter(
            asset_key=world.key("requests"), asset_partitions=[partition]
        )
        [requests] = world.instance.fetch_materializations(wanted, limit=9).records
        [batches] = world.materializations("batches", partition)
        pointer = batches.tags["dagster/input_event_pointer/words/requests"]
        version = batches.tags["dagster/input_data_version/words/requests"]
        assert pointer == str(requests.storage_id)
        assert version == world.data_version("requests", partition)


def test_our_tags_are_the_ones_that_the_installed_dagster_reads():
    assert events.DATA_VERSION == dagster_tags.DATA_VERSION_TAG
    assert events.DATA_VERSION_IS_USER_PROVIDED == dagster_tags.DATA_VERSION_IS_USER_PROVIDED_TAG
    assert events.CODE_VERSION == dagster_tags.CODE_VERSION_TAG
    assert events.INPUT_DATA_VERSION == dagster_tags.INPUT_DATA_VERSION_TAG_PREFIX
    assert events.INPUT_EVENT_POINTER == dagster_tags.INPUT_EVENT_POINTER_TAG_PREFIX


def test_a_partition_that_fails_in_a_range_is_red_alone(world):
    world.declare(world.inference(world.corpus(a=2, b=["oak", None], c=3)))

    result = world.run("requests", "batches", between=("a", "c"))

    failure = failure_of(result)
    partitions = world.defs.resolve_assets_def(world.key("requests")).partitions_def
    status = world.instance.get_status_by_partition(world.key("requests"), list("abc"), partitions)
    assert {key: value.value for key, value in status.items()} == {
        "a": "MATERIALIZED",
        "b": "FAILED",
        "c": "MATERIALIZED",
    }
    assert world.sent() == 2
    assert "b: " in failure.description
    assert "b.parquet, row 1: word is null" in failure.metadata["b"].text


def test_a_failure_names_partitions_of_any_spelling(world):
    odd = "2024|x y.ü%"
    world.declare(world.inference(world.corpus(**{odd: 2})))

    result = world.run("results", partition=odd)

    assert list(failure_of(result).metadata) == [odd]


@pytest.mark.parametrize("how", [{"partition": "a"}, {"between": ("a", "b")}])
def test_a_bundle_that_cannot_be_written_leaves_the_results_green(world, how):
    world.declare(world.inference(world.corpus(a=2, b=3)))
    world.run("requests", "batches", between=("a", "b"))
    world.finish()
    world.tick()
    next((world.folder / "files" / "words" / "request_sets" / "a").rglob("*shard*.jsonl")).unlink()

    result = world.run("raw_outputs", "results", "bundle", **how)

    assert "is missing from the store" in failure_of(result).metadata["a"].text
    assert world.materialized("results") >= {"a"}
    assert world.materialized("bundle") == world.materialized("results") - {"a"}


# Staleness


def stale(world, name: str, partition: str) -> list[str]:
    """Why Dagster calls a partition stale; nothing where it is fresh."""
    resolver = CachingStaleStatusResolver(
        world.instance, world.defs.resolve_asset_graph(), LoadingContextForTest(world.instance)
    )
    causes = resolver.get_stale_causes(world.key(name), partition)
    return [f"{cause.category.value}: {cause.reason}" for cause in causes]


def in_a_plain_run(world, *names: str) -> None:
    assert world.run(*names, partition="a").success


def in_a_range_run(world, *names: str) -> None:
    assert world.run(*names, between=("a", "b")).success


HOW = pytest.mark.parametrize("materialize", [in_a_plain_run, in_a_range_run])


@HOW
def test_what_was_just_materialized_is_fresh(world, materialize: Callable[..., None]):
    world.declare(world.inference(world.corpus(a=2, b=3)))
    materialize(world, "requests", "batches")
    world.finish()
    world.tick()
    materialize(world, "raw_outputs", "results", "bundle")

    for name in ("requests", "batches", "raw_outputs", "results", "bundle"):
        assert stale(world, name, "a") == []


@HOW
def test_a_changed_prompt_makes_requests_stale_and_sends_a_new_set(world, materialize):
    corpus = world.corpus(a=2, b=3)
    world.declare(world.inference(corpus))
    materialize(world, "requests", "batches")
    files = set((world.folder / "files").rglob("*.jsonl"))
    sent = world.sent()

    world.declare(world.inference(corpus, prompt=ANIMALS))
    reasons = stale(world, "requests", "a")
    materialize(world, "requests", "batches")

    assert reasons == ["CODE: has a new code version"]
    assert stale(world, "requests", "a") == []
    assert world.sent() == 2 * sent
    assert files < set((world.folder / "files").rglob("*.jsonl"))


@HOW
def test_results_of_an_older_prompt_are_stale_once_the_new_one_was_sent(world, materialize):
    corpus = world.corpus(a=2, b=3)
    world.declare(world.inference(corpus))
    materialize(world, "requests", "batches")
    world.finish()
    world.tick()
    materialize(world, "raw_outputs", "results", "bundle")

    world.declare(world.inference(corpus, prompt=ANIMALS))
    materialize(world, "requests", "batches")

    assert stale(world, "raw_outputs", "a") == ["DATA: has a new dependency data version"]
    assert stale(world, "requests", "a") == stale(world, "batches", "a") == []


def test_another_output_type_makes_results_stale_however_large_the_type(world):
    many = {f"field_{number}": (str, ...) for number in range(20)}
    wide, wider = (world.output_type(**many, last=(kind, ...)) for kind in (str, int))
    corpus = world.corpus(a=1)

    versions = set()
    for output in (wide, wider):
        defs = world.declare(world.inference(corpus, output=output))
        results = defs.resolve_assets_def(world.key("results"))
        versions.add(results.code_versions_by_key[world.key("results")])

    assert len(versions) == 2


def test_the_data_version_of_raw_outputs_stays_short_however_many_batches(world):
    one_each = ba.OpenAIResource(
        api_key="sk-test", base_url=world.sandbox.base_url, max_requests_per_batch=1
    )
    world.declare(world.inference(world.corpus(a=20)), openai=one_each)
    world.run(partition="a")
    world.collect()

    assert world.sent() == 20
    assert len(world.data_version("raw_outputs", "a")) == 64


# Runs that wait


def test_a_run_that_is_told_to_wait_stays_until_the_results_are_there(world):
    naps: list[float] = []

    def provider_works(seconds: float) -> None:
        naps.append(seconds)
        world.finish()
        assert "1 batch open" not in str(world.tick().skip_message)

    world.declare_waiting(world.inference(world.corpus(a=3)), sleep=provider_works)

    result = world.run(partition="a", wait=True)

    assert result.success
    assert world.materialized("results") == {"a"}
    assert naps == [5.0]


def test_a_run_that_waits_asks_the_provider_itself_where_the_sensor_is_off(world):
    world.declare_waiting(
        world.inference(world.corpus(a=3)), sleep=lambda _: world.clock.advance(130)
    )

    result = world.run(partition="a", wait=True)

    assert result.success
    assert world.materialized("results") == {"a"}


def test_a_run_that_waits_sends_the_next_wave_and_waits_for_it_too(world):
    world.script.fail_once(ordinal=0)
    world.declare_waiting(
        world.inference(world.corpus(a=3)), sleep=lambda _: world.clock.advance(130)
    )

    result = world.run(partition="a", wait=True)

    [materialization] = world.materializations("results", "a")
    assert result.success
    assert len(materialization.metadata["waves"].records) == 2


def test_a_run_of_a_backfill_waits_without_being_told(world):
    world.declare_waiting(
        world.inference(world.corpus(a=3, b=2)), sleep=lambda _: world.clock.advance(130)
    )
    backfill = {"dagster/backfill": "b1"}
    world.run("requests", "batches", between=("a", "b"), tags=backfill)

    result = world.run("raw_outputs", "results", between=("a", "b"), tags=backfill)

    assert result.success
    assert world.materialized("results") == {"a", "b"}


def test_a_run_of_a_backfill_does_not_wait_when_it_is_told_so(world):
    world.declare_waiting(world.inference(world.corpus(a=3)), sleep=lambda _: pytest.fail("slept"))
    backfill = {"dagster/backfill": "b1"}

    result = world.run(partition="a", tags=backfill, wait=False)

    assert result.success
    assert world.materialized("results") == set()


def test_a_run_that_waits_says_nothing_of_a_partition_that_is_told_already(world):
    """That it is at the provider stands in the materialization of its batches."""
    naps: list[float] = []

    def provider_works(seconds: float) -> None:
        naps.append(seconds)
        world.clock.advance(20)
        world.tick()

    world.declare_waiting(world.inference(world.corpus(a=3)), sleep=provider_works)

    world.run(partition="a", wait=True)

    [partition] = world.materialized("results")
    said = [each.metadata["progress"].value for each in world.observations(partition)]
    assert len(naps) == 5
    assert said == ["1 collected"]


def test_trouble_at_the_provider_does_not_end_a_run_that_waits(world):
    troubles = [(401,), (503,) * 3, ()]

    def provider_works(_: float) -> None:
        world.clock.advance(130)
        world.script.refuse("batches.list", *troubles.pop(0))

    world.declare_waiting(world.inference(world.corpus(a=3)), sleep=provider_works)

    result = world.run(partition="a", wait=True)

    assert troubles == []
    assert result.success
    assert world.materialized("results") == {"a"}


def test_a_batch_that_is_refused_for_good_fails_the_run_that_waits_with_the_reason(world):
    """It is the retry wave that the provider refuses: the first one it took."""
    world.script.fail_once(ordinal=0)

    def provider_works(_: float) -> None:
        world.clock.advance(130)
        world.script.refuse("batches.create", 400)

    world.declare_waiting(world.inference(world.corpus(a=3)), sleep=provider_works)

    result = world.run(partition="a", wait=True)

    assert not result.success
    assert "scripted 400" in failure_of(result).metadata["a"].text


def test_a_run_does_not_wait_for_a_partition_whose_batches_were_all_refused(world):
    world.declare_waiting(
        world.inference(world.corpus(a=3, b=2)), sleep=lambda _: world.clock.advance(130)
    )
    world.script.refuse("batches.create", 400)
    submitted = world.run("requests", "batches", between=("a", "b"))

    result = world.run("raw_outputs", "results", between=("a", "b"), wait=True)

    assert "scripted 400" in failure_of(submitted).metadata["a"].text
    assert "refused 1 batch(es) for good" in failure_of(result).metadata["a"].text
    assert "scripted 400" in failure_of(result).metadata["a"].text
    assert world.materialized("results") == {"b"}


def test_a_batch_that_was_refused_is_sent_when_batches_are_materialized_again(world):
    world.declare(world.inference(world.corpus(a=3)))
    world.script.refuse("batches.create", 400)

    first = world.run("requests", "batches", partition="a")
    second = world.run("requests", "batches", partition="a")

    assert (first.success, second.success) == (False, True)
    assert world.sent() == 1
