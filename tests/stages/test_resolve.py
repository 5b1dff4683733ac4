"""Every item ends in one row with one outcome, in one file that can always be made again."""

from dataclasses import replace

import pyarrow as pa
import pytest
from factories import a_corpus, a_recipe, a_table
from stage_answers import DOWN, NOT_JSON, WRONG, Flaky, answered, completion
from stage_world import refusal

from batch_assets.domain.errors import ArtifactError, RequestRefused
from batch_assets.domain.shard import Limits
from batch_assets.stages.advance import Pending
from batch_assets.stages.resolve import Resolution, resolve
from batch_assets.stages.results import MOST_REASONS, OTHER_REASONS

ONE_ROW = Limits(requests=1, bytes=10**6)
THREE_ROWS = Limits(requests=3, bytes=10**6)


# One row for each item


def test_every_item_has_one_row_in_the_order_of_the_corpus(a_world):
    ids = [f"{number * 7919 % 100:02}" for number in range(100)]
    world = a_world(a_table(100, id=ids), limits=Limits(requests=7, bytes=10**6))

    resolution = world.carry()

    assert world.column("item_id") == ids
    assert world.column("outcome") == ["ok"] * 100
    assert resolution.summary.outcomes == {"ok": 100}
    assert world.executions["requests_executed"] == 100


def test_an_answer_belongs_to_its_own_item(a_world):
    world = a_world(40, limits=Limits(requests=9, bytes=10**6))

    world.carry()

    assert [row["output"]["words"] for row in world.results()] == [
        [f"Word: word {row}"] for row in range(40)
    ]


def test_the_answer_stands_in_typed_columns(a_world):
    world = a_world(2)
    world.carry()

    assert world.table().schema.field("output").type == pa.struct(
        [("label", pa.string()), ("words", pa.list_(pa.string())), ("score", pa.int64())]
    )


def test_a_row_says_where_it_comes_from(a_world):
    world = a_world(2)
    world.carry()

    row = world.results()[1]
    assert (row["source_ref"], row["partition_key"]) == (world.manifest.source_ref, "p")
    assert (row["source_item_index"], row["source_primary_key"]) == (1, "i-1")
    assert (row["request_set"], row["wave"]) == (world.manifest.digest, 0)
    assert row["batch_id"] == world.batch.provider_id


def test_a_partition_of_one_row_has_one_result(a_world):
    world = a_world(1)

    assert world.carry().summary.coverage == 1.0


@pytest.mark.parametrize(
    ("line", "outcome", "code"),
    [
        (DOWN, "errored", "server_error"),
        (WRONG, "errored", "invalid_value"),
        (NOT_JSON, "invalid", None),
        (answered(200, completion('{"label": "stone"}')), "invalid", None),
        (answered(200, completion("{", finish_reason="length")), "truncated", None),
        (
            answered(200, completion(None, message={"content": None, "refusal": "No."})),
            "refused",
            None,
        ),
        (answered(0, {}), "errored", "0"),
    ],
)
def test_an_item_that_is_not_answered_has_a_row_that_says_why(a_world, script, line, outcome, code):
    """Rows 10, 12 and 15: the line is the truth, whatever the batch's status and counts say."""
    script.line = Flaky({1: [line]})
    world = a_world(3, max_waves=1)

    resolution = world.carry()

    assert world.column("outcome") == ["ok", outcome, "ok"]
    row = world.results()[1]
    assert (row["error_code"], row["output"]) == (code, None)
    assert resolution.summary.reasons == {(outcome, code or row["error_message"]): 1}
    assert row["error_message"]


# Items that share a request


def test_items_that_share_a_request_share_its_answer(a_world):
    """Also where the first of them stands in an earlier shard."""
    words = ["a", "b", "a", "c", "b", "a"]
    world = a_world(a_table(6, word=words), limits=ONE_ROW)

    world.carry()

    assert [row["output"]["words"] for row in world.results()] == [[f"Word: {w}"] for w in words]
    assert world.executions["requests_executed"] == 3


def test_tokens_stand_with_one_of_the_items_that_share_a_request(a_world):
    words = ["a", "b", "a", "c", "b", "a"]
    world = a_world(a_table(6, word=words), limits=ONE_ROW)

    usage = world.carry().summary.usage

    tokens = world.column("input_tokens")
    assert [count is None for count in tokens] == [False, False, True, False, True, True]
    assert usage.input_tokens == sum(filter(None, tokens))


