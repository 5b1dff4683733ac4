"""The digest of a column: equal content is equal however it is stored, and any change is seen."""

import datetime as dt
import decimal
import itertools
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_assets.corpus import ParquetCorpus
from batch_assets.corpus.content import ColumnDigest, as_text

DAY = dt.date(2026, 11, 21)
TIME = dt.datetime(2026, 11, 21, 12, 30)

#: A column of each kind that a Parquet file can hold, with its values as text.
COLUMNS = {
    "text": (pa.array(["a", "", None]), ["a", "", None]),
    "long text": (pa.array(["a", None], pa.large_string()), ["a", None]),
    "text view": (pa.array(["a", None], pa.string_view()), ["a", None]),
    "dictionary": (pa.array(["a", None, "a"]).dictionary_encode(), ["a", None, "a"]),
    "integer": (pa.array([-1, None], pa.int8()), ["-1", None]),
    "largest integer": (pa.array([2**64 - 1], pa.uint64()), ["18446744073709551615"]),
    "float": (pa.array([0.1, 1.0, None]), ["0.1", "1", None]),
    "half float": (pa.array([0.5], pa.float16()), ["0.5"]),
    "boolean": (pa.array([True, None]), ["true", None]),
    "date": (pa.array([DAY, None]), ["2026-11-21", None]),
    "time": (pa.array([dt.time(1, 2)]), ["01:02:00.000000"]),
    "timestamp": (pa.array([TIME]), ["2026-11-21 12:30:00.000000"]),
    "nanoseconds": (
        pa.array([1_000, 1], pa.timestamp("ns")),
        ["1970-01-01 00:00:00.000001", "1970-01-01 00:00:00.000000001"],
    ),
    "timestamp of a zone": (
        pa.array([TIME], pa.timestamp("ms", "Europe/Berlin")),
        ["2026-11-21 13:30:00.000+0100"],
    ),
    "decimal": (pa.array([decimal.Decimal("1.10")]), ["1.10"]),
    "binary": (pa.array([b"\xff\x00", None]), ["ff00", None]),
    "binary view": (pa.array([b"\xff"], pa.binary_view()), ["ff"]),
    "fixed binary": (pa.array([b"ab"], pa.binary(2)), ["6162"]),
    "list": (pa.array([[1, None], [], None]), ["[1, null]", "[]", None]),
    "list of days": (pa.array([[DAY]]), ['["2026-11-21"]']),
    "struct": (pa.array([{"é": [b"\xff"]}, None]), ['{"é": ["ff"]}', None]),
    "map": (pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())), ['[["k", 1]]']),
    "uuid": (
        pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"0" * 16], pa.binary(16))),
        ["30303030-3030-3030-3030-303030303030"],
    ),
    "nothing": (pa.nulls(2), [None, None]),
}

texts = st.lists(st.none() | st.text(max_size=5), max_size=30)


def digest(*columns: pa.Array) -> str:
    """Digest over arrays that follow each other."""
    made = ColumnDigest()
    for column in columns:
        made.update(column)
    return made.hexdigest()


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_of_any_kind_has_a_text_for_each_value(name):
    column, expected = COLUMNS[name]

    assert as_text(column).type == pa.large_string()
    assert as_text(column).to_pylist() == expected


@pytest.mark.parametrize("name", COLUMNS)
def test_any_column_has_the_same_digest_in_one_piece_and_in_several(name):
    column, _ = COLUMNS[name]
    pieces = [column.slice(position, 1) for position in range(len(column))]

    assert digest(*pieces) == digest(column) == digest(column.slice(0, 0), column)


@given(texts, st.lists(st.integers(0, 30)))
def test_the_digest_does_not_depend_on_where_batches_are_cut(values, cuts):
    column = pa.array(values, pa.string())
    places = sorted({0, len(values), *(min(cut, len(values)) for cut in cuts)})
    pieces = [column.slice(begin, end - begin) for begin, end in itertools.pairwise(places)]

    assert digest(*(pieces or [column])) == digest(column)


@given(texts, texts)
def test_other_values_have_another_digest(values, others):
    """A null is not an empty text, and a character that moves to the next value is a change."""
    one, other = pa.array(values, pa.string()), pa.array(others, pa.string())

    assert (digest(one) == digest(other)) is (values == others)


@pytest.mark.parametrize(
    ("values", "others"),
    [
        ([None], [""]),
        (["ab", "c"], ["a", "bc"]),
        (["a", "b"], ["b", "a"]),
        (["a"], ["a", None]),
        (["a"], ["a", ""]),
        (["é"], ["e\u0301"]),
        ([[1, 2]], [[2, 1]]),
        ([[None]], [[float("nan")]]),
        ([{"a": 1, "b": None}], [{"a": None, "b": 1}]),
        ([0.0], [-0.0]),
    ],
)
def test_a_small_change_is_a_change(values, others):
    assert digest(pa.array(values)) != digest(pa.array(others))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pa.array([1]), pa.array([1.0])),
        (pa.array([1]), pa.array(["1"])),
        (pa.array([0.1]), pa.array([0.1], pa.float32())),
        (pa.array([True]), pa.array(["true"])),
        (pa.array([DAY]), pa.array(["2026-11-21"])),
        (pa.array([[DAY]]), pa.array([["2026-11-21"]])),
        (pa.array([TIME]), pa.array([TIME], pa.timestamp("us", "UTC"))),
        (pa.array([{"a": 1}]), pa.array(['{"a": 1}'])),
        (pa.array([b"\xff"]), pa.array(["ff"])),
    ],
    ids=lambda column: str(column.type),
)
def test_values_that_a_prompt_prints_in_another_way_have_another_digest(one, other):
    """Their text is the same, but 1, 1.0 and "1" are three different requests."""
    assert digest(one) != digest(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pa.array(["a"]), pa.array(["a"], pa.large_string())),
        (pa.array(["a", "a"]), pa.array(["a", "a"]).dictionary_encode()),
        (pa.array([1], pa.int8()), pa.array([1], pa.uint64())),
        (pa.array([b"a"]), pa.array([b"a"], pa.binary(1))),
        (pa.array([TIME], pa.timestamp("us")), pa.array([TIME], pa.timestamp("ns"))),
        (pa.array([[1]]), pa.array([[1]], pa.large_list(pa.int32()))),
    ],
    ids=lambda column: str(column.type),
)
def test_values_that_a_prompt_prints_alike_have_the_same_digest(one, other):
    assert digest(one) == digest(other)


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "none"},
        {"compression": "zstd"},
        {"row_group_size": 7},
        {"use_dictionary": False, "data_page_size": 64},
        {"data_page_version": "2.0", "version": "1.0"},
    ],
    ids=str,
)
def test_the_digest_does_not_depend_on_how_the_file_was_written(tmp_path: Path, options):
    table = pa.table({"word": [f"word {n % 10}" for n in range(2_000)], "tags": [["é"]] * 2_000})
    pq.write_table(table, tmp_path / "p.parquet", **options)
    corpus = ParquetCorpus(path=str(tmp_path), item_id="word")

    for name in table.column_names:
        batches = corpus.read("p", [name])
        stored = digest(*(batch.column(name) for batch in batches))
        assert stored == digest(table[name].combine_chunks())
