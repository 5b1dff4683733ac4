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
from batch_assets.prompt.envelope import OPENAI, Envelope
from batch_assets.prompt.shown import most_output_tokens
from batch_assets.stages.plan import layout_of
from batch_assets.stages.quote import Quote, quote, usage_before, worst_case
from batch_assets.stages.samples import first_body
from batch_assets.stages.terms import LiveTerms, recorded_terms, terms_of


@dataclass(frozen=True, kw_only=True)
class Approvable:
    """A request set that a person may approve, and what sending it is expected to cost."""

    inference: str
    partition_key: str
    digest: RequestSetDigest
    quote: Quote
    #: Who asks its stragglers live, and at which price; None where nobody does.
    terms: LiveTerms | None = None
    #: What that costs where all of it is asked live, the worst case.
    live_quote: Quote | None = None

    @property
    def said(self) -> str:
        """What it costs, in words."""
        if self.terms is None or self.live_quote is None:
            return str(self.quote)
        return f"{self.quote}; {worst_case(self.terms.stragglers, self.live_quote)}"

    def __str__(self) -> str:
        return (
            f"request set {self.digest[:12]} is approved: {self.quote.requests:,} requests, "
            f"{self.quote.prompt_tokens:,} prompt tokens (estimated), {self.said}"
        )


def waiting_for_approval(ledger: Ledger, files: Files, inference: str) -> Sequence[Approvable]:
    """The inference's request sets that wait for an approval now."""
    return [_waiting(ledger, files, each) for each in ledger.approvals.wanted(inference)]


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
    return _approvable(files, manifest, requests=manifest.requests)


def approve(ledger: Ledger, approved: Approvable, *, given_by: str) -> None:
    """Record the approval with its quote; whoever sends next sends what waited for it."""
    ledger.approvals.give(
        approved.inference,
        approved.partition_key,
        approved.digest,
        given_by=given_by,
        quote=recorded(approved),
    )


def recorded(approved: Approvable) -> Mapping[str, Any]:
    """The quote as it stays in the ledger, with the terms that a rescue is held to."""
    live = {} if approved.live_quote is None else {"live": _recorded(approved.live_quote)}
    terms = {} if approved.terms is None else {"stragglers": recorded_terms(approved.terms)}
    return {**_recorded(approved.quote), **live, **terms}


def _recorded(found: Quote) -> Mapping[str, Any]:
    return {
        "requests": found.requests,
        "prompt_tokens": found.prompt_tokens,
        "usd": None if found.usd is None else str(found.usd),
        "input_usd": None if found.input_usd is None else str(found.input_usd),
        "most_usd": None if found.most_usd is None else str(found.most_usd),
        "price": f"{found.price.provenance}: {found.price.source}",
    }


def _waiting(ledger: Ledger, files: Files, request_set: RequestSet) -> Approvable:
    """What an approval sends: the batches that wait, what the canary held back, or stragglers."""
    manifest = read_manifest(files, layout_of(request_set).manifest)
    if request_set.canary_state is CanaryState.HELD:
        asked = (request_set.canary or 0) + (request_set.carried or 0)
        return _approvable(files, manifest, requests=manifest.requests - asked)
    is_rescue = request_set.rescue_asks is not None
    states = _UNANSWERED if is_rescue else {BatchState.PLANNED}
    waiting = ledger.batches(request_set=request_set.id, states=states)
    return _approvable(
        files,
        manifest,
        requests=sum(batch.reservation.requests for batch in waiting),
        tokens=sum(batch.reservation.tokens for batch in waiting),
        is_rescue=is_rescue,
    )


#: Which of them a request set has, its declaration would tell.
_ENVELOPES = (OPENAI, Envelope(body="params"), Envelope(id="key", body="request"))

#: States of the batches that a rescue may have asked live.
_UNANSWERED = {BatchState.PLANNED, BatchState.RESERVED, BatchState.SUBMITTED}


def _approvable(
    files: Files,
    manifest: Manifest,
    *,
    requests: int,
    tokens: int | None = None,
    is_rescue: bool = False,
) -> Approvable:
    """So many of a request set's requests; their tokens, left out, are the share of all."""
    if tokens is None:
        tokens = round(manifest.tokens * requests / max(1, manifest.requests))
    bodies = (first_body(files, manifest, each) for each in _ENVELOPES)
    most = most_output_tokens(next(filter(None, bodies), {}))
    before = usage_before(files, manifest.inference, manifest.model)

    def quoted(price: Price) -> Quote:
        return quote(price, requests=requests, prompt_tokens=tokens, before=before, most=most)

    terms = terms_of(files, manifest.layout)
    live = None if terms is None else quoted(terms.price)
    own = manifest.price or Price(
        provenance=Provenance.UNKNOWN, source="the request set was written without a price"
    )
    return Approvable(
        inference=manifest.inference,
        partition_key=manifest.partition_key,
        digest=manifest.digest,
        quote=live if is_rescue and live is not None else quoted(own),
        terms=terms,
        live_quote=live,
    )
