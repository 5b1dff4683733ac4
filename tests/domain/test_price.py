"""What a usage costs by unit prices."""

from decimal import Decimal

import pytest

from batch_assets.domain.price import Price, Provenance, UnitPrices
from batch_assets.domain.usage import Usage

#: Output is twenty times the price of cached input, so that no two kinds can be mixed up.
UNIT = UnitPrices(input=Decimal("0.2"), cached_input=Decimal("0.04"), output=Decimal("0.8"))
LONG = UnitPrices(
    above=1000, input=Decimal("0.4"), cached_input=Decimal("0.08"), output=Decimal("1.2")
)
EMBEDDING = UnitPrices(input=Decimal("0.01"), cached_input=Decimal("0.01"))


def a_price(*units: UnitPrices) -> Price:
    provenance = Provenance.DECLARED if units else Provenance.UNKNOWN
    return Price(provenance=provenance, source="a test", units=units)


@pytest.mark.parametrize(
    ("usage", "usd"),
    [
        ({"input_tokens": 1_000_000}, "0.2"),
        ({"output_tokens": 1_000_000}, "0.8"),
        # Cached tokens are a part of the input, not on top of it.
        ({"input_tokens": 1_000_000, "cached_tokens": 1_000_000}, "0.04"),
        ({"input_tokens": 1_000_000, "cached_tokens": 250_000}, "0.16"),
        # Reasoning tokens are a part of the output.
        ({"output_tokens": 1_000_000, "reasoning_tokens": 900_000}, "0.8"),
        # A single token's price has all its digits.
        ({"input_tokens": 1}, "0.0000002"),
        ({}, "0"),
    ],
)
def test_each_kind_of_token_costs_its_price(usage, usd):
    assert a_price(UNIT).of([Usage(**usage)]) == Decimal(usd)


def test_long_prompts_cost_what_long_prompts_cost():
    usage = Usage(input_tokens=500_000, output_tokens=500_000)

    assert a_price(UNIT, LONG).of([usage, usage]) == Decimal("0.5") + Decimal("0.8")


@pytest.mark.parametrize(("prompt_tokens", "unit"), [(1, UNIT), (1000, UNIT), (1001, LONG)])
def test_a_step_begins_above_its_number_of_prompt_tokens(prompt_tokens, unit):
    assert a_price(UNIT, LONG).unit(prompt_tokens) == unit


def test_what_is_unknown_costs_nothing_that_could_be_shown():
    price = a_price()

    assert price.of([Usage(input_tokens=5)]) is None
    assert price.unit(5) is None
    assert not price.is_known


def test_answers_without_a_price_make_the_cost_unknown_and_none_do_not():
    assert a_price(EMBEDDING).of([Usage(input_tokens=1_000_000)]) == Decimal("0.01")
    assert a_price(EMBEDDING).of([Usage(input_tokens=1_000_000, output_tokens=1)]) is None
