"""Embeddings: inputs are counted, and results hold vectors."""

import pyarrow as pa
import pytest
from factories import a_table

from batch_assets.domain.shard import Limits
from batch_assets.prompt import Prompt

TWO_INPUTS = Limits(requests=100, bytes=10**6, inputs=2)


@pytest.fixture
def embedded(a_world):
    """A world whose items are embedded; keywords are a_world's."""

    def make(rows, **over):
        settings = {"dimensions": 8} | over.pop("settings", {})
        return a_world(
            rows,
            endpoint="embeddings",
            model="text-embedding-3-small",
            prompt=Prompt(field="word"),
            output=None,
            settings=settings,
            **over,
        )

    return make


def test_each_item_has_a_vector_of_the_declared_length(embedded):
    world = embedded(5)

    world.carry()

    output = world.table().column("output")
    assert output.type == pa.list_(pa.float32(), 8)
    assert output.null_count == 0
    assert len({tuple(vector) for vector in output.to_pylist()}) == 5


def test_a_batch_holds_no_more_inputs_than_the_provider_takes(embedded):
    world = embedded(5, limits=TWO_INPUTS)

    world.carry()

    assert [shard.inputs for shard in world.manifest.shards] == [2, 2, 1]
    assert [batch.reservation.inputs for batch in world.batches] == [2, 2, 1]


def test_each_text_of_a_list_is_an_input(embedded):
    words = [["a"], ["b", "c"], ["d", "e", "f"]]
    settings = {"several_inputs": True}
    world = embedded(a_table(3, word=words), limits=TWO_INPUTS, settings=settings)

    world.carry()

    assert [shard.inputs for shard in world.manifest.shards] == [1, 2]
    assert world.column("outcome") == ["ok", "ok", "oversize"]
    assert [len(vectors) for vectors in world.column("output")[:2]] == [1, 2]


def test_vectors_are_carried_over(embedded, tmp_path):
    world = embedded(3)
    world.carry()
    before = world.column("output")
    world = embedded(4)

    world.carry()

    assert world.executions["requests_executed"] == 4
    assert world.column("output")[:3] == before
