"""Row ranges as partitions, and what stays as it was when more rows come."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpus_files import cut, ids, numbers, positions, written
from factories import a_table

from batch_assets.corpus import ByRows
from batch_assets.domain.errors import CorpusError, DeclarationError

FORMATS = ["parquet", "csv", "jsonl", "tsv.gz"]


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("size", [1_000, 1_024, 20_000, 49_999, 50_000, 60_000])
def test_the_parts_of_a_file_are_its_rows_in_order(tmp_path, ending, size):
    path = written(tmp_path / f"p.{ending}", a_table(50_000))

    found = cut(path, ByRows(size))

    keys = found.partition_keys()
    assert keys == [f"part-{number:05}" for number in range(-(-50_000 // size))]
    for number in {0, len(keys) // 2, len(keys) - 1}:
        rows = range(number * size, min(50_000, (number + 1) * size))
        assert ids(found.read(keys[number], ["id"])) == numbers(rows)
        assert positions(found.read(keys[number], ["id"])) == list(rows)


@pytest.mark.parametrize("ending", FORMATS)
def test_rows_over_many_blocks_are_cut_exactly(tmp_path, ending):
    table = a_table(300, text=[f"{row}\n" * 2_000 for row in range(300)])
    found = cut(written(tmp_path / f"p.{ending}", table), ByRows(7))

    assert found.source_ref("part-00001") == str(tmp_path / f"p.{ending}")
    for key in ("part-00000", "part-00021", "part-00042"):
        first = 7 * int(key[-5:])
        read = pa.Table.from_batches(part.batch for part in found.read(key, ["text", "id"]))
        assert read.to_pylist() == table.slice(first, 7).select(["text", "id"]).to_pylist()


def test_blank_lines_are_no_rows(tmp_path):
    lines = [f'{{"id": "i-{row}"}}' + "\n" * (row % 3) for row in range(5_000)]
    (tmp_path / "p.jsonl").write_text("\n".join(lines))

    found = cut(tmp_path / "p.jsonl", ByRows(500))

    assert len(found.partition_keys()) == 10
    assert ids(found.read("part-00007", ["id"])) == numbers(range(3_500, 4_000))


def test_row_groups_that_hold_no_row_of_the_part_are_not_read(tmp_path):
    path = tmp_path / "p.parquet"
    pq.write_table(a_table(10_000), path, row_group_size=1_000, write_page_checksum=True)
    content = bytearray(path.read_bytes())
    for group in (0, 1, 2, 4, 9):
        column = pq.read_metadata(path).row_group(group).column(0)
        content[column.data_page_offset : column.data_page_offset + 40] = b"\xff" * 40
    path.write_bytes(content)

    found = cut(path, ByRows(1_000))

    assert ids(found.read("part-00003", ["id"])) == numbers(range(3_000, 4_000))
    with pytest.raises(CorpusError, match="at row 4000 or after it"):
        ids(found.read("part-00004", ["id"]))


def test_a_file_that_comes_later_leaves_the_parts_of_the_others_as_they_were(tmp_path):
    written(tmp_path / "b.parquet", a_table(5))
    found = cut(tmp_path, ByRows(2))
    before = {key: ids(found.read(key, ["id"])) for key in found.partition_keys()}

    written(tmp_path / "a.parquet", a_table(3))

    assert list(before) == ["b/part-00000", "b/part-00001", "b/part-00002"]
    assert found.partition_keys() == ["a/part-00000", "a/part-00001", *before]
    assert {key: ids(found.read(key, ["id"])) for key in before} == before


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_rows_that_are_appended_leave_the_full_parts_as_they_were(tmp_path, ending):
    """Types, too: that of a number of JSON does not depend on rows of other parts."""
    table = a_table(4, n=[1, 2, 3, 4])
    path = written(tmp_path / f"p.{ending}", table)
    found = cut(path, ByRows(2))
    before = [part.batch for part in found.read("part-00001", ["id", "n"])]

    lines = {"csv": '"i-4","x","none"\n', "jsonl": '{"id": "i-4", "n": "none"}\n'}
    with path.open("a") as sink:
        sink.write(lines[ending])

    assert found.partition_keys() == ["part-00000", "part-00001", "part-00002"]
    assert [part.batch for part in found.read("part-00001", ["id", "n"])] == before


def test_parts_sort_as_their_rows_do(tmp_path):
    path = written(tmp_path / "p.parquet", a_table(12))

    keys = cut(path, ByRows(1)).partition_keys()

    assert keys == sorted(keys)


@pytest.mark.parametrize("key", ["part-1", "part-0000x", "a/part-00000", "p", "part-٠٠٠٠٠"])
def test_a_part_that_cannot_be_is_named_with_a_way_out(tmp_path, key):
    path = written(tmp_path / "p.parquet", a_table(3))

    with pytest.raises(CorpusError, match="reload the code location"):
        ids(cut(path, ByRows(2)).read(key, ["id"]))


def test_a_part_has_a_row_at_least():
    with pytest.raises(DeclarationError, match=r"ByRows\(0\)"):
        ByRows(0)
