"""The rows of a SQL query as items, on SQLite; the same on Postgres is a contract test."""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pyarrow as pa
import pytest
from factories import a_recipe

from batch_assets.corpus.partitioning import StaticKeys, TimeWindows
from batch_assets.corpus.sql import SqlCorpus
from batch_assets.domain.errors import CorpusError, DeclarationError
from batch_assets.domain.shard import Limits
from batch_assets.files import Files
from batch_assets.stages.prepare import prepare

MakeDatabase = Callable[..., str]


@pytest.fixture
def database(tmp_path: Path) -> MakeDatabase:
    """Makes a table `notes` and gives the database's URL."""

    def make(columns: str, rows: Sequence[Sequence[Any]]) -> str:
        path = tmp_path / "notes.db"
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(f"CREATE TABLE notes ({columns})")
            marks = ", ".join("?" * len(columns.split(",")))
            connection.executemany(f"INSERT INTO notes VALUES ({marks})", rows)
        return f"sqlite:///{path}"

    return make


@pytest.fixture
def notes(database: MakeDatabase) -> str:
    rows = [(f"i-{row}", f"word {row}", "de" if row % 2 else "fr") for row in range(4)]
    return database("id TEXT, word TEXT, country TEXT", rows)


def corpus(url: str, query: str = "SELECT * FROM notes ORDER BY id", **over: Any) -> SqlCorpus:
    return SqlCorpus(url=url, query=query, **{"item_id": "id", **over})


def table(corpus: SqlCorpus, *columns: str, key: str = "all") -> pa.Table:
    return pa.Table.from_batches(rows.batch for rows in corpus.read(key, columns or ["id"]))


def test_a_query_without_partitions_is_one_partition(notes):
    assert corpus(notes).partition_keys() == ["all"]
    assert table(corpus(notes), "word", "id").to_pylist()[1] == {"word": "word 1", "id": "i-1"}


def test_rows_come_in_the_querys_order_with_their_places(notes):
    (rows,) = corpus(notes, "SELECT id FROM notes ORDER BY id DESC").read("all", ["id"])

    assert rows.batch.column("id").to_pylist() == ["i-3", "i-2", "i-1", "i-0"]
    assert list(rows.positions) == [0, 1, 2, 3]


def test_the_schema_has_the_querys_columns(notes):
    query = "SELECT id, length(word) AS letters, 1.5 AS weight, NULL AS void FROM notes"

    schema = corpus(notes, query).schema("all")

    assert schema == pa.schema(
        [
            ("id", pa.string()),
            ("letters", pa.int64()),
            ("weight", pa.float64()),
            ("void", pa.null()),
        ]
    )


def test_fifty_thousand_rows_come_in_small_batches(database):
    url = database("id TEXT, word TEXT", [(f"i-{n:05}", f"word {n}") for n in range(50_000)])

    batches = list(corpus(url).read("all", ["id", "word"]))

    assert max(rows.batch.num_rows for rows in batches) <= 1024
    words = pa.Table.from_batches(rows.batch for rows in batches).column("word").to_pylist()
    assert words == [f"word {n}" for n in range(50_000)]
    assert [place for rows in batches for place in rows.positions] == list(range(50_000))


def test_a_column_that_begins_with_nulls_has_the_type_of_its_first_value(database):
    rows = [(f"i-{n:05}", None if n < 3_000 else "late") for n in range(3_001)]
    url = database("id TEXT, note TEXT", rows)

    batches = [rows.batch for rows in corpus(url).read("all", ["note"])]

    assert {batch.schema.field("note").type for batch in batches} == {pa.string()}
    assert batches[-1].column("note").to_pylist()[-1] == "late"
    assert corpus(url).schema("all").field("note").type == pa.string()


def test_a_value_of_another_kind_than_the_columns_is_refused_with_its_row(database):
    rows = [(f"i-{n:05}", n) for n in range(2_000)] + [("i-99999", "many")]
    url = database("id TEXT, number", rows)

    with pytest.raises(CorpusError, match=r"row 2000, column 'number': str .* CAST it"):
        table(corpus(url), "number")


def test_a_fraction_after_whole_numbers_is_never_cut_off(database):
    url = database("id TEXT, n", [(f"i-{n:05}", n) for n in range(1_500)] + [("i-9", 1.5)])

    with pytest.raises(CorpusError, match=r"row 1500, column 'n': float .* CAST it"):
        table(corpus(url), "n")


