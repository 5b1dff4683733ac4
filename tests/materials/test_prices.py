"""What a model's batches cost: published prices by the installed price library, and declared ones.

The prices are those of genai-prices 0.2.3, which constraints.txt pins: a newer one that has others
makes these tests fail, and somebody look.
"""

import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal

import genai_prices
import pytest

import batch_assets as ba
from batch_assets.domain.price import PriceList, Provenance
from batch_assets.domain.usage import Usage
from batch_assets.prices.published import published
from batch_assets.prompt import Audio, File, Image, Prompt

AT = datetime(2026, 11, 22, 9, tzinfo=UTC)
OPENAI = PriceList(provider="openai")

MILLION = 1_000_000
INPUT = Usage(input_tokens=MILLION)
CACHED = Usage(input_tokens=MILLION, cached_tokens=MILLION)
OUTPUT = Usage(output_tokens=MILLION)


@pytest.mark.parametrize(
    ("model", "usd_of_input", "usd_of_cached", "usd_of_output"),
    [
        # Half of the standard prices, as the provider lists them for batches.
        ("gpt-5-mini", "0.125", "0.0125", "1"),
        ("gpt-5-mini-2025-08-07", "0.125", "0.0125", "1"),
        # No cached price for batches is listed: the library keeps the standard one.
        ("gpt-4.1-mini", "0.2", "0.1", "0.8"),
        ("gpt-4o", "1.25", "1.25", "5"),
        # No cached price is listed at all: cached input is input.
        ("gpt-4", "15", "15", "30"),
        # The batch table lists the standard price.
        ("gpt-3.5-turbo-1106", "1", "1", "2"),
    ],
)
def test_a_published_batch_price_is_exact(model, usd_of_input, usd_of_cached, usd_of_output):
    price = published(model, OPENAI, AT)

    assert price.provenance is Provenance.PUBLISHED
    assert [price.of([usage]) for usage in (INPUT, CACHED, OUTPUT)] == [
        Decimal(usd_of_input),
        Decimal(usd_of_cached),
        Decimal(usd_of_output),
    ]


@pytest.mark.parametrize("model", ["gpt-5-mini", "gpt-4.1-mini", "gpt-4o", "gpt-6-sol"])
@pytest.mark.parametrize("tokens", [(1000, 0, 7), (1000, 600, 7), (300_000, 1000, 7)])
def test_one_request_costs_what_the_library_says_itself(model, tokens):
    asked, cached, written = tokens
    usage = Usage(input_tokens=asked, cached_tokens=cached, output_tokens=written)
    price = published(model, OPENAI, AT)
    unit = price.unit(asked)

    theirs = genai_prices.calc_price(
        genai_prices.Usage(input_tokens=asked, cache_read_tokens=cached, output_tokens=written),
        model,
        provider_id="openai",
        genai_request_timestamp=AT,
        price_context={"processing": "batch"},
    )

    assert unit is not None
    assert unit.of(usage) == theirs.total_price


def test_a_published_price_says_which_list_and_which_day():
    price = published("gpt-5-mini", OPENAI, AT)

    assert price.source == "genai-prices 0.2.3 for 2026-11-22: batch price of openai gpt-5-mini"


def test_a_price_of_another_server_says_that_it_may_not_hold():
    price = published("gpt-5-mini", PriceList(provider="openai", note="it may charge nothing"), AT)

    assert price.provenance is Provenance.PUBLISHED
    assert price.source.endswith("gpt-5-mini; it may charge nothing")


def test_prompts_beyond_a_length_have_prices_of_their_own():
    price = published("gpt-6-sol", OPENAI, AT)

    assert price.steps == (0, 272_000)
    assert [unit.input for unit in price.units] == [Decimal(1), Decimal(2)]


@pytest.mark.parametrize("model", ["claude-haiku-4-5", "claude-sonnet-4-5"])
@pytest.mark.parametrize("asked", [1_000, 250_000])
def test_what_is_written_to_the_cache_costs_what_the_library_says_itself(model, asked):
    usage = Usage(input_tokens=asked, cached_tokens=300, cache_write_tokens=200, output_tokens=7)
    price = published(model, PriceList(provider="anthropic"), AT)
    unit = price.unit(asked)

    theirs = genai_prices.calc_price(
        genai_prices.Usage(
            input_tokens=asked, cache_read_tokens=300, cache_write_tokens=200, output_tokens=7
        ),
        model,
        provider_id="anthropic",
        genai_request_timestamp=AT,
        price_context={"processing": "batch"},
    )

    assert unit is not None
    assert unit.of(usage) == theirs.total_price


def test_prices_of_media_that_no_request_has_do_not_matter():
    google = PriceList(provider="google")

    of_texts = published("gemini-2.5-flash", google, AT, media=frozenset())
    of_images = published("gemini-2.5-flash", google, AT, media=frozenset({"image"}))
    of_audio = published("gemini-2.5-flash", google, AT, media=frozenset({"audio"}))

    assert of_texts.provenance is Provenance.PUBLISHED
    assert of_images.units == of_texts.units
    assert of_audio.provenance is Provenance.UNKNOWN
    assert "audio" in of_audio.source


