"""A person's approval: what may be sent, and what a canary held back."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from batch_assets.domain.batch import BatchState, CanaryState, RequestSet
from batch_assets.domain.control import Scope
from batch_assets.domain.errors import ArtifactError
from batch_assets.domain.price import Price, Provenance
from batch_assets.domain.request import RequestSetDigest
from batch_assets.files import Files, RequestSetLayout
from batch_assets.files.manifest import Manifest, read_manifest
from batch_assets.operations.orders import Order, OrderConfig, ScopeConfig, refusal
from batch_assets.stages.plan import layout_of
from batch_assets.stages.quote import Quote, quote, usage_before


class ApproveConfig(OrderConfig):
    """Run configuration of approve_batches."""

    given_by: str = Field(description="Your name: the approval stands in the ledger with it.")
    inference: str = Field(description="The inference.")
    partition_keys: list[str] = Field(
        default=[],
        description="Only these partitions. Empty means all of the inference that wait for it.",
    )
    request_set: str = Field(
        default="",
        description="Digest of the request set that is approved, as `requests` shows it: of "
        "exactly one partition, which need not be submitted yet. Left out, what waits now.",
    )


def approve(order: Order, config: ApproveConfig) -> Mapping[str, Any]:
    """Record the approval of each partition; the sensor sends what waited for it."""
    if not config.given_by.strip():
        raise refusal("given_by is empty: an approval stands in the ledger with a name")
    order.scopes(ScopeConfig(inference=config.inference, partition_keys=config.partition_keys))
    found = [_named(order, config)] if config.request_set else _waiting(order, config)
    counts = {}
    for partition_key, digest, quoted in found:
        order.ledger.approvals.give(
            config.inference, partition_key, digest, given_by=order.owner, quote=_recorded(quoted)
        )
        said = (
            f"request set {digest[:12]} is approved: {quoted.requests:,} requests, "
            f"{quoted.prompt_tokens:,} prompt tokens (estimated), {quoted}"
        )
        scope = Scope(inference=config.inference, partition_key=partition_key)
        order.tell(order.concerned([scope]), f"{scope}: {said}")
        counts[partition_key] = said
    return counts


def _waiting(order: Order, config: ApproveConfig) -> Sequence[tuple[str, str, Quote]]:
    """The partitions that wait for an approval now, those that are named or all."""
    wanted = {each.partition_key: each for each in order.ledger.approvals.wanted(config.inference)}
    others = [key for key in config.partition_keys if key not in wanted]
    if others or not wanted:
        raise refusal(
            f"{', '.join(others) or f'nothing of {config.inference}'} waits for no approval now; "
            f"{', '.join(wanted) or 'no partition'} does. Materialize batches first, or name the "
            "request_set that `requests` shows"
        )
    chosen = [wanted[key] for key in dict.fromkeys(config.partition_keys)] or wanted.values()
    return [(each.partition_key, each.digest, _quote(order, each)) for each in chosen]


def _named(order: Order, config: ApproveConfig) -> tuple[str, str, Quote]:
    """The request set of that digest, which is in the store at least."""
    if len(config.partition_keys) != 1:
        raise refusal("request_set is of one partition: name it, and no other, in partition_keys")
    [partition_key] = config.partition_keys
    layout = RequestSetLayout(
        inference=config.inference,
        partition_key=partition_key,
        digest=RequestSetDigest(config.request_set.strip()),
    )
    scope = Scope(inference=config.inference, partition_key=partition_key)
    files = order.deployment_of(scope).files
    try:
        manifest = read_manifest(files, layout.manifest)
    except ArtifactError as error:
        raise refusal(f"partition {partition_key} has no such request set: {error}") from error
    if manifest.digest != layout.digest:
        raise refusal(
            f"request_set {config.request_set} is not a whole digest; partition {partition_key} "
            f"has {manifest.digest}"
        )
    return partition_key, manifest.digest, _quote_of(files, manifest, requests=manifest.requests)


def _quote(order: Order, request_set: RequestSet) -> Quote:
    """What an approval sends: the batches that wait, or what the canary held back."""
    scope = Scope(inference=request_set.inference, partition_key=request_set.partition_key)
    files = order.deployment_of(scope).files
    manifest = read_manifest(files, layout_of(request_set).manifest)
    if request_set.canary_state is CanaryState.HELD:
        asked = (request_set.canary or 0) + (request_set.carried or 0)
        return _quote_of(files, manifest, requests=manifest.requests - asked)
    waiting = order.ledger.batches(request_set=request_set.id, states={BatchState.PLANNED})
    return _quote_of(
        files,
        manifest,
        requests=sum(batch.reservation.requests for batch in waiting),
        tokens=sum(batch.reservation.tokens for batch in waiting),
    )


def _quote_of(
    files: Files, manifest: Manifest, *, requests: int, tokens: int | None = None
) -> Quote:
    """Of so many of a request set's requests; their tokens, left out, are the share of all."""
    if tokens is None:
        tokens = round(manifest.tokens * requests / max(1, manifest.requests))
    before = usage_before(files, manifest.inference, manifest.model)
    price = manifest.price or Price(
        provenance=Provenance.UNKNOWN, source="the request set was written without a price"
    )
    return quote(price, requests=requests, prompt_tokens=tokens, before=before)


def _recorded(found: Quote) -> Mapping[str, Any]:
    """The quote as it stays in the ledger."""
    return {
        "requests": found.requests,
        "prompt_tokens": found.prompt_tokens,
        "usd": None if found.usd is None else str(found.usd),
        "input_usd": None if found.input_usd is None else str(found.input_usd),
        "price": f"{found.price.provenance}: {found.price.source}",
    }
