"""Quotes, prices and costs as metadata: numbers where they are known, and who says so."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from batch_assets.domain.plain_text import cell
from batch_assets.domain.price import Price, UnitPrices
from batch_assets.domain.stragglers import Stragglers
from batch_assets.stages.bill import Bill
from batch_assets.stages.quote import Quote


def quote_entries(quote: Quote) -> Mapping[str, Any]:
    """What sending it now would cost."""
    return {
        **_usd("quote_usd", quote.usd),
        **_usd("quote_prompts_usd", quote.input_usd),
        **_usd("quote_at_most_usd", quote.most_usd),
        **known("expected_output_tokens", quote.output_tokens),
        "quote": str(quote),
        "quote_basis": cell(quote.basis),
        **price_entries(quote.price),
    }


def stragglers_entries(stragglers: Stragglers | None, quote: Quote | None) -> Mapping[str, Any]:
    """What asking live would cost what is not answered in time; nothing where nothing is."""
    if stragglers is None or quote is None:
        return {}
    return {
        "stragglers": f"what is not answered {stragglers.after_hours:g} h after it is submitted is "
        f"asked live by {stragglers.provider}, at its price: {quote} if that were all of it",
        **_usd("stragglers_usd", quote.usd),
        **_usd("stragglers_at_most_usd", quote.most_usd),
        "stragglers_price_source": quote.price.source,
    }


def price_entries(price: Price) -> Mapping[str, Any]:
    """The unit prices in USD for a million tokens, and who says so."""
    return {
        "price_provenance": price.provenance.value,
        "price_source": price.source,
        "usd_per_million_tokens": "; ".join(map(_unit, price.units)) or "unknown",
    }


def _unit(unit: UnitPrices) -> str:
    kinds = {
        "input": unit.input,
        "cached input": unit.cached_input,
        "cache write": unit.cache_write,
        "cache write for an hour": unit.cache_write_1h,
        "output": unit.output,
    }
    said = ", ".join(f"{name} {usd}" for name, usd in kinds.items() if usd is not None)
    return f"above {unit.above:,} prompt tokens {said}" if unit.above else said


def _usd(name: str, amount: Decimal | None) -> Mapping[str, float]:
    return known(name, None if amount is None else float(amount))


def known(name: str, value: Any) -> Mapping[str, Any]:
    """The entry where it is known; none where it is not."""
    return {} if value is None else {name: value}


def cost_entries(bill: Bill, items: int) -> Mapping[str, Any]:
    """What was paid for the answers, as far as that is known."""
    per_item = None if bill.usd is None else bill.usd / max(items, 1)
    return {
        **_usd("cost_usd", bill.usd),
        **_usd("cost_per_item_usd", per_item),
        "cost": "unknown" if bill.usd is None else in_words(bill.usd),
        **price_entries(bill.price),
        **_price_of_stragglers(bill),
        **known("answers_without_usage", bill.untold or None),
    }


def _price_of_stragglers(bill: Bill) -> Mapping[str, Any]:
    """Where the last wave was paid at another price than the first."""
    last = bill.prices[-1]
    if last == bill.price:
        return {}
    return {f"stragglers_{name}": said for name, said in price_entries(last).items()}


def in_words(usd: Decimal) -> str:
    return f"${usd:,.6f}"