def test_whole_numbers_and_fractions_that_begin_together_are_fractions(database):
    url = database("id TEXT, n", [("a", 1), ("b", 2.5)])

    assert table(corpus(url), "n").column("n").to_pylist() == [1.0, 2.5]


def test_each_static_key_is_bound_to_its_parameter(notes):
    query = "SELECT * FROM notes WHERE country = :partition_key ORDER BY id"
    by_country = corpus(notes, query, partitions=StaticKeys(keys=("de", "fr")))

    assert by_country.partition_keys() == ["de", "fr"]
    assert table(by_country, key="de").column("id").to_pylist() == ["i-1", "i-3"]


def test_a_key_that_looks_like_sql_is_a_value(notes):
    hostile = "de' OR '1'='1"
    query = "SELECT * FROM notes WHERE country = :partition_key"

    found = corpus(notes, query, partitions=StaticKeys(keys=(hostile, "de")))

    assert list(found.read(hostile, ["id"])) == []


#: However a time is written, a row is in the window of its day.
@pytest.mark.parametrize("midnight", ["2026-03-02", "2026-03-02 00:00:00", "2026-03-02T00:00:00"])
def test_a_time_window_holds_its_beginning_and_not_its_end(database, midnight):
    moments = ["2026-03-01 23:59:59", midnight, "2026-03-02 23:59:59.999", "2026-03-03"]
    url = database("id TEXT, at TEXT", [(str(n), moment) for n, moment in enumerate(moments)])
    query = "SELECT * FROM notes WHERE at >= :start AND at < :end ORDER BY id"
    windows = TimeWindows(
        cadence="daily", start=datetime(2026, 3, 1), end=datetime(2026, 3, 4, tzinfo=UTC)
    )
    daily = corpus(url, query, partitions=windows)

    assert daily.partition_keys() == ["2026-03-01", "2026-03-02", "2026-03-03"]
    assert table(daily, key="2026-03-02").column("id").to_pylist() == ["1", "2"]


@pytest.mark.parametrize(
    ("cadence", "key", "start", "end"),
    [
        ("hourly", "2026-03-29-04:00", "2026-03-29 04:00:00", "2026-03-29 05:00:00"),
        ("daily", "2026-03-29", "2026-03-29", "2026-03-30"),
        # Dagster's weeks begin on Sunday.
        ("weekly", "2026-03-29", "2026-03-29", "2026-04-05"),
        ("monthly", "2026-12-01", "2026-12-01", "2027-01-01"),
    ],
)
def test_windows_are_dagsters_own(notes, cadence, key, start, end):
    windows = TimeWindows(
        cadence=cadence, start=datetime(2026, 1, 1, tzinfo=ZoneInfo("Europe/Berlin"))
    )
    query = "SELECT :start AS begins, :end AS ends"

    found = corpus(notes, query, partitions=windows)

    assert table(found, "begins", "ends", key=key).to_pylist() == [{"begins": start, "ends": end}]


def test_windows_in_a_zone_without_a_name_are_refused():
    start = datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=2)))

    with pytest.raises(DeclarationError, match=r"has no name; give the start a zoneinfo"):
        corpus("env:X", partitions=TimeWindows(cadence="daily", start=start))


def test_a_key_that_is_no_window_is_refused(notes):
    windows = TimeWindows(cadence="daily", start=datetime(2026, 3, 1))
    query = "SELECT * FROM notes WHERE country BETWEEN :start AND :end"

    with pytest.raises(CorpusError, match="'march' is no daily window"):
        table(corpus(notes, query, partitions=windows), key="march")


@pytest.mark.parametrize(
    ("query", "partitions", "said"),
    [
        ("SELECT 1", StaticKeys(keys=("a", "b")), "limit it by :partition_key"),
        ("SELECT :start", TimeWindows(cadence="daily", start=datetime(2026, 1, 1)), "by :end"),
        ("SELECT :country", StaticKeys(keys=("a",)), "nothing is bound to :country"),
        ("SELECT ' :x'", StaticKeys(keys=("all",)), r"written \\:"),
        ("SELECT 1", StaticKeys(keys=()), "name one key at least"),
    ],
)
def test_a_query_whose_parameters_are_not_those_of_its_partitions_is_refused(
    query, partitions, said
):
    with pytest.raises(DeclarationError, match=said):
        corpus("sqlite:///notes.db", query, partitions=partitions)


