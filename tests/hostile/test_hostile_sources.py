"""A thousand hostile rows through every source: ids and texts come back byte for byte."""

import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from corpus_files import content_of
from hostile_rows import Row, request_lines, table_of, thousand
from hostile_world import bundled, names_below, results_of

from batch_assets import Inference
from batch_assets.corpus import Corpus, FileCorpus
from batch_assets.corpus.asset import AssetCorpus
from batch_assets.corpus.composite import CompositeCorpus
from batch_assets.corpus.request_files import RequestFileCorpus
from batch_assets.corpus.sql import SqlCorpus

ROWS = thousand()

Build = Callable[[Path, pa.Table], Corpus]


def a_file(ending: str) -> Build:
    def build(folder: Path, table: pa.Table) -> Corpus:
        (folder / f"all.{ending}").write_bytes(content_of(table, ending))
        return FileCorpus(path=str(folder), item_id="id")

    return build


def an_asset(kind: Callable[[pa.Table], object]) -> Build:
    def build(folder: Path, table: pa.Table) -> Corpus:
        return AssetCorpus(key="notes", item_id="id").bound(lambda _: kind(table))

    return build


def a_query(folder: Path, table: pa.Table) -> Corpus:
    with closing(sqlite3.connect(folder / "notes.db")) as database, database:
        database.execute("CREATE TABLE notes (place INTEGER PRIMARY KEY, id, text, unread)")
        database.executemany(
            "INSERT INTO notes (id, text, unread) VALUES (:id, :text, :unread)", table.to_pylist()
        )
    query = "SELECT id, text, unread FROM notes ORDER BY place"
    return SqlCorpus(url=f"sqlite:///{folder / 'notes.db'}", query=query, item_id="id")


SOURCES: dict[str, Build] = {
    "parquet": a_file("parquet"),
    "csv": a_file("csv"),
    "csv.gz": a_file("csv.gz"),
    "tsv": a_file("tsv"),
    "jsonl": a_file("jsonl"),
    "jsonl.zst": a_file("jsonl.zst"),
    "query": a_query,
    "arrow table": an_asset(lambda table: table),
    "pandas frame": an_asset(lambda table: pd.DataFrame(table.to_pydict())),
    "polars frame": an_asset(lambda table: pl.DataFrame(table.to_pydict())),
}


@pytest.mark.parametrize("source", SOURCES)
def test_ids_and_texts_come_back_as_they_went_in(source, world_of, tmp_path):
    (tmp_path / "corpus").mkdir()
    world = world_of(SOURCES[source](tmp_path / "corpus", table_of(ROWS)), partition_key="all")

    resolution = world.carry()

    results = results_of(world)
    assert rows_of(results) == ROWS
    assert resolution.summary.outcomes == {"ok": 1_000}
    assert world.executions["requests_executed"] == len({row.text for row in ROWS})


def test_equal_rows_make_equal_requests_whatever_they_are_written_in(world_of, tmp_path):
    digests = {}
    for source, build in SOURCES.items():
        folder = tmp_path / source
        folder.mkdir()
        world = world_of(build(folder, table_of(ROWS)), partition_key="all")
        digests[source] = world.prepare().digest

    assert len(set(digests.values())) == 1, digests


def test_sources_with_the_same_ids_are_told_apart(world_of, tmp_path):
    names = ("parquet", "csv", "jsonl", "query")
    for name in names:
        (tmp_path / name).mkdir()
    sources = {name: SOURCES[name](tmp_path / name, table_of(ROWS)) for name in names}
    world = world_of(CompositeCorpus(sources=sources, partitions="all"), partition_key="all")

    world.prepare()
    world.carry()

    results = world.table()
    expected = [Row(f"{name}:{row.id}", row.text) for name in names for row in ROWS]
    assert rows_of(results) == expected
    assert results.column("source_primary_key").to_pylist() == [row.id for row in ROWS] * 4
    assert world.executions["max_executions_of_one_body"] == 1


def test_ready_made_requests_keep_their_ids_and_bodies(world_of, tmp_path):
    (tmp_path / "all.jsonl").write_bytes(request_lines(ROWS, "gpt-5-mini"))
    corpus = RequestFileCorpus(path=str(tmp_path / "all.jsonl"))
    recipe = Inference(name="ready", corpus=corpus).recipe()
    world = world_of(corpus, partition_key="all", recipe=recipe)

    world.carry()

    assert rows_of(results_of(world)) == ROWS


def test_the_bundle_holds_every_row_and_every_line(world_of, tmp_path):
    (tmp_path / "corpus").mkdir()
    corpus = a_file("parquet")(tmp_path / "corpus", table_of(ROWS))
    world = world_of(corpus, partition_key="all")
    world.carry()

    bundle, results, lines = bundled(world)

    assert bundle.items == 1_000
    assert results.equals(world.table())
    said = Counter(line["response"]["body"]["choices"][0]["message"]["content"] for line in lines)
    assert said == Counter({row.text for row in ROWS})


def test_no_row_shows_in_the_name_of_a_file(world_of, tmp_path):
    (tmp_path / "corpus").mkdir()
    corpus = a_file("parquet")(tmp_path / "corpus", table_of(ROWS))
    world = world_of(corpus, partition_key="all")
    world.carry()
    bundled(world)

    for name in names_below(tmp_path / "store"):
        assert name.isascii()
        assert not set(name) & set(" \"'\n\r\x00\\{}<>:;")


def rows_of(results: pa.Table) -> list[Row]:
    """Id and answer of each result."""
    ids, texts = results.column("item_id").to_pylist(), results.column("output").to_pylist()
    assert results.column("answer").to_pylist() == texts
    return [Row(id_, text) for id_, text in zip(ids, texts, strict=True)]
