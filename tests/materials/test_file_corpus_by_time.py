"""Time windows as partitions."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpus_files import cut, ids, numbers, positions, written
from factories import a_table

from batch_assets.corpus import ByTime
from batch_assets.corpus.partitioning import TimeWindows
from batch_assets.domain.errors import CorpusError

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cadence", "key", "hours"),
    [
        ("hourly", "2026-01-02-05:00", range(29, 30)),
        ("daily", "2026-01-02", range(24, 48)),
        ("weekly", "2026-01-04", range(72, 72 + 7 * 24)),
        ("monthly", "2026-02-01", range(31 * 24, 59 * 24)),
    ],
)
@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_a_partition_has_the_rows_of_its_window(tmp_path, ending, cadence, key, hours):
    times = [START + timedelta(hours=hour) for hour in range(2_000)]
    if ending == "jsonl":
        times = [time.isoformat() for time in times]
    written(tmp_path / f"p.{ending}", a_table(2_000, at=times))
    by = ByTime("at", cadence, START, datetime(2026, 4, 1, tzinfo=UTC))

    found = cut(tmp_path, by)

    assert key in found.partition_keys()
    assert positions(found.read(key, ["id"])) == list(hours)


def test_windows_are_known_by_their_cadence(tmp_path):
    found = cut(tmp_path, ByTime("at", "daily", START))

    assert found.partitioning == TimeWindows(cadence="daily", start=START)
    assert found.partition_keys()[:2] == ["2026-01-01", "2026-01-02"]


def test_days_begin_at_midnight_of_the_zone(tmp_path):
    times = [
        "2026-03-28T22:59:59Z",
        "2026-03-28T23:00:00Z",
        "2026-03-29T21:59:59+00:00",
        "2026-03-29T22:00:00Z",
        "2026-03-29 12:00",
        "2026-03-29",
        "",
        None,
    ]
    written(tmp_path / "p.jsonl", a_table(8, at=times))
    start = datetime(2026, 3, 1, tzinfo=ZoneInfo("Europe/Berlin"))

    found = cut(tmp_path, ByTime("at", "daily", start))

    assert positions(found.read("2026-03-29", ["id"])) == [1, 2, 4, 5]


@pytest.mark.parametrize(
    "type_",
    [
        pa.timestamp("ns"),
        pa.timestamp("s"),
        pa.timestamp("ms", "UTC"),
        pa.date32(),
        pa.timestamp("us", "America/New_York"),
    ],
)
def test_times_may_be_of_any_type(tmp_path, type_):
    times = pa.array([START + timedelta(days=day) for day in range(5)] + [None])
    table = a_table(6, at=times.cast(pa.timestamp("s", "UTC")).cast(type_))
    pq.write_table(table, tmp_path / "p.parquet")

    found = cut(tmp_path, ByTime("at", "daily", START))

    assert positions(found.read("2026-01-03", ["id"])) == [2]


def test_row_groups_outside_of_the_window_are_not_read(tmp_path):
    path = tmp_path / "p.parquet"
    table = a_table(10_000, at=[START + timedelta(hours=row) for row in range(10_000)])
    pq.write_table(table, path, row_group_size=1_000, write_page_checksum=True)
    content = bytearray(path.read_bytes())
    for group in range(9):
        column = pq.read_metadata(path).row_group(group).column(2)
        content[column.data_page_offset : column.data_page_offset + 40] = b"\xff" * 40
    path.write_bytes(content)

    found = cut(path, ByTime("at", "daily", START, datetime(2027, 3, 1, tzinfo=UTC)))

    day = START + timedelta(hours=9_504)
    assert positions(found.read(f"{day:%Y-%m-%d}", ["id"])) == list(range(9_504, 9_528))


def test_folders_of_other_days_are_not_opened(tmp_path):
    written(tmp_path / "day=2026-01-02" / "p.parquet", a_table(2))
    (tmp_path / "day=2026-01-05").mkdir()
    (tmp_path / "day=2026-01-05" / "p.parquet").write_bytes(b"broken")

    found = cut(tmp_path / "**" / "*.parquet", ByTime("day", "daily", START))

    assert ids(found.read("2026-01-02", ["id"])) == numbers(range(2))


def test_a_window_no_file_can_have_rows_of_is_named(tmp_path):
    written(tmp_path / "day=2026-01-02" / "p.parquet", a_table(2))
    found = cut(tmp_path / "**" / "*.parquet", ByTime("day", "daily", START))

    with pytest.raises(CorpusError, match="no file has rows of partition 2026-01-09"):
        ids(found.read("2026-01-09", ["id"]))


def test_a_value_that_is_no_time_is_named_by_its_row(tmp_path):
    written(tmp_path / "p.csv", a_table(3, at=["2026-01-01", "", "yesterday"]))

    with pytest.raises(CorpusError, match=r"p\.csv, row 2, column 'at': 'yesterday' is no ti"):
        ids(cut(tmp_path, ByTime("at", "daily", START)).read("2026-01-01", ["id"]))
