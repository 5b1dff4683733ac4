"""What is asked live costs the standard price, whatever a batch would cost."""

from datetime import UTC, datetime
from decimal import Decimal

from batch_assets.domain.price import PriceList, Provenance, Tier
from batch_assets.prices.declared import Prices
from batch_assets.prices.published import published

AT = datetime(2026, 11, 22, tzinfo=UTC)
LIVE = PriceList(provider="openai", tier=Tier.STANDARD)
BATCH = PriceList(provider="openai")


def test_a_live_answer_costs_twice_what_a_batchs_does() -> None:
    [live], [batch] = (published("gpt-5-mini", each, AT).units for each in (LIVE, BATCH))

    assert (live.input, live.output) == (2 * batch.input, 2 * batch.output)


def test_the_standard_price_is_published_and_says_so() -> None:
    price = published("gpt-5-mini", LIVE, AT)

    assert price.provenance is Provenance.PUBLISHED
    assert "standard price of openai gpt-5-mini" in price.source


def test_a_model_without_a_batch_price_has_a_live_one() -> None:
    model = "text-embedding-3-small"

    assert not published(model, BATCH, AT).is_known
    assert published(model, LIVE, AT).is_known


def test_no_batch_discount_is_taken_off_a_live_price() -> None:
    model, prices = "text-embedding-3-small", Prices(batch_discount=0.5)

    [live], [batch] = (prices.price(model, each, AT).units for each in (LIVE, BATCH))

    assert live.input == 2 * batch.input == Decimal("0.02")


def test_declared_prices_are_taken_as_they_are() -> None:
    [unit] = Prices(input=1, output=2).price("m", LIVE, AT).units

    assert (unit.input, unit.output) == (1, 2)
