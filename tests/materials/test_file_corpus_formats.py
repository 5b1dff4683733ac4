"""Formats and packings: the same rows come out of each."""

from collections.abc import Callable

import fsspec
import pyarrow as pa
import pytest
from corpus_files import ENDINGS, content_of, packed
from factories import a_table

from batch_assets.corpus import FileCorpus
from batch_assets.domain.errors import CorpusError, DeclarationError

MANY = 50_000


def corpus(path: object, **over: object) -> FileCorpus:
    return FileCorpus(path=str(path), item_id="id", **over)


def rows(corpus: FileCorpus, key: str, *columns: str) -> pa.Table:
    return pa.Table.from_batches(part.batch for part in corpus.read(key, columns))


@pytest.fixture(scope="module")
def many() -> pa.Table:
    """Rows with texts that every format has to quote in its own way, and one that is not read."""
    texts = [f'{row} "quoted",\tand\nbroken, ünï 👩‍👩‍👧 {{{{ x }}}} =cmd()' for row in range(MANY)]
    return a_table(MANY, text=texts, unread=["x" * 50] * MANY)


@pytest.mark.parametrize("ending", ENDINGS)
def test_fifty_thousand_rows_come_out_as_they_went_in(tmp_path, many, ending):
    (tmp_path / f"p.{ending}").write_bytes(content_of(many, ending))

    read = list(corpus(tmp_path).read("p", ["text", "id"]))

    table = pa.Table.from_batches(part.batch for part in read)
    assert table.equals(many.select(["text", "id"]))
    assert [p for part in read for p in part.positions] == list(range(MANY))
    assert max(part.batch.num_rows for part in read) <= 1_024
    assert {part.source_ref for part in read} == {str(tmp_path / f"p.{ending}")}


@pytest.mark.parametrize("ending", ["parquet", "csv.gz", "jsonl.zst"])
def test_a_format_is_read_through_any_file_system(ending):
    with fsspec.open(f"memory://formats/p.{ending}", "wb") as sink:
        sink.write(content_of(a_table(3), ending))

    read = rows(corpus(f"memory://formats/p.{ending}"), "p", "word")

    assert read["word"].to_pylist() == ["word 0", "word 1", "word 2"]


def test_files_of_several_formats_are_partitions_side_by_side(tmp_path):
    for key, ending in {"a": "parquet", "b": "csv", "c": "jsonl.gz", "d": "tsv.lz4"}.items():
        (tmp_path / f"{key}.{ending}").write_bytes(content_of(a_table(3), ending))

    found = corpus(tmp_path)

    assert found.partition_keys() == ["a", "b", "c", "d"]
    for key in found.partition_keys():
        assert rows(found, key, "id", "word").equals(a_table(3))
        assert found.schema(key).names == ["id", "word"]


def test_an_ending_may_be_written_in_capitals(tmp_path):
    (tmp_path / "A.CSV.GZ").write_bytes(content_of(a_table(3), "csv.gz"))

    assert corpus(tmp_path).partition_keys() == ["A"]
    assert rows(corpus(tmp_path), "A", "id").num_rows == 3


def test_a_format_that_is_given_limits_a_folder_to_its_files(tmp_path):
    for ending in ("csv", "jsonl", "ndjson.gz"):
        (tmp_path / f"{ending[0]}.{ending}").write_bytes(content_of(a_table(3), ending))

    assert corpus(tmp_path, format="jsonl").partition_keys() == ["j", "n"]


@pytest.mark.parametrize("path", ["export.txt", "*.txt"])
def test_a_format_that_is_given_reads_a_file_of_any_name(tmp_path, path):
    (tmp_path / "export.txt").write_bytes(content_of(a_table(3), "jsonl"))

    found = corpus(tmp_path / path, format="jsonl")

    assert found.partition_keys() == ["export.txt"]
    assert rows(found, "export.txt", "id").num_rows == 3


def test_a_packing_is_known_by_the_ending_though_the_format_is_given(tmp_path):
    (tmp_path / "export.txt.gz").write_bytes(content_of(a_table(3), "csv.gz"))

    found = corpus(tmp_path / "export.txt.gz", format="csv")

    assert rows(found, found.partition_keys()[0], "id").num_rows == 3


