"""JSONL: columns from lines that need not be alike, and what is said of a line that is wrong."""

import json

import pyarrow as pa
import pytest

from batch_assets.corpus import FileCorpus
from batch_assets.domain.errors import CorpusError

#: More than one block of the file holds.
FAR = 20_000


def corpus(path: object, **over: object) -> FileCorpus:
    return FileCorpus(path=str(path), item_id="id", **over)


def read(path: object, *columns: str) -> pa.Table:
    found = corpus(path)
    [key] = found.partition_keys()
    return pa.Table.from_batches(part.batch for part in found.read(key, columns))


def written(tmp_path, *values: object, far: bool = False):
    """A file whose items have these values, with many that have the first one in between."""
    first, *others = values
    all_values = [first] * (FAR if far else 1) + others
    path = tmp_path / "p.jsonl"
    with path.open("w") as sink:
        for row, value in enumerate(all_values):
            sink.write(json.dumps({"id": str(row), "value": value, "other": [{}]}) + "\n")
    return path


@pytest.mark.parametrize(
    ("values", "type_"),
    [
        (["a", "b"], pa.string()),
        ([1, -2], pa.int64()),
        ([1.5, 2.0], pa.float64()),
        ([1, 2.5], pa.float64()),
        ([True, False], pa.bool_()),
        ([None, None], pa.null()),
        ([None, 1], pa.int64()),
        ([["a"], []], pa.list_(pa.string())),
        ([[1], [None]], pa.list_(pa.int64())),
        ([[[1]], [[2], []]], pa.list_(pa.list_(pa.int64()))),
        ([{"a": 1, "b": "x"}, {"a": 2, "b": "y"}], pa.struct({"a": pa.int64(), "b": pa.string()})),
        ([[{"a": 1}], [{"a": 2}]], pa.list_(pa.struct({"a": pa.int64()}))),
        ([2**63 - 1, -(2**63)], pa.int64()),
    ],
)
def test_a_field_has_the_narrowest_type_that_holds_its_values(tmp_path, values, type_):
    path = written(tmp_path, *values)

    assert read(path, "value").schema.types == [type_]
    assert corpus(path).schema("p").field("value").type == type_
    assert read(path, "value")["value"].to_pylist() == values


@pytest.mark.parametrize(
    ("values", "read_as"),
    [
        ([7, "seven"], ["7", "seven"]),
        (["x", 1.5, True, None], ["x", "1.5", "true", None]),
        ([True, 1], ["true", "1"]),
        ([[1], "x"], ["[1]", "x"]),
        ([{"a": [1, "ü"]}, "x"], ['{"a": [1, "ü"]}', "x"]),
        ([[1, "x"], [None]], [["1", "x"], [None]]),
        ([{"a": 1}, {"a": "x"}], [{"a": "1"}, {"a": "x"}]),
        ([{"a": {"b": [1]}}, {"a": {"b": ["x"]}}], [{"a": {"b": ["1"]}}, {"a": {"b": ["x"]}}]),
        # Numbers that no type of Arrow holds exactly.
        ([2**63, 1], [str(2**63), "1"]),
        ([2**53 + 1, 0.5], [str(2**53 + 1), "0.5"]),
        ([10**300], [str(10**300)]),
        ([{}, {}], ["{}", "{}"]),
    ],
)
def test_values_without_a_type_in_common_are_read_as_text(tmp_path, values, read_as):
    assert read(written(tmp_path, *values), "value")["value"].to_pylist() == read_as


@pytest.mark.parametrize(
    ("first", "last", "first_read_as"),
    [
        (7, "seven", "7"),
        (7, 7.5, 7.0),
        (None, "a", None),
        ([], ["a"], []),
        ({"a": 1}, {"a": 1, "b": [2]}, {"a": 1, "b": None}),
        ({"a": 1}, {"a": None}, {"a": 1}),
        ("a", "a" * 3_000_000, "a"),
    ],
)
def test_a_surprise_far_into_a_file_does_not_break_the_reading(
    tmp_path, first, last, first_read_as
):
    values = read(written(tmp_path, first, last, far=True), "value")["value"].to_pylist()

    assert len(values) == FAR + 1
    assert (values[0], values[-1]) == (first_read_as, last)


def test_a_field_that_begins_far_into_a_file_is_a_column(tmp_path):
    lines = ['{"id": "1"}'] * FAR + ['{"late": 5, "id": "2"}']
    path = tmp_path / "p.jsonl"
    path.write_text("\n".join(lines))

    assert corpus(path).schema("p").names == ["id", "late"]
    assert read(path, "late")["late"].to_pylist() == [None] * FAR + [5]


def test_an_object_with_hundreds_of_names_is_text(tmp_path):
    """It is a mapping: as a structure each item would have the names of all others."""
    values = [{f"name {row}": row} for row in range(300)]

    assert read(written(tmp_path, *values), "value")["value"][7].as_py() == '{"name 7": 7}'


