"""Fifty thousand rows through every source: the same rows are the same request set."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import fsspec
import pandas as pd
import polars as pl
import pyarrow.dataset as pads
import pytest
from corpus_files import content_of
from factories import a_recipe, a_table

from batch_assets import Inference
from batch_assets.corpus import Corpus, FileCorpus
from batch_assets.corpus.asset import AssetCorpus
from batch_assets.corpus.composite import CompositeCorpus
from batch_assets.corpus.request_files import RequestFileCorpus
from batch_assets.corpus.sql import SqlCorpus
from batch_assets.domain.shard import Limits
from batch_assets.files import Files
from batch_assets.files.manifest import Manifest
from batch_assets.stages.prepare import prepare

ROWS = 50_000
LIMITS = Limits(requests=20_000, bytes=200_000_000)


def words() -> list[str]:
    """Some words are there often, some have line ends, quotes and letters of several bytes."""
    return [
        'the "same"\nfor all,' if row % 10 == 0 else f"wörd {row} 👩‍👩‍👧" for row in range(ROWS)
    ]


TABLE = a_table(ROWS, word=words())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sources")


def a_file(ending: str) -> Callable[[Path], Corpus]:
    def build(folder: Path) -> Corpus:
        path = folder / ending / f"all.{ending}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content_of(TABLE, ending))
        return FileCorpus(path=str(path), item_id="id")

    return build


def a_query(folder: Path) -> Corpus:
    path = folder / "notes.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE notes (place INTEGER PRIMARY KEY, id, word)")
        database.executemany("INSERT INTO notes (id, word) VALUES (:id, :word)", TABLE.to_pylist())
    query = "SELECT id, word FROM notes ORDER BY place"
    return SqlCorpus(url=f"sqlite:///{path}", query=query, item_id="id")


def an_asset(kind: Callable[[Path], object]) -> Callable[[Path], Corpus]:
    def build(folder: Path) -> Corpus:
        path = folder / "stored.parquet"
        path.write_bytes(content_of(TABLE, "parquet"))
        return AssetCorpus(key="notes", item_id="id").bound(lambda _: kind(path))

    return build


SOURCES: dict[str, Callable[[Path], Corpus]] = {
    **{
        ending: a_file(ending)
        for ending in (
            "parquet",
            "csv",
            "csv.gz",
            "csv.bz2",
            "tsv",
            "tsv.lz4",
            "jsonl",
            "ndjson.gz",
            "jsonl.zst",
        )
    },
    "query": a_query,
    "arrow dataset": an_asset(pads.dataset),
    "arrow reader": an_asset(lambda path: pads.dataset(path).scanner().to_reader()),
    "pandas frame": an_asset(pd.read_parquet),
    "polars lazy frame": an_asset(pl.scan_parquet),
}


def prepared(corpus: Corpus, store: Path) -> Manifest:
    return prepare(a_recipe(corpus), "all", files=Files(str(store)), limits=LIMITS)


@pytest.fixture(scope="module")
def expected(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """What the rows are in an Arrow table of this process."""
    corpus = AssetCorpus(key="notes", item_id="id").bound(lambda _: TABLE)
    return prepared(corpus, tmp_path_factory.mktemp("store"))


def test_the_rows_are_counted_once_each(expected):
    assert (expected.items, expected.duplicates) == (ROWS, 4_999)
    assert [shard.requests for shard in expected.shards] == [20_000, 20_000, 5_001]


@pytest.mark.parametrize("source", SOURCES)
def test_fifty_thousand_rows_make_the_same_request_set(source, folder, tmp_path, expected):
    found = prepared(SOURCES[source](folder), tmp_path)

    assert found.digest == expected.digest
    assert (found.items, found.duplicates) == (expected.items, expected.duplicates)
    assert [shard.sha256 for shard in found.shards] == [shard.sha256 for shard in expected.shards]


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_a_bucket_gives_the_same_request_set(ending, bucket, tmp_path, expected, monkeypatch):
    monkeypatch.setitem(fsspec.config.conf, "s3", bucket.options)
    bucket.put(f"all.{ending}", content_of(TABLE, ending))

    found = prepared(FileCorpus(path=bucket.url, item_id="id"), tmp_path)

    assert found.digest == expected.digest


def test_a_composite_has_the_same_requests_under_ids_of_its_own(folder, tmp_path, expected):
    half = ROWS // 2
    for name, ending, begin in (("one", "csv", 0), ("two", "jsonl", half)):
        path = tmp_path / f"{name}.{ending}"
        path.write_bytes(content_of(TABLE.slice(begin, half), ending))
    sources = {
        "one": FileCorpus(path=str(tmp_path / "one.csv"), item_id="id"),
        "two": FileCorpus(path=str(tmp_path / "two.jsonl"), item_id="id"),
    }

    found = prepared(CompositeCorpus(sources=sources, partitions="all"), tmp_path / "store")

    assert found.digest != expected.digest
    assert (found.items, found.duplicates) == (expected.items, expected.duplicates)
    # Other ids, the same bodies: only the custom_ids, which name the request set, differ.
    assert [shard.bytes for shard in found.shards] == [shard.bytes for shard in expected.shards]


def test_fifty_thousand_ready_made_requests_are_as_many_items(tmp_path):
    line = '{"custom_id":%s,"method":"POST","url":"/v1/chat/completions","body":%s}\n'
    with (tmp_path / "all.jsonl").open("w", encoding="utf-8") as file:
        for id_, word in zip(TABLE["id"].to_pylist(), TABLE["word"].to_pylist(), strict=True):
            body = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": word}]}
            file.write(line % (json.dumps(id_), json.dumps(body)))
    corpus = RequestFileCorpus(path=str(tmp_path / "all.jsonl"))
    recipe = Inference(name="ready", corpus=corpus).recipe()

    found = prepare(recipe, "all", files=Files(str(tmp_path / "store")), limits=LIMITS)

    assert (found.items, found.duplicates) == (ROWS, 4_999)
