"""A corpus that is an upstream asset, in runs: loaded by its IO manager, lineage, staleness."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.dataset as pads
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver
from dagster._core.loader import LoadingContextForTest
from factories import a_table

import batch_assets as ba
from batch_assets.assets.events import Materialized
from batch_assets.assets.upstream import loaded_in, upstream_keys, upstream_versions
from batch_assets.corpus.asset import AssetCorpus
from batch_assets.corpus.composite import CompositeCorpus
from batch_assets.corpus.corpus import Corpus

DAYS = dg.StaticPartitionsDefinition(["mon", "tue", "wed"])
RANGE = {"dagster/asset_partition_range_start": "mon", "dagster/asset_partition_range_end": "wed"}
REQUESTS = dg.AssetKey("requests")


class Location:
    """An upstream asset and an asset that reads a corpus, as `requests` does."""

    def __init__(self, folder: Path, instance: dg.DagsterInstance, corpus: Corpus) -> None:
        self.instance = instance
        self.read: dict[str, list[str]] = {}
        self.words = "oak"
        partitions = _first_asset(corpus).partitions_def

        @dg.asset(key=upstream_keys(corpus)[0], partitions_def=partitions, io_manager_key="files")
        def upstream(context: dg.AssetExecutionContext) -> pa.Table:
            key = context.partition_key if context.has_partition_key else "all"
            return a_table(1, word=[f"{self.words} {key}"])

        @dg.multi_asset(
            specs=[dg.AssetSpec(REQUESTS, deps=upstream_keys(corpus), skippable=True)],
            partitions_def=partitions or dg.StaticPartitionsDefinition(["all"]),
            backfill_policy=dg.BackfillPolicy.multi_run(500),
        )
        def requests(context: dg.AssetExecutionContext) -> Iterator[Any]:
            bound = loaded_in(context, corpus)
            for key in context.partition_keys:
                words = [
                    word
                    for rows in bound.read(key, ["word"])
                    for word in rows.batch.column("word").to_pylist()
                ]
                self.read[key] = words
                yield Materialized(
                    key=REQUESTS,
                    partition_key=key,
                    data_version=" ".join(words),
                    metadata={},
                    inputs=upstream_versions(context, corpus, key),
                ).event(context)

        resources = {"files": ba.BatchFilesIOManager(root=str(folder))}
        self.defs = dg.Definitions(assets=[upstream, requests], resources=resources)

    def run(self, name: str, partition: str | None = None, **tags: str) -> None:
        self.defs.resolve_implicit_global_asset_job_def().execute_in_process(
            asset_selection=[dg.AssetKey(name)],
            partition_key=partition,
            tags=tags,
            instance=self.instance,
        )

    def tags(self, key: dg.AssetKey, partition: str) -> dict[str, str]:
        """What the newest materialization of a partition says."""
        wanted = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[partition])
        record = self.instance.fetch_materializations(wanted, limit=1).records[0]
        return dict(record.asset_materialization.tags)

    def stale(self, partition: str) -> list[str]:
        """Why Dagster calls a partition of the reading asset stale."""
        resolver = CachingStaleStatusResolver(
            self.instance, self.defs.resolve_asset_graph(), LoadingContextForTest(self.instance)
        )
        return [cause.reason for cause in resolver.get_stale_causes(REQUESTS, partition)]


def _first_asset(corpus: Corpus) -> AssetCorpus:
    if isinstance(corpus, CompositeCorpus):
        corpus = dict(corpus.sources)["notes"]
    assert isinstance(corpus, AssetCorpus)
    return corpus


NOTES = AssetCorpus(key="notes", item_id="id", partitions_def=DAYS, value_type=pads.Dataset)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.mark.parametrize(
    "corpus", [NOTES, CompositeCorpus(sources={"notes": NOTES})], ids=["alone", "in a composite"]
)
def test_a_range_run_reads_each_partition_and_records_what_it_was_made_from(
    tmp_path, instance, corpus
):
    location = Location(tmp_path, instance, corpus)
    for key in DAYS.get_partition_keys():
        location.run("notes", key)

    location.run("requests", **RANGE)

    assert location.read == {"mon": ["oak mon"], "tue": ["oak tue"], "wed": ["oak wed"]}
    recorded = location.tags(REQUESTS, "tue")["dagster/input_data_version/notes"]
    assert recorded == location.tags(dg.AssetKey("notes"), "tue")["dagster/data_version"]


def test_only_the_partition_whose_upstream_changed_is_stale(tmp_path, instance):
    location = Location(tmp_path, instance, NOTES)
    for key in DAYS.get_partition_keys():
        location.run("notes", key)
    location.run("requests", **RANGE)
    assert [location.stale(key) for key in ("mon", "tue", "wed")] == [[], [], []]

    location.words = "elm"
    location.run("notes", "tue")

    assert location.stale("mon") == []
    assert location.stale("tue") == ["has a new dependency materialization"]
    location.run("requests", "tue")
    assert location.read["tue"] == ["elm tue"]
    assert location.stale("tue") == []


def test_an_asset_without_partitions_is_read_as_the_partition_all(tmp_path, instance):
    whole = AssetCorpus(key="notes", item_id="id", value_type=pads.Dataset)
    location = Location(tmp_path, instance, whole)
    location.run("notes")

    location.run("requests", "all")

    assert location.read == {"all": ["oak all"]}
    assert location.stale("all") == []
    location.words = "elm"
    location.run("notes")
    assert location.stale("all") == ["has a new dependency materialization"]
