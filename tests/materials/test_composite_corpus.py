"""Several sources as one corpus: order, namespaces, columns, types and partitions."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from factories import a_recipe, a_table

from batch_assets.corpus import FileCorpus
from batch_assets.corpus.asset import AssetCorpus
from batch_assets.corpus.composite import CompositeCorpus, assets_of, with_assets
from batch_assets.corpus.partitioning import (
    DiscoveredKeys,
    GivenPartitions,
    StaticKeys,
    TimeWindows,
)
from batch_assets.corpus.request_files import RequestFileCorpus
from batch_assets.corpus.sql import SqlCorpus
from batch_assets.domain.errors import CorpusError, DeclarationError
from batch_assets.domain.shard import Limits
from batch_assets.files import Files
from batch_assets.stages.prepare import prepare

MakeSource = Callable[..., FileCorpus]


@pytest.fixture
def source(tmp_path: Path) -> MakeSource:
    """Makes a folder of Parquet files, one per keyword or just `p`."""

    def make(name: str, *, item_id: str = "id", **tables: pa.Table) -> FileCorpus:
        (tmp_path / name).mkdir()
        for key, table in (tables or {"p": a_table(2)}).items():
            pq.write_table(table, tmp_path / name / f"{key}.parquet")
        return FileCorpus(path=str(tmp_path / name), item_id=item_id)

    return make


def a_table_of(*words: str, **columns: Any) -> pa.Table:
    return a_table(len(words), word=list(words), **columns)


def read(corpus: CompositeCorpus, *columns: str, key: str = "p") -> list[dict[str, Any]]:
    """Rows as dicts, each with the namespace that it came with."""
    return [
        {"from": rows.namespace, **row}
        for rows in corpus.read(key, columns)
        for row in rows.batch.to_pylist()
    ]


def test_sources_are_read_in_the_order_given(source):
    late = source("late", p=a_table_of("b"))
    early = source("early", p=a_table_of("a"))

    both = CompositeCorpus(sources={"zoo": late, "art": early})

    assert [row["word"] for row in read(both, "word")] == ["b", "a"]


def test_equal_ids_of_two_sources_are_two_items(source, tmp_path):
    both = CompositeCorpus(sources={"left": source("one"), "right": source("two")})
    files = Files(str(tmp_path / "files"))
    limits = Limits(requests=100, bytes=1_000_000, tokens=1_000_000)

    manifest = prepare(a_recipe(both), "p", files=files, limits=limits)

    folder = tmp_path / "files" / Path(manifest.shards[0].path).parent.parent
    items = pq.read_table(next(folder.rglob("*items*.parquet")))
    assert items.column("item_id").to_pylist() == ["left:i-0", "left:i-1", "right:i-0", "right:i-1"]
    assert items.column("source_primary_key").to_pylist() == ["i-0", "i-1"] * 2
    assert items.column("source_namespace").to_pylist() == ["left"] * 2 + ["right"] * 2
    assert items.column("source_item_index").to_pylist() == [0, 1] * 2


def test_each_source_names_its_own_id_column(source):
    numbered = source("numbered", item_id="number", p=a_table_of("b", number=[7]))
    both = CompositeCorpus(sources={"text": source("text"), "numbered": numbered})

    rows = read(both, "item_id", "word")

    assert [row["item_id"] for row in rows] == ["i-0", "i-1", "7"]
    assert [row["from"] for row in rows] == ["text", "text", "numbered"]
    assert both.schema("p").names == ["item_id", "id", "word", "number"]


def test_an_id_of_several_columns_is_a_template_over_common_ones(source):
    one = source("one", item_id="{{ id }}/{{ word }}")

    with pytest.raises(DeclarationError, match=r"'one' has the template .* give the composite"):
        CompositeCorpus(sources={"one": one})
    both = CompositeCorpus(
        sources={"one": one, "two": source("two")}, item_id="{{ id }}-{{ word }}"
    )
    assert both.schema("p").names == ["id", "word"]


def test_a_column_that_is_no_id_never_passes_for_one(source):
    named = source("named", p=a_table_of("a", item_id=["x"]))

    with pytest.raises(CorpusError, match=r"'one': .* column 'item_id' that is not its item_id"):
        read(CompositeCorpus(sources={"one": named}), "item_id")
    other = CompositeCorpus(sources={"one": named}, item_id="key")
    assert read(other, "key", "item_id") == [{"from": "one", "key": "i-0", "item_id": "x"}]


def test_columns_are_matched_by_name(source):
    turned = source("turned", p=a_table_of("b").select(["word", "id"]))
    both = CompositeCorpus(sources={"one": source("one", p=a_table_of("a")), "two": turned})

    assert [row["word"] for row in read(both, "word")] == ["a", "b"]


def test_a_column_that_a_source_lacks_is_named_before_any_row_is_read(source):
    both = CompositeCorpus(sources={"one": source("one"), "two": source("two", p=a_table(1))})
    short = CompositeCorpus(
        sources={**both.sources, "three": source("three", p=pa.table({"id": ["x"]}))}
    )

    with pytest.raises(
        CorpusError, match=r"source 'three': .*three/p\.parquet has no column 'word'"
    ):
        next(short.read("p", ["item_id", "word"]))


#: Types of a column in two sources, and the one it has in both.
PROMOTED = [
    (pa.int32(), pa.int64(), pa.int64()),
    (pa.float32(), pa.float64(), pa.float64()),
    (pa.string(), pa.large_string(), pa.large_string()),
    (pa.string(), pa.dictionary(pa.int32(), pa.string()), pa.large_string()),
    (pa.null(), pa.int64(), pa.int64()),
    (pa.timestamp("s"), pa.timestamp("us"), pa.timestamp("us")),
    (pa.decimal128(5, 2), pa.decimal128(9, 4), pa.decimal128(9, 4)),
]


@pytest.mark.parametrize(("one", "other", "both"), PROMOTED)
def test_a_type_that_differs_is_promoted_where_nothing_is_lost(source, one, other, both):
    columns = [a_table_of("a", n=pa.array([None], type_)) for type_ in (one, other)]
    made = CompositeCorpus(
        sources={"one": source("one", p=columns[0]), "two": source("two", p=columns[1])}
    )

    types = {rows.batch.schema.field("n").type for rows in made.read("p", ["n"])}

    assert types == {both}
    assert made.schema("p").field("n").type == both


def test_promoted_values_are_what_they_were(source):
    made = CompositeCorpus(
        sources={
            "one": source("one", p=a_table_of("a", n=pa.array([7], pa.int32()))),
            "two": source("two", p=a_table_of("a", n=pa.array([2**40], pa.int64()))),
        }
    )

    assert [row["n"] for row in read(made, "n")] == [7, 2**40]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pa.int64(), pa.string()),
        # A prompt would print 1.0 for 1.
        (pa.int64(), pa.float64()),
        (pa.timestamp("us"), pa.timestamp("us", "UTC")),
        (pa.bool_(), pa.int64()),
    ],
)
def test_types_that_would_change_a_value_are_refused_with_their_sources(source, one, other):
    columns = [a_table_of("a", n=pa.array([None], type_)) for type_ in (one, other)]
    made = CompositeCorpus(
        sources={"one": source("one", p=columns[0]), "two": source("two", p=columns[1])}
    )

    with pytest.raises(CorpusError, match=r"column 'n' has types .* in one, .* in two\): give"):
        read(made, "n")


def test_a_number_that_does_not_fit_the_common_type_is_refused_with_its_source(source):
    large = pa.array([2**63], pa.uint64())
    made = CompositeCorpus(
        sources={
            "one": source("one", p=a_table_of("a", n=[1])),
            "two": source("two", p=a_table_of("a", n=large)),
        }
    )

    with pytest.raises(CorpusError, match=r"source 'two': .*two/p\.parquet, row 0 .*'n' does not"):
        read(made, "n")


def test_a_key_that_several_sources_have_is_one_partition_of_all_of_them(source):
    one = source("one", a=a_table_of("one a"), b=a_table_of("one b"))
    two = source("two", b=a_table_of("two b"), c=a_table_of("two c"))
    both = CompositeCorpus(sources={"one": one, "two": two})

    assert both.partition_keys() == ["a", "b", "c"]
    assert both.partitioning == StaticKeys(keys=("a", "b", "c"))
    assert [row["word"] for row in read(both, "word", key="b")] == ["one b", "two b"]
    assert [row["word"] for row in read(both, "word", key="c")] == ["two c"]


def test_everything_can_be_one_partition(source):
    one = source("one", a=a_table_of("a"), b=a_table_of("b", id=["z"]))
    both = CompositeCorpus(sources={"one": one, "two": source("two")}, partitions="all")

    assert both.partition_keys() == ["all"]
    assert [row["word"] for row in read(both, "word", key="all")] == ["a", "b", "word 0", "word 1"]
    assert both.source_ref("all").startswith("one: 2 partitions; two: /")


def test_a_partition_that_no_source_has_is_refused(source):
    with pytest.raises(CorpusError, match="no source has a partition 'gone'"):
        read(CompositeCorpus(sources={"one": source("one")}), "word", key="gone")


DAYS = TimeWindows(cadence="daily", start=datetime(2026, 1, 1))


def a_query(**over: Any) -> SqlCorpus:
    query = "SELECT id FROM notes WHERE at >= :start AND at < :end"
    declared = {"url": "sqlite:///n.db", "query": query, "item_id": "id", "partitions": DAYS}
    return SqlCorpus(**{**declared, **over})


def test_time_windows_and_upstream_partitions_stay_what_they_are():
    given = dg.StaticPartitionsDefinition(["x"])
    asset = AssetCorpus(key="notes", item_id="id", partitions_def=given)
    found = RequestFileCorpus(path="new", partitions="discovered")

    assert CompositeCorpus(sources={"a": a_query(), "b": a_query()}).partitioning == DAYS
    assert CompositeCorpus(sources={"a": asset}).partitioning == GivenPartitions(definition=given)
    assert CompositeCorpus(sources={"a": found}, item_id="id").partitioning == DiscoveredKeys()


def test_sources_that_are_partitioned_in_different_ways_have_no_common_partitions(source):
    declared = CompositeCorpus(sources={"files": source("files"), "query": a_query()})

    with pytest.raises(DeclarationError, match=r"files: StaticKeys, query: TimeWindows.*'all'"):
        _ = declared.partitioning


def test_a_composite_opens_at_load_where_all_its_sources_do(source):
    files = source("files")

    assert CompositeCorpus(sources={"files": files}).opens_at_load
    assert not CompositeCorpus(sources={"files": files, "query": a_query()}).opens_at_load


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], "name one at least"),
        (["a:b"], "use letters, digits"),
        ([""], "use letters, digits"),
        (["a", "a"], "'a' is there twice"),
    ],
)
def test_a_name_that_cannot_be_a_namespace_is_refused(source, names, said):
    files = source("files")

    with pytest.raises(DeclarationError, match=said):
        CompositeCorpus(sources=[(name, files) for name in names])


def test_a_composite_is_a_source_like_any_other(source):
    inner = CompositeCorpus(sources={"a": source("one"), "b": source("two")})
    outer = CompositeCorpus(sources={"in": inner, "c": source("three")}, item_id="key")

    rows = read(outer, "key", "word")

    assert [row["from"] for row in rows] == ["in/a"] * 2 + ["in/b"] * 2 + ["c"] * 2
    assert [row["key"] for row in rows] == ["i-0", "i-1"] * 3


def test_assets_among_the_sources_are_loaded_each_by_its_key(source):
    notes = AssetCorpus(key="notes", item_id="id")
    mails = AssetCorpus(key="mails", item_id="id")
    inner = CompositeCorpus(sources={"mails": mails}, partitions="all")
    made = CompositeCorpus(sources={"notes": notes, "inner": inner}, partitions="all")

    bound = with_assets(made, lambda asset, key: a_table_of(f"{asset.name} {key}"))

    assert assets_of(made) == [notes, mails]
    assert [row["word"] for row in read(bound, "word", key="all")] == ["notes all", "mails all"]


def test_fifty_thousand_rows_of_two_sources_come_in_small_batches(source):
    table = a_table(25_000)
    both = CompositeCorpus(sources={"a": source("a", p=table), "b": source("b", p=table)})

    batches = list(both.read("p", ["item_id", "word"]))

    assert sum(rows.batch.num_rows for rows in batches) == 50_000
    assert max(rows.batch.num_rows for rows in batches) <= 1024
    assert [batches[0].name_of(0), batches[-1].positions[-1]] == [
        f"{both.sources['a'].source_ref('p')}, row 0",
        24_999,
    ]
