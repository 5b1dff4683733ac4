"""Whatever rows there are: all sources agree on them, and the model's words come back."""

import tempfile
from pathlib import Path

import pytest
from hostile_rows import ITEM_IDS, TEXTS, Row, table_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_hostile_sources import SOURCES, rows_of

#: Any character that has a form of its own; the fixed list's come often.
CHARACTERS = st.characters(exclude_categories=["Cs"])
WRITTEN = st.text(CHARACTERS, max_size=40)
MIXED = st.lists(st.sampled_from([text for text in TEXTS if len(text) < 100]) | WRITTEN, max_size=4)
TEXT = MIXED.map("".join)
ITEM_ID = st.text(CHARACTERS, min_size=1, max_size=20) | st.sampled_from(ITEM_IDS)
ROWS = st.lists(st.builds(Row, ITEM_ID, TEXT), min_size=1, max_size=60, unique_by=lambda r: r.id)

EXAMPLES = settings(
    max_examples=30,
    deadline=None,
    # The world goes on from example to example, as a deployment does from day to day.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@EXAMPLES
@given(rows=ROWS, source=st.sampled_from(sorted(SOURCES)))
def test_any_rows_come_back_from_any_source(rows, source, world_of):
    with tempfile.TemporaryDirectory() as folder:
        world = world_of(SOURCES[source](Path(folder), table_of(rows)), partition_key="all")

        resolution = world.carry()

    assert rows_of(world.table()) == rows
    assert resolution.summary.outcomes == {"ok": len(rows)}


@EXAMPLES
@given(rows=ROWS)
def test_all_sources_make_one_request_set_of_any_rows(rows, world_of):
    digests = {}
    for source, build in SOURCES.items():
        with tempfile.TemporaryDirectory() as folder:
            world = world_of(build(Path(folder), table_of(rows)), partition_key="all")
            digests[source] = world.prepare().digest

    assert len(set(digests.values())) == 1, digests


@pytest.mark.parametrize("row", [Row("i", ""), Row("i", "\x00"), Row("i", '"'), Row("i", "\r")])
@pytest.mark.parametrize("source", SOURCES)
def test_a_partition_of_one_awkward_row_is_a_partition(row, source, world_of, tmp_path):
    (tmp_path / "corpus").mkdir()
    world = world_of(SOURCES[source](tmp_path / "corpus", table_of([row])), partition_key="all")

    assert world.prepare().items == 1
