"""Published prices, from the library genai-prices, which is imported at the first question.

Its prices come with the package: nothing here calls the network, and prices that a process had it
download (`UpdatePrices`) are not looked at, so that a version means a price.

The library falls back silently where a model has no batch price: it answers with the standard one
(0.2.3, `types.py`, `ModelInfo.get_prices`). So the batch price is looked for by itself here.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING

from batch_assets.domain.price import Price, PriceList, Provenance, Tier, UnitPrices

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot
    from genai_prices.types import ModelInfo, ModelPrice, TieredPrices

LIBRARY = "genai-prices"

#: How the library is told that it is about batches.
_BATCH = {"processing": "batch"}

#: Its names of what `Usage` counts.
_INPUT, _CACHED, _OUTPUT = "input_mtok", "cache_read_mtok", "output_mtok"
_WRITE, _WRITE_1H = "cache_write_mtok", "cache_write_1h_mtok"

#: Kinds of tokens with prices of their own, which `Usage` does not tell from others.
MEDIA = frozenset({"image", "audio", "video"})

_DECLARE = "declare them: prices of the inference, in USD per million tokens (docs/howto/prices.md)"


def published(
    model: str,
    price_list: PriceList | None,
    at: datetime,
    *,
    batch_discount: Decimal | None = None,
    media: frozenset[str] = MEDIA,
) -> Price:
    """The published price of a model's answers at that time, in the tier that the list names.

    `batch_discount` is the share taken off the standard price where no batch price is published;
    what is asked live costs the standard price, without it. `media` are those of MEDIA that
    requests or answers may have: of others no price matters.
    """
    if price_list is None:
        return _unknown(
            f"the provider is at an address of its own, whose prices are not known: {_DECLARE}"
        )
    day = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    price = _looked_up(model, price_list.provider, price_list.tier, day, batch_discount, media)
    if price.is_known and price_list.note:
        return Price(
            provenance=price.provenance,
            source=f"{price.source}; {price_list.note}",
            units=price.units,
        )
    return price


@lru_cache(maxsize=64)
def _looked_up(
    model: str,
    provider_id: str,
    tier: Tier,
    day: datetime,
    batch_discount: Decimal | None,
    media: frozenset[str],
) -> Price:
    snapshot = _snapshot()
    provider = next((each for each in snapshot.providers if each.id == provider_id), None)
    if provider is None:
        return _unknown(
            f"{LIBRARY} {version(LIBRARY)} knows no provider {provider_id!r}: {_DECLARE}"
        )
    found = provider.find_model(model)
    if found is None:
        return _unknown(
            f"{LIBRARY} {version(LIBRARY)} has no model {model!r} of {provider_id}: {_DECLARE}"
        )
    named = f"{provider_id} {found.id}"
    origin = f"{LIBRARY} {version(LIBRARY)} for {day:%Y-%m-%d}"
    has_batch_price = tier is Tier.BATCH and _has_batch_price(found, day)
    prices = found.get_prices(day, _BATCH if has_batch_price else None)
    kinds = {name: value for name, value in prices.__dict__.items() if value is not None}
    if untold := sorted(name for name in kinds if any(kind in name for kind in media)):
        return _unknown(
            f"{named} has prices of its own for {', '.join(untold)}, tokens that the usage does "
            f"not tell from others: {_DECLARE}"
        )
    if _INPUT not in kinds:
        return _unknown(f"{origin} has {named} without a price for input: {_DECLARE}")
    if has_batch_price or tier is Tier.STANDARD:
        source = f"{origin}: {tier} price of {named}"
        return Price(
            provenance=Provenance.PUBLISHED, source=source, units=_units(prices, Decimal(1))
        )
    standard = _in_words(_units(prices, Decimal(1))[0])
    if batch_discount is None:
        return _unknown(
            f"{origin} has no batch price of {named}, only the standard price of {standard}: "
            "declare the batch_discount, 0.5 where a batch costs half, or the prices "
            "(docs/howto/prices.md)"
        )
    return Price(
        provenance=Provenance.DERIVED,
        source=f"{origin}: standard price of {named}, {standard}, less the declared "
        f"batch_discount of {batch_discount}",
        units=_units(prices, 1 - batch_discount),
    )


def _snapshot() -> "DataSnapshot":
    from genai_prices.data import providers
    from genai_prices.data_snapshot import DataSnapshot

    return DataSnapshot(providers=providers, from_auto_update=False)


def _has_batch_price(model: "ModelInfo", day: datetime) -> bool:
    return any(
        all(_BATCH.get(name) == value for name, value in variant.when.items())
        and (variant.constraint is None or variant.constraint.active(day))
        for variant in model.price_variants or ()
    )


def _units(prices: "ModelPrice", share: Decimal) -> tuple[UnitPrices, ...]:
    """Unit prices for each step of the prompt's length; cached input without a price is input."""
    listed: Mapping[str, Decimal | TieredPrices | None] = {
        name: getattr(prices, name) for name in (_INPUT, _CACHED, _WRITE, _WRITE_1H, _OUTPUT)
    }
    steps = {0}
    for price in listed.values():
        if not isinstance(price, Decimal | None):
            steps |= {tier.start for tier in price.tiers}
    units = []
    for above in sorted(steps):
        kinds = {name: _at(price, above, share) for name, price in listed.items()}
        paid = kinds[_INPUT]
        assert paid is not None
        cached = kinds[_CACHED]
        units.append(
            UnitPrices(
                above=above,
                input=paid,
                cached_input=paid if cached is None else cached,
                cache_write=kinds[_WRITE],
                cache_write_1h=kinds[_WRITE_1H],
                output=kinds[_OUTPUT],
            )
        )
    return tuple(units)


def _at(price: "Decimal | TieredPrices | None", above: int, share: Decimal) -> Decimal | None:
    if isinstance(price, Decimal | None):
        return None if price is None else price * share
    reached = [tier.price for tier in price.tiers if tier.start <= above]
    return (reached[-1] if reached else price.base) * share


def _in_words(unit: UnitPrices) -> str:
    said = f"${unit.input} per million tokens of input"
    return said if unit.output is None else f"{said} and ${unit.output} of output"


def _unknown(why: str) -> Price:
    return Price(provenance=Provenance.UNKNOWN, source=why)
