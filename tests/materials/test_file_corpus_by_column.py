"""The values of a column as partitions."""

from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpus_files import cut, ids, numbers, positions, written
from factories import a_table

from batch_assets.corpus import ByColumn
from batch_assets.corpus.partitioning import StaticKeys
from batch_assets.domain.errors import CorpusError, DeclarationError

FORMATS = ["parquet", "csv", "jsonl", "tsv.gz"]


@pytest.mark.parametrize("ending", FORMATS)
def test_a_partition_has_the_rows_of_all_files_with_its_value(tmp_path, ending):
    langs = ["de", "en", "fr", "en"]
    for key, first in (("a", 0), ("b", 30_000)):
        rows = range(first, first + 30_000)
        table = pa.table(
            {
                "id": numbers(rows),
                "lang": [langs[row % 4] for row in rows],
            }
        )
        written(tmp_path / f"{key}.{ending}", table)

    found = cut(tmp_path, ByColumn("lang", ("en", "de")))
    parts = list(found.read("en", ["id"]))

    assert found.partition_keys() == ["en", "de"]
    assert found.partitioning == StaticKeys(keys=("en", "de"))
    assert ids(parts) == numbers(range(1, 60_000, 2))
    assert positions(parts) == list(range(1, 30_000, 2)) * 2
    assert {part.source_ref.rpartition("/")[2] for part in parts} == {
        f"a.{ending}",
        f"b.{ending}",
    }
    assert found.source_ref("en") == str(tmp_path)
    assert {name for part in parts for name in part.batch.schema.names} == {"id"}


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ([1, 20, 3], "20"),
        ([True, False, True], "false"),
        ([date(2026, 1, 1), date(2026, 2, 1), None], "2026-02-01"),
        ([None, "x", "y"], "x"),
        (pa.array(["a", "b", "a"]).dictionary_encode(), "b"),
        ([0.5, 1.5, 2.5], "1.5"),
    ],
)
def test_values_that_are_no_text_count_as_they_are_written(tmp_path, values, key):
    written(tmp_path / "p.parquet", a_table(3, value=values))

    found = cut(tmp_path, ByColumn("value", (key,)))

    assert positions(found.read(key, ["id"])) == [1]


@pytest.mark.parametrize("values", [range(10_000), [f"{row:05}" for row in range(10_000)]])
def test_row_groups_that_cannot_hold_the_value_are_not_read(tmp_path, values):
    path = tmp_path / "p.parquet"
    table = a_table(10_000, value=list(values))
    pq.write_table(table, path, row_group_size=1_000, write_page_checksum=True)
    content = bytearray(path.read_bytes())
    column = pq.read_metadata(path).row_group(2).column(2)
    content[column.data_page_offset : column.data_page_offset + 40] = b"\xff" * 40
    path.write_bytes(content)
    near, far = str(values[2_500]), str(values[7_500])

    found = cut(path, ByColumn("value", (near, far)))

    assert positions(found.read(far, ["id"])) == [7_500]
    with pytest.raises(CorpusError, match="at row 2000 or after it"):
        ids(found.read(near, ["id"]))


def test_a_folder_can_say_the_value_and_is_a_column(tmp_path):
    for lang, count in (("de", 2), ("en", 3), ("caf%C3%A9", 1)):
        written(tmp_path / f"lang={lang}" / "p.jsonl", a_table(count))
    (tmp_path / "lang=en" / "broken.jsonl").write_text("{")

    found = cut(tmp_path / "**" / "*.jsonl", ByColumn("lang", ("de", "café")))

    [part] = found.read("de", ["lang", "id"])
    assert part.batch.to_pylist() == [{"lang": "de", "id": "i-0"}, {"lang": "de", "id": "i-1"}]
    assert ids(found.read("café", ["id"])) == ["i-0"]
    assert found.schema("de").names == ["id", "word", "lang"]


def test_files_may_have_integers_of_several_widths(tmp_path):
    for key, type_ in (("a", pa.int32()), ("b", pa.int64())):
        written(tmp_path / f"{key}.parquet", a_table(1, n=pa.array([7], type_), k=["x"]))

    read = list(cut(tmp_path, ByColumn("k", ("x",))).read("x", ["n"]))

    assert [part.batch.schema.types for part in read] == [[pa.int64()]] * 2


def test_structures_of_several_files_become_one(tmp_path):
    for key, value in (("a", {"x": 1}), ("b", {"x": 2, "y": ["z"]}), ("c", None)):
        written(tmp_path / f"{key}.jsonl", a_table(1, value=[value], k=["x"]))

    read = list(cut(tmp_path, ByColumn("k", ("x",))).read("x", ["value"]))

    assert pa.Table.from_batches(part.batch for part in read)["value"].to_pylist() == [
        {"x": 1, "y": None},
        {"x": 2, "y": ["z"]},
        None,
    ]


def test_columns_without_a_type_in_common_are_named_with_both_files(tmp_path):
    written(tmp_path / "a.jsonl", a_table(1, n=[1], k=["x"]))
    written(tmp_path / "b.jsonl", a_table(1, n=["one"], k=["x"]))
    by = ByColumn("k", ("x",))

    with pytest.raises(CorpusError, match=r"'n' is int64 in .*a\.jsonl and string in .*b\.j"):
        list(cut(tmp_path, by).read("x", ["n"]))

    read = list(cut(tmp_path, by, types={"n": "string"}).read("x", ["n"]))
    assert [part.batch.column("n").to_pylist() for part in read] == [["1"], ["one"]]


def test_a_value_that_no_row_has_has_no_rows(tmp_path):
    written(tmp_path / "p.parquet", a_table(3, lang=["en"] * 3))

    assert list(cut(tmp_path, ByColumn("lang", ("xx",))).read("xx", ["id"])) == []


def test_a_column_that_is_not_there_is_named(tmp_path):
    written(tmp_path / "p.parquet", a_table(3))

    with pytest.raises(CorpusError, match="has a column 'lang'; its columns are id, word"):
        list(cut(tmp_path, ByColumn("lang", ("en",))).read("en", ["id"]))


@pytest.mark.parametrize("values", [(), "de", ("de", "de")])
def test_values_that_cannot_be_keys_are_refused(values):
    with pytest.raises(DeclarationError, match=r"ByColumn\('lang'\)"):
        ByColumn("lang", values)
