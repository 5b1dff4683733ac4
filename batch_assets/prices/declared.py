"""Prices that the user declares."""

from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal, InvalidOperation

from batch_assets.domain.errors import DeclarationError
from batch_assets.domain.price import Price, PriceList, Provenance, UnitPrices
from batch_assets.prices.published import MEDIA, published

#: What a price may be given as; text for those who want every digit as it is.
Amount = int | float | str | Decimal


@dataclass(frozen=True, kw_only=True)
class Prices:
    """What a model's batches cost, in USD per million tokens, as the provider bills them.

    Declared prices come before published ones. Raises DeclarationError for what cannot be a price.
    """

    input: Amount | None = None
    #: Left out, answers are not priced by tokens, as of embeddings.
    output: Amount | None = None
    #: Left out, cached input costs what input costs.
    cached_input: Amount | None = None
    #: Share that a batch takes off the published standard price, 0 to 1, for a model of which no
    #: batch price is published. Given alone, without prices.
    batch_discount: Amount | None = None

    def __post_init__(self) -> None:
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        given = {name: value for name, value in given.items() if value is not None}
        if not given:
            raise DeclarationError(
                "prices: nothing is given; give input (and output) in USD per million tokens, or "
                "batch_discount, or leave prices out"
            )
        for name, value in given.items():
            amount = _amount(name, value)
            if name == "batch_discount" and amount > 1:
                raise DeclarationError(
                    f"prices: batch_discount is {value}; it is the share of the standard "
                    "price that is taken off, 0 to 1: 0.5 for half"
                )
        if self.batch_discount is not None and len(given) > 1:
            others = ", ".join(name for name in given if name != "batch_discount")
            raise DeclarationError(
                f"prices: batch_discount is for the published standard price, and {others} is "
                "declared: give the prices as batches are billed, or the discount alone"
            )
        if self.batch_discount is None and self.input is None:
            raise DeclarationError(
                f"prices: {', '.join(given)} is given without input; give the price of input too"
            )

    def price(
        self,
        model: str,
        price_list: PriceList | None,
        at: datetime,
        *,
        media: frozenset[str] = MEDIA,
    ) -> Price:
        """The price of a model's batches at that time; `media` as `published` takes them."""
        if self.batch_discount is not None:
            discount = _amount("batch_discount", self.batch_discount)
            return published(model, price_list, at, batch_discount=discount, media=media)
        paid = _amount("input", self.input)
        cached, output = self.cached_input, self.output
        return Price(
            provenance=Provenance.DECLARED,
            source="prices of the inference",
            units=(
                UnitPrices(
                    input=paid,
                    cached_input=paid if cached is None else _amount("cached_input", cached),
                    output=None if output is None else _amount("output", output),
                ),
            ),
        )


def _amount(name: str, value: object) -> Decimal:
    try:
        # By its text: a float of 0.1 is meant as 0.1.
        amount = Decimal("NaN") if isinstance(value, bool) else Decimal(str(value))
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        raise DeclarationError(
            f"prices: {name} is {value!r}; it must be a number, 0 or more"
            + ("" if name == "batch_discount" else ", in USD per million tokens")
        )
    return amount
