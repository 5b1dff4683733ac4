"""Results stand beside what was asked: the rows of the corpus, held to their item ids."""

from dataclasses import replace
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest
from factories import a_corpus, a_recipe, a_table

from batch_assets.corpus.asset import AssetCorpus
from batch_assets.corpus.composite import CompositeCorpus, with_assets
from batch_assets.domain.errors import CorpusError
from batch_assets.stages.tables import results_reader

ROWS = 3000


@pytest.fixture
def done(a_world):
    """A world whose one partition has its results; keywords are a_world's."""

    def make(rows: Any = 3, **over: Any) -> Any:
        world = a_world(rows, **over)
        world.carry()
        return world

    return make


def carried(world, corpus: Any, *keys: str) -> Any:
    """The world with another corpus, whose partitions have their results."""
    world.recipe = a_recipe(corpus)
    for key in keys:
        replace(world, partition_key=key).carry()
    return world


def joined(world, *input_columns: str, **over: Any) -> pa.Table:
    columns = ["item_id", "answer"]
    reader = results_reader(
        world.files, world.recipe, columns=columns, input_columns=input_columns, **over
    )
    return reader.read_all()


def inputs(world, *input_columns: str, **over: Any) -> list[dict[str, Any]]:
    return joined(world, *input_columns, **over).column("input").to_pylist()


def test_each_result_stands_beside_its_own_row(done):
    """The sandbox answers with the prompt, so each answer says which row it belongs to."""
    table = joined(done(ROWS), "word")

    words = table.column("input").combine_chunks().field("word").to_pylist()
    assert words == [f"word {row}" for row in range(ROWS)]
    answers = table.column("answer").to_pylist()
    assert all(word in answer for word, answer in zip(words, answers, strict=True))


def test_input_columns_are_fields_of_a_struct_that_collides_with_nothing(done):
    world = done(a_table(2, item_id=["x", "y"], outcome=["mine", "mine too"]))

    table = joined(world, "outcome", "item_id")

    assert table.column_names == ["input", "item_id", "answer"]
    assert table.column("item_id").to_pylist() == ["i-0", "i-1"]
    assert table.column("input").to_pylist() == [
        {"outcome": "mine", "item_id": "x"},
        {"outcome": "mine too", "item_id": "y"},
    ]


def test_input_columns_need_not_be_the_prompts(done):
    world = done(a_table(2, year=[1999, None]))

    assert inputs(world, "year") == [{"year": 1999}, {"year": None}]
    assert joined(world, "year").schema.field("input").type == pa.struct([("year", pa.int64())])


def test_partitions_are_joined_each_to_its_own_rows(done, tmp_path):
    world = done(2)
    a_corpus(tmp_path / "corpus", a_table(2, word=["other", "words"]), key="o")
    replace(world, partition_key="o").carry()

    found = [row["word"] for row in inputs(world, "word")]

    assert found == ["other", "words", "word 0", "word 1"]


def test_types_of_partitions_are_promoted_to_one(done, tmp_path):
    world = done(a_table(1, year=pa.array([1], pa.int8())))
    a_corpus(tmp_path / "corpus", a_table(1, year=pa.array([2**40], pa.int64())), key="q")
    replace(world, partition_key="q").carry()

    assert inputs(world, "year") == [{"year": 1}, {"year": 2**40}]


def test_types_of_partitions_that_have_none_in_common_are_refused(done, tmp_path):
    world = done(a_table(1, year=[1]))
    a_corpus(tmp_path / "corpus", a_table(1, year=["MCM"]), key="q")
    replace(world, partition_key="q").carry()

    with pytest.raises(CorpusError, match=r"'year' has types .*int64 in p.*string in q"):
        joined(world, "year")


def test_equal_keys_of_two_sources_keep_their_own_rows(done, tmp_path):
    sources = {
        name: a_corpus(tmp_path / name, a_table(2, word=[f"{name} 0", f"{name} 1"]))
        for name in ("mail", "chat")
    }
    world = carried(done(), CompositeCorpus(sources=sources, partitions="all"), "all")

    table = joined(world, "word", partition_keys=["all"])

    assert table.column("item_id").to_pylist() == ["mail:i-0", "mail:i-1", "chat:i-0", "chat:i-1"]
    words = [row["word"] for row in table.column("input").to_pylist()]
    assert words == ["mail 0", "mail 1", "chat 0", "chat 1"]


def test_item_ids_of_a_template_are_held_to_theirs(done, tmp_path):
    corpus = replace(a_corpus(tmp_path / "pages", 2), item_id="{{ id }}/{{ word }}")
    world = carried(done(), corpus, "p")

    table = joined(world, "word")

    assert table.column("item_id").to_pylist() == ["i-0/word 0", "i-1/word 1"]


# A corpus that is not what it was


def test_a_row_that_came_between_is_an_error_at_its_place(done, tmp_path):
    world = done(ROWS)
    ids = [f"i-{row}" for row in range(ROWS)]
    a_corpus(tmp_path / "corpus", a_table(ROWS + 1, id=[*ids[:2000], "new", *ids[2000:]]))

    said = (
        r"p\.parquet, row 2000: item id 'new' stands where the results of partition 'p' have "
        r"'i-2000': the corpus has changed .*materialize .*or leave out input_columns"
    )
    with pytest.raises(CorpusError, match=said):
        joined(world, "word")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (1, r"ends after 1 rows, where the results of partition 'p' go on with item id 'i-1'"),
        (5, r"p\.parquet, row 3: item id 'i-3' stands behind the last of the results of part"),
    ],
)
def test_rows_that_went_or_came_at_the_end_are_an_error(done, tmp_path, rows, said):
    world = done(3)
    a_corpus(tmp_path / "corpus", rows)

    with pytest.raises(CorpusError, match=said):
        joined(world, "word")


def test_a_column_that_the_corpus_has_not_is_refused_before_anything_is_read(done):
    with pytest.raises(CorpusError, match=r"parquet: no input column 'wrd' in partition 'p'; it"):
        results_reader(done().files, done().recipe, input_columns=["wrd"])


# An upstream asset


@pytest.fixture
def asset_world(done):
    """Results over an asset of three days."""
    days = dg.StaticPartitionsDefinition(["mon", "tue"])
    corpus = AssetCorpus(key="notes", item_id="id", partitions_def=days)

    def load(asset: AssetCorpus, key: str) -> pa.Table:
        return a_table(2, word=[f"{key} 0", f"{key} 1"])

    world = carried(done(), with_assets(corpus, load), "tue", "mon")
    return replace(world, recipe=replace(world.recipe, corpus=corpus)), load


def test_an_asset_is_joined_where_it_can_be_loaded(asset_world):
    world, load = asset_world
    bound = replace(world, recipe=a_recipe(with_assets(world.recipe.corpus, load)))

    words = [row["word"] for row in inputs(bound, "word", partition_keys=["mon", "tue"])]

    assert words == ["mon 0", "mon 1", "tue 0", "tue 1"]


def test_an_asset_that_nothing_loads_is_refused_with_the_way_to_bind_it(asset_world):
    world, _ = asset_world

    with pytest.raises(CorpusError, match=r"asset notes, partition mon: .*with_assets"):
        joined(world, "word", partition_keys=["mon", "tue"])
