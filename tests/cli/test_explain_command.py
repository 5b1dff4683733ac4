"""`batch-assets explain`: an item from its row to its cost."""

import json
from decimal import Decimal

import pyarrow as pa
import pytest
from command_answers import rows_of
from stage_answers import DOWN, NOT_JSON, Flaky

from batch_assets.domain.price import Price, Provenance, UnitPrices
from batch_assets.domain.shard import Limits
from batch_assets.stages.prepare import prepare
from batch_assets.stages.submit import submit

TWO_ROWS = Limits(requests=2, bytes=10**6)


def test_an_answered_item_shows_its_row_request_batch_answer_and_outcome(a_world, call):
    world = a_world(3, limits=TWO_ROWS)
    world.carry()

    [found] = rows_of(call("explain", "words", "i-2", "-o", "json"), "explain/1")

    assert found["source"]["source_item_index"] == 2
    assert found["source"]["source_ref"].endswith("p.parquet")
    assert found["request_set"] == world.manifest.digest
    [request] = found["requests"]
    assert request["prompt"].endswith("Word: word 2")
    assert (request["shard"], request["line"]) == (1, 1)
    shard = world.files.read(world.manifest.shards[1].path)
    assert request["bytes"] == len(shard.splitlines(keepends=True)[0])
    [attempt] = found["attempts"]
    assert attempt["provider_id"] == world.batches[1].provider_id
    assert (attempt["state"], attempt["provider_status"]) == ("collected", "completed")
    [line] = attempt["lines"]
    assert json.loads(line)["custom_id"] == request["custom_id"]
    assert found["result"]["outcome"] == "ok"
    assert found["result"]["output"] == world.column("output")[2]
    assert found["result"]["input_tokens"] == world.column("input_tokens")[2]
    assert found["fingerprint"] == world.column("fingerprint")[2]


def test_every_wave_of_an_item_is_shown_with_its_raw_line(a_world, call, script):
    script.line = Flaky({1: [DOWN, NOT_JSON]})
    a_world(3).carry()

    [found] = rows_of(call("explain", "words", "i-1", "-o", "json"), "explain/1")

    assert [each["wave"] for each in found["requests"]] == [0, 1, 2]
    assert [each["wave"] for each in found["attempts"]] == [0, 1, 2]
    assert "server_error" in found["attempts"][0]["lines"][0]
    assert "I would say a plant." in found["attempts"][1]["lines"][0]
    assert (found["result"]["outcome"], found["result"]["attempts"]) == ("ok", 3)


def test_a_failed_item_shows_why(a_world, call, script):
    script.line = Flaky({1: [NOT_JSON] * 9})
    a_world(3).carry()

    shown = call("explain", "words", "i-1").stdout

    assert "outcome      invalid" in shown
    assert "I would say a plant." in shown
    assert "Word: word 1" in shown


def test_what_an_item_cost_is_known_where_the_price_is(a_world, call):
    world = a_world(3)
    world.carry()

    [found] = rows_of(call("explain", "words", "i-0", "-o", "json"), "explain/1")

    assert found["usd"] is None
    assert "cost         unknown" in call("explain", "words", "i-0").stdout


def test_an_item_on_its_way_has_no_outcome_yet(a_world, call):
    a_world(3).submit()

    [found] = rows_of(call("explain", "words", "i-0", "-o", "json"), "explain/1")

    assert found["result"] is None
    assert found["attempts"][0]["state"] == "submitted"
    assert "none yet" in call("explain", "words", "i-0").stdout


def test_an_item_that_repeats_another_names_it(a_world, call):
    rows = pa.table({"id": ["a", "b"], "word": ["oak", "oak"]})
    a_world(rows).carry()

    [found] = rows_of(call("explain", "words", "b", "-o", "json"), "explain/1")

    assert found["shares_request_with"] == "a"
    assert len(found["attempts"]) == 1
    assert found["usd"] == 0


def test_an_item_of_a_pack_shows_the_pack(a_world, call):
    a_world(5, rows_per_request=3).carry()

    [found] = rows_of(call("explain", "words", "i-4", "-o", "json"), "explain/1")

    [request] = found["requests"]
    assert (request["line"], request["custom_id"].rpartition("-")[2]) == (2, "3")
    assert "word 4" in request["prompt"]
    assert len(found["attempts"][0]["lines"]) == 1


def test_an_answer_that_was_carried_over_shows_where_from(a_world, call):
    a_world(3).carry()
    earlier = a_world(3)
    source = earlier.request_set.digest
    a_world(4).carry()

    [found] = rows_of(call("explain", "words", "i-0", "-o", "json"), "explain/1")

    assert found["carried"]["request_set"] == source
    assert json.loads(found["carried"]["line"])["custom_id"].startswith(source[:16])
    assert (found["result"]["outcome"], found["usd"]) == ("ok", 0)


def test_an_item_that_no_batch_can_hold_was_never_sent(a_world, call):
    rows = pa.table({"id": ["a", "b"], "word": ["oak", "x" * 5000]})
    a_world(rows, limits=Limits(requests=10, bytes=3000)).carry()

    shown = call("explain", "words", "b").stdout

    assert "never sent" in shown
    assert "outcome      oversize" in shown


def test_an_item_is_looked_for_in_every_partition(a_world, call):
    a_world(2, partition_key="a").carry()
    a_world(2, partition_key="b", user="Other {{ word }}").carry()

    found = rows_of(call("explain", "words", "i-1", "-o", "json"), "explain/1")
    one = rows_of(call("explain", "words", "i-1", "--partition", "b", "-o", "json"), "explain/1")

    assert [each["partition"] for each in found] == ["a", "b"]
    assert [each["partition"] for each in one] == ["b"]


def test_raw_files_that_are_gone_are_named(a_world, call):
    world = a_world(3)
    world.carry()
    world.files.delete(world.layout.raw_outputs)

    [found] = rows_of(call("explain", "words", "i-0", "-o", "json"), "explain/1")

    assert "output.jsonl is not in the store any more" in found["missing"][0]
    assert found["result"]["outcome"] == "ok"


def test_text_of_a_provider_steers_no_terminal(a_world, call, script):
    script.line = Flaky(
        {0: [lambda custom_id: {"custom_id": custom_id, "error": {"message": "\x1b[31m"}}] * 9}
    )
    a_world(1).carry()

    assert "\x1b" not in call("explain", "words", "i-0").stdout


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["words", "i-9"], "words has no item 'i-9'"),
        (["words", "i-9", "--partition", "p"], "partition p of words has no item 'i-9'"),
        (["words", "i-1", "--partition", "x"], "no partition 'x' of words"),
        (["wrods", "i-1"], "the ledger has no wrods"),
    ],
)
def test_what_is_not_there_ends_with_3(a_world, call, given, said):
    a_world(3).carry()

    refused = call("explain", *given)

    assert refused.exit_code == 3
    assert said in refused.stderr


def test_an_answer_costs_its_tokens_at_the_price_of_its_request_set(a_world, call):
    world = a_world(1)
    price = Price(
        provenance=Provenance.DECLARED,
        source="a test",
        units=(UnitPrices(input=Decimal(1), cached_input=Decimal(0), output=Decimal(10)),),
    )
    manifest = prepare(world.recipe, "p", files=world.files, limits=world.limits, price=price)
    submit(world.deployment, world.recipe, manifest)
    world.finish()

    [found] = rows_of(call("explain", "words", "i-0", "-o", "json"), "explain/1")

    used = found["result"]
    assert found["usd"] == pytest.approx(
        (used["input_tokens"] + 10 * used["output_tokens"]) / 1_000_000
    )
