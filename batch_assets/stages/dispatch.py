"""dispatch: offer planned batches to the provider while the budget allows.

Each offer is: reserve (commit), call, record (commit). Between the two commits lies the only
doubt there is; `recover` resolves it by asking the provider for the batch's key.
"""

from dataclasses import dataclass

from batch_assets.domain.batch import Batch, BatchState, RequestSet
from batch_assets.domain.capacity import backoff
from batch_assets.domain.control import Waiting, WaitKind
from batch_assets.domain.errors import (
    AccountRefused,
    CapacityRefused,
    DeclarationError,
    ReplyLost,
    StaleMove,
    TerminalError,
    TransientError,
)
from batch_assets.stages.control import stop_account
from batch_assets.stages.lease import LEASE, kept
from batch_assets.stages.plan import drop, layout_of, shard_on_disk
from batch_assets.stages.recipe import Deployment


@dataclass(frozen=True, kw_only=True)
class Dispatch:
    """What one pass over the planned batches of a request set did."""

    sent: int
    #: Why the pass ended before the last of them.
    waiting_for: Waiting | None = None


def dispatch(
    deployment: Deployment, request_set: RequestSet, *, even_if_told_to_wait: bool = False
) -> Dispatch:
    """Offer the planned batches of a request set in order.

    Stops where one must wait: for room, for its turn, or for a person. What is left stays planned.
    Raises DeclarationError for a batch that the account could never hold.
    """
    ledger, owner = deployment.ledger, deployment.owner
    sent = 0
    planned = ledger.batches(request_set=request_set.id, states={BatchState.PLANNED})
    for batch in planned:
        if batch.request_set.cancelled_at is not None:
            drop(deployment, batch, "its partition is cancelled")
            continue
        if batch.request_set.is_overtaken(batch.wave):
            drop(deployment, batch, "what it asks is asked live")
            continue
        own = deployment.of(batch.account)
        if batch.request_set.is_live(batch.wave) and own.provider.account != batch.account:
            drop(deployment, batch, f"{batch.account}, which was to ask it, is not declared here")
            continue
        budget = own.provider.budget
        told_to_wait = batch.not_before is not None and batch.not_before > ledger.clock()
        if told_to_wait and not even_if_told_to_wait:
            continue
        try:
            reserved = ledger.reserve(batch, owner=owner, lease=LEASE, budget=budget)
        except StaleMove:
            continue  # another process sends it
        if isinstance(reserved, Waiting):
            if reserved.kind is WaitKind.BUDGET and budget.never_fits(batch.reservation):
                raise _too_large(deployment, batch)
            return Dispatch(sent=sent, waiting_for=reserved)
        try:
            sent += _offer(own, reserved)
        except CapacityRefused as error:
            refused = Waiting(kind=WaitKind.CAPACITY, reason=error.message)
            return Dispatch(sent=sent, waiting_for=refused)
    return Dispatch(sent=sent)


def _too_large(deployment: Deployment, batch: Batch) -> DeclarationError:
    asked, request_set = batch.reservation, batch.request_set
    manifest = deployment.files.url(layout_of(request_set).manifest)
    reason = (
        f"shard {batch.shard} of partition {request_set.partition_key} asks for "
        f"{asked.requests:,} requests and {asked.tokens:,} tokens (estimated), more than the "
        f"account may ever have queued: raise the resource's token_limit; or, where "
        "nothing of the partition was sent yet, set its max_batch_enqueued_tokens, delete "
        f"{manifest} and materialize the partition again"
    )
    deployment.ledger.note(batch, reason)
    return DeclarationError(reason)


def _offer(deployment: Deployment, batch: Batch) -> bool:
    """Call the provider for a reserved batch. False where nobody knows whether it exists."""
    ledger, owner = deployment.ledger, deployment.owner
    try:
        with kept(ledger, batch, owner=owner), shard_on_disk(deployment.files, batch) as shard:
            created = deployment.provider.submit(shard, endpoint=batch.endpoint, key=batch.key)
    except ReplyLost as error:
        ledger.note(batch, f"{error.message} It is looked up at the provider after {LEASE}.")
        return False
    except CapacityRefused as error:
        ledger.release(batch, owner=owner, reason=error.message, for_capacity=True)
        raise
    except AccountRefused as error:
        # The account is at fault and not the shard: no attempt is used up.
        stopped = stop_account(deployment, error.message)
        ledger.release(batch, owner=owner, reason=stopped.message)
        raise stopped from error
    except TransientError as error:
        wait = backoff(batch.refusals + 1, batch.key)
        ledger.release(batch, owner=owner, reason=error.message, not_before=ledger.clock() + wait)
        raise
    except TerminalError as error:
        ledger.give_up(batch, owner=owner, reason=error.message)
        raise
    try:
        ledger.record(batch, created, owner=owner)
    except StaleMove as error:
        # The call outlasted the lease. Most often another process found the batch and adopted it.
        if ledger.batch(batch.id).provider_id != created.id:
            raise StaleMove(
                f"{error.message}. The provider has {created.id} for it: cancel that one there, "
                "unless the ledger comes to show it"
            ) from error
    return True
