"""What has no character form: refused with its file and row, before anything is sent."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from factories import a_corpus, a_table
from hostile_rows import FIVE_MB, Row, table_of

from batch_assets import Prompt
from batch_assets.corpus import FileCorpus
from batch_assets.corpus.asset import AssetCorpus
from batch_assets.corpus.sql import SqlCorpus
from batch_assets.domain.errors import CorpusError
from batch_assets.domain.shard import Limits

#: Half of a surrogate pair, as an encoder that does not look writes it.
HALF = b"\xed\xa0\xbd"

ROWS = 3_000


def text_array(values: list[bytes]) -> pa.Array:
    """A column of text that nobody checked."""
    made = pa.array(values, pa.binary())
    return pa.Array.from_buffers(pa.string(), len(values), made.buffers())


def with_half(values: int = ROWS, at: int = 2_345) -> list[bytes]:
    return [HALF if row == at else f"word {row}".encode() for row in range(values)]


def ids(rows: int = ROWS) -> list[str]:
    return [f"i-{row}" for row in range(rows)]


def csv_file(folder: Path) -> FileCorpus:
    lines = [
        b"%b,%b\n" % (id_.encode(), text) for id_, text in zip(ids(), with_half(), strict=True)
    ]
    (folder / "p.csv").write_bytes(b"id,text\n" + b"".join(lines))
    return FileCorpus(path=str(folder), item_id="id")


def jsonl_file(folder: Path) -> FileCorpus:
    lines = [
        b'{"id":"%b","text":"%b"}\n' % (id_.encode(), text)
        for id_, text in zip(ids(), with_half(), strict=True)
    ]
    (folder / "p.jsonl").write_bytes(b"".join(lines))
    return FileCorpus(path=str(folder), item_id="id")


def escaped_jsonl_file(folder: Path) -> FileCorpus:
    jsonl_file(folder)
    path = folder / "p.jsonl"
    path.write_bytes(path.read_bytes().replace(HALF, rb"\ud83d"))
    return FileCorpus(path=str(folder), item_id="id")


def parquet_file(folder: Path) -> FileCorpus:
    pq.write_table(pa.table({"id": ids(), "text": text_array(with_half())}), folder / "p.parquet")
    return FileCorpus(path=str(folder), item_id="id")


def a_query(folder: Path) -> SqlCorpus:
    with closing(sqlite3.connect(folder / "notes.db")) as database, database:
        database.execute("CREATE TABLE notes (place INTEGER PRIMARY KEY, id, text)")
        database.executemany(
            "INSERT INTO notes (id, text) VALUES (?, CAST(? AS TEXT))",
            zip(ids(), with_half(), strict=True),
        )
    query = "SELECT id, text FROM notes ORDER BY place"
    return SqlCorpus(url=f"sqlite:///{folder / 'notes.db'}", query=query, item_id="id")


def an_arrow_table(folder: Path) -> AssetCorpus:
    table = pa.table({"id": ids(), "text": text_array(with_half())})
    return AssetCorpus(key="notes", item_id="id").bound(lambda _: table)


def a_pandas_frame(folder: Path) -> AssetCorpus:
    texts = [text.decode("utf-8", "surrogatepass") for text in with_half()]
    frame = pd.DataFrame({"id": ids(), "text": pd.Series(texts, dtype=object)})
    return AssetCorpus(key="notes", item_id="id").bound(lambda _: frame)


#: Each with what names its source, the row and the field.
SOURCES = {
    "csv": (csv_file, r"p\.csv, line 2347 \(row 2345\): .*invalid UTF8"),
    "jsonl": (jsonl_file, r"p\.jsonl, line 2346 \(row 2345\): .*no UTF-8"),
    "jsonl with escapes": (escaped_jsonl_file, r"p\.jsonl, line 2346 \(row 2345\): .*one half of"),
    "parquet": (parquet_file, r"p\.parquet, row 2345, column 'text': .*no UTF-8"),
    # The driver reads some hundred rows at once.
    "query": (a_query, r"notes\.db: the query failed at row 2048 or after it .*column 'text'"),
    "arrow table": (an_arrow_table, r"asset notes, row 2345, column 'text': .*no UTF-8"),
    "pandas frame": (a_pandas_frame, r"asset notes, row 2345, column 'text': .*half of"),
}


@pytest.mark.parametrize("source", SOURCES)
def test_half_a_character_is_refused_where_it_stands(source, world_of, tmp_path):
    (tmp_path / "corpus").mkdir()
    build, complaint = SOURCES[source]
    corpus = build(tmp_path / "corpus")
    world = world_of(corpus, partition_key=corpus.partition_keys()[0])

    with pytest.raises(CorpusError, match=complaint):
        world.submit()

    assert world.executions["files_uploaded"] == 0
    assert not (tmp_path / "store").exists()


def halved(text: str) -> str:
    return text.replace("word 2", "\ud83d")


def test_half_a_character_that_a_function_makes_is_refused_by_its_row(world_of, tmp_path):
    corpus = a_corpus(tmp_path / "corpus", a_table(text=["word 0", "word 1", "word 2"]))
    world = world_of(corpus, prompt=Prompt(call=halved))

    with pytest.raises(CorpusError, match=r"p\.parquet, row 2: .*half a character"):
        world.submit()

    assert world.executions["files_uploaded"] == 0


def test_a_row_that_no_batch_can_hold_leaves_its_neighbours_alone(world_of, tmp_path):
    rows = [Row("small", "a"), Row("five MB", FIVE_MB), Row("smaller", "b")]
    world = world_of(a_corpus(tmp_path / "corpus", table_of(rows)))
    world.limits = Limits(requests=50_000, bytes=1_000_000)

    world.carry()

    assert world.column("outcome") == ["ok", "oversize", "ok"]
    assert world.column("output") == ["a", None, "b"]
