"""Any column as text: the item ids of a corpus may be of any kind."""

import datetime as dt
import decimal

import pyarrow as pa
import pytest

from batch_assets.corpus.column_text import as_text

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


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_of_any_kind_has_a_text_for_each_value(name):
    column, expected = COLUMNS[name]

    assert as_text(column).type == pa.large_string()
    assert as_text(column).to_pylist() == expected
