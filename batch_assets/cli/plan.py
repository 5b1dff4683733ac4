"""What starting an inference would send and cost."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from batch_assets.cli.begun import (
    about_rows,
    check_free,
    declaration_of,
    inference_of,
    lacking_key,
    on_deployment,
)
from batch_assets.cli.declared import Declared
from batch_assets.cli.declaring import Given, declares
from batch_assets.cli.place import Place, at_place
from batch_assets.cli.render import Row, emit, schema_of, tell, with_output

if TYPE_CHECKING:
    from decimal import Decimal

    from batch_assets.stages.preview import Preview
    from batch_assets.started import Started

SCHEMA = schema_of("plan", 1)


class PlannedPrompt(Row, frozen=True, kw_only=True):
    """An item and what is asked about it."""

    item_id: str
    #: Each message behind its role; empty where no batch can hold the item.
    prompt: str


class Planned(Row, frozen=True, kw_only=True):
    """A partition as it would be sent now."""

    inference: str
    partition: str
    request_set: str
    provider: str
    model: str
    endpoint: str
    rows: int
    requests: int
    #: Rows that are asked the same as an earlier one, and share its request.
    duplicates: int
    #: Rows that no batch can hold.
    oversize: int
    #: Batches, and the bytes of their files.
    shards: int
    bytes: int
    #: Estimated, of all requests.
    prompt_tokens: int
    #: Requests that are answered already, or on their way.
    reused: int
    requests_to_pay: int
    prompt_tokens_to_pay: int
    #: USD with the expected answers, of the prompts alone, and with answers as long as they may be;
    #: null where it is unknown, and never 0 for it.
    usd: float | None
    prompts_usd: float | None
    most_usd: float | None
    #: The same in words, and what the length of the answers is expected from.
    quote: str
    basis: str
    #: The same where all of it is asked live, the worst case; null where it has no stragglers, or
    #: that is unknown.
    live_usd: float | None
    live_prompts_usd: float | None
    live_most_usd: float | None
    #: In words, with who asks it and when; null where it has no stragglers.
    live_quote: str | None
    #: Who says what a token costs live, and where; null where it has no stragglers.
    live_price_source: str | None
    #: Who says what a token costs, and where.
    price_provenance: str
    price_source: str
    #: What a person should know before it is sent.
    notes: Sequence[str]
    #: Of the first rows.
    prompts: Sequence[PlannedPrompt]


class _Fact(Row, frozen=True, kw_only=True):
    what: str
    value: str


@click.command()
@declares
@with_output
@at_place
def plan(place: Place, given: Given, output: str) -> None:
    """Quote what `start` would send with the same options, and show ten prompts.

    Nobody is called, and the ledger keeps nothing of it; the requests are written to the store, as
    `start` would write them.

    Example: batch-assets plan --input tickets.csv --id-field id --prompt-field text --model gpt-5
    """
    planned(place, given, output)


def planned(place: Place, given: Given, output: str) -> None:
    """Show what would be sent, and send nothing."""
    from batch_assets.stages.preview import preview

    started = declaration_of(place, given)
    inference = inference_of(started)
    with on_deployment(place, inference, needs_key=False) as declared:
        check_free(started, declared.deployment)
        asked = filter(None, (started.provider, started.stragglers_provider))
        notes = [said for provider in asked for said in lacking_key(place, provider)]
        with about_rows(started):
            found = [
                preview(declared.deployment, declared.recipe, partition_key)
                for partition_key in inference.corpus.partition_keys()
            ]
        rows = [_row(each, started, declared, notes) for each in found]
    if output != "table":
        emit(output, SCHEMA, rows)
        return
    for row in rows:
        emit(output, SCHEMA, list(_facts(row)))
        click.echo()
        emit(output, SCHEMA, row.prompts)
        for note in row.notes:
            tell(f"Note: {note}")


def _row(found: "Preview", started: "Started", declared: Declared, notes: Sequence[str]) -> Planned:
    from batch_assets.stages.quote import worst_case

    manifest, cost, quote = found.manifest, found.difference.cost, found.difference.quote
    live, stragglers = found.difference.live_quote, declared.recipe.stragglers
    return Planned(
        inference=manifest.inference,
        partition=manifest.partition_key,
        request_set=manifest.digest,
        provider=started.provider,
        model=manifest.model,
        endpoint=manifest.endpoint,
        rows=manifest.items,
        requests=manifest.requests,
        duplicates=manifest.duplicates,
        oversize=manifest.oversize,
        shards=len(manifest.shards),
        bytes=sum(shard.bytes for shard in manifest.shards),
        prompt_tokens=manifest.tokens,
        reused=cost.reused,
        requests_to_pay=cost.requests,
        prompt_tokens_to_pay=cost.tokens,
        usd=_usd(quote.usd),
        prompts_usd=_usd(quote.input_usd),
        most_usd=_usd(quote.most_usd),
        quote=str(quote),
        basis=quote.basis,
        live_usd=None if live is None else _usd(live.usd),
        live_prompts_usd=None if live is None else _usd(live.input_usd),
        live_most_usd=None if live is None else _usd(live.most_usd),
        live_quote=worst_case(stragglers, live) if stragglers and live else None,
        live_price_source=None if live is None else live.price.source,
        price_provenance=quote.price.provenance.value,
        price_source=quote.price.source,
        notes=[*notes, *_notes(found, declared)],
        prompts=[PlannedPrompt(item_id=each.item_id, prompt=each.prompt) for each in found.samples],
    )


def _notes(found: "Preview", declared: Declared) -> list[str]:
    """What would keep it from being sent, and what is worth a look before."""
    manifest, cost, deployment = found.manifest, found.difference.cost, declared.deployment
    notes = []
    if declared.recipe.needs_approval:
        notes.append(
            f"nothing is sent before somebody approves request set {manifest.digest[:12]}: "
            f"batch-assets approve {manifest.inference}"
        )
    notes += [
        str(pause)
        for pause in deployment.ledger.pauses.standing()
        if pause.scope.covers_what(
            account=deployment.provider.account,
            inference=manifest.inference,
            partition_key=manifest.partition_key,
            origin=deployment.owner,
        )
    ]
    if manifest.oversize:
        notes.append(f"{manifest.oversize:,} rows are too large for any batch and are not asked")
    if cost.awaited_from is not None:
        notes.append(f"{cost.awaited:,} requests are asked already, and waited for")
    if found.difference.changed.items or found.difference.gone.items:
        notes.append(f"beside what was sent before: {found.difference}")
    return notes


def _facts(row: Planned) -> Sequence[_Fact]:
    facts = {
        "inference": row.inference,
        "provider": f"{row.provider}, {row.model}, {row.endpoint}",
        "rows": f"{row.rows:,}",
        "requests": f"{row.requests:,} in {row.shards:,} batch(es), {row.bytes:,} bytes",
        "same as another": f"{row.duplicates:,} rows",
        "reused": f"{row.reused:,} requests",
        "to pay for": f"{row.requests_to_pay:,} requests, about {row.prompt_tokens_to_pay:,} "
        "prompt tokens",
        "cost": row.quote,
        **({} if row.live_quote is None else {"stragglers": row.live_quote}),
        "answers": row.basis,
        "prices": f"{row.price_provenance}: {row.price_source}",
        **({} if row.live_price_source is None else {"live prices": row.live_price_source}),
        "request set": row.request_set,
    }
    return [_Fact(what=what, value=value) for what, value in facts.items()]


def _usd(amount: "Decimal | None") -> float | None:
    return None if amount is None else float(amount)
