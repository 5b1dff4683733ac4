"""A corpus that is another asset of the code location, from its rows to the results."""

from collections.abc import Callable
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.dataset as pads
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver
from dagster._core.loader import LoadingContextForTest
from factories import a_table

from batch_assets.corpus.asset import AssetCorpus
from batch_assets.corpus.composite import CompositeCorpus

DAYS = dg.StaticPartitionsDefinition(["mon", "tue", "wed"])
MADE = dg.DynamicPartitionsDefinition(name="made")
NOTES = AssetCorpus(key="notes", item_id="id", partitions_def=DAYS, value_type=pads.Dataset)


def an_asset(
    key: str = "notes",
    partitions: dg.PartitionsDefinition[str] | None = DAYS,
    word: Callable[[], str] = lambda: "oak",
) -> dg.AssetsDefinition:
    """Two rows per partition."""

    @dg.asset(key=key.split("/"), partitions_def=partitions, io_manager_key="batch_files")
    def rows(context: dg.AssetExecutionContext) -> pa.Table:
        of = context.partition_key if context.has_partition_key else "all"
        return a_table(2, word=[f"{word()} {row} of {of} in {key}" for row in range(2)])

    return rows


def collected(world: Any, key: str) -> int:
    """Items of the partition that have a result."""
    newest, *_ = world.materializations("results", key)
    return newest.metadata["dagster/row_count"].value


def stale(world: Any, key: str) -> list[str]:
    """Why Dagster calls the partition's requests stale."""
    resolver = CachingStaleStatusResolver(
        world.instance,
        world.defs.resolve_asset_graph(),
        LoadingContextForTest(world.instance),
    )
    return [cause.reason for cause in resolver.get_stale_causes(world.key("requests"), key)]


def failure(result: dg.ExecuteInProcessResult) -> str:
    [failed] = [event for event in result.all_events if event.is_step_failure]
    return str(failed.step_failure_data.user_failure_data.description)


def test_a_location_with_the_upstream_asset_in_it_is_valid(world):
    defs = world.declare(world.inference(NOTES), assets=[an_asset()])

    dg.Definitions.validate_loadable(defs)

    graph = defs.resolve_asset_graph()
    assert graph.get(world.key("requests")).parent_keys == {dg.AssetKey("notes")}


def test_a_range_run_asks_about_the_rows_of_each_partition(world):
    world.declare(world.inference(NOTES), assets=[an_asset()])
    for key in DAYS.get_partition_keys():
        world.run_asset("notes", key)

    submitted = world.run("requests", "batches", between=("mon", "wed"))
    [collecting] = world.collect()

    assert submitted.success
    assert collecting.success
    assert [collected(world, key) for key in ("mon", "tue", "wed")] == [2, 2, 2]


def test_one_run_makes_the_upstream_asset_and_submits_it(world):
    world.declare(world.inference(NOTES), assets=[an_asset()])

    job = world.defs.resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(
        asset_selection=[dg.AssetKey("notes"), world.key("requests"), world.key("batches")],
        partition_key="mon",
        instance=world.instance,
    )

    assert result.success
    assert world.sent() == 1


def test_a_partition_whose_upstream_is_missing_fails_alone_with_the_reason(world):
    world.declare(world.inference(NOTES), assets=[an_asset()])
    world.run_asset("notes", "mon")
    world.run_asset("notes", "wed")

    result = world.run("requests", "batches", between=("mon", "wed"))

    assert not result.success
    assert "asset notes, partition tue" in failure(result)
    assert "materialize the asset" in failure(result)
    assert world.materialized("batches") == {"mon", "wed"}


def test_requests_are_stale_when_their_upstream_partition_was_made_anew(world):
    words = ["oak"]
    world.declare(world.inference(NOTES), assets=[an_asset(word=lambda: words[-1])])
    for key in DAYS.get_partition_keys():
        world.run_asset("notes", key)
    world.run("requests", between=("mon", "wed"))
    before = [stale(world, key) for key in DAYS.get_partition_keys()]

    words.append("elm")
    world.run_asset("notes", "tue")

    assert before == [[], [], []]
    assert [bool(stale(world, key)) for key in DAYS.get_partition_keys()] == [False, True, False]
    world.run("requests", partition="tue")
    assert stale(world, "tue") == []


def test_a_composite_of_assets_asks_about_the_rows_of_all_of_them(world):
    corpus = CompositeCorpus(
        sources={
            name: AssetCorpus(
                key=f"warehouse/{name}", item_id="id", partitions_def=DAYS, value_type=pads.Dataset
            )
            for name in ("notes", "letters")
        }
    )
    assets = [an_asset("warehouse/notes"), an_asset("warehouse/letters")]
    defs = world.declare(world.inference(corpus), assets=assets)
    for asset in assets:
        job = defs.resolve_implicit_global_asset_job_def()
        job.execute_in_process(
            asset_selection=[asset.key], partition_key="mon", instance=world.instance
        )

    world.run("requests", "batches", partition="mon")
    world.collect()

    assert collected(world, "mon") == 4
    graph = defs.resolve_asset_graph()
    assert graph.get(world.key("requests")).parent_keys == {asset.key for asset in assets}


def test_an_asset_without_partitions_is_one_partition(world):
    whole = AssetCorpus(key="notes", item_id="id", value_type=pads.Dataset)
    world.declare(world.inference(whole), assets=[an_asset(partitions=None)])
    world.run_asset("notes")

    world.run("requests", "batches", partition="all")
    world.collect()

    assert collected(world, "all") == 2


def test_the_dynamic_partitions_of_an_upstream_asset_are_the_inferences_too(world):
    """They are the asset's to add: there is no discovery sensor."""
    corpus = AssetCorpus(key="notes", item_id="id", partitions_def=MADE, value_type=pads.Dataset)
    defs = world.declare(world.inference(corpus), assets=[an_asset(partitions=MADE)])
    world.instance.add_dynamic_partitions("made", ["y", "x"])
    job = defs.resolve_implicit_global_asset_job_def()
    for key in ("y", "x"):
        job.execute_in_process(
            asset_selection=[dg.AssetKey("notes")],
            tags={"dagster/partition": key},
            instance=world.instance,
        )

    submitted = world.run("requests", "batches", between=("y", "x"))
    [collecting] = world.collect()

    assert {sensor.name for sensor in defs.sensors or []} == {"batch_poll", "batch_beside_dagster"}
    assert submitted.success
    assert collecting.success
    assert world.materialized("results") == {"x", "y"}


@pytest.mark.parametrize("value", [3, {"word": "oak"}])
def test_a_value_that_is_no_table_is_refused_before_anything_is_sent(world, value: Any):
    @dg.asset(key="notes", partitions_def=DAYS, io_manager_key="pickles")
    def notes() -> Any:
        return value

    pickles = dg.FilesystemIOManager(base_dir=str(world.folder / "pickles"))
    corpus = AssetCorpus(key="notes", item_id="id", partitions_def=DAYS)
    world.declare(world.inference(corpus), assets=[notes], pickles=pickles)
    job = world.defs.resolve_implicit_global_asset_job_def()

    result = job.execute_in_process(
        asset_selection=[dg.AssetKey("notes"), world.key("requests"), world.key("batches")],
        partition_key="mon",
        instance=world.instance,
        raise_on_error=False,
    )

    assert "asset notes, partition mon" in failure(result)
    assert "return a pyarrow Table" in failure(result)
    assert world.sent() == 0
