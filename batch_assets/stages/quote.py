"""quote: what sending requests is expected to cost, before anything is sent."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import msgspec

from batch_assets.domain.errors import ArtifactError
from batch_assets.domain.price import Price
from batch_assets.domain.provider import Provider
from batch_assets.domain.stragglers import Stragglers
from batch_assets.domain.usage import Usage
from batch_assets.files import Files
from batch_assets.files.layout import usage_path
from batch_assets.files.manifest import Manifest
from batch_assets.prices.published import published
from batch_assets.prompt.shown import most_output_tokens
from batch_assets.stages.recipe import Deployment, Recipe
from batch_assets.stages.samples import first_body


@dataclass(frozen=True, kw_only=True)
class UsageBefore:
    """What the newest answers of an inference used: what the next ones are expected to."""

    model: str
    partition_key: str
    #: Answers of the model that were paid for.
    answers: int
    output_tokens: int

    @property
    def output_per_answer(self) -> float:
        return self.output_tokens / self.answers


@dataclass(frozen=True, kw_only=True)
class Quote:
    """What some requests are expected to cost, in USD. None is unknown, and never 0."""

    price: Price
    requests: int
    #: Estimated.
    prompt_tokens: int
    #: Expected from earlier answers; None where there are none.
    output_tokens: int | None
    #: The most that the requests let the model write; None where they do not say.
    most_output_tokens: int | None
    #: The prompts alone.
    input_usd: Decimal | None
    #: With the expected answers.
    usd: Decimal | None
    #: With answers as long as the requests let them be.
    most_usd: Decimal | None
    #: What the answers are expected from, in a sentence.
    basis: str

    def __str__(self) -> str:
        if self.usd is not None:
            return f"about ${self.usd:.6f}"
        if self.input_usd is None:
            return "price unknown"
        most = "" if self.most_usd is None else f", ${self.most_usd:.6f} at most"
        return f"about ${self.input_usd:.6f} for the prompts{most}, the answers come on top"


def price_of(
    recipe: Recipe, provider: Provider, at: datetime, *, snapshot: Price | None = None
) -> Price:
    """The price of the inference's batches: as declared, else as the snapshot has it, which was
    taken when the request set was written, else as published at that time.
    """
    media = recipe.endpoint.media
    if recipe.prices is not None:
        return recipe.prices.price(recipe.model, provider.price_list, at, media=media)
    if snapshot is not None and snapshot.is_known:
        return snapshot
    return published(recipe.model, provider.price_list, at, media=media)


def live_price_of(recipe: Recipe, lane: Provider, at: datetime) -> Price:
    """The price of stragglers: as published for the lane. What a batch costs, or takes off, as it
    is declared for the inference, is no price of theirs.
    """
    return published(recipe.model, lane.price_list, at)


def quote_of(
    deployment: Deployment, recipe: Recipe, manifest: Manifest, *, requests: int, tokens: int
) -> Quote:
    """What sending so many requests of a request set, with so many prompt tokens, would cost."""
    at = deployment.ledger.clock()
    price = price_of(recipe, deployment.provider, at, snapshot=manifest.price)
    return _quote_at(price, deployment, recipe, manifest, requests=requests, tokens=tokens)


def live_quote_of(
    deployment: Deployment, recipe: Recipe, manifest: Manifest, *, requests: int, tokens: int
) -> Quote | None:
    """What they would cost where all were asked live, as stragglers; None where nothing is."""
    lane = deployment.live
    if recipe.stragglers is None or lane is None:
        return None
    price = live_price_of(recipe, lane, deployment.ledger.clock())
    return _quote_at(price, deployment, recipe, manifest, requests=requests, tokens=tokens)


def worst_case(stragglers: Stragglers, live: Quote) -> str:
    """What a person is told of what stragglers may cost."""
    most = live if live.most_usd is None else f"${live.most_usd:.6f} at most"
    return f"{most} if all of it were asked live ({stragglers})"


def _quote_at(
    price: Price,
    deployment: Deployment,
    recipe: Recipe,
    manifest: Manifest,
    *,
    requests: int,
    tokens: int,
) -> Quote:
    most = most_output_tokens(first_body(deployment.files, manifest, recipe.packing.envelope))
    before = usage_before(deployment.files, recipe.inference, recipe.model)
    return quote(price, requests=requests, prompt_tokens=tokens, before=before, most=most)


def quote(
    price: Price,
    *,
    requests: int,
    prompt_tokens: int,
    before: UsageBefore | None = None,
    most: int | None = None,
) -> Quote:
    """The quote of requests; `most` is what each lets the model write at most."""
    unit = price.unit(prompt_tokens / max(requests, 1))
    asks = Usage(input_tokens=prompt_tokens)
    writes_nothing = unit is not None and unit.output is None
    expected = 0 if writes_nothing or not requests else None
    basis = "answers are not priced by tokens" if writes_nothing else "nothing is to pay for"
    if expected is None and before is not None:
        expected = round(requests * before.output_per_answer)
        basis = (
            f"{before.output_per_answer:.1f} output tokens an answer, as the "
            f"{before.answers:,} answers of partition {before.partition_key} had"
        )
    most_output = None if most is None or writes_nothing else requests * most
    if expected is None:
        basis = "no answers of this model yet to expect the length of the next ones from"
    if most_output is not None:
        basis += f"; the requests allow {most:,} output tokens each at most"
    return Quote(
        price=price,
        requests=requests,
        prompt_tokens=prompt_tokens,
        output_tokens=expected,
        most_output_tokens=most_output,
        input_usd=None if unit is None else unit.of(asks),
        usd=None if unit is None or expected is None else unit.of(_with(asks, expected)),
        most_usd=None if unit is None or most_output is None else unit.of(_with(asks, most_output)),
        basis=basis,
    )


def _with(asks: Usage, output_tokens: int) -> Usage:
    return asks + Usage(output_tokens=output_tokens)


def usage_before(files: Files, inference: str, model: str) -> UsageBefore | None:
    """What the inference's newest answers used, where they are of the same model."""
    path = usage_path(inference)
    if not files.exists(path):
        return None
    try:
        found = msgspec.json.decode(files.read(path), type=UsageBefore)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ArtifactError(
            f"{files.url(path)} is not what was stored ({error}): delete it, the next results "
            "write it anew"
        ) from error
    return found if found.model == model and found.answers else None


def keep_usage(
    files: Files, recipe: Recipe, partition_key: str, *, answers: int, usage: Usage
) -> None:
    """Keep what a partition's answers used, where it was told, for the quotes that follow."""
    if answers and usage.input_tokens:
        kept = UsageBefore(
            model=recipe.model,
            partition_key=partition_key,
            answers=answers,
            output_tokens=usage.output_tokens,
        )
        files.write(usage_path(recipe.inference), msgspec.json.encode(kept))
