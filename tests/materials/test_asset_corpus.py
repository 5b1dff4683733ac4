"""An upstream asset's values as items: every kind of table, one partition at a time."""

import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest
from factories import a_table

import batch_assets as ba
from batch_assets.corpus.asset import AssetCorpus
from batch_assets.corpus.partitioning import GivenPartitions, StaticKeys
from batch_assets.domain.errors import CorpusError, DeclarationError

ROWS = 50_000

DAYS = dg.StaticPartitionsDefinition(["mon", "tue", "wed"])


def corpus(**over: Any) -> AssetCorpus:
    return AssetCorpus(**{"key": "warehouse/notes", "item_id": "id", **over})


def words(corpus: AssetCorpus, key: str = "all") -> list[str]:
    batches = (rows.batch for rows in corpus.read(key, ["word"]))
    return [word for batch in batches for word in batch.column("word").to_pylist()]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stored") / "notes.parquet"
    pq.write_table(a_table(ROWS), path, row_group_size=10_000)
    return path


def reader(path: Path) -> pa.RecordBatchReader:
    return pads.dataset(path).scanner(batch_size=10_000).to_reader()


#: What an asset may return, made from a Parquet file.
KINDS: dict[str, Callable[[Path], Any]] = {
    "pyarrow Table": pq.read_table,
    "pyarrow RecordBatch": lambda path: pq.read_table(path).combine_chunks().to_batches()[0],
    "pyarrow Dataset": pads.dataset,
    "pyarrow RecordBatchReader": reader,
    "pandas DataFrame": pd.read_parquet,
    "polars DataFrame": pl.read_parquet,
    "polars LazyFrame": pl.scan_parquet,
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_table_streams_in_its_order_each_time_it_is_read(stored, kind):
    notes = corpus().bound(lambda _: KINDS[kind](stored))

    for _ in ("first", "second"):
        batches = list(notes.read("all", ["word", "id"]))
        read = pa.Table.from_batches(rows.batch for rows in batches)
        assert read.column_names == ["word", "id"]
        assert max(rows.batch.num_rows for rows in batches) <= 1024
        assert read.column("id").to_pylist() == [f"i-{n}" for n in range(ROWS)]
        assert [place for rows in batches for place in rows.positions] == list(range(ROWS))
    assert notes.schema("all").names == ["id", "word"]


def test_a_partition_is_loaded_once_however_often_it_is_read():
    loaded: list[str] = []
    notes = corpus(partitions_def=DAYS).bound(lambda key: loaded.append(key) or a_table(2))

    for key in ("mon", "tue"):
        notes.schema(key)
        words(notes, key)
        words(notes, key)

    assert loaded == ["mon", "tue"]


def test_one_partitions_value_is_gone_before_the_next_is_loaded():
    loaded: list[weakref.ref[pa.Table]] = []
    alive: list[int] = []

    def load(_: str) -> pa.Table:
        alive.append(sum(earlier() is not None for earlier in loaded))
        table = a_table(2)
        loaded.append(weakref.ref(table))
        return table

    notes = corpus(partitions_def=DAYS).bound(load)
    for key in DAYS.get_partition_keys():
        assert words(notes, key) == ["word 0", "word 1"]

    assert alive == [0, 0, 0]


def test_the_asset_is_named_with_its_partition():
    assert corpus(partitions_def=DAYS).source_ref("mon") == "asset warehouse/notes, partition mon"
    assert corpus().source_ref("all") == "asset warehouse/notes"


@pytest.mark.parametrize(
    "key", ["warehouse/notes", ["warehouse", "notes"], dg.AssetKey(["warehouse", "notes"])]
)
def test_a_key_is_given_as_dagster_takes_it(key):
    assert corpus(key=key).path == ["warehouse", "notes"]


def test_the_inference_has_the_assets_partitions():
    assert corpus(partitions_def=DAYS).partitioning == GivenPartitions(definition=DAYS)
    assert corpus(partitions_def=DAYS).partition_keys() == ["mon", "tue", "wed"]


def test_an_asset_without_partitions_is_one_partition():
    assert corpus().partitioning == StaticKeys(keys=("all",))
    assert corpus().partition_keys() == ["all"]


def test_dynamic_partitions_are_known_to_dagster_only():
    dynamic = corpus(partitions_def=dg.DynamicPartitionsDefinition(name="files"))

    with pytest.raises(CorpusError, match="ask Dagster's instance"):
        dynamic.partition_keys()


def test_partitions_of_several_dimensions_are_refused():
    several = dg.MultiPartitionsDefinition({"day": DAYS, "country": DAYS})

    with pytest.raises(DeclarationError, match="several dimensions"):
        corpus(partitions_def=several)


def test_nothing_is_read_outside_of_a_run():
    assert not corpus().opens_at_load
    with pytest.raises(CorpusError, match=r"warehouse/notes: .* by a run of Dagster's only"):
        corpus().schema("all")


def test_a_column_that_the_value_does_not_have_is_refused():
    with pytest.raises(CorpusError, match="no column 'text'; its columns are id, word: correct"):
        list(corpus().bound(lambda _: a_table(2)).read("all", ["text"]))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "NoneType is no table"),
        ({"mon": a_table(1)}, "dict is no table"),
        (pd.DataFrame({"id": [1, "a"]}), "column 'id' holds values of several types"),
    ],
)
def test_a_value_that_is_no_table_is_refused_with_what_may_be_returned(value, said):
    with pytest.raises(CorpusError, match=f"warehouse/notes: {said}.*: return a pyarrow Table"):
        corpus().bound(lambda _: value).schema("all")


