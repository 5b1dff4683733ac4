"""control: what a person orders, and what only a person can decide.

Every order is on record in the ledger with who gave it, and holds for all processes at once.
"""

from dataclasses import dataclass

from batch_assets.domain.batch import Batch, BatchId, BatchState, RequestSet
from batch_assets.domain.control import Scope
from batch_assets.domain.errors import AccountRefused, LedgerError, RequestRefused, StaleMove
from batch_assets.domain.provider import ProviderBatch
from batch_assets.ledger import Ledger
from batch_assets.stages.lease import LEASE
from batch_assets.stages.recipe import Deployment

#: States in which a batch can turn out to be gone at the provider, it or its files.
_LOSABLE = frozenset({BatchState.SUBMITTED, BatchState.ENDED})


@dataclass(frozen=True, kw_only=True)
class Cancellation:
    """What a cancellation met."""

    request_sets: int
    #: Planned batches that are not sent any more.
    dropped: int
    #: Batches at the provider, which finish or are cancelled there; they are collected either way.
    open: int


def pause(ledger: Ledger, scope: Scope, *, owner: str, reason: str) -> None:
    """Send nothing new of the scope; what is out finishes and is collected."""
    ledger.pauses.add(scope, owner=owner, reason=reason)


def resume(ledger: Ledger, scope: Scope, *, owner: str) -> int:
    """Lift the pauses, and an account's stop, that were given for just this scope; how many.

    A cancelled partition is not resumed by this: materialize its batches again.
    """
    return ledger.pauses.lift(scope, owner=owner)


def stop_account(deployment: Deployment, why: str) -> AccountRefused:
    """The provider refuses the account: send nothing until a person resumes it.

    Gives the error that says so, with what to do.
    """
    scope = Scope(account=deployment.provider.account)
    reason = f"{why}; once that is put right, resume {scope} (job resume_batches)"
    deployment.ledger.pauses.add(scope, owner=deployment.owner, reason=reason, is_stop=True)
    return AccountRefused(f"{scope} is stopped: {reason}")


def cancel(
    deployment: Deployment, scope: Scope, *, owner: str, reason: str, at_provider: bool
) -> Cancellation:
    """Send nothing more of what the scope has unresolved, and end it with what there is.

    With `at_provider` the provider is asked to cancel what it has; without, that finishes. Both
    ways it is followed to its end and collected, and what was never answered ends as cancelled.
    """
    met = withdraw(deployment.ledger, scope, owner=owner, reason=reason, at_provider=at_provider)
    cancel_at_provider(deployment)
    return met


def withdraw(
    ledger: Ledger, scope: Scope, *, owner: str, reason: str, at_provider: bool
) -> Cancellation:
    """The part of a cancellation that calls nobody: the provider is still to be told."""
    found = ledger.request_sets.unresolved(scope)
    dropped = sum(
        ledger.request_sets.cancel(
            request_set, owner=owner, reason=reason, cancels_batches=at_provider
        )
        for request_set in found
    )
    return Cancellation(
        request_sets=len(found), dropped=dropped, open=sum(_open(ledger, each) for each in found)
    )


def cancel_at_provider(deployment: Deployment) -> int:
    """Pass cancellations on to the providers; how many batches they were asked to cancel.

    Raises the providers' errors; what was asked before stays noted.
    """
    return sum(map(_cancel_at_provider, deployment.by_provider))


def _cancel_at_provider(deployment: Deployment) -> int:
    ledger, provider = deployment.ledger, deployment.provider
    asked = 0
    for batch in ledger.batches_to_cancel(provider.account):
        try:
            provider.cancel(str(batch.provider_id))
        except RequestRefused as error:
            # It has ended, or is gone: the next look at it tells.
            ledger.note(batch, error.message)
        ledger.polls.asked_to_cancel(batch)
        asked += 1
    return asked


def adopt(deployment: Deployment, batch_id: BatchId, provider_id: str, *, owner: str) -> None:
    """A person found the batch at the provider, where we could not: follow that one.

    Raises LedgerError for a batch that is not in doubt, or a provider's batch that another row has;
    RequestRefused for one that the provider does not know.
    """
    batch = _in_doubt(deployment.ledger, batch_id, owner)
    found = _at_provider(deployment, provider_id)
    deployment.ledger.record(batch, found, owner=owner)


def offer_again(ledger: Ledger, batch_id: BatchId, *, owner: str) -> None:
    """A person made sure that the provider does not have the batch: send its shard again.

    For one that ended, and whose files cannot be had any more, too: its answers are bought again.
    Where the provider has it all the same, it is paid for twice. Raises LedgerError for a batch
    that is neither in doubt nor submitted nor ended.
    """
    batch, reason = ledger.batch(batch_id), f"{owner} says that the provider does not have it"
    if batch.state in _LOSABLE:
        ledger.lose(batch, owner=owner, reason=reason, offer_again=True)
    else:
        ledger.release(_in_doubt(ledger, batch_id, owner), owner=owner, reason=reason)


def give_up(ledger: Ledger, batch_id: BatchId, *, owner: str) -> None:
    """A person gives the batch up: its partition waits until its batches are materialized again.

    Raises LedgerError for a batch that is neither in doubt nor submitted nor ended.
    """
    batch, reason = ledger.batch(batch_id), f"{owner} gave it up"
    if batch.state in _LOSABLE:
        ledger.lose(batch, owner=owner, reason=reason, offer_again=False)
    else:
        ledger.give_up(_in_doubt(ledger, batch_id, owner), owner=owner, reason=reason)


def _in_doubt(ledger: Ledger, batch_id: BatchId, owner: str) -> Batch:
    """The batch in the person's hands."""
    batch = ledger.batch(batch_id)
    if batch.state is not BatchState.RESERVED:
        raise LedgerError(
            f"batch {batch_id} is {batch.state}, not in doubt: there is nothing to decide"
        )
    if not ledger.take_over(batch, owner=owner, lease=LEASE, by_person=True):
        raise StaleMove(
            f"batch {batch_id} is in the hands of {batch.lease_owner} until {batch.lease_until}: "
            "try again after that"
        )
    return ledger.batch(batch_id)


def _at_provider(deployment: Deployment, provider_id: str) -> ProviderBatch:
    # The batch may be of any age: the list is not read back to it.
    for found in deployment.provider.poll({provider_id}, since=deployment.ledger.clock()):
        return found
    raise RequestRefused(f"the provider does not know the batch {provider_id}: check the id")


def _open(ledger: Ledger, request_set: RequestSet) -> int:
    states = {BatchState.RESERVED, BatchState.SUBMITTED}
    return len(ledger.batches(request_set=request_set.id, states=states))