@pytest.mark.parametrize(
    ("prompt", "media"),
    [
        (Prompt(user="{{ word }}"), set()),
        (Prompt(field="word"), set()),
        (Prompt(user=["Look", Image(url="{{ word }}")]), {"image"}),
        (Prompt(user=["Read", File(column="word")]), {"image"}),
        (Prompt(user=["Hear", Audio(column="word")]), {"audio"}),
        (Prompt(call=lambda word: word), {"audio", "image", "video"}),
    ],
)
def test_a_prompt_says_what_its_messages_may_have_beside_text(prompt, media):
    assert prompt.media() == media


def test_what_is_kept_in_the_cache_for_an_hour_costs_more():
    price = published("claude-haiku-4-5", PriceList(provider="anthropic"), AT)
    million = 1_000_000

    costs = [
        price.of([Usage(input_tokens=million, **{kind: million})])
        for kind in ("cached_tokens", "cache_write_tokens", "cache_write_1h_tokens")
    ]

    assert costs == [Decimal("0.05"), Decimal("0.625"), Decimal("1")]


@pytest.mark.parametrize(
    ("model", "price_list", "at", "why"),
    [
        ("gpt-99", OPENAI, AT, "has no model 'gpt-99' of openai"),
        # The library would give the standard price, without a word.
        ("text-embedding-3-small", OPENAI, AT, "only the standard price of $0.02 per million"),
        # What is not priced by text alone.
        ("gpt-image-1", OPENAI, AT, "tokens that the usage does not tell from others"),
        # In the list, with no price at all: not free because of that.
        ("omni-moderation-latest", OPENAI, AT, "without a price for input"),
        # Batch prices of earlier days are not in the list.
        ("gpt-4.1", OPENAI, datetime(2026, 1, 1, tzinfo=UTC), "has no batch price"),
        ("gpt-5-mini", PriceList(provider="opena"), AT, "knows no provider 'opena'"),
        ("gpt-5-mini", None, AT, "at an address of its own"),
    ],
)
def test_a_price_that_nobody_publishes_is_unknown_and_says_why(model, price_list, at, why):
    price = published(model, price_list, at)

    assert price.provenance is Provenance.UNKNOWN
    assert price.of([INPUT]) is None
    assert why in price.source
    assert "declare" in price.source


def test_a_declared_discount_is_taken_off_the_standard_price():
    price = ba.Prices(batch_discount=0.5).price("text-embedding-3-small", OPENAI, AT)

    assert price.provenance is Provenance.DERIVED
    assert price.of([INPUT]) == Decimal("0.01")
    assert "$0.02 per million tokens of input, less the declared batch_discount of 0.5" in (
        price.source
    )


def test_a_published_batch_price_comes_before_a_declared_discount():
    price = ba.Prices(batch_discount=0.9).price("gpt-5-mini", OPENAI, AT)

    assert (price.provenance, price.of([INPUT])) == (Provenance.PUBLISHED, Decimal("0.125"))


@pytest.mark.parametrize("price_list", [OPENAI, None])
def test_declared_prices_come_before_published_ones(price_list):
    prices = ba.Prices(input=0.1, output="0.7", cached_input=Decimal("0.01"))

    price = prices.price("gpt-5-mini", price_list, AT)

    assert price.provenance is Provenance.DECLARED
    assert [price.of([usage]) for usage in (INPUT, CACHED, OUTPUT)] == [
        Decimal("0.1"),
        Decimal("0.01"),
        Decimal("0.7"),
    ]


def test_declared_prices_may_be_of_input_alone():
    price = ba.Prices(input=0).price("omni-moderation-latest", OPENAI, AT)

    assert price.of([CACHED]) == 0
    assert price.of([OUTPUT]) is None


@pytest.mark.parametrize(
    ("declared", "complaint"),
    [
        ({}, "nothing is given; give input"),
        ({"output": 1}, "output is given without input"),
        ({"cached_input": 1, "output": 1}, "output, cached_input is given without input"),
        ({"input": -1}, "input is -1; it must be a number, 0 or more, in USD per million tokens"),
        ({"input": "a dollar"}, "input is 'a dollar'; it must be a number"),
        ({"input": float("nan")}, "input is nan; it must be a number"),
        ({"input": float("inf")}, "input is inf; it must be a number"),
        ({"input": True}, "input is True; it must be a number"),
        ({"input": 1, "output": -0.5}, "output is -0.5; it must be a number"),
        ({"batch_discount": 50}, "batch_discount is 50; it is the share"),
        ({"batch_discount": 0.5, "input": 1}, "and input is declared: give the prices"),
    ],
)
def test_a_wrong_declaration_is_named_with_the_way_out(declared, complaint):
    with pytest.raises(ba.DeclarationError, match=r"^prices: ") as refused:
        ba.Prices(**declared)

    assert complaint in str(refused.value)


def test_the_price_library_is_imported_at_the_first_question_and_not_before():
    """It takes a tenth of a second of CPU, and with it comes an HTTP client."""
    code = (
        "import sys, batch_assets as ba; ba.Inference, ba.Prices(input=1), ba.OpenAIResource; "
        "sys.exit('genai_prices' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