@pytest.mark.parametrize("name", ["two words", "a.b", "ünï", "1st", "{{ x }}", 'a"b', "a\\b", "\n"])
def test_a_field_may_have_any_name(tmp_path, name):
    path = tmp_path / "p.jsonl"
    path.write_text(json.dumps({"id": "1", name: "value"}) + "\n" + '{"id": "2"}')

    assert read(path, name, "id").to_pylist() == [
        {name: "value", "id": "1"},
        {name: None, "id": "2"},
    ]


@pytest.mark.parametrize(
    "content",
    [
        b'{"id":"1"}\n{"id":"2"}\n',
        b'{"id":"1"}\n{"id":"2"}',
        b'{"id":"1"}\r\n{"id":"2"}\r\n',
        b'\xef\xbb\xbf{"id":"1"}\n{"id":"2"}\n',
        b'\n\n{"id":"1"}\n  \n\r\n{"id":"2"}\n\n\n',
        b' {"id" : "1"} \n\t{"id":"2","x":[{"y":null}]}',
        # The last of two equal names counts, as with every reader of JSON.
        b'{"id":"0","id":"1"}\n{"id":"2"}\n',
        b'{"id":"\\u0031"}\n{"id":"2"}\n',
    ],
)
def test_a_line_is_an_object_however_it_is_written(tmp_path, content):
    path = tmp_path / "p.jsonl"
    path.write_bytes(content)

    assert read(path, "id")["id"].to_pylist() == ["1", "2"]


@pytest.mark.parametrize(
    "text", ["a\0b", "\u2028", "👩‍👩‍👧", "\u202eabc", "{{ x }}", "=cmd()", 'a"b\nc']
)
def test_hostile_text_comes_out_as_it_went_in(tmp_path, text):
    assert read(written(tmp_path, text), "value")["value"].to_pylist() == [text]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('{"id": "1", "value": "hal', "Input data was truncated"),
        ('{"id": "1",}', "trailing comma"),
        ("{'id': 1}", "JSON is malformed"),
        ('{"id": NaN}', "JSON is malformed"),
        ('{"id": 1e999}', "Number out of range"),
        ('["id", "1"]', "Expected `object`, got `array`"),
        ('"1"', "Expected `object`, got `str`"),
        ('{"id": "1"} {"id": "2"}', "trailing characters"),
        ('{"id": "1"}{"id": "2"}', "trailing characters"),
        ('{"id": "\\ud800"}', "one half of a surrogate pair"),
        ('{"id": "\\ud83d\\ude00 \\uDfff"}', "one half of a surrogate pair"),
        (b'{"id": "\xff"}', "bytes that are no UTF-8"),
        ('{"id": "a\tb"}', "invalid character"),
        ("[" * 100_000, "`array`"),
        ('{"x": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deeply"),
        ("id,word", "JSON is malformed"),
    ],
)
@pytest.mark.parametrize("far", [False, True])
def test_a_line_that_is_wrong_is_named_with_a_way_out(tmp_path, line, complaint, far):
    before = FAR if far else 2
    lines = [b'{"id": "0"}', b""] * before + [line.encode() if isinstance(line, str) else line]
    path = tmp_path / "p.jsonl"
    path.write_bytes(b"\n".join([*lines, b'{"id": "3"}']))

    with pytest.raises(CorpusError) as refused:
        read(path, "id")

    where = f"line {2 * before + 1} (row {before})"
    assert refused.value.message.startswith(f"{path}, {where}: not readable as JSONL (")
    assert complaint in refused.value.message
    assert "write one JSON object per line, in UTF-8" in refused.value.message


def test_nothing_is_given_of_a_file_with_a_line_that_is_wrong(tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text('{"id": "0"}\n' * FAR + "{")

    with pytest.raises(CorpusError, match=f"line {FAR + 1}"):
        next(corpus(path).read("p", ["id"]))


def test_json_that_spans_lines_is_refused(tmp_path):
    (tmp_path / "p.jsonl").write_text(json.dumps([{"id": "1"}], indent=2))

    with pytest.raises(CorpusError, match=r"line 1 \(row 0\)"):
        read(tmp_path / "p.jsonl", "id")


def test_another_encoding_is_refused(tmp_path):
    (tmp_path / "p.jsonl").write_text('{"id": "1"}\n', encoding="utf-16")

    with pytest.raises(CorpusError, match=r"line 1 \(row 0\).*in UTF-8"):
        read(tmp_path / "p.jsonl", "id")


def test_an_empty_file_has_no_rows(tmp_path):
    (tmp_path / "p.jsonl").write_bytes(b"\n\n")

    assert list(corpus(tmp_path).read("p", ["id"])) == []
