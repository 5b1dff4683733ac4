"""New input becomes results without a click, where a declaration says so, and never else."""

from datetime import timedelta

import dagster as dg
import pyarrow as pa
import pytest
from factories import a_table

import batch_assets as ba

KEYS = dg.StaticPartitionsDefinition(["a", "b"])


def tick(world, cursor=None, hours: float = 0):
    """What Dagster's daemon finds to do; each tick goes on from the one before."""
    return dg.evaluate_automation_conditions(
        defs=world.defs,
        instance=world.instance,
        cursor=cursor,
        # All of it; left out, Dagster warns of its own default.
        asset_selection=dg.AssetSelection.groups("words"),
        evaluation_time=world.ledger.clock() + timedelta(hours=hours),
    )


def requested(result, world, name: str) -> set[str]:
    subset = result.get_requested_partitions(world.key(name))
    return {key for key in subset if key is not None}


def test_without_automation_nothing_is_submitted(world):
    world.declare(world.inference(world.corpus(a=2)))

    sensors = {sensor.name for sensor in world.defs.sensors or []}

    assert tick(world).total_requested == 0
    assert "batch_automation" not in sensors


def test_its_sensor_is_on_from_the_first(world):
    world.declare(world.inference(world.corpus(a=2), automation="eager"))

    sensor = world.defs.resolve_sensor_def("batch_automation")

    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING


def test_turning_it_on_does_not_submit_what_was_there_before(world):
    world.declare(world.inference(world.corpus(a=2, b=2), automation="eager"))

    first = tick(world)
    second = tick(world, first.cursor)

    assert first.total_requested == second.total_requested == 0


def test_a_new_partition_is_submitted(world):
    world.declare(world.inference(world.corpus(a=2), automation="eager"))
    first = tick(world)
    world.declare(world.inference(world.corpus(a=2, b=2), automation="eager"))

    found = tick(world, first.cursor)

    assert requested(found, world, "requests") == {"b"}
    assert requested(found, world, "batches") == {"b"}


def a_source(world) -> dg.AssetsDefinition:
    @dg.asset(partitions_def=KEYS, io_manager_key="batch_files")
    def source(context: dg.AssetExecutionContext) -> pa.Table:
        return a_table(2, id=[f"{context.partition_key}-{row}" for row in range(2)])

    corpus = ba.AssetCorpus(key="source", item_id="id", partitions_def=KEYS, value_type=pa.Table)
    world.declare(world.inference(corpus, automation="eager"), assets=[source])
    return source


def test_new_data_of_an_upstream_asset_is_submitted_and_collected(world):
    a_source(world)
    first = tick(world)
    world.run_asset("source", "a")

    found = tick(world, first.cursor)
    assert requested(found, world, "requests") == {"a"}
    assert requested(found, world, "batches") == {"a"}
    world.run("requests", "batches", partition="a")
    world.collect()

    assert world.materialized("results") == {"a"}


def test_a_dry_run_of_a_persons_is_not_followed_by_batches(world):
    world.declare(world.inference(world.corpus(a=2), automation="eager"))
    first = tick(world)
    world.run("requests", partition="a")

    found = tick(world, first.cursor)

    assert requested(found, world, "batches") == set()


def test_a_schedule_submits_every_partition_when_its_time_comes(world):
    world.declare(world.inference(world.corpus(a=2, b=2), automation="0 6 * * *"))
    first = tick(world)

    found = tick(world, first.cursor, hours=24)

    assert requested(found, world, "requests") == {"a", "b"}
    assert requested(found, world, "batches") == {"a", "b"}


def test_a_changed_prompt_is_not_sent_by_itself(world):
    world.declare(world.inference(world.corpus(a=2), automation="eager"))
    first = tick(world)
    world.run("requests", "batches", partition="a")
    second = tick(world, first.cursor)
    prompt = ba.Prompt(user="What is {{ word }}?")
    world.declare(world.inference(world.corpus(a=2), automation="eager", prompt=prompt))

    found = tick(world, second.cursor)

    assert found.total_requested == 0


@pytest.mark.parametrize("automation", ["always", "", "99 * * * *"])
def test_a_wrong_automation_is_refused_by_name(world, automation):
    with pytest.raises(ba.DeclarationError, match="give eager, or a cron schedule") as raised:
        world.inference(world.corpus(a=2), automation=automation)

    assert f"automation is {automation!r}" in str(raised.value)


def test_results_have_the_freshness_that_is_declared(world):
    world.declare(world.inference(world.corpus(a=2), fresh_within_hours=48))

    policies = {spec.key: spec.freshness_policy for spec in world.defs.resolve_all_asset_specs()}

    assert policies[world.key("results")] == dg.FreshnessPolicy.time_window(timedelta(hours=48))
    assert policies[world.key("requests")] is None


@pytest.mark.parametrize("hours", [0, -1, 0.01, float("nan")])
def test_a_wrong_freshness_is_refused_by_name(world, hours):
    with pytest.raises(ba.DeclarationError, match="fresh_within_hours is"):
        world.inference(world.corpus(a=2), fresh_within_hours=hours)
