"""Quotes and costs beside materializations, as the event log has them after real runs."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pyarrow.parquet as pq
import pytest

import batch_assets as ba

#: Million-token prices of which every amount of the tests is a round number.
PRICES = ba.Prices(input=10, cached_input=1, output=100)

TOKENS = ("input_tokens", "cached_tokens", "output_tokens")


def said_of(world, name: str, partition: str = "a") -> dict[str, Any]:
    """The newest materialization's metadata, by name."""
    newest, *_ = world.materializations(name, partition)
    return {entry: value.value for entry, value in newest.metadata.items()}


def rows(table: Any) -> list[dict[str, Any]]:
    return [dict(record.data) for record in table.records]


def with_prices_of_openai(world) -> ba.OpenAIResource:
    return ba.OpenAIResource(
        api_key="sk-test", base_url=world.sandbox.base_url, price_list="openai"
    )


def test_a_quote_without_earlier_answers_is_of_the_prompts_and_says_so(world):
    world.declare(world.inference(world.corpus(a=3), prices=PRICES))

    world.run("requests", partition="a")

    said = said_of(world, "requests")
    assert said["quote_prompts_usd"] == said["estimated_prompt_tokens"] * 10 / 1_000_000
    assert "quote_usd" not in said
    assert said["quote_basis"].startswith("no answers of this model yet")
    assert (said["price_provenance"], said["price_source"]) == (
        "declared",
        "prices of the inference",
    )
    assert said["usd_per_million_tokens"] == "input 10, cached input 1, output 100"


def test_a_quote_goes_as_far_as_the_requests_let_the_answers_be(world):
    settings = {"max_completion_tokens": 50}
    world.declare(world.inference(world.corpus(a=3), prices=PRICES, settings=settings))

    world.run("requests", partition="a")

    said = said_of(world, "requests")
    tokens = said["estimated_prompt_tokens"]
    assert said["quote_at_most_usd"] == pytest.approx((tokens * 10 + 150 * 100) / 1_000_000)
    assert "50 output tokens each at most" in said["quote_basis"]


def test_a_quote_expects_answers_as_long_as_the_last_ones_were(world):
    world.declare(world.inference(world.corpus(a=3, b=6), prices=PRICES))
    world.run(partition="a")
    world.collect()
    answered = said_of(world, "results")

    world.run("requests", partition="b")

    said = said_of(world, "requests", "b")
    expected = round(6 * answered["output_tokens"] / 3)
    usd = (said["estimated_prompt_tokens"] * 10 + expected * 100) / 1_000_000
    assert said["expected_output_tokens"] == expected > 0
    assert said["quote_usd"] == pytest.approx(usd)
    assert "as the 3 answers of partition a had" in said["quote_basis"]


def test_what_is_reused_is_quoted_and_billed_at_nothing(world):
    world.declare(world.inference(world.corpus(a=["oak", "wolf"]), prices=PRICES))
    world.run(partition="a")
    world.collect()
    world.corpus(a=["wolf", "oak"])

    world.run(partition="a")
    world.collect()

    assert said_of(world, "requests")["quote_usd"] == 0.0
    said = said_of(world, "results")
    assert (said["reused"], said["executions"]) == (2, 0)
    assert (said["cost_usd"], said["cost_per_item_usd"]) == (0.0, 0.0)


def test_a_cost_is_of_the_usage_that_the_provider_reported(world):
    at_once = ba.RetryPolicy(first_wait=timedelta())
    world.declare(
        world.inference(world.corpus(a=4), retries=at_once), openai=with_prices_of_openai(world)
    )
    world.script.fail_once(ordinal=1)
    world.run(partition="a")
    world.collect()
    world.collect()

    said = said_of(world, "results")

    table = pq.read_table(said["dagster/uri"])
    used = {name: sum(filter(None, table[name].to_pylist())) for name in TOKENS}
    usd = (
        (used["input_tokens"] - used["cached_tokens"]) * Decimal("0.2")
        + used["cached_tokens"] * Decimal("0.1")
        + used["output_tokens"] * Decimal("0.8")
    ) / 1_000_000
    assert used["input_tokens"] > 0 < used["output_tokens"]
    assert said["cost_usd"] == float(usd)
    assert said["cost_per_item_usd"] == float(usd / 4)
    assert said["price_provenance"] == "published"
    waves = rows(said["waves"])
    assert len(waves) == 2
    assert sum(Decimal(wave["cost"].removeprefix("$")) for wave in waves) == pytest.approx(
        usd, abs=Decimal("0.000001")
    )


def test_a_price_of_a_sandbox_says_whose_it_is(world):
    world.declare(world.inference(world.corpus(a=1)), openai=with_prices_of_openai(world))

    world.run("requests", partition="a")

    assert said_of(world, "requests")["price_source"].endswith(
        "batch price of openai gpt-4.1-mini; 127.0.0.1, which answers, may charge something else "
        "or nothing"
    )


def test_an_unknown_price_is_no_number_and_says_what_to_do(world):
    world.declare(world.inference(world.corpus(a=2)))
    world.run(partition="a")
    world.collect()

    for name in ("requests", "results"):
        said = said_of(world, name)
        assert not [entry for entry in said if entry.endswith("_usd")]
        assert said["price_provenance"] == said["usd_per_million_tokens"] == "unknown"
        assert "declare them: prices of the inference" in said["price_source"]
    assert said["cost"] == "unknown"


def test_the_price_of_when_a_request_set_was_written_is_kept_with_it(world):
    """A newer list, or none, makes no other bill of the same answers."""
    corpus = world.corpus(a=2)
    world.declare(world.inference(corpus), openai=with_prices_of_openai(world))
    world.run("requests", "batches", partition="a")
    world.declare(world.inference(corpus))

    world.collect()

    said = said_of(world, "results")
    assert (said["price_provenance"], said["cost_usd"] > 0) == ("published", True)


def test_prices_that_are_declared_later_make_the_cost_known(world):
    corpus = world.corpus(a=2)
    world.declare(world.inference(corpus))
    world.run(partition="a")
    world.collect()
    digest = said_of(world, "requests")["request_set"]
    world.declare(world.inference(corpus, prices=PRICES))

    world.run("requests", "batches", partition="a")
    world.run("results", partition="a")

    assert said_of(world, "results")["cost_usd"] > 0
    assert said_of(world, "requests")["request_set"] == digest
    assert world.sent() == 1
