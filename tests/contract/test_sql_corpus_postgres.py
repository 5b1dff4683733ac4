"""The rows of a SQL query as items, on a real Postgres: types, cursor, zones, refusals."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
import sqlalchemy as sa

from batch_assets.corpus.partitioning import StaticKeys, TimeWindows
from batch_assets.corpus.sql import SqlCorpus
from batch_assets.domain.errors import CorpusError

ROWS = 60_000


@pytest.fixture(scope="module")
def warehouse(new_schema: Callable[[], AbstractContextManager[str]]) -> Iterator[str]:
    """A table of notes, one per minute from the 1st of March 2026 on, UTC."""
    with new_schema() as url:
        engine = sa.create_engine(url, poolclass=sa.NullPool)
        with engine.begin() as connection:
            connection.exec_driver_sql(
                "CREATE TABLE notes AS SELECT 'i-' || n AS id, 'word ' || n AS word, n, "
                "CASE WHEN n > 2000 THEN 'late' END AS note, "
                "timestamptz '2026-03-01 00:00Z' + n * interval '1 minute' AS at, "
                "timestamp '2026-03-01 00:00' + n * interval '1 minute' AS plain_at, "
                f"date '2026-03-01' + n / 1440 AS day FROM generate_series(0, {ROWS - 1}) AS n"
            )
        yield url


def corpus(url: str, query: str, **over: object) -> SqlCorpus:
    return SqlCorpus(**{"url": url, "query": query, "item_id": "id", **over})


def table(corpus: SqlCorpus, *columns: str, key: str = "all") -> pa.Table:
    return pa.Table.from_batches(rows.batch for rows in corpus.read(key, columns))


def test_a_large_answer_comes_in_small_batches_from_the_servers_cursor(warehouse):
    url = sa.make_url(warehouse).update_query_dict({"application_name": "reader"})
    named = url.render_as_string(hide_password=False)
    reading = corpus(named, "SELECT * FROM notes ORDER BY n").read("all", ["n", "note"])
    # Left open by a failure, it would keep the schema from being dropped.
    with closing(reading):
        first = next(reading)
        asked = _asked_last(warehouse, by="reader")
        batches = [first.batch, *(rows.batch for rows in reading)]

    assert asked.startswith("FETCH FORWARD")
    assert max(batch.num_rows for batch in batches) <= 1024
    read = pa.Table.from_batches(batches)
    assert read.column("n").to_pylist() == list(range(ROWS))
    assert read.schema.field("note").type == pa.string()
    assert read.column("note")[2_001].as_py() == "late"


def _asked_last(url: str, *, by: str) -> str:
    """What another connection asked the server last."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    asked = sa.text("SELECT query FROM pg_stat_activity WHERE application_name = :name LIMIT 1")
    with engine.connect() as connection:
        return str(connection.execute(asked, {"name": by}).scalar_one())


UUID = "a0000000-0000-4000-8000-000000000000"

#: What a template prints of each of Postgres's types.
TYPES = [
    ("2::bigint", pa.int64(), 2),
    ("1.5::real", pa.float64(), 1.5),
    ("'t'::varchar", pa.string(), "t"),
    ("true", pa.bool_(), True),
    ("1.50::numeric(10, 2)", pa.decimal128(10, 2), Decimal("1.50")),
    ("1.50::numeric", pa.string(), "1.50"),
    ("'NaN'::numeric", pa.string(), "NaN"),
    ("date '2026-03-01'", pa.date32(), date(2026, 3, 1)),
    ("timestamp '2026-03-01 05:00'", pa.timestamp("us"), datetime(2026, 3, 1, 5)),
    (
        "timestamptz '2026-03-01 05:00Z'",
        pa.timestamp("us", "UTC"),
        datetime(2026, 3, 1, 5, tzinfo=UTC),
    ),
    (f"'{UUID}'::uuid", pa.string(), UUID),
    (r"'\x00ff'::bytea", pa.binary(), b"\x00\xff"),
    ("jsonb '{\"ä\" : [1, null]}'", pa.string(), '{"ä": [1, null]}'),
    ("array['a', null]", pa.list_(pa.string()), ["a", None]),
    ("'{}'::int[]", pa.list_(pa.null()), []),
    ("array[array[1, 2]]", pa.string(), "[[1, 2]]"),
    ("null::text", pa.null(), None),
]


@pytest.mark.parametrize(("expression", "type_", "value"), TYPES)
def test_each_type_has_one_in_arrow(warehouse, expression, type_, value):
    found = corpus(warehouse, f"SELECT {expression} AS v")

    column = table(found, "v").column("v")

    assert column.type == type_
    assert found.schema("all").field("v").type == type_
    assert column.to_pylist() == [value]


def test_a_value_without_a_type_is_refused_with_the_way_out(warehouse):
    with pytest.raises(CorpusError, match=r"row 0, column 'v': NumericRange .* CAST it to text"):
        table(corpus(warehouse, "SELECT int4range(1, 4) AS v"), "v")


#: The server's own zone is another; the window's decides, whatever the column's type.
@pytest.mark.parametrize("column", ["at", "plain_at", "day"])
def test_a_time_window_means_the_same_on_every_type_of_time(warehouse, column):
    query = f"SELECT id, n FROM notes WHERE {column} >= :start AND {column} < :end ORDER BY n"
    windows = TimeWindows(cadence="daily", start=datetime(2026, 3, 1))

    rows = table(corpus(warehouse, query, partitions=windows), "n", key="2026-03-02")

    assert rows.column("n").to_pylist() == list(range(1_440, 2_880))


def test_windows_in_another_zone_begin_at_its_midnight(warehouse):
    query = "SELECT id, n FROM notes WHERE at >= :start AND at < :end ORDER BY n"
    start = datetime(2026, 3, 1, tzinfo=ZoneInfo("Europe/Berlin"))
    windows = TimeWindows(cadence="daily", start=start)

    rows = table(corpus(warehouse, query, partitions=windows), "n", key="2026-03-02")

    assert rows.column("n").to_pylist() == list(range(1_380, 2_820))


def test_a_key_is_bound_and_never_written_into_the_query(warehouse):
    hostile = "'; DROP TABLE notes; --"
    query = "SELECT id FROM notes WHERE word = :partition_key"
    keys = StaticKeys(keys=(hostile, "word 7"))

    found = corpus(warehouse, query, partitions=keys)

    assert list(found.read(hostile, ["id"])) == []
    assert table(found, "id", key="word 7").column("id").to_pylist() == ["i-7"]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT * FROM nope", 'relation "nope" does not exist'),
        ("DELETE FROM notes", 'syntax error at or near "DELETE"'),
        ("SELECT nextval('counter')", "read-only transaction|does not exist"),
        ("SELECT n / (n - 3000) AS id FROM notes ORDER BY n", r"division by zero"),
        ("SELECT date '5000-01-01 BC' AS id", "out of range"),
    ],
)
def test_a_query_that_cannot_be_read_is_refused(warehouse, query, said):
    with pytest.raises(CorpusError, match=said):
        table(corpus(warehouse, query), "id")


def test_a_server_that_refuses_the_login_is_named_without_the_password(warehouse):
    url = sa.make_url(warehouse).set(username="nobody-here", password="hunter2")

    with pytest.raises(CorpusError, match=r'no connection .*role "nobody-here"') as refused:
        table(corpus(url.render_as_string(hide_password=False), "SELECT 1 AS id"), "id")
    assert "hunter2" not in str(refused.value)
