"""What downstream assets store and load, over a local folder and over a bucket-like file system."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import fsspec
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest

from batch_assets.domain.errors import ArtifactError
from batch_assets.files import Files
from batch_assets.files.layout import results_path
from batch_assets.files.parquet import create_parquet
from batch_assets.resources.io_managers import BatchFilesIOManager

TABLE = pa.table({"id": ["x", "y"], "score": [1, 2]})
PARTITIONS = dg.StaticPartitionsDefinition(["a", "b", "c/d"])


@pytest.fixture(params=["local", "memory"])
def io_manager(request, tmp_path) -> Iterator[BatchFilesIOManager]:
    root = str(tmp_path) if request.param == "local" else "memory://bucket/root"
    yield BatchFilesIOManager(root=root)
    if request.param == "memory":
        fsspec.filesystem("memory").rm("/", recursive=True)


def output_context(name: str = "mine", partitions: tuple[str, str] | None = None) -> Any:
    spread = {}
    if partitions is not None:
        spread = {
            "asset_partitions_def": PARTITIONS,
            "asset_partition_key_range": dg.PartitionKeyRange(*partitions),
        }
    return dg.build_output_context(asset_key=dg.AssetKey(name.split("/")), **spread)


def input_context(
    annotation: Any = pa.Table,
    name: str = "mine",
    partitions: tuple[str, str] | None = None,
    *,
    of: dg.PartitionsDefinition = PARTITIONS,
    **metadata: Any,
) -> Any:
    spread = {}
    if partitions is not None:
        spread = {
            "asset_partitions_def": of,
            "asset_partition_key_range": dg.PartitionKeyRange(*partitions),
            "partition_key": partitions[0],
        }
    kind = dg.DagsterType(lambda _context, _value: True, name="any", typing_type=annotation)
    return dg.build_input_context(
        name="things",
        asset_key=dg.AssetKey(name.split("/")),
        dagster_type=kind,
        definition_metadata=metadata,
        **spread,
    )


def rows_of(loaded: Any) -> list[dict[str, Any]]:
    """The rows of whatever a table was loaded as."""
    match loaded:
        case pa.Table() | pa.RecordBatch():
            return loaded.to_pylist()
        case pads.Dataset():
            return loaded.to_table().to_pylist()
        case pa.RecordBatchReader():
            return loaded.read_all().to_pylist()
        case pd.DataFrame():
            return loaded.to_dict("records")
        case pl.LazyFrame():
            return loaded.collect().to_dicts()
        case _:
            return loaded.to_dicts()


ANNOTATIONS = pytest.mark.parametrize(
    "annotation",
    [pads.Dataset, pa.Table, pa.RecordBatchReader, pd.DataFrame, pl.DataFrame, pl.LazyFrame],
)


@ANNOTATIONS
def test_a_table_comes_as_what_the_input_is_annotated_with(io_manager, annotation):
    io_manager.handle_output(output_context(), TABLE)

    loaded = io_manager.load_input(input_context(annotation))

    assert isinstance(loaded, annotation)
    assert rows_of(loaded) == TABLE.to_pylist()


@pytest.mark.parametrize(
    "make", [lambda t: t, pa.Table.to_pandas, pl.from_arrow, lambda t: pl.from_arrow(t).lazy()]
)
def test_any_kind_of_table_can_be_stored(io_manager, make: Callable[[pa.Table], Any]):
    io_manager.handle_output(output_context(), make(TABLE))

    assert rows_of(io_manager.load_input(input_context())) == TABLE.to_pylist()


def test_each_partition_is_stored_and_loaded_for_itself(io_manager):
    for partition, score in (("a", 1), ("c/d", 2)):
        table = pa.table({"score": [score]})
        io_manager.handle_output(output_context(partitions=(partition, partition)), table)

    loaded = io_manager.load_input(input_context(partitions=("c/d", "c/d")))

    assert rows_of(loaded) == [{"score": 2}]


def test_a_run_over_a_range_stores_a_table_for_each_partition(io_manager):
    tables = {key: pa.table({"key": [key]}) for key in PARTITIONS.get_partition_keys()}

    io_manager.handle_output(output_context(partitions=("a", "c/d")), tables)

    everything = io_manager.load_input(input_context(partitions=("a", "c/d")))
    one = io_manager.load_input(input_context(partitions=("b", "b")))
    assert rows_of(everything) == [{"key": "a"}, {"key": "b"}, {"key": "c/d"}]
    assert rows_of(one) == [{"key": "b"}]


@pytest.mark.parametrize(
    ("partitions", "rows"),
    [(None, {"dagster/row_count": 2}), (("a", "a"), {"dagster/row_count": 2}), (("a", "b"), {})],
)
def test_the_row_count_is_told_where_it_is_of_one_partition(io_manager, partitions, rows):
    context = output_context(partitions=partitions)
    tables = TABLE if partitions is None else dict.fromkeys(sorted(set(partitions)), TABLE)

    io_manager.handle_output(context, tables)

    logged = context.get_logged_metadata()
    assert {name: value.value for name, value in logged.items()} == rows


def test_a_range_that_lacks_a_partition_is_refused_with_both_lists(io_manager):
    with pytest.raises(
        ArtifactError, match=r"mine returned \['a'\] for the partitions \['a', 'b'\]: return a dict"
    ):
        io_manager.handle_output(output_context(partitions=("a", "b")), {"a": TABLE})


def test_what_is_no_table_is_refused_by_its_type(io_manager):
    with pytest.raises(ArtifactError, match="returned NoneType, which is no table: return a pya"):
        io_manager.handle_output(output_context(), None)


def test_an_annotation_that_nothing_loads_as_is_refused_with_those_there_are(io_manager):
    io_manager.handle_output(output_context(), TABLE)

    with pytest.raises(
        ArtifactError, match=r"input 'things' is annotated as builtins\.dict.*pandas\.DataFrame"
    ):
        io_manager.load_input(input_context(dict))


def test_what_is_not_there_yet_is_refused_with_the_way_out(io_manager):
    with pytest.raises(ArtifactError, match=r"a\.parquet is not there yet: materialize mine for"):
        io_manager.load_input(input_context(partitions=("a", "a")))


# Results


def store_results(files: Files, partition: str, output: list[dict[str, Any]]) -> None:
    table = pa.table(
        {"item_id": [partition] * len(output), "output": output, "wave": [0] * len(output)}
    )
    with create_parquet(files, results_path("words", partition), table.schema) as sink:
        for batch in table.to_batches():
            sink.write(batch)


@ANNOTATIONS
def test_results_of_several_partitions_are_one_table(io_manager, annotation):
    store_results(io_manager.files, "a", [{"label": "plant"}])
    store_results(io_manager.files, "b", [{"label": "animal"}])

    loaded = io_manager.load_input(input_context(annotation, "words/results", ("a", "b")))

    label = "output.label" if annotation is pd.DataFrame else "output"
    rows = [row[label] for row in rows_of(loaded)]
    assert rows in (["plant", "animal"], [{"label": "plant"}, {"label": "animal"}])


def test_results_come_in_the_order_of_the_partitions_and_not_of_their_names(io_manager):
    days = dg.StaticPartitionsDefinition(["mon", "tue", "wed", "thu", "fri"])
    for day in reversed(days.get_partition_keys()):
        store_results(io_manager.files, day, [{"label": day}])

    context = input_context(pa.Table, "words/results", ("mon", "thu"), of=days)
    loaded = io_manager.load_input(context)

    assert loaded["item_id"].to_pylist() == ["mon", "tue", "wed", "thu"]


@ANNOTATIONS
def test_the_metadata_of_an_input_may_name_the_columns_that_are_loaded(io_manager, annotation):
    store_results(io_manager.files, "a", [{"label": "plant"}])

    context = input_context(annotation, "words/results", ("a", "a"), columns=["wave", "item_id"])
    loaded = io_manager.load_input(context)

    assert [list(row.items()) for row in rows_of(loaded)] == [[("wave", 0), ("item_id", "a")]]


@pytest.mark.parametrize("columns", [["item_id", "otcome"], "item_id"])
def test_columns_that_cannot_be_loaded_are_refused_with_those_there_are(io_manager, columns):
    store_results(io_manager.files, "a", [{"label": "plant"}])

    context = input_context(pa.Table, "words/results", ("a", "a"), columns=columns)

    with pytest.raises(ArtifactError, match=r"input 'things' names .*some of item_id, output, wav"):
        io_manager.load_input(context)


def store_vectors(files: Files) -> None:
    vectors = pa.array([[0.5, 1.0], None], pa.list_(pa.float32(), 2))
    table = pa.table({"item_id": ["x", "y"], "output": vectors})
    with create_parquet(files, results_path("words", "a"), table.schema) as sink:
        sink.write(table.to_batches()[0])


def test_vectors_are_arrays_in_a_pandas_frame(io_manager):
    store_vectors(io_manager.files)

    frame = io_manager.load_input(input_context(pd.DataFrame, "words/results", ("a", "a")))

    vector, missing = frame["output"]
    assert (vector.dtype, vector.tolist(), missing) == ("float32", [0.5, 1.0], None)


@pytest.mark.parametrize("annotation", [pl.DataFrame, pl.LazyFrame])
def test_vectors_are_of_one_width_in_a_polars_frame(io_manager, annotation):
    store_vectors(io_manager.files)

    frame = io_manager.load_input(input_context(annotation, "words/results", ("a", "a"))).lazy()

    assert frame.collect_schema()["output"] == pl.Array(pl.Float32, 2)
    assert frame.collect()["output"].to_list() == [[0.5, 1.0], None]


def test_a_pandas_frame_has_a_column_for_each_field_of_the_answer(io_manager):
    store_results(io_manager.files, "a", [{"label": "plant", "score": 3}])

    loaded = io_manager.load_input(input_context(pd.DataFrame, "words/results", ("a", "a")))

    assert list(loaded.columns) == ["item_id", "output.label", "output.score", "wave"]
    assert loaded["output.score"].tolist() == [3]


def test_partitions_of_an_older_and_a_newer_output_type_keep_all_their_fields(io_manager):
    store_results(io_manager.files, "a", [{"label": "plant"}])
    store_results(io_manager.files, "b", [{"label": "animal", "score": 3}])

    loaded = io_manager.load_input(input_context(pa.Table, "words/results", ("a", "b")))

    assert loaded["output"].to_pylist() == [
        {"label": "plant", "score": None},
        {"label": "animal", "score": 3},
    ]


def test_partitions_whose_output_types_contradict_each_other_are_refused(io_manager):
    store_results(io_manager.files, "a", [{"score": "high"}])
    store_results(io_manager.files, "b", [{"score": 3}])

    with pytest.raises(ArtifactError, match=r"words/results .*materialize the older ones again"):
        io_manager.load_input(input_context(pa.Table, "words/results", ("a", "b")))


@pytest.mark.parametrize("name", ["requests", "batches"])
def test_assets_that_hold_nothing_to_load_say_what_to_take_instead(io_manager, name):
    with pytest.raises(ArtifactError, match=f"words/{name} has nothing to load: depend on it"):
        io_manager.load_input(input_context(pa.Table, f"words/{name}", ("a", "a")))


@pytest.mark.parametrize("partitions", [None, ("a", "a")])
@pytest.mark.parametrize("name", ["requests", "raw_outputs", "results", "bundle"])
def test_an_asset_of_ones_own_may_be_named_like_ours(io_manager, name, partitions):
    io_manager.handle_output(output_context(f"mine/{name}", partitions), TABLE)

    loaded = io_manager.load_input(input_context(pa.Table, f"mine/{name}", partitions))

    assert rows_of(loaded) == TABLE.to_pylist()


@pytest.mark.parametrize("annotation", [Path, dict[str, Path]])
def test_the_bundle_in_a_bucket_is_a_url_and_no_path(annotation):
    root = "memory://bucket/bundles"
    results = pa.table({"request_set": ["d" * 64]})
    with create_parquet(Files(root), results_path("words", "a"), results.schema) as sink:
        for batch in results.to_batches():
            sink.write(batch)
    context = input_context(annotation, "words/bundle", ("a", "a"))

    with pytest.raises(ArtifactError, match=r"Path and would be memory://\S+, .*: annotate it as"):
        BatchFilesIOManager(root=root).load_input(context)


def test_stored_files_are_plain_parquet_below_the_root(tmp_path):
    BatchFilesIOManager(root=str(tmp_path)).handle_output(
        output_context("team/scores", ("c/d", "c/d")), TABLE
    )

    assert pq.read_table(tmp_path / "team" / "scores" / "c%2Fd.parquet") == TABLE
