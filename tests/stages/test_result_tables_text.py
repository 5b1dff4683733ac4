"""Results as text: safe to open in a spreadsheet, and one line each for what reads lines."""

import csv
import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from math import inf, nan
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_assets.domain.errors import ArtifactError
from batch_assets.stages.written import write_results


def write(table: pa.Table, path: Path | str, *args: Any, **over: Any) -> int:
    return write_results(table.to_reader(), path, *args, **over)


def cells(path: Path) -> list[list[str]]:
    """The rows of a CSV file behind its header, as Python reads them."""
    return list(csv.reader(io.StringIO(path.read_bytes().decode(), newline="")))[1:]


def csv_of(folder: Path, **columns: Any) -> list[list[str]]:
    path = folder / "made.csv"
    write(pa.table(columns), path, overwrite=True)
    return cells(path)


def lines_of(folder: Path, **columns: Any) -> list[dict[str, Any]]:
    path = folder / "made.jsonl"
    write(pa.table(columns), path, overwrite=True)
    return [json.loads(line) for line in path.read_bytes().splitlines()]


# CSV


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\n=1", "＝1", "＋1", "－1", "＠a", "'quoted"]
)
def test_a_text_that_could_be_a_formula_is_marked_as_text(tmp_path, text):
    assert csv_of(tmp_path, a=[text]) == [["'" + text]]


@pytest.mark.parametrize("text", ["1=1", "a-b", " =1", '"=1"', "it's", "", "😀", "ـــ"])
def test_a_text_that_is_no_formula_stays_as_it_is(tmp_path, text):
    assert csv_of(tmp_path, a=[text]) == [[text]]


@pytest.mark.parametrize(
    "texts",
    [
        pa.array(["=1"], pa.large_string()),
        pa.array(["=1"], pa.string_view()),
        pa.array(["=1"]).dictionary_encode(),
        pa.array([{"deep": "=1"}]),
    ],
)
def test_every_kind_of_text_is_made_safe(tmp_path, texts):
    assert csv_of(tmp_path, a=texts) == [["'=1"]]


def test_a_name_of_a_column_is_made_safe_too(tmp_path):
    write(pa.table({"=cmd()": [1], "input": [{"@x": 1}]}), tmp_path / "a.csv")

    assert (tmp_path / "a.csv").read_bytes() == b'"\'=cmd()","input.@x"\n1,1\n'


def test_numbers_stay_numbers(tmp_path):
    rows = csv_of(
        tmp_path,
        whole=[-5],
        fraction=[-0.5],
        decimal=[Decimal("-1.20")],
        category=pa.array([-7]).dictionary_encode(),
        flag=[True],
    )

    assert rows == [["-5", "-0.5", "-1.20", "-7", "true"]]


def test_line_ends_are_line_feeds_and_nul_is_replaced(tmp_path):
    path = tmp_path / "a.csv"
    write(pa.table({"a": ["1\r2\r\n3\n4\0=5", "\r=1", "\0=1"]}), path)

    assert path.read_text() == '"a"\n"1\n2\n3\n4\ufffd=5"\n"\'\n=1"\n"\ufffd=1"\n'


def test_a_null_is_no_text_and_an_empty_text_is_one(tmp_path):
    write(pa.table({"a": [None, ""], "b": [1, 2]}), tmp_path / "a.csv")

    assert (tmp_path / "a.csv").read_bytes() == b'"a","b"\n,1\n"",2\n'


@pytest.mark.parametrize("values", [[None, "x"], [None, 1]])
def test_a_null_alone_in_its_row_is_still_a_row(tmp_path, values):
    assert csv_of(tmp_path, a=values) == [[""], [str(values[1])]]


def test_lists_and_what_is_deeper_are_json(tmp_path):
    [[tags, deep, when, photo]] = csv_of(
        tmp_path,
        a=[{"tags": ["=1", "b\u2028"], "deep": {"n": nan, "day": date(2026, 1, 2)}}],
        when=[datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)],
        photo=[b"\x00\xff"],
    )

    assert tags == '["=1","b\\u2028"]'
    assert deep == '{"n":null,"day":"2026-01-02"}'
    assert when.startswith("2026-01-02 03:04:05")
    assert photo == "AP8="


def test_a_vector_is_json_in_a_cell(tmp_path):
    vectors = pa.array([[0.5, -1.0], None], pa.list_(pa.float32(), 2))

    assert csv_of(tmp_path, a=vectors) == [["[0.5,-1.0]"], [""]]


