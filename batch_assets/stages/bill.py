"""bill: what answers cost, from the usage that the provider reported."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from batch_assets.domain.price import Price
from batch_assets.stages.counts import WaveCounts


@dataclass(frozen=True, kw_only=True)
class Bill:
    """What a request set's answers cost, in USD. None is unknown, and never 0.

    Answers that were carried over were paid for in another request set, and cost nothing here.
    """

    price: Price
    #: One for each wave.
    waves: Sequence[Decimal | None]
    #: Answers that were paid for and of which the provider told no usage.
    untold: int = 0

    @property
    def usd(self) -> Decimal | None:
        """All waves together."""
        total = Decimal(0)
        for cost in self.waves:
            if cost is None:
                return None
            total += cost
        return total


def bill_of(price: Price, waves: Sequence[WaveCounts]) -> Bill:
    """The bill of the waves, each request at the price that the length of its prompt has."""
    return Bill(
        price=price,
        waves=[_cost(price, wave) for wave in waves],
        untold=sum(wave.untold for wave in waves),
    )


def _cost(price: Price, wave: WaveCounts) -> Decimal | None:
    if wave.untold and wave.untold == wave.executions:
        return None
    return price.of(wave.usage_by_step)