def test_a_format_that_nobody_knows_is_refused():
    with pytest.raises(DeclarationError, match=r"'xlsx'.*use one of parquet, csv, tsv, jsonl"):
        corpus("somewhere", format="xlsx")


def test_several_paths_are_one_corpus(tmp_path):
    for name in ("one/a.csv", "two/b.jsonl", "c.parquet"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content_of(a_table(3), name.rpartition(".")[2]))

    paths = [str(tmp_path / "one"), str(tmp_path / "two" / "*.jsonl"), str(tmp_path / "c.parquet")]
    found = FileCorpus(path=paths, item_id="id")

    assert found.partition_keys() == ["a", "b", "c"]
    assert [rows(found, key, "id").num_rows for key in "abc"] == [3, 3, 3]


def test_a_corpus_without_a_path_is_refused():
    with pytest.raises(DeclarationError, match="name one path at least"):
        FileCorpus(path=[], item_id="id")


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda content: content[:-5],
    "half": lambda content: content[: len(content) // 2],
    "not packed": lambda content: b"id,word\n1,a\n",
    "garbage behind it": lambda content: content + b"garbage",
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("ending", ["csv.gz", "jsonl.zst", "tsv.bz2", "ndjson.lz4"])
def test_a_packed_file_that_is_damaged_is_named_with_a_way_out(tmp_path, ending, damage):
    path = tmp_path / f"p.{ending}"
    path.write_bytes(DAMAGES[damage](content_of(a_table(2_000), ending)))

    with pytest.raises(CorpusError) as refused:
        rows(corpus(tmp_path), "p", "id")

    assert refused.value.message.startswith(f"{path}, ")
    assert "not readable as" in refused.value.message
    assert "write " in refused.value.message


@pytest.mark.parametrize("packing", ["gz", "bz2", "zst", "lz4"])
def test_a_packed_file_of_several_parts_is_read_to_its_end(tmp_path, packing):
    """As tools write that append to a packed file."""
    parts = [packed(b'{"id": "1"}\n', packing), packed(b'{"id": "2"}\n', packing)]
    (tmp_path / f"p.jsonl.{packing}").write_bytes(b"".join(parts))

    assert rows(corpus(tmp_path), "p", "id")["id"].to_pylist() == ["1", "2"]


@pytest.mark.parametrize("ending", ["csv", "tsv.gz", "jsonl", "jsonl.zst"])
def test_a_text_file_that_vanishes_before_it_is_read_is_missed_by_its_name(tmp_path, ending):
    path = tmp_path / f"p.{ending}"
    path.symlink_to(tmp_path / "gone")

    with pytest.raises(CorpusError, match=r"is gone: put it back"):
        rows(corpus(tmp_path), "p", "id")


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl", "csv.gz"])
def test_a_reader_that_stops_early_leaves_the_file_readable(tmp_path, ending):
    (tmp_path / f"p.{ending}").write_bytes(content_of(a_table(20_000), ending))
    parts = corpus(tmp_path).read("p", ["id"])
    next(parts)

    parts.close()

    assert rows(corpus(tmp_path), "p", "id").num_rows == 20_000


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_a_column_can_be_given_another_type(tmp_path, ending):
    table = pa.table({"id": ["007"], "year": ["2026"], "day": ["2026-01-31"]})
    (tmp_path / f"p.{ending}").write_bytes(content_of(table, ending))

    found = corpus(tmp_path, types={"year": "int64", "day": "date32"})

    assert found.schema("p").field("year").type == pa.int64()
    assert rows(found, "p", "id", "year", "day").schema.types == [
        pa.string(),
        pa.int64(),
        pa.date32(),
    ]


def test_a_value_that_has_no_place_in_its_type_is_named_by_row_and_column(tmp_path):
    lines = [f"{row},{row}" for row in range(2_000)]
    lines[1_500] = "1500,unknown"
    (tmp_path / "p.csv").write_text("\n".join(["id,year", *lines]))

    with pytest.raises(CorpusError, match=r"p\.csv, row 1500, column 'year': .*'unknown'"):
        rows(corpus(tmp_path, types={"year": "int64"}), "p", "year")


def test_a_type_that_arrow_does_not_know_is_refused():
    with pytest.raises(DeclarationError, match="'number' of column 'year' is no type of Arrow"):
        corpus("somewhere", types={"year": "number"})
