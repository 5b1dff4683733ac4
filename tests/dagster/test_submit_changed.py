"""The job that submits what changed: after a new prompt or new rows, and nothing else."""

import dagster as dg
import pytest

import batch_assets as ba

OTHER = ba.Prompt(user="What is {{ word }}?")


def submit_changed(world, **config) -> dg.ExecuteInProcessResult:
    return world.order("words_submit_changed", **config)


def told(result: dg.ExecuteInProcessResult) -> dict:
    [output] = [event for event in result.all_events if event.is_successful_output]
    metadata = output.event_specific_data.metadata
    return {name: getattr(each, "records", each.value) for name, each in metadata.items()}


def collected(world, **partitions: int) -> None:
    """Partitions with results."""
    world.declare(world.inference(world.corpus(**partitions)))
    keys = list(partitions)
    world.run("requests", "batches", between=(keys[0], keys[-1]))
    world.collect()


def test_nothing_changed_sends_nothing(world):
    collected(world, a=2, b=2)

    result = submit_changed(world)

    assert result.success
    assert (told(result)["partitions_changed"], told(result)["partitions_unchanged"]) == (0, 2)
    assert world.sent() == 2


def test_a_partition_whose_rows_changed_is_sent_alone(world):
    collected(world, a=2, b=2)
    world.corpus(b=["oak 0 of b", "elm"])

    result = submit_changed(world)

    assert told(result)["partitions_changed"] == 1
    assert told(result)["requests_to_pay"] == 1
    assert world.sent() == 3
    assert len(world.materializations("requests", "a")) == 1
    assert len(world.materializations("requests", "b")) == 2
    assert len(world.materializations("batches", "b")) == 2


def test_a_changed_prompt_sends_every_partition_that_was_submitted(world):
    collected(world, a=2, b=2)
    world.declare(world.inference(world.corpus(a=2, b=2, c=2), prompt=OTHER))

    result = submit_changed(world)
    world.collect()

    assert told(result)["partitions_changed"] == 2
    assert [len(world.materializations("results", key)) for key in "abc"] == [2, 2, 0]


def test_partitions_that_were_never_submitted_are_sent_where_they_are_asked_for(world):
    collected(world, a=2)
    world.declare(world.inference(world.corpus(a=2, b=3)))

    result = submit_changed(world, new_partitions=True)

    assert told(result)["partitions_changed"] == 1
    assert told(result)["requests_to_pay"] == 3


def test_a_dry_run_says_what_it_costs_and_sends_nothing(world):
    collected(world, a=2)
    world.declare(world.inference(world.corpus(a=2), prompt=OTHER))

    result = submit_changed(world, dry_run=True)

    [row] = told(result)["changed"]
    assert told(result)["requests_to_pay"] == 2
    assert row.data["partition"] == "a"
    assert row.data["changed_by"] == "prompt"
    assert world.sent() == 1
    assert len(world.materializations("requests", "a")) == 1


def test_after_it_nothing_is_stale(world):
    collected(world, a=2)
    world.declare(world.inference(world.corpus(a=2), prompt=OTHER))

    submit_changed(world)

    newest, *_ = world.materializations("requests", "a")
    specs = world.defs.resolve_all_asset_specs()
    [requests] = [spec for spec in specs if spec.key == world.key("requests")]
    assert newest.tags["dagster/code_version"] == requests.code_version
    assert newest.tags["dagster/data_version"] == newest.metadata["request_set"].value


def test_a_broken_partition_fails_and_leaves_the_others_alone(world):
    collected(world, a=2, b=2)
    world.corpus(b=["oak 0 of b", "elm"])
    (world.folder / "corpus" / "words" / "a.parquet").write_bytes(b"no parquet")

    result = submit_changed(world)

    assert not result.success
    assert "a: " in world.reason_of(result)
    assert world.sent() == 3


@pytest.mark.parametrize("given", [["z"], ["a", "z"]])
def test_an_unknown_partition_is_refused_with_those_there_are(world, given):
    collected(world, a=2)

    result = submit_changed(world, partition_keys=given)

    assert not result.success
    assert "it has no 'z'; it has a" in world.reason_of(result)