def test_what_an_io_manager_raises_is_told_with_the_way_out():
    def load(_: str) -> None:
        raise RuntimeError("bucket gone")

    with pytest.raises(CorpusError, match=r"RuntimeError: bucket gone\); materialize the asset"):
        corpus().bound(load).schema("all")


def test_a_damaged_file_behind_a_dataset_is_named(stored, tmp_path):
    content = bytearray(stored.read_bytes())
    content[1_000:200_000] = bytes(199_000)
    (tmp_path / "notes.parquet").write_bytes(content)
    damaged = corpus().bound(lambda _: pads.dataset(tmp_path / "notes.parquet"))

    with pytest.raises(CorpusError, match="warehouse/notes, at row 0 or after it: cannot be read"):
        words(damaged)


#: Partitions of an upstream asset, and a key of each.
PARTITIONS = [
    pytest.param(DAYS, "tue", id="static"),
    pytest.param(dg.DailyPartitionsDefinition("2026-01-01"), "2026-01-02", id="time windows"),
    pytest.param(dg.DynamicPartitionsDefinition(name="files"), "f/ä 1", id="dynamic"),
    pytest.param(None, "all", id="none"),
]


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("files", ["f/ä 1"])
        yield instance


@pytest.mark.parametrize(("partitions", "key"), PARTITIONS)
def test_a_run_loads_a_value_through_the_upstreams_own_io_manager(
    tmp_path, instance, partitions, key
):
    notes = corpus(partitions_def=partitions, value_type=pads.Dataset)
    read: list[str] = []

    @dg.asset(key=notes.path, partitions_def=partitions, io_manager_key="files")
    def upstream() -> pa.Table:
        return a_table(3)

    @dg.multi_asset(
        specs=[dg.AssetSpec("requests", deps=[dg.AssetKey(notes.path)], skippable=True)],
        partitions_def=partitions or dg.StaticPartitionsDefinition(["all"]),
    )
    def requests(context: dg.AssetExecutionContext) -> None:
        bound = notes.bound(
            lambda each: context.load_asset_value(
                dg.AssetKey(notes.path),
                python_type=notes.value_type,
                partition_key=each if partitions else None,
            )
        )
        for each in context.partition_keys:
            read.extend(words(bound, each))

    resources = {"files": ba.BatchFilesIOManager(root=str(tmp_path))}
    assets, run = [upstream, requests], {"resources": resources, "instance": instance}
    dg.materialize(assets, selection=[upstream], partition_key=partitions and key, **run)
    dg.materialize(assets, selection=[requests], partition_key=key, **run)

    assert read == ["word 0", "word 1", "word 2"]


def test_a_run_over_a_range_of_partitions_has_one_of_them_in_memory(tmp_path, instance):
    notes = corpus(partitions_def=DAYS)
    read: dict[str, list[str]] = {}
    stored: dict[str, pa.Table] = {}

    class Shelf(dg.IOManager):
        loads: list[list[str]] = []  # noqa: RUF012

        def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
            stored[context.partition_key] = obj

        def load_input(self, context: dg.InputContext) -> Any:
            self.loads.append(list(context.asset_partition_keys))
            return stored[context.partition_key]

    @dg.asset(key=notes.path, partitions_def=DAYS, io_manager_key="shelf")
    def upstream(context: dg.AssetExecutionContext) -> pa.Table:
        return a_table(1, word=[context.partition_key])

    @dg.multi_asset(
        specs=[dg.AssetSpec("requests", deps=[dg.AssetKey(notes.path)], skippable=True)],
        partitions_def=DAYS,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def requests(context: dg.AssetExecutionContext) -> None:
        key = dg.AssetKey(notes.path)
        bound = notes.bound(lambda each: context.load_asset_value(key, partition_key=each))
        for each in context.partition_keys:
            read[each] = words(bound, each)

    run = {"resources": {"shelf": Shelf()}, "instance": instance}
    for key in DAYS.get_partition_keys():
        dg.materialize([upstream], partition_key=key, **run)
    tags = {
        "dagster/asset_partition_range_start": "mon",
        "dagster/asset_partition_range_end": "wed",
    }
    dg.materialize([upstream, requests], selection=[requests], tags=tags, **run)

    assert read == {"mon": ["mon"], "tue": ["tue"], "wed": ["wed"]}
    assert Shelf.loads == [["mon"], ["tue"], ["wed"]]
