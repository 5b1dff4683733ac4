"""A deployment with its corpus and its store in a bucket: all assets, and what reads them."""

import json
from typing import Any

import dagster as dg
import fsspec
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest
from corpus_files import content_of
from factories import a_table

import batch_assets as ba

#: Item ids by partition, whose names are no good as paths.
ITEMS = {"2026/x..y%2F": ["a", "b"], "2026/ünï 1": ["a", "b", "c"]}
FIRST, SECOND = ITEMS


class InBucket:
    """The world of a test, declared over a bucket."""

    def __init__(self, world: Any, bucket: Any) -> None:
        self.world = world
        self.root = f"{bucket.url}/store"
        for key, ids in ITEMS.items():
            rows = a_table(len(ids), id=ids, word=[f"{key} {id_}" for id_ in ids])
            bucket.put(f"corpus/{key}.parquet", content_of(rows, "parquet"))
        self.corpus = ba.FileCorpus(path=f"{bucket.url}/corpus/**/*.parquet", item_id="id")
        self.declare()

    def declare(self, *assets: dg.AssetsDefinition) -> None:
        """The inference, and assets of a user's own beside it."""
        store = ba.BatchFilesIOManager(root=self.root)
        self.world.declare(self.world.inference(self.corpus), assets=assets, batch_files=store)

    def loaded(self, of: str, annotation: Any, partition: str | None = None) -> Any:
        """What an asset gets whose input has the annotation; without a partition, of all."""
        seen: list[Any] = []
        partitions = dg.StaticPartitionsDefinition(list(ITEMS)) if partition else None

        def mine(things: Any) -> None:
            seen.append(things.read_all() if annotation is pa.RecordBatchReader else things)

        mine.__annotations__["things"] = annotation
        ins = {"things": dg.AssetIn(key=self.world.key(of))}
        self.declare(dg.asset(ins=ins, partitions_def=partitions)(mine))
        self.world.run_asset("mine", partition=partition)
        [found] = seen
        return found


@pytest.fixture
def carried(world, bucket, monkeypatch) -> InBucket:
    """With every asset of both partitions materialized."""
    monkeypatch.setitem(fsspec.config.conf, "s3", bucket.options)
    deployed = InBucket(world, bucket)
    world.run("requests", "batches", between=(FIRST, SECOND))
    for run in world.collect():
        assert run.success
    return deployed


def items_in(results: Any) -> list[str]:
    """The item ids in whatever the results were loaded as."""
    match results:
        case pads.Dataset():
            results = results.to_table()
        case pl.LazyFrame():
            results = results.collect()
    return [str(item) for item in results["item_id"]]


def test_all_that_an_inference_makes_is_in_the_bucket(carried, world, bucket):
    for name in ("requests", "batches", "raw_outputs", "results", "bundle"):
        assert world.materialized(name) == set(ITEMS)
    assert world.sent() == len(ITEMS)
    assert not (world.folder / "files").exists()

    [raw] = world.materializations("raw_outputs", FIRST)
    [results] = world.materializations("results", FIRST)
    [output] = [record.data["file"] for record in raw.metadata["files"].records]
    elsewhere = bucket.elsewhere()
    assert elsewhere.cat_file(output).count(b"\n") == len(ITEMS[FIRST])
    with elsewhere.open(results.metadata["dagster/uri"].value) as file:
        assert pq.read_table(file)["item_id"].to_pylist() == ITEMS[FIRST]


def test_downstream_assets_load_from_the_bucket_what_their_inputs_ask_for(carried, bucket):
    kinds = [pads.Dataset, pa.Table, pa.RecordBatchReader, pd.DataFrame, pl.DataFrame, pl.LazyFrame]
    for kind in kinds:
        assert items_in(carried.loaded("results", kind)) == ITEMS[FIRST] + ITEMS[SECOND]

    lines = carried.loaded("raw_outputs", pa.Table, SECOND)["line"].to_pylist()
    assert [json.loads(line)["response"]["status_code"] for line in lines] == [200, 200, 200]

    folders = carried.loaded("bundle", dict[str, str])
    assert {
        key: pq.read_table(f"{folder}/results.parquet", filesystem=bucket.elsewhere()).num_rows
        for key, folder in folders.items()
    } == {FIRST: 2, SECOND: 3}


def test_a_downstream_asset_is_stored_in_the_bucket_where_the_next_one_finds_it(carried, bucket):
    @dg.asset(
        ins={"results": dg.AssetIn(key=carried.world.key("results"))},
        partitions_def=dg.StaticPartitionsDefinition(list(ITEMS)),
        io_manager_key="batch_files",
    )
    def scores(results: pl.DataFrame) -> pl.DataFrame:
        return results.select("item_id", score=pl.col("output").struct.field("score"))

    @dg.asset(io_manager_key="batch_files")
    def report(scores: pd.DataFrame) -> pd.DataFrame:
        return scores.groupby("item_id", as_index=False).count()

    carried.declare(scores, report)
    for partition in ITEMS:
        carried.world.run_asset("scores", partition=partition)
    carried.world.run_asset("report")

    with bucket.elsewhere().open(f"{carried.root}/report.parquet") as file:
        assert pq.read_table(file).to_pydict() == {"item_id": ["a", "b", "c"], "score": [2, 2, 1]}
