"""Results as files for people: whole, in the format the name says, and safe to open."""

import bz2
import csv
import gzip
import json
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from factories import a_table

from batch_assets.corpus import FileCorpus
from batch_assets.domain.errors import ArtifactError
from batch_assets.files import Files
from batch_assets.files.layout import results_path
from batch_assets.stages.tables import results_reader
from batch_assets.stages.written import write_results


def write(table: pa.Table, path: Path | str, *args: Any, **over: Any) -> int:
    return write_results(table.to_reader(), path, *args, **over)


# The whole way


@pytest.fixture
def done(a_world):
    world = a_world(a_table(2000, word=["=cmd()", *(f"word {row}" for row in range(1999))]))
    world.carry()
    return world


ENDINGS = ["parquet"] + [
    text + packing for text in ("csv", "tsv", "jsonl") for packing in ("", ".gz", ".zst")
]


@pytest.mark.parametrize("ending", ENDINGS)
def test_results_beside_their_input_are_read_back_by_our_own_corpus(done, tmp_path, ending):
    columns = ["item_id", "outcome", "output"]
    reader = results_reader(done.files, done.recipe, columns=columns, input_columns=["word"])
    path = tmp_path / "out" / f"all.{ending}"

    assert write_results(reader, path) == 2000

    nested = ending.startswith(("parquet", "jsonl"))
    corpus = FileCorpus(path=str(path), item_id="item_id")
    word = "input" if nested else "input.word"
    rows = [row for part in corpus.read("all", ["item_id", word]) for row in part.batch.to_pylist()]
    assert [row["item_id"] for row in rows] == [f"i-{row}" for row in range(2000)]
    assert rows[1][word] == ({"word": "word 0"} if nested else "word 0")
    assert rows[0][word] == ({"word": "=cmd()"} if nested else "'=cmd()")


def test_a_parquet_file_is_the_results(done, tmp_path):
    write_results(results_reader(done.files, done.recipe), tmp_path / "all.parquet")

    assert pq.read_table(tmp_path / "all.parquet").equals(done.table())


def test_fields_of_the_answer_are_columns_of_a_csv_file(done, tmp_path):
    reader = results_reader(done.files, done.recipe, columns=["item_id", "output"])

    write_results(reader, tmp_path / "all.csv")

    with (tmp_path / "all.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["item_id", "output.label", "output.words", "output.score"]
    assert rows[2][0] == "i-1"
    assert json.loads(rows[2][2]) == ["Word: word 0"]


# The file


@pytest.mark.parametrize(
    ("name", "unpacked"),
    [("a.csv", bytes), ("a.csv.gz", gzip.decompress), ("a.csv.bz2", bz2.decompress)],
)
def test_a_further_ending_says_how_it_is_compressed(tmp_path, name, unpacked):
    write(pa.table({"a": ["x"]}), tmp_path / name)

    assert unpacked((tmp_path / name).read_bytes()) == b'"a"\n"x"\n'


@pytest.mark.parametrize(
    ("name", "unpacked"),
    [("a.txt", bytes), ("a", bytes), ("a.gz", gzip.decompress), ("a.csv", bytes)],
)
def test_a_named_format_stands_above_the_ending(tmp_path, name, unpacked):
    write(pa.table({"a": [1]}), tmp_path / name, "jsonl")

    assert unpacked((tmp_path / name).read_bytes()) == b'{"a":1}\n'


@pytest.mark.parametrize("name", ["a.xlsx", "a", "a.gz", "a.parquet.gz"])
def test_a_name_that_says_no_format_is_refused_with_those_that_do(tmp_path, name):
    with pytest.raises(
        ArtifactError, match=r"not say in which format .*\.parquet, .*name a format"
    ):
        write(pa.table({"a": [1]}), tmp_path / name)

    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_stays_unless_it_may_be_overwritten(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("mine")

    with pytest.raises(ArtifactError, match=r"a\.csv is there already: .*overwrite=True"):
        write(pa.table({"a": [1]}), path)
    assert path.read_text() == "mine"

    write(pa.table({"a": [1]}), path, overwrite=True)
    assert path.read_text() == '"a"\n"1"\n'


def test_a_file_that_another_wrote_meanwhile_stays(tmp_path):
    path = tmp_path / "a.jsonl"
    schema = pa.schema([("a", pa.int64())])

    def rows():
        yield pa.record_batch([pa.array([1])], schema)
        path.write_text("theirs")

    with pytest.raises(ArtifactError, match="is there already"):
        write_results(pa.RecordBatchReader.from_batches(schema, rows()), path)

    assert [each.read_text() for each in tmp_path.iterdir()] == ["theirs"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_nothing_is_left_where_the_rows_break_off(tmp_path, ending):
    schema = pa.schema([("a", pa.int64())])

    def rows():
        yield pa.record_batch([pa.array([1])], schema)
        raise ArtifactError("the corpus has changed")

    with pytest.raises(ArtifactError, match="the corpus has changed"):
        write_results(pa.RecordBatchReader.from_batches(schema, rows()), tmp_path / f"a.{ending}")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_url_is_written_like_a_path(tmp_path, ending):
    url = f"memory://bucket/out/a.{ending}"
    try:
        write(pa.table({"a": [1]}), url)
        write(pa.table({"a": [1]}), tmp_path / f"a.{ending}")

        with fsspec.open(url) as file:
            assert file.read() == (tmp_path / f"a.{ending}").read_bytes()
        with pytest.raises(ArtifactError, match=r"memory://.*is there already"):
            write(pa.table({"a": [1]}), url)
    finally:
        fsspec.filesystem("memory").rm("/", recursive=True)


def test_results_in_a_bucket_are_written_to_a_bucket(done, bucket, monkeypatch):
    monkeypatch.setitem(fsspec.config.conf, "s3", bucket.options)
    path = results_path("words", "p")
    bucket.put(f"store/{path}", done.files.read(path))
    reader = results_reader(Files(f"{bucket.url}/store"), done.recipe, columns=["item_id"])

    write_results(reader, f"{bucket.url}/out/all.jsonl.gz")

    assert sorted(bucket.names()) == ["out/all.jsonl.gz", f"store/{path}"]
    with fsspec.open(f"{bucket.url}/out/all.jsonl.gz", compression="gzip") as file:
        ids = [json.loads(line)["item_id"] for line in file]
    assert ids == [f"i-{row}" for row in range(2000)]


def test_a_bare_name_is_a_file_of_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    write(pa.table({"a": [1]}), "a.jsonl")

    assert (tmp_path / "a.jsonl").read_bytes() == b'{"a":1}\n'


@pytest.mark.parametrize(
    ("ending", "content"), [("csv", b'"a","b"\n'), ("tsv", b'"a"\t"b"\n'), ("jsonl", b"")]
)
def test_no_rows_are_a_file_too(tmp_path, ending, content):
    empty = pa.table({"a": pa.array([], pa.string()), "b": pa.array([], pa.int64())})

    assert write(empty, tmp_path / f"a.{ending}") == 0

    assert (tmp_path / f"a.{ending}").read_bytes() == content
