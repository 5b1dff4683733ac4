"""terms: by whom, when and at which price stragglers are asked live, kept beside their request set.

Who approves a request set, explains an item or bills a wave may know no declaration.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from batch_assets.domain.batch import RequestSet
from batch_assets.domain.errors import ArtifactError
from batch_assets.domain.price import Price, UnitPrices
from batch_assets.domain.stragglers import Stragglers
from batch_assets.files import Files, RequestSetLayout
from batch_assets.ledger import Ledger
from batch_assets.stages.quote import live_price_of
from batch_assets.stages.recipe import Deployment, Recipe


@dataclass(frozen=True, kw_only=True)
class LiveTerms:
    """What asking a request set's stragglers live costs."""

    stragglers: Stragglers
    price: Price


def keep_terms(
    deployment: Deployment, recipe: Recipe, layout: RequestSetLayout
) -> LiveTerms | None:
    """Store the terms as they are now; those of a rescue that has begun stay as they are.

    None where the inference has no stragglers.
    """
    ledger, files, lane = deployment.ledger, deployment.files, deployment.live
    if recipe.stragglers is None and not recipe.needs_approval:
        return None
    found = ledger.request_sets.find(layout.inference, layout.partition_key, layout.digest)
    if found is not None and found.rescued_at is not None:
        return terms_of(files, layout)
    if recipe.stragglers is None or lane is None:
        # Nobody is to approve what is not done any more.
        files.delete(layout.stragglers)
        return None
    price = live_price_of(recipe, lane, ledger.clock())
    terms = LiveTerms(stragglers=recipe.stragglers, price=price)
    content = msgspec.json.format(msgspec.json.encode(terms), indent=2)
    if not files.exists(layout.stragglers) or files.read(layout.stragglers) != content:
        files.write(layout.stragglers, content)
    return terms


def terms_of(files: Files, layout: RequestSetLayout) -> LiveTerms | None:
    """The terms as they were stored; None where they never were.

    Raises ArtifactError where they are damaged.
    """
    if not files.exists(layout.stragglers):
        return None
    try:
        return msgspec.json.decode(files.read(layout.stragglers), type=LiveTerms)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ArtifactError(
            f"{files.url(layout.stragglers)} is not what was stored ({error}): restore it"
        ) from error


def recorded_terms(terms: LiveTerms) -> Mapping[str, Any]:
    """The terms as an approval keeps them, in JSON's types."""
    found: Mapping[str, Any] = msgspec.to_builtins(terms)
    return found


def are_approved(ledger: Ledger, request_set: RequestSet, terms: LiveTerms) -> bool:
    """Whether a person who was shown these terms, or dearer ones, approved the request set."""
    given = ledger.approvals.of(request_set.inference, request_set.partition_key)
    return any(
        _covers(msgspec.convert(shown, LiveTerms, strict=False), terms)
        for approval in given
        if approval.digest == request_set.digest
        and (shown := approval.quote.get("stragglers")) is not None
    )


def _covers(shown: LiveTerms, now: LiveTerms) -> bool:
    if shown.stragglers.provider != now.stragglers.provider:
        return False
    if not shown.price.is_known:
        # It was approved as a price that nobody knows.
        return True
    lengths = {unit.above + 1 for unit in (*shown.price.units, *now.price.units)}
    return all(_is_no_dearer(now.price.unit(n), shown.price.unit(n)) for n in lengths)


def _is_no_dearer(now: UnitPrices | None, shown: UnitPrices | None) -> bool:
    if now is None or shown is None:
        return False
    pairs: Iterable[tuple[Any, Any]] = (
        (now.input, shown.input),
        (now.cached_input, shown.cached_input),
        (_or_input(now, now.cache_write), _or_input(shown, shown.cache_write)),
        (_or_input(now, now.cache_write_1h), _or_input(shown, shown.cache_write_1h)),
        (now.output or 0, shown.output or 0),
    )
    return all(mine <= theirs for mine, theirs in pairs)


def _or_input(unit: UnitPrices, price: Any) -> Any:
    return unit.input if price is None else price
