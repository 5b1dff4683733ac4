"""Results of several partitions are one stream of rows, in the corpus's order."""

from dataclasses import replace
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from factories import Kind, a_corpus, a_recipe, a_table
from pydantic import BaseModel

from batch_assets.corpus import ByColumn
from batch_assets.domain.errors import ArtifactError
from batch_assets.stages.results import results_schema
from batch_assets.stages.tables import results_reader


class Scored(Kind):
    """One field more."""

    certain: bool = False


class Renamed(BaseModel):
    """A field of the same name and another type."""

    score: str


@pytest.fixture
def carried(a_world, tmp_path):
    """A world in which partitions with so many rows have their results, in the order given."""

    def carry(**partitions: int) -> Any:
        for key, rows in partitions.items():
            a_corpus(tmp_path / "corpus", a_table(rows, id=ids(key, rows)), key=key)
        (tmp_path / "corpus" / "p.parquet").unlink(missing_ok=True)
        for key in partitions:
            replace(world, partition_key=key).carry()
        return world

    world = a_world(1)
    return carry


def ids(key: str, rows: int) -> list[str]:
    return [f"{key}-{row}" for row in range(rows)]


def read(world, **over: Any) -> pa.RecordBatchReader:
    return results_reader(world.files, world.recipe, **over)


def item_ids(world, **over: Any) -> list[str]:
    return read(world, **over).read_all().column("item_id").to_pylist()


def test_partitions_come_in_the_order_of_the_corpus_and_not_of_their_making(carried):
    world = carried(c=2, a=3, b=1)

    assert item_ids(world) == ids("a", 3) + ids("b", 1) + ids("c", 2)


def test_partitions_in_an_order_of_their_own_keep_it(a_world):
    days = ["mon", "tue", "wed", "thu"]
    world = a_world(a_table(8, day=days * 2))
    corpus = replace(world.recipe.corpus, partition_by=ByColumn("day", values=tuple(days)))
    world.recipe = replace(world.recipe, corpus=corpus)
    for day in sorted(days):
        replace(world, partition_key=day).carry()

    found = read(world, columns=["partition_key", "item_id"]).read_all()

    assert found.column("partition_key").to_pylist() == [day for day in days for _ in range(2)]
    assert found.column("item_id").to_pylist()[:4] == ["i-0", "i-4", "i-1", "i-5"]


def test_items_come_in_the_order_of_their_partition(a_world):
    shuffled = [f"{number * 7919 % 3000:04}" for number in range(3000)]
    world = a_world(a_table(3000, id=shuffled))
    world.carry()

    table = read(world, columns=["item_id", "item_index"]).read_all()

    assert table.column("item_id").to_pylist() == shuffled
    assert table.column("item_index").to_pylist() == list(range(3000))


def test_named_partitions_come_alone_and_in_the_order_named(carried):
    world = carried(a=2, b=1, c=1)

    assert item_ids(world, partition_keys=["c", "a", "c"]) == ids("c", 1) + ids("a", 2)


def test_a_partition_without_results_is_left_out_where_all_are_asked_for(carried, tmp_path):
    world = carried(b=2)
    a_corpus(tmp_path / "corpus", 2, key="a")

    assert item_ids(world) == ids("b", 2)


def test_a_partition_without_results_is_refused_where_it_is_named(carried):
    world = carried(b=2)

    with pytest.raises(ArtifactError, match=r"'x' of words has no results \(.*x\.parquet"):
        read(world, partition_keys=["b", "x"])


def test_partitions_that_the_corpus_has_no_more_come_last(carried, tmp_path):
    world = carried(a=1, b=1, c=1)
    (tmp_path / "corpus" / "a.parquet").unlink()

    assert item_ids(world) == ids("b", 1) + ids("c", 1) + ids("a", 1)


def test_an_inference_without_results_has_no_rows_of_its_columns(a_world):
    world = a_world(1)

    reader = read(world)

    assert reader.schema == results_schema(world.recipe.endpoint.arrow_type)
    assert reader.read_all().num_rows == 0


def test_rows_are_those_of_the_stored_results(carried):
    world = carried(a=3)

    assert read(world).read_all().to_pylist() == replace(world, partition_key="a").results()


def test_columns_come_as_named(carried):
    table = read(carried(a=2), columns=["outcome", "item_id", "outcome"]).read_all()

    assert table.to_pydict() == {"outcome": ["ok", "ok"], "item_id": ["a-0", "a-1"]}


def test_a_column_that_there_is_not_is_refused_with_those_there_are(carried):
    with pytest.raises(ArtifactError, match=r"words have no column 'otcome'; they have item_id,"):
        read(carried(a=2), columns=["otcome"])


def test_answers_of_an_older_and_a_newer_type_have_the_fields_of_both(carried, tmp_path):
    world = carried(a=1)
    a_corpus(tmp_path / "corpus", 1, key="b")
    scored = a_recipe(world.recipe.corpus, output=Scored)
    replace(world, partition_key="b", recipe=scored).carry()

    outputs = read(world).read_all().column("output").to_pylist()

    assert [set(output) for output in outputs] == [{"label", "words", "score", "certain"}] * 2
    assert [output["certain"] is None for output in outputs] == [True, False]


def test_answers_of_types_that_contradict_each_other_are_refused(carried, tmp_path):
    world = carried(a=1)
    a_corpus(tmp_path / "corpus", 1, key="b")
    renamed = a_recipe(world.recipe.corpus, output=Renamed)
    replace(world, partition_key="b", recipe=renamed).carry()

    with pytest.raises(ArtifactError, match=r"contradict each other .*materialize the older ones"):
        read(world)


def test_a_damaged_file_is_refused_by_its_name(carried):
    world = carried(a=1)
    with world.files.create("words/results/a.parquet") as new:
        new.write(b"PAR1 and no more")

    with pytest.raises(ArtifactError, match=r"a\.parquet is not the Parquet file that was stored"):
        read(world, partition_keys=["a"])


def test_batches_are_small_whatever_the_partition_is(a_world):
    world = a_world(5000)
    world.carry()

    assert max(batch.num_rows for batch in read(world)) <= 1024


def test_a_stream_is_a_polars_frame_in_one_line(carried):
    frame = pl.from_arrow(read(carried(a=2, b=1), columns=["item_id", "output"]))

    assert isinstance(frame, pl.DataFrame)
    assert frame["item_id"].to_list() == ["a-0", "a-1", "b-0"]
    assert frame["output"].struct.field("words")[2].to_list() == ["Word: word 0"]


def test_a_stream_is_a_pandas_frame_in_one_line(carried):
    frame = read(carried(a=2), columns=["item_id", "output"]).read_all().flatten().to_pandas()

    assert list(frame.columns) == ["item_id", "output.label", "output.words", "output.score"]
    assert frame["output.words"][1].tolist() == ["Word: word 1"]


def test_results_are_one_parquet_data_set_whatever_reads_them(carried):
    world = carried(a=2, b=1)

    table = pq.read_table(world.files.url("words/results"))

    assert sorted(table.column("item_id").to_pylist()) == ["a-0", "a-1", "b-0"]
