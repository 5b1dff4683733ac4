"""Assets of a user's own that read what an inference made."""

from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest
from factories import Kind

from batch_assets.domain.errors import ArtifactError


@pytest.fixture
def collected(world) -> dict[str, list[str]]:
    """Two partitions with their results; item ids by partition."""
    world.declare(world.inference(world.corpus(a=2, b=3)))
    world.run("requests", "batches", between=("a", "b"))
    world.collect()
    return {"a": ["a-0", "a-1"], "b": ["b-0", "b-1", "b-2"]}


def run_downstream(
    world, annotation: Any, read: Any, *, of: str = "results", partition: str | None = None
) -> Any:
    """What an asset sees whose input has the annotation; without a partition, of all of them."""
    seen: list[Any] = []
    inference = world.inference(world.corpus(a=2, b=3))
    partitions = dg.StaticPartitionsDefinition(["a", "b"]) if partition else None

    def body(things: Any) -> None:
        seen.append(read(things))

    body.__annotations__["things"] = annotation
    ins = {"things": dg.AssetIn(key=world.key(of))}
    downstream = dg.asset(name="mine", ins=ins, partitions_def=partitions)(body)
    world.declare(inference, assets=[downstream])
    world.run_asset("mine", partition=partition)
    [found] = seen
    return found


def ids_of(table: Any) -> list[str]:
    """The item ids in whatever a table was loaded as."""
    match table:
        case pads.Dataset():
            table = table.to_table()
        case pa.RecordBatchReader():
            table = table.read_all()
        case pl.LazyFrame():
            table = table.collect()
    return list(table["item_id"].to_pylist() if isinstance(table, pa.Table) else table["item_id"])


@pytest.mark.parametrize(
    "annotation",
    [pads.Dataset, pa.Table, pa.RecordBatchReader, pd.DataFrame, pl.DataFrame, pl.LazyFrame],
)
def test_results_come_as_what_the_input_is_annotated_with(world, collected, annotation):
    of_one = run_downstream(world, annotation, ids_of, partition="b")
    of_all = run_downstream(world, annotation, ids_of)

    assert of_one == collected["b"]
    assert of_all == collected["a"] + collected["b"]


def test_an_input_may_load_some_of_the_columns(world, collected):
    seen: list[Any] = []
    key = world.key("results")

    @dg.asset(ins={"results": dg.AssetIn(key, metadata={"columns": ["outcome"]})})
    def outcomes(results: pd.DataFrame) -> None:
        seen.append(results.to_dict("list"))

    world.declare(world.inference(world.corpus(a=2, b=3)), assets=[outcomes])
    world.run_asset("outcomes")

    assert seen == [{"outcome": ["ok"] * 5}]


def test_answers_are_typed_columns_in_a_frame(world, collected):
    frame = run_downstream(world, pd.DataFrame, lambda frame: frame, partition="a")

    assert {f"output.{name}" for name in Kind.model_fields} < set(frame.columns)
    assert frame["output.score"].dtype == "int64"
    assert frame["outcome"].tolist() == ["ok", "ok"]


def test_raw_outputs_come_line_by_line_as_the_provider_wrote_them(world, collected):
    lines = run_downstream(world, pa.Table, pa.Table.to_pylist, of="raw_outputs")

    folder = world.folder / "files" / "words" / "request_sets"
    stored = [path.read_bytes() for path in sorted(folder.rglob("*.output.jsonl"))]
    assert b"".join(row["line"] + b"\n" for row in lines) == b"".join(stored)
    assert {row["file"] for row in lines} == {"wave-0-shard-00000-attempt-1.output.jsonl"}


@pytest.mark.parametrize("annotation", [str, Path])
def test_a_bundle_comes_as_the_path_of_its_folder(world, collected, annotation):
    folder = run_downstream(world, annotation, lambda path: path, of="bundle", partition="b")

    assert isinstance(folder, annotation)
    assert pq.read_table(Path(folder) / "results.parquet").num_rows == 3


@pytest.mark.parametrize("annotation", [dict[str, Path], dict[str, str], dict])
def test_bundles_of_several_partitions_come_by_partition(world, collected, annotation):
    folders = run_downstream(world, annotation, dict, of="bundle")

    rows = {k: pq.read_table(Path(f) / "results.parquet").num_rows for k, f in folders.items()}
    assert rows == {"a": 2, "b": 3}


def test_bundles_of_several_partitions_are_not_one_path(world, collected):
    with pytest.raises(
        ArtifactError, match=r"bundles of 2 partitions: annotate it as dict\[str, P"
    ):
        run_downstream(world, Path, str, of="bundle")


def test_a_wrong_annotation_fails_with_those_that_work(world, collected):
    said = r"input 'things' is annotated as builtins\.set, which .* load.*pandas\.DataFrame"

    with pytest.raises(ArtifactError, match=said):
        run_downstream(world, set, set)


def test_results_can_be_loaded_in_a_notebook(world, collected):
    table = world.defs.load_asset_value(
        world.key("results"), partition_key="a", python_type=pa.Table, instance=world.instance
    )

    assert ids_of(table) == collected["a"]


def test_a_downstream_asset_is_stored_where_the_next_one_finds_it(world, collected):
    @dg.asset(
        ins={"results": dg.AssetIn(key=world.key("results"))},
        partitions_def=dg.StaticPartitionsDefinition(["a", "b"]),
        io_manager_key="batch_files",
    )
    def scores(results: pl.DataFrame) -> pl.DataFrame:
        return results.select("item_id", score=pl.col("output").struct.field("score"))

    @dg.asset(io_manager_key="batch_files")
    def report(scores: pd.DataFrame) -> pd.DataFrame:
        return scores.groupby("item_id", as_index=False).sum()

    world.declare(world.inference(world.corpus(a=2, b=3)), assets=[scores, report])
    for partition in ("a", "b"):
        world.run_asset("scores", partition=partition)
    world.run_asset("report")

    stored = pq.read_table(world.folder / "files" / "report.parquet")
    assert stored["item_id"].to_pylist() == collected["a"] + collected["b"]
    [event] = world.instance.fetch_materializations(dg.AssetKey("report"), limit=9).records
    assert event.asset_materialization.metadata["dagster/row_count"].value == 5


def test_a_downstream_asset_of_the_same_run_waits_for_the_results(world):
    """A plain run skips it, as the results are not there; it is not failed."""

    @dg.asset(
        ins={"results": dg.AssetIn(key=world.key("results"))},
        partitions_def=dg.StaticPartitionsDefinition(["a"]),
    )
    def mine(results: pa.Table) -> None: ...

    world.declare(world.inference(world.corpus(a=2)), assets=[mine])

    result = world.run(partition="a")

    assert result.success
    assert world.instance.get_materialized_partitions(dg.AssetKey("mine")) == set()