def test_columns_that_would_have_one_name_are_refused(tmp_path):
    table = pa.table({"output": [{"label": 1}], "output.label": [2]})

    with pytest.raises(ArtifactError, match=r"'output\.label' would name several columns"):
        write(table, tmp_path / "a.csv")


HOSTILE = st.text(
    st.one_of(
        st.sampled_from("=+-@\t\r\n\0'\",;＝\u2028\u2029\u0085\ufeff\u202e\u200d"),
        st.characters(codec="utf-8"),
    ),
    max_size=8,
)


def a_spreadsheets_formula(cell: str) -> bool:
    return cell[:1] in set("=+-@\t\r\n＝＋－＠")


@given(st.lists(HOSTILE, min_size=1, max_size=20))
def test_texts_of_any_kind_come_back_when_the_first_quote_is_dropped(tmp_path_factory, texts):
    rows = csv_of(tmp_path_factory.getbasetemp(), a=texts, b=texts)

    plain = [t.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd") for t in texts]
    assert [row[0].removeprefix("'") for row in rows] == plain
    assert [row for row in rows if a_spreadsheets_formula(row[1])] == []


@given(st.lists(HOSTILE, min_size=1, max_size=20))
def test_pandas_and_polars_read_what_python_reads(tmp_path_factory, texts):
    path = tmp_path_factory.getbasetemp() / "read.csv"
    write(pa.table({"n": range(len(texts)), "a": texts}), path, overwrite=True)

    expected = [row[1] for row in cells(path)]

    by_pandas = pd.read_csv(path, keep_default_na=False, dtype=str, lineterminator="\n")
    by_polars = pl.read_csv(path, empty_string_is_null=False, infer_schema=False)
    assert by_pandas["a"].tolist() == expected
    assert by_polars["a"].to_list() == expected


# JSON lines


def test_a_line_is_an_object_with_nested_values(tmp_path):
    rows = [{"item_id": "x", "output": {"label": "a", "tags": ["b", None]}, "wave": None}]

    write(pa.Table.from_pylist(rows), tmp_path / "a.jsonl")

    assert [json.loads(line) for line in (tmp_path / "a.jsonl").read_bytes().splitlines()] == rows


def test_what_ends_a_line_somewhere_is_escaped(tmp_path):
    text = "a\nb\rc\u2028d\u2029e\u0085f\x0bg\x1ch"
    write(pa.table({"a": [text], text: [1]}), tmp_path / "a.jsonl")

    content = (tmp_path / "a.jsonl").read_text()
    assert content.splitlines() == [content.removesuffix("\n")]
    assert json.loads(content) == {"a": text, text: 1}


def test_numbers_that_json_has_not_are_null(tmp_path):
    assert lines_of(tmp_path, a=[nan, inf, -inf, 0.5]) == [
        {"a": None},
        {"a": None},
        {"a": None},
        {"a": 0.5},
    ]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (pa.array([datetime(2026, 1, 2, 3, 4, 5)]), "2026-01-02T03:04:05"),
        (pa.array([date(2026, 1, 2)]), "2026-01-02"),
        (pa.array([1], pa.timestamp("ns")), "1970-01-01T00:00:00.000000001"),
        (pa.array([Decimal("1.20")]), "1.20"),
        (pa.array([b"\x00\xff"]), "AP8="),
    ],
)
def test_values_that_json_has_no_form_for_are_texts(tmp_path, values, text):
    nested = pa.StructArray.from_arrays([values], ["c"])

    assert lines_of(tmp_path, a=values, b=nested) == [{"a": text, "b": {"c": text}}]


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
def test_a_value_that_python_has_not_is_refused_with_its_column(tmp_path, name):
    year_12000 = pa.array([[316_516_000_000]], pa.list_(pa.timestamp("s")))

    with pytest.raises(ArtifactError, match=r"row 0 .*'when' cannot be written as text .*Parquet"):
        write(pa.table({"when": year_12000}), tmp_path / name)


@given(st.lists(HOSTILE, min_size=1, max_size=20))
def test_texts_of_any_kind_are_one_line_each_and_come_back(tmp_path_factory, texts):
    rows = lines_of(tmp_path_factory.getbasetemp(), a=texts)

    assert [row["a"] for row in rows] == texts
