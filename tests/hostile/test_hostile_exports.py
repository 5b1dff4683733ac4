"""Hostile rows in files for people and other tools: a row is a row, and no cell is a formula."""

import csv
import json

import pyarrow.parquet as pq
import pytest
from factories import a_corpus
from hostile_rows import Row, table_of, thousand

from batch_assets.stages.tables import results_reader
from batch_assets.stages.written import write_results

ROWS = thousand()
COLUMNS = ["item_id", "output"]


@pytest.fixture
def export(world_of, tmp_path):
    """Writes the results of the thousand rows as a file; its path."""
    world = world_of(a_corpus(tmp_path / "corpus", table_of(ROWS)))
    world.carry()

    def write(name: str):
        reader = results_reader(
            world.files, world.recipe, columns=COLUMNS, input_columns=["unread", "text"]
        )
        assert write_results(reader, tmp_path / name) == len(ROWS)
        return tmp_path / name

    return write


@pytest.fixture
def long_cells():
    """Python's reader takes cells of 5 MB."""
    usual = csv.field_size_limit(100_000_000)
    yield
    csv.field_size_limit(usual)


def in_csv(text: str) -> str:
    """What CsvRows promises of a text: line feeds for other line ends, U+FFFD for NUL."""
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "\ufffd")


@pytest.mark.parametrize(("ending", "delimiter"), [("csv", ","), ("tsv", "\t")])
def test_every_row_is_in_the_table_and_no_cell_is_a_formula(ending, delimiter, export, long_cells):
    with export(f"results.{ending}").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter=delimiter))

    cells = [cell for row in rows for cell in row.values()]
    assert not [cell for cell in cells if cell[:1] in {"=", "+", "-", "@", "\t", "\n"}]
    assert [row["item_id"].removeprefix("'") for row in rows] == [in_csv(row.id) for row in ROWS]
    for column in ("output", "input.text"):
        assert [row[column].removeprefix("'") for row in rows] == [in_csv(row.text) for row in ROWS]


def test_every_row_is_one_line_of_json_for_every_reader(export):
    content = export("results.jsonl").read_bytes()

    lines = content.decode().splitlines()
    assert len(lines) == len(ROWS)
    found = [json.loads(line) for line in lines]
    assert [Row(row["item_id"], row["output"]) for row in found] == ROWS
    assert [row["input"]["text"] for row in found] == [row.text for row in ROWS]


def test_every_row_is_in_the_parquet_file_as_it_was(export):
    found = pq.read_table(export("results.parquet")).to_pylist()

    assert [Row(row["item_id"], row["output"]) for row in found] == ROWS
