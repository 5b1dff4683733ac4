"""approve: what an approval lets be sent, at which quote, and the record of it.

The job of the UI and the command line give the same one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batch_assets.domain.batch import BatchState, CanaryState, RequestSet
from batch_assets.domain.errors import ArtifactError, DeclarationError
from batch_assets.domain.price import Price, Provenance
from batch_assets.domain.request import RequestSetDigest
from batch_assets.files import Files, RequestSetLayout
from batch_assets.files.manifest import Manifest, read_manifest
from batch_assets.ledger import Ledger
from batch_assets.stages.plan import layout_of
from batch_assets.stages.quote import Quote, quote, usage_before


@dataclass(frozen=True, kw_only=True)
class Approvable:
    """A request set that a person may approve, and what sending it is expected to cost."""

    inference: str
    partition_key: str
    digest: RequestSetDigest
    quote: Quote

    def __str__(self) -> str:
        return (
            f"request set {self.digest[:12]} is approved: {self.quote.requests:,} requests, "
            f"{self.quote.prompt_tokens:,} prompt tokens (estimated), {self.quote}"
        )


def waiting_for_approval(ledger: Ledger, files: Files, inference: str) -> Sequence[Approvable]:
    """The inference's request sets that wait for an approval now."""
    return [
        Approvable(
            inference=inference,
            partition_key=each.partition_key,
            digest=each.digest,
            quote=_quote(ledger, files, each),
        )
        for each in ledger.approvals.wanted(inference)
    ]


def prepared(files: Files, inference: str, partition_key: str, digest: str) -> Approvable:
    """The request set of that digest, which need not be submitted yet.

    Raises DeclarationError where the store has no such one, or the digest is not whole.
    """
    layout = RequestSetLayout(
        inference=inference, partition_key=partition_key, digest=RequestSetDigest(digest.strip())
    )
    try:
        manifest = read_manifest(files, layout.manifest)
    except ArtifactError as error:
        raise DeclarationError(
            f"partition {partition_key} has no such request set: {error}"
        ) from error
    if manifest.digest != layout.digest:
        raise DeclarationError(
            f"request_set {digest} is not a whole digest; partition {partition_key} has "
            f"{manifest.digest}"
        )
    return Approvable(
        inference=inference,
        partition_key=partition_key,
        digest=manifest.digest,
        quote=_quote_of(files, manifest, requests=manifest.requests),
    )


def approve(ledger: Ledger, approved: Approvable, *, given_by: str) -> None:
    """Record the approval with its quote; whoever sends next sends what waited for it."""
    ledger.approvals.give(
        approved.inference,
        approved.partition_key,
        approved.digest,
        given_by=given_by,
        quote=recorded(approved.quote),
    )


def recorded(found: Quote) -> Mapping[str, Any]:
    """The quote as it stays in the ledger."""
    return {
        "requests": found.requests,
        "prompt_tokens": found.prompt_tokens,
        "usd": None if found.usd is None else str(found.usd),
        "input_usd": None if found.input_usd is None else str(found.input_usd),
        "price": f"{found.price.provenance}: {found.price.source}",
    }


def _quote(ledger: Ledger, files: Files, request_set: RequestSet) -> Quote:
    """What an approval sends: the batches that wait, or what the canary held back."""
    manifest = read_manifest(files, layout_of(request_set).manifest)
    if request_set.canary_state is CanaryState.HELD:
        asked = (request_set.canary or 0) + (request_set.carried or 0)
        return _quote_of(files, manifest, requests=manifest.requests - asked)
    waiting = ledger.batches(request_set=request_set.id, states={BatchState.PLANNED})
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
