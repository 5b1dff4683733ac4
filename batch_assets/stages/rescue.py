"""rescue: when a batch provider was given its time, what it has not answered is asked live.

A rescue begins by an entry in the ledger. From then on nothing of the request set is sent to the
batch provider, and what is open there is cancelled. Once all of it has ended, and what it brought
is collected, the next wave asks the rest, on the lane's account: a request is never asked live
while a batch may still answer it.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from batch_assets.domain.batch import BatchState, CanaryState, RequestSet
from batch_assets.domain.errors import DeclarationError
from batch_assets.domain.lane import Lane
from batch_assets.domain.provider import Provider
from batch_assets.domain.stragglers import Stragglers
from batch_assets.ledger import Ledger
from batch_assets.stages.plan import layout_of
from batch_assets.stages.prepare import check_taken
from batch_assets.stages.quote import Quote, live_price_of, quote, usage_before
from batch_assets.stages.recipe import Deployment, Recipe
from batch_assets.stages.terms import are_approved, keep_terms


def rescue(deployment: Deployment, recipe: Recipe, request_set: RequestSet) -> RequestSet:
    """Begin the rescue of a request set's stragglers where it is time; the request set as it is.

    With an approval of the request set that was given at a lower price, or at none, a person is
    asked for another one first.

    The providers are still to be told: `control.cancel_at_provider`.
    """
    ledger, stragglers, lane = deployment.ledger, recipe.stragglers, deployment.live
    if stragglers is None or lane is None or not is_due(ledger, request_set, stragglers, lane):
        return request_set
    terms = keep_terms(deployment, recipe, layout_of(request_set))
    if request_set.needs_approval and terms and not are_approved(ledger, request_set, terms):
        ledger.rescues.ask(
            request_set,
            f"it is time to ask live what is not answered ({stragglers}), at a price that nobody "
            f"approved: {terms.price.source}. It is asked live once that is approved, by "
            f"`batch-assets approve {request_set.inference}` or the job approve_batches; until "
            "then the provider goes on",
        )
        return _as_it_stands(ledger, request_set)
    reason = f"it was not sent in time: stragglers are asked live, {stragglers}"
    ledger.rescues.begin(request_set, owner=deployment.owner, reason=reason)
    return _as_it_stands(ledger, request_set)


def _as_it_stands(ledger: Ledger, request_set: RequestSet) -> RequestSet:
    current = ledger.request_sets.current(request_set.inference, request_set.partition_key)
    return request_set if current is None or current.id != request_set.id else current


def due_at(request_set: RequestSet, stragglers: Stragglers) -> datetime:
    """When what is not answered then is asked live."""
    return (request_set.submitted_at or request_set.created_at) + stragglers.after


def is_due(ledger: Ledger, request_set: RequestSet, stragglers: Stragglers, lane: Provider) -> bool:
    """Whether a rescue is to begin now: it is time, and the lane could ask at once.

    What nobody may ask live is left with the provider, which may still answer it.
    """
    is_over = request_set.resolved_at is not None or request_set.cancelled_at is not None
    if is_over or request_set.rescued_at is not None or lane.lacks is not None:
        return False
    if request_set.canary_state is CanaryState.HELD:
        return False
    if ledger.clock() < due_at(request_set, stragglers):
        return False
    return not _waits_for_a_person(ledger, request_set, lane)


def has_left_provider(ledger: Ledger, request_set: RequestSet, provider: Provider) -> bool:
    """Whether a rescue goes on without the provider of batches: nothing of the request set is open
    there, in doubt, or to be collected.
    """
    if request_set.rescued_at is None:
        return False
    there = ledger.batches(
        partition=(request_set.inference, request_set.partition_key),
        account=provider.account,
        states={BatchState.RESERVED, BatchState.SUBMITTED, BatchState.ENDED},
    )
    # What an earlier request set of the partition has to collect comes first, too.
    return not any(
        batch.state is BatchState.ENDED or batch.request_set.id == request_set.id for batch in there
    )


def without_what_it_left(deployment: Deployment, request_set: RequestSet) -> Deployment:
    """The deployment whose calls the request set can still want: its lane's alone, where it has
    left the provider of batches. That may be away then, or refuse the account.
    """
    lane, own = deployment.live, deployment.provider
    if lane is None or not has_left_provider(deployment.ledger, request_set, own):
        return deployment
    return replace(deployment, provider=lane, live=None)


def _waits_for_a_person(ledger: Ledger, request_set: RequestSet, lane: Provider) -> bool:
    if request_set.rescue_asks is not None:
        return True
    if request_set.needs_approval and not ledger.approvals.has(request_set):
        return True
    return any(
        pause.scope.covers_what(
            account=lane.account,
            inference=request_set.inference,
            partition_key=request_set.partition_key,
            origin=request_set.origin,
        )
        for pause in ledger.pauses.standing()
    )


@dataclass(frozen=True, kw_only=True)
class RescueNews:
    """What became of a request set's stragglers since it was last looked at."""

    #: In a sentence.
    said: str
    #: Requests that are asked live; 0 where nothing is yet.
    requests: int = 0
    #: What that is expected to cost.
    quote: Quote | None = None


def news_of_rescue(
    deployment: Deployment, recipe: Recipe, before: RequestSet, now: RequestSet
) -> RescueNews | None:
    """What a person is told; None where nothing is new."""
    lane, wave = deployment.live, now.rescue_wave
    if now.rescue_asks is not None and before.rescue_asks is None:
        return RescueNews(said=now.rescue_asks)
    if lane is None or now.rescued_at is None or before.rescue_wave is not None:
        return None
    batches = deployment.ledger.batches(request_set=now.id)
    if wave is not None:
        asked = [batch.reservation for batch in batches if batch.wave == wave]
        requests = sum(each.requests for each in asked)
        expected = quote(
            live_price_of(recipe, lane, now.rescued_at),
            requests=requests,
            prompt_tokens=sum(each.tokens for each in asked),
            before=usage_before(deployment.files, recipe.inference, recipe.model),
        )
        said = (
            f"{requests:,} requests that were not answered in time are asked live on account "
            f"{lane.account}, at its price: {expected}"
        )
        return RescueNews(said=said, requests=requests, quote=expected)
    cancelled = sum(batch.rescued_at is not None for batch in batches)
    if before.rescued_at is not None or not cancelled:
        return None
    return RescueNews(
        said=f"the time for answers is over ({recipe.stragglers}): {cancelled} batches are "
        f"cancelled at the provider, and what they leave is asked live on account {lane.account}, "
        "at its price"
    )


def check_rescue(deployment: Deployment, recipe: Recipe) -> None:
    """Raise DeclarationError where the inference's stragglers could not be asked live."""
    stragglers, lane = recipe.stragglers, deployment.live
    if stragglers is None:
        return
    if not isinstance(lane, Lane):
        raise DeclarationError(
            f"inference {recipe.inference}: stragglers are asked by {stragglers.provider}, which "
            "is no lane: name one that asks live, such as openai_live",
            setting="stragglers",
        )
    if lane.account == deployment.provider.account:
        raise DeclarationError(
            f"inference {recipe.inference}: stragglers are asked on the account that has them, "
            f"{lane.account}: name another provider, or leave stragglers out",
            setting="stragglers",
        )
    check_taken(lane, recipe)