def test_nothing_connects_while_it_is_declared(tmp_path):
    declared = corpus(f"sqlite:///{tmp_path}/none.db")

    assert not declared.opens_at_load
    assert declared.partition_keys() == ["all"]
    assert not (tmp_path / "none.db").exists()


def test_a_file_that_is_not_there_is_refused_and_not_made(tmp_path):
    with pytest.raises(CorpusError, match=r"none\.db: there is no such file"):
        table(corpus(f"sqlite:///{tmp_path}/none.db"))
    assert not (tmp_path / "none.db").exists()


@pytest.mark.parametrize("url", ["env:WAREHOUSE_URL", dg.EnvVar("WAREHOUSE_URL")])
def test_the_url_is_looked_up_where_the_query_runs(notes, monkeypatch, url):
    declared = corpus(url)

    with pytest.raises(CorpusError, match="environment variable WAREHOUSE_URL is not set"):
        table(declared)
    monkeypatch.setenv("WAREHOUSE_URL", notes)
    assert table(declared).num_rows == 4


SECRET = "hunter2"


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql+psycopg2://ann:{SECRET}@127.0.0.1:1/db",
        f"postgresql+psycopg2://127.0.0.1:1/db?password={SECRET}",
        f"nosuch://ann:{SECRET}@host/db",
        f"postgresql//ann:{SECRET}@host/db",
        f"postgresql+psycopg2://ann:{SECRET}@host:port/db",
        f"postgresql+psycopg2://ann@127.0.0.1:1/db?pass_word={SECRET}",
    ],
)
def test_a_password_is_never_shown(url):
    declared = corpus(url)

    with pytest.raises(CorpusError) as refused:
        table(declared)

    error: BaseException | None = refused.value
    while error is not None:
        assert SECRET not in str(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    assert SECRET not in repr(declared)


def test_a_database_is_named_without_its_user():
    named = corpus("postgresql+psycopg2://ann:secret@warehouse:5433/sales?sslmode=require")

    assert named.source_ref("all") == "postgresql://warehouse:5433/sales"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT * FROM nope", "no such table: nope"),
        ("SELECT id, id FROM notes", "several columns named id"),
        ("DELETE FROM notes", "readonly database"),
        ("PRAGMA cache_size = 10", "gives no rows"),
        ("SELECT CAST(x'ff' AS TEXT) AS id", "Could not decode to UTF-8"),
        ("SELECT 9223372036854775807 + 1 AS word", "no column 'id'"),
    ],
)
def test_a_query_that_cannot_be_read_is_refused(notes, query, said):
    with pytest.raises(CorpusError, match=said):
        table(corpus(notes, query))
    assert table(corpus(notes)).num_rows == 4


def test_rows_that_come_in_two_orders_are_refused_before_anything_is_sent(database, tmp_path):
    url = database("id TEXT, word TEXT", [(f"i-{n}", f"word {n}") for n in range(500)])
    shuffled = corpus(url, "SELECT * FROM notes ORDER BY random()")
    limits = Limits(requests=1_000, bytes=1_000_000, tokens=1_000_000)

    with pytest.raises(CorpusError, match="does not give its rows in the same order twice"):
        prepare(a_recipe(shuffled), "all", files=Files(str(tmp_path / "files")), limits=limits)


def test_a_reader_that_stops_early_leaves_no_connection(database, tmp_path):
    url = database("id TEXT", [(f"i-{n:05}",) for n in range(5_000)])
    reading = corpus(url).read("all", ["id"])
    next(reading)
    reading.close()

    with closing(sqlite3.connect(tmp_path / "notes.db", timeout=0)) as other, other:
        other.execute("DROP TABLE notes")


HOSTILE = [
    "'\"",
    "a\nb",
    "\0",
    "{{ x }}",
    "=cmd()",
    "\u202eabc",
    "👩‍👩‍👧",
    ":x",
    "%s",
    "x" * 5_000_000,
]


def test_hostile_text_comes_as_it_is(database):
    url = database("id TEXT, word TEXT", [(f"i-{n}", text) for n, text in enumerate(HOSTILE)])

    assert table(corpus(url), "word").column("word").to_pylist() == HOSTILE