def test_items_that_share_a_request_are_asked_again_once(a_world, script):
    script.line = Flaky({0: [DOWN]})
    world = a_world(a_table(4, word=["a", "b", "a", "a"]), limits=ONE_ROW)

    world.carry()

    assert world.column("outcome") == ["ok"] * 4
    assert world.column("wave") == [1, 0, 1, 1]
    assert world.batches[-1].reservation.requests == 1


# Oversize


def test_an_oversize_item_is_a_row_and_the_others_are_answered(a_world):
    words = ["a", "b" * 5000, "c", "b" * 5000]
    world = a_world(a_table(4, word=words), limits=Limits(requests=10, bytes=2000))

    resolution = world.carry()

    assert world.column("outcome") == ["ok", "oversize", "ok", "oversize"]
    assert world.column("batch_id")[1] is None
    assert (resolution.summary.coverage, world.executions["requests_executed"]) == (0.5, 2)


def test_a_partition_of_oversize_items_is_resolved_without_the_provider(a_world):
    world = a_world(3, limits=Limits(requests=10, bytes=10))
    world.submit()

    assert isinstance(world.advance(), Resolution)
    assert world.column("outcome") == ["oversize"] * 3
    assert world.executions["batches_created"] == 0


# The file


def test_results_that_were_deleted_are_made_again_without_a_call(
    a_world, script, border, provider_at
):
    script.line = Flaky({1: [NOT_JSON], 2: [DOWN]})
    world = a_world(9, limits=THREE_ROWS, via=provider_at(border.base_url))
    first = world.carry()
    world.files.delete(world.layout.results)
    border.calls.clear()

    again = world.advance()

    assert again.results == first.results
    assert again.summary == first.summary
    assert border.calls == []


def test_earlier_results_stay_until_the_new_ones_are_whole(a_world, script, tmp_path):
    world = a_world(3, reuse=False)
    world.carry()
    before = world.files.read(world.layout.results)
    a_corpus(tmp_path / "corpus", 2)
    script.line = Flaky({0: [DOWN]})
    world.submit()
    world.poll(after=100)

    assert isinstance(world.advance(), Pending)
    assert world.files.read(world.layout.results) == before

    world.finish()
    assert world.column("item_id") == ["i-0", "i-1"]


def test_a_replaced_request_set_neither_overwrites_results_nor_asks_again(
    a_world, script, tmp_path
):
    script.line = Flaky({0: [NOT_JSON] * 9})
    world = a_world(3, max_waves=1)
    world.carry()
    replaced = world.request_set
    a_corpus(tmp_path / "corpus", 2)
    world.carry()
    before = world.files.read(world.layout.results)
    recipe = replace(world.recipe, retries=a_recipe(world.recipe.corpus, max_waves=5).retries)

    assert resolve(world.deployment, recipe, replaced) is None

    assert world.files.read(world.layout.results) == before
    assert len(world.batches) == 2


def test_a_wave_with_a_refused_batch_has_no_results(a_world, script):
    script.replies["batches.create"] = [None, refusal(400)]
    world = a_world(2, limits=ONE_ROW)
    with pytest.raises(RequestRefused):
        world.submit()
    world.poll(after=100)

    pending = world.advance()

    assert (pending.progress.collected, pending.progress.stopped) == (1, 1)
    assert not world.files.exists(world.layout.results)


def test_answers_that_were_paid_for_and_are_gone_are_not_bought_again(a_world):
    """A raw output that is missing from the store is an error, and no missing answer."""
    world = a_world(3)
    world.carry()
    world.files.delete(world.layout.raw_output(world.batch))

    with pytest.raises(ArtifactError, match=r"output\.jsonl is missing from the store"):
        world.advance()

    assert world.executions["batches_created"] == 1


def test_reasons_that_differ_for_each_item_are_counted_together(a_world, script):
    """Models word a refusal for each item; the summary must not grow with them."""
    script.line = lambda batch_id, custom_id: answered(
        200, completion(None, message={"refusal": f"I cannot say that of {custom_id}."})
    )(custom_id)
    world = a_world(MOST_REASONS + 50)

    reasons = world.carry().summary.reasons

    assert len(reasons) == MOST_REASONS + 1
    assert reasons["refused", OTHER_REASONS] == 50
    assert reasons.total() == MOST_REASONS + 50
