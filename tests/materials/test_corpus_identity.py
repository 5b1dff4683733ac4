"""What a corpus's rows are known by: what they say, never where or since when they lie."""

import os
import shutil
from pathlib import Path

import pytest
from corpus_files import content_of
from factories import a_recipe, a_table

from batch_assets.corpus import ByRows, FileCorpus
from batch_assets.domain.shard import Limits
from batch_assets.files import Files
from batch_assets.stages.prepare import prepare


def digest(tmp_path: Path, path: Path, key: str, **over: object) -> str:
    corpus = FileCorpus(path=str(path), item_id="id", **over)
    limits = Limits(requests=50_000, bytes=200_000_000)
    return prepare(a_recipe(corpus), key, files=Files(str(tmp_path / "f")), limits=limits).digest


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "corpus" / "p.jsonl"
    found.parent.mkdir()
    found.write_bytes(content_of(a_table(2_000), "jsonl"))
    return found


def test_a_file_that_is_touched_moved_or_copied_is_the_same(tmp_path, path):
    before = digest(tmp_path, path, "p")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    os.utime(path, (1, 1))
    assert digest(tmp_path, path, "p") == before
    shutil.copy(path, elsewhere / "p.jsonl")
    assert digest(tmp_path, elsewhere, "p") == before
    path.rename(elsewhere / "q.jsonl")
    assert digest(tmp_path, elsewhere / "*.jsonl", "q") == before


@pytest.mark.parametrize("ending", ["csv", "tsv.gz", "parquet", "jsonl.zst"])
def test_a_file_that_is_written_in_another_format_is_the_same(tmp_path, path, ending):
    (tmp_path / f"p.{ending}").write_bytes(content_of(a_table(2_000), ending))

    assert digest(tmp_path, tmp_path / f"p.{ending}", "p") == digest(tmp_path, path, "p")


def test_one_changed_row_is_seen_though_size_and_time_stay(tmp_path, path):
    before, times = digest(tmp_path, path, "p"), path.stat()

    path.write_bytes(path.read_bytes().replace(b"word 1234", b"ward 1234"))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    assert path.stat().st_size == times.st_size
    assert digest(tmp_path, path, "p") != before


def test_a_row_that_changes_changes_its_own_part_alone(tmp_path, path):
    cut = {"partition_by": ByRows(500)}
    keys = FileCorpus(path=str(path), item_id="id", **cut).partition_keys()
    before = [digest(tmp_path, path, key, **cut) for key in keys]

    path.write_bytes(path.read_bytes().replace(b"word 1234", b"ward 1234"))

    after = [digest(tmp_path, path, key, **cut) for key in keys]
    assert [old == new for old, new in zip(before, after, strict=True)] == [True, True, False, True]
