"""prepare is a pure function of rows, prompt and model: the same input, the same bytes."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from factories import a_corpus, a_recipe, a_table
from pydantic import BaseModel
from stage_store import contents, written_at
from stage_world import LIMITS

from batch_assets.corpus import FileCorpus
from batch_assets.domain.errors import CorpusError
from batch_assets.domain.shard import Limits
from batch_assets.files import Files
from batch_assets.files.store import NewFile
from batch_assets.stages.prepare import prepare

# The same input


IN_ANOTHER_PROCESS = """
import sys
from pathlib import Path
from factories import a_corpus, a_recipe, a_table
from batch_assets.domain.shard import Limits
from batch_assets.files import Files
from batch_assets.stages.prepare import prepare
corpus, store = map(Path, sys.argv[1:])
words = [f"word {row % 7}" for row in range(40)]
recipe = a_recipe(a_corpus(corpus, a_table(40, word=words)))
prepare(recipe, "p", files=Files(str(store)), limits=Limits(requests=3, bytes=100_000))
"""


def test_another_process_writes_the_same_bytes(prepared, tmp_path):
    """Python's string hashes differ between processes; nothing that is stored may."""
    there, here = tmp_path / "there", tmp_path / "here"
    words = [f"word {row % 7}" for row in range(40)]
    prepared(
        a_table(40, word=words), limits=Limits(requests=3, bytes=100_000), into=Files(str(here))
    )

    subprocess.run(
        [sys.executable, "-c", IN_ANOTHER_PROCESS, tmp_path / "corpus", there],
        env=os.environ | {"PYTHONHASHSEED": "1", "PYTHONPATH": str(Path(__file__).parents[1])},
        check=True,
    )

    assert contents(there) == contents(here)
    assert sorted(Path(name).name for name in contents(there)) == [
        "items.parquet",
        "manifest.json",
        "wave-0-shard-00000.jsonl",
        "wave-0-shard-00001.jsonl",
        "wave-0-shard-00002.jsonl",
    ]


def test_nothing_is_written_again(prepared, files):
    first = prepared(5)
    before = written_at(files)

    assert prepared(5) == first
    assert written_at(files) == before


def _touched(file: Path) -> None:
    os.utime(file, (1, 1))


def _copied(file: Path) -> None:
    content = file.read_bytes()
    file.unlink()
    file.write_bytes(content)


def _compressed_otherwise(file: Path) -> None:
    pq.write_table(pq.read_table(file), file, compression="gzip", row_group_size=2)


def _without_dictionaries(file: Path) -> None:
    pq.write_table(pq.read_table(file), file, use_dictionary=False)


def _with_wide_strings(file: Path) -> None:
    pq.write_table(
        a_table(5).cast(pa.schema([(n, pa.large_string()) for n in ("id", "word")])), file
    )


def _with_categories(file: Path) -> None:
    table = pq.read_table(file)
    pq.write_table(table.set_column(1, "word", table["word"].dictionary_encode()), file)


def _with_a_column_nobody_reads(file: Path) -> None:
    pq.write_table(pq.read_table(file).append_column("unread", [range(5)]), file)


def _with_columns_in_another_order(file: Path) -> None:
    pq.write_table(pq.read_table(file).select(["word", "id"]), file)


@pytest.mark.parametrize(
    "rewrite",
    [
        _touched,
        _copied,
        _compressed_otherwise,
        _without_dictionaries,
        _with_wide_strings,
        _with_categories,
        _with_a_column_nobody_reads,
        _with_columns_in_another_order,
    ],
)
def test_a_file_with_the_same_rows_is_the_same_request_set(prepared, tmp_path, files, rewrite):
    first = prepared(5)
    rewrite(tmp_path / "corpus" / "p.parquet")
    recipe = a_recipe(FileCorpus(path=str(tmp_path / "corpus"), item_id="id"))

    assert prepare(recipe, "p", files=files, limits=LIMITS) == first


def test_a_corpus_in_another_place_is_the_same_request_set(prepared, tmp_path):
    here = prepared(5)
    elsewhere = a_recipe(a_corpus(tmp_path / "elsewhere", 5))

    there = prepare(elsewhere, "p", files=Files(str(tmp_path / "other")), limits=LIMITS)

    assert there.digest == here.digest
    assert [shard.sha256 for shard in there.shards] == [shard.sha256 for shard in here.shards]


# Another input


class Score(BaseModel):
    score: int


CHANGES: dict[str, dict[str, Any]] = {
    "prompt": {"user": "The word: {{ word }}"},
    "system prompt": {"system": "Say it."},
    "no system prompt": {"system": None},
    "model": {"model": "gpt-4o-mini"},
    "settings": {"settings": {"max_completion_tokens": 100}},
    "schema": {"output": Score},
    "word": {"rows": a_table(3, word=["word 0", "word 1", "word 3"])},
    "id": {"rows": a_table(3, id=["i-0", "i-1", "i-3"])},
    "order": {"rows": a_table(3).take([1, 0, 2])},
    "one row more": {"rows": 4},
    "a character in the next row": {"rows": a_table(3, word=["word ", "0word 1", "word 2"])},
}


