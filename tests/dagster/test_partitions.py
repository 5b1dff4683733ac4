"""A corpus's partitions as Dagster's."""

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
from factories import a_corpus

from batch_assets.corpus import ByColumn, ByRows, ByTime, Corpus, Discovered, FileCorpus
from batch_assets.corpus.partitioning import GivenPartitions, StaticKeys
from batch_assets.domain.errors import CorpusError
from batch_assets.partitions import partitions_of

START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    a_corpus(tmp_path / "corpus", 5, key="a")
    return tmp_path / "corpus"


def corpus(folder: Path, **over: object) -> FileCorpus:
    return FileCorpus(path=str(folder), item_id="id", **over)


@pytest.mark.parametrize(
    ("over", "keys"),
    [
        ({}, ["a"]),
        ({"partition_by": ByRows(2)}, ["a/part-00000", "a/part-00001", "a/part-00002"]),
        ({"partition_by": ByColumn("word", ("x y", "ü/ñ"))}, ["x y", "ü/ñ"]),
    ],
)
def test_keys_that_are_known_are_static(folder, over, keys):
    found = partitions_of(corpus(folder, **over), "words")

    assert isinstance(found, dg.StaticPartitionsDefinition)
    assert found.get_partition_keys() == keys


@pytest.mark.parametrize(
    ("cadence", "keys"),
    [
        ("hourly", ["2026-01-01-00:00", "2026-01-01-01:00"]),
        ("daily", ["2026-01-01", "2026-01-02"]),
        ("weekly", ["2026-01-04", "2026-01-11"]),
        ("monthly", ["2026-01-01", "2026-02-01"]),
    ],
)
def test_times_are_windows(folder, cadence, keys):
    by = ByTime("at", cadence, START, END)

    found = partitions_of(corpus(folder, partition_by=by), "words")

    assert isinstance(found, dg.TimeWindowPartitionsDefinition)
    assert found.get_partition_keys()[:2] == keys
    assert found.get_partition_keys() == corpus(folder, partition_by=by).partition_keys()


def test_files_that_are_discovered_are_dynamic_and_the_inferences_own(folder):
    found = partitions_of(corpus(folder, partition_by=Discovered()), "words")

    assert isinstance(found, dg.DynamicPartitionsDefinition)
    assert found.name == "words_partitions"


class UpstreamCorpus(FileCorpus):
    """Has the partitions of another asset."""

    given = dg.StaticPartitionsDefinition(["x"])

    @property
    def partitioning(self) -> GivenPartitions:
        return GivenPartitions(definition=self.given)


def test_partitions_that_are_given_are_taken_as_they_are(folder):
    found: Corpus = UpstreamCorpus(path=str(folder), item_id="id")

    assert partitions_of(found, "words") is UpstreamCorpus.given


@pytest.mark.parametrize("keys", [("a...b",), ("a\nb",), ("a", "a")])
def test_keys_that_dagster_refuses_are_refused_with_a_way_out(folder, keys):
    class RefusedCorpus(FileCorpus):
        @property
        def partitioning(self) -> StaticKeys:
            return StaticKeys(keys=keys)

    with pytest.raises(CorpusError, match=r"the partition keys of words: .* other keys"):
        partitions_of(RefusedCorpus(path=str(folder), item_id="id"), "words")


def test_dagster_carries_keys_of_any_letters():
    """Through a run, its tags and its materialization."""
    keys = ["a/b c", "ü/ñ 👩‍👩‍👧", ".a", "a.b.c", "x" * 1_000, "key=value", "[a]|b,c"]

    @dg.asset(partitions_def=dg.StaticPartitionsDefinition(keys))
    def asked(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        return dg.MaterializeResult(metadata={"key": context.partition_key})

    with dg.DagsterInstance.ephemeral() as instance:
        for key in keys:
            dg.materialize([asked], partition_key=key, instance=instance)

        assert instance.get_materialized_partitions(dg.AssetKey("asked")) == set(keys)
