"""bill: what answers cost, from the usage that the provider reported."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from batch_assets.domain.batch import RequestSet
from batch_assets.domain.price import Price, Provenance
from batch_assets.files.manifest import Manifest
from batch_assets.stages.counts import WaveCounts
from batch_assets.stages.fold import Collected
from batch_assets.stages.quote import live_price_of, price_of
from batch_assets.stages.recipe import Deployment, Recipe
from batch_assets.stages.terms import terms_of


@dataclass(frozen=True, kw_only=True)
class Bill:
    """What a request set's answers cost, in USD. None is unknown, and never 0.

    Answers that were carried over were paid for in another request set, and cost nothing here.
    """

    #: The price of each wave: that of the account which answered it.
    prices: Sequence[Price]
    #: What each wave cost.
    waves: Sequence[Decimal | None]
    #: Answers that were paid for and of which the provider told no usage.
    untold: int = 0

    @property
    def price(self) -> Price:
        """The price of the first wave."""
        return self.prices[0]

    @property
    def usd(self) -> Decimal | None:
        """All waves together."""
        total = Decimal(0)
        for cost in self.waves:
            if cost is None:
                return None
            total += cost
        return total


def prices_of_waves(
    deployment: Deployment,
    recipe: Recipe,
    request_set: RequestSet,
    manifest: Manifest,
    waves: Sequence[Sequence[Collected]],
) -> list[Price]:
    """The price of each wave: the provider's for batches, and the lane's for stragglers."""
    now, lane = deployment.ledger.clock(), deployment.live
    own = price_of(recipe, deployment.provider, now, snapshot=manifest.price)
    prices = []
    for number in range(len(waves)):
        if not request_set.is_live(number):
            prices.append(own)
        elif lane is None:
            terms = terms_of(deployment.files, manifest.layout)
            prices.append(_UNKNOWN if terms is None else terms.price)
        else:
            prices.append(live_price_of(recipe, lane, request_set.rescued_at or now))
    return prices


_UNKNOWN = Price(
    provenance=Provenance.UNKNOWN,
    source="stragglers were asked live by a lane that the inference does not declare any more: "
    "declare it again, and make the results anew",
)


def bill_of(prices: Sequence[Price], waves: Sequence[WaveCounts]) -> Bill:
    """The bill of the waves, each request at the price that the length of its prompt has."""
    return Bill(
        prices=prices,
        # Of an empty request set nothing was counted.
        waves=[_cost(price, wave) for price, wave in zip(prices, waves, strict=False)],
        untold=sum(wave.untold for wave in waves),
    )


def _cost(price: Price, wave: WaveCounts) -> Decimal | None:
    if wave.untold and wave.untold == wave.executions:
        return None
    return price.of(wave.usage_by_step)