@pytest.mark.parametrize("change", CHANGES)
def test_another_input_is_another_request_set_beside_the_first(prepared, files, change):
    first = prepared(3)
    before = contents(Path(files.root))

    second = prepared(**({"rows": 3} | CHANGES[change]))

    assert second.digest != first.digest
    assert contents(Path(files.root)).items() >= before.items()


def test_inputs_that_ask_the_same_are_one_request_set(prepared):
    texts = [a_table(2, word=["a", word]) for word in ("", None)]

    digests = {prepared(rows, user="{{ word or '' }}").digest for rows in texts}

    assert len(digests) == 1


# Rows that break a rule


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        (a_table(3, id=["a", None, "c"]), r"p\.parquet, row 1: 'id' is null.*fill it in"),
        (a_table(3, id=["a", "", "c"]), r"p\.parquet, row 1: 'id' is empty.*fill it in"),
        (
            a_table(4, id=["a", "b", "a", "b"]),
            r"p\.parquet, row 0; .*row 2: item id 'a' is there 2 times \(2 ids .*remove",
        ),
        (a_table(0), r"p\.parquet: partition p has no rows; fill it or take it out"),
        (a_table(2, word=["a", None]), r"p\.parquet, row 1: word is null.*fill it in"),
    ],
)
def test_a_row_that_breaks_a_rule_is_named_before_anything_is_written(
    prepared, files, rows, complaint
):
    """Row 24: a repeated id would overwrite another item's result."""
    with pytest.raises(CorpusError, match=complaint):
        prepared(rows)

    assert contents(Path(files.root)) == {}


def test_a_repeated_id_is_found_however_far_apart(prepared):
    ids = [f"i-{row}" for row in range(3000)]

    with pytest.raises(CorpusError, match=r"row 0; .*row 2999: item id 'i-0' is there 2 times"):
        prepared(a_table(3000, id=[*ids[:-1], "i-0"]))


def test_a_row_that_cannot_be_rendered_is_found_however_far_down(prepared, files):
    words = [f"word {row}" for row in range(2499)]

    with pytest.raises(CorpusError, match=r"row 2499: word is null"):
        prepared(a_table(2500, word=[*words, None]), limits=Limits(requests=1000, bytes=10**7))

    assert contents(Path(files.root)) == {}


# Interruptions


class CrashingFiles(Files):
    """Stops, as a full disk does, when the n-th file is begun or takes its name."""

    def __init__(self, root: str, stop_at: int) -> None:
        super().__init__(root)
        self._left = stop_at

    @contextmanager
    def create(self, path: str) -> Iterator[NewFile]:
        self._count()
        with super().create(path) as new:
            yield new
            self._count()

    def _count(self) -> None:
        self._left -= 1
        if self._left == 0:
            raise OSError("the disk is full")


@pytest.mark.parametrize("stop_at", range(1, 11))
def test_an_interrupted_preparation_is_made_whole_by_the_next(prepared, tmp_path, stop_at):
    limits = Limits(requests=3, bytes=10**6)
    with pytest.raises(OSError, match="full"):
        prepared(9, limits=limits, into=CrashingFiles(str(tmp_path / "a"), stop_at))
    assert not any(Path(name).name == "manifest.json" for name in contents(tmp_path / "a"))

    prepared(9, limits=limits, into=Files(str(tmp_path / "a")))

    prepared(9, limits=limits, into=Files(str(tmp_path / "b")))
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


class ChangingCorpus(FileCorpus):
    """Somebody writes the file anew once it was read."""

    def read(self, partition_key: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        yield from super().read(partition_key, columns)
        a_corpus(Path(self.path), self._next)

    _next: pa.Table


@pytest.mark.parametrize(
    "later",
    [
        a_table(3, word=["word 0", "word 1", "another"]),
        a_table(3, id=["i-0", "i-1", "another"]),
        a_table(3).take([0, 2, 1]),
        a_table(2),
        a_table(4),
    ],
    ids=["word", "id", "order", "fewer", "more"],
)
def test_a_file_that_changes_while_it_is_read_is_no_request_set(tmp_path, files, later):
    a_corpus(tmp_path / "corpus", 3)
    corpus = ChangingCorpus(path=str(tmp_path / "corpus"), item_id="id")
    object.__setattr__(corpus, "_next", later)

    with pytest.raises(CorpusError, match=r"p\.parquet: it changed while it was read"):
        prepare(a_recipe(corpus), "p", files=files, limits=LIMITS)

    assert not any(Path(name).name == "manifest.json" for name in contents(Path(files.root)))


@pytest.mark.parametrize("lost", ["wave-0-shard-00001.jsonl", "items.parquet"])
def test_a_lost_file_is_written_again_as_it_was(prepared, files, lost):
    """Some shards may be at the provider: other limits must not cut them otherwise."""
    prepared(9, limits=Limits(requests=3, bytes=10**6))
    before = contents(Path(files.root))
    next(Path(files.root).rglob(lost)).unlink()

    prepared(9, limits=Limits(requests=100, bytes=10**6))

    assert contents(Path(files.root)) == before
