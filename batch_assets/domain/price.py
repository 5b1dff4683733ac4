"""What tokens cost: unit prices, where they are from, and what a usage comes to by them."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from batch_assets.domain.usage import Usage

#: Unit prices are for so many tokens.
PER_TOKENS = 1_000_000


class Provenance(StrEnum):
    """Who says what a token costs."""

    #: The provider's list has a price for what is asked so.
    PUBLISHED = "published"
    #: The provider's list has a standard price; what a batch costs of it, the user declared.
    DERIVED = "published standard price × declared batch discount"
    #: The user declared the price.
    DECLARED = "declared"
    #: Nobody does. An unknown price is never taken for 0.
    UNKNOWN = "unknown"


class Tier(StrEnum):
    """Which of a provider's prices its answers cost."""

    BATCH = "batch"
    #: That of calls of their own.
    STANDARD = "standard"


@dataclass(frozen=True, kw_only=True)
class PriceList:
    """Whose published prices a provider's answers cost."""

    #: The price library's name of the provider.
    provider: str
    tier: Tier = Tier.BATCH
    #: What a person must know of it, where the one that answers is another one.
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class UnitPrices:
    """USD for a million tokens, by the kind of token."""

    #: Requests with more prompt tokens than this have these prices.
    above: int = 0
    input: Decimal
    cached_input: Decimal
    #: Of input that goes into the cache, for some minutes and for an hour; None is that of input.
    cache_write: Decimal | None = None
    cache_write_1h: Decimal | None = None
    #: None where the model's answers are not priced by tokens.
    output: Decimal | None = None

    def of(self, usage: Usage) -> Decimal | None:
        """USD of the usage; None where it has tokens without a price.

        Cached tokens are a part of the input, reasoning a part of the output.
        """
        if usage.output_tokens and self.output is None:
            return None
        written, written_1h = usage.cache_write_tokens, usage.cache_write_1h_tokens
        plain = usage.input_tokens - usage.cached_tokens - written - written_1h
        parts = (
            (plain, self.input),
            (usage.cached_tokens, self.cached_input),
            (written, self.input if self.cache_write is None else self.cache_write),
            (written_1h, self.input if self.cache_write_1h is None else self.cache_write_1h),
            (usage.output_tokens, self.output or Decimal(0)),
        )
        return sum((tokens * price for tokens, price in parts), Decimal(0)) / PER_TOKENS


@dataclass(frozen=True, kw_only=True)
class Price:
    """The prices of one model's answers, and who says so."""

    provenance: Provenance
    #: In a sentence: where the prices are from, or why there are none and what can be done.
    source: str
    #: From short prompts to long ones, the first from 0 on; empty where the price is unknown.
    units: tuple[UnitPrices, ...] = ()

    @property
    def is_known(self) -> bool:
        return bool(self.units)

    @property
    def steps(self) -> tuple[int, ...]:
        """Prompt tokens from which on a request has other unit prices; the first is 0."""
        return tuple(unit.above for unit in self.units) or (0,)

    def of(self, usage_by_step: Sequence[Usage]) -> Decimal | None:
        """USD of what requests used, summed up for each step; None where a price is unknown."""
        if not self.is_known:
            return None
        total = Decimal(0)
        for unit, usage in zip(self.units, usage_by_step, strict=True):
            cost = unit.of(usage)
            if cost is None:
                return None
            total += cost
        return total

    def unit(self, prompt_tokens: float) -> UnitPrices | None:
        """The unit prices of a request with so many prompt tokens; None where unknown."""
        fit = [unit for unit in self.units if unit.above == 0 or prompt_tokens > unit.above]
        return fit[-1] if fit else None
