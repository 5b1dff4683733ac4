"""Files as partitions: their keys, and how a file is found by one."""

import pytest
from corpus_files import cut, ids, numbers, written
from factories import a_table

from batch_assets.corpus import ByFile, Discovered
from batch_assets.corpus.partitioning import DiscoveredKeys
from batch_assets.domain.errors import CorpusError


def test_a_file_is_a_partition_that_the_sensor_registers(tmp_path):
    found = cut(tmp_path, Discovered())

    assert found.partitioning == DiscoveredKeys()
    assert found.partition_keys() == []

    written(tmp_path / "a.csv", a_table(3))

    assert found.partition_keys() == ["a"]
    assert ids(found.read("a", ["id"])) == numbers(range(3))


@pytest.mark.parametrize("pattern", ["", "*.jsonl", "**/*.jsonl", "f-*.json*"])
def test_a_file_is_found_by_its_key_though_others_cannot_be_listed(tmp_path, pattern):
    """Two files of one key cannot be listed; the one that is asked for is another."""
    written(tmp_path / "f-a.jsonl", a_table(3))
    written(tmp_path / "f-b.jsonl", a_table(3))
    written(tmp_path / "f-b.jsonl.gz", a_table(3))

    found = cut(tmp_path / pattern, Discovered())

    assert ids(found.read("f-a", ["id"])) == numbers(range(3))


@pytest.mark.parametrize("pattern", ["x-*.jsonl", "*.csv", "deeper/*.jsonl"])
def test_a_file_that_the_pattern_does_not_mean_is_no_partition(tmp_path, pattern):
    written(tmp_path / "a.jsonl", a_table(3))

    with pytest.raises(CorpusError, match="has no file for partition a: put it back"):
        ids(cut(tmp_path / pattern, Discovered()).read("a", ["id"]))


def test_a_key_is_the_path_below_the_root(tmp_path):
    written(tmp_path / "2026" / "may" / "a b.jsonl", a_table(3))

    found = cut(tmp_path / "**" / "*.jsonl", Discovered())

    assert found.partition_keys() == ["2026/may/a b"]
    assert ids(found.read("2026/may/a b", ["id"])) == numbers(range(3))


@pytest.mark.parametrize("hidden", [".a.csv", ".b/a.csv", "_delta_log/a.csv", "x/.y/a.csv"])
def test_files_and_folders_that_writers_keep_for_themselves_are_left_out(tmp_path, hidden):
    written(tmp_path / hidden, a_table(3))
    written(tmp_path / "x" / "b.csv", a_table(3))

    assert cut(tmp_path / "**" / "*.csv", ByFile()).partition_keys() == ["x/b"]


@pytest.mark.parametrize("name", ["a...b", "a\nb", "a\tb", "x...", "a\x07"])
def test_a_name_that_dagster_takes_for_no_key_is_refused_with_a_way_out(tmp_path, name):
    (tmp_path / f"{name}.csv").write_text("id\n1\n")

    with pytest.raises(CorpusError, match="Dagster takes no partition key with"):
        cut(tmp_path / "*.csv", ByFile()).partition_keys()
