"""submit: make a request set its partition's current one, and send what was never answered."""

from collections.abc import Sequence
from dataclasses import dataclass

from batch_assets.domain.batch import Batch, BatchState, RequestSet
from batch_assets.domain.control import Waiting, WaitKind
from batch_assets.domain.errors import AccountRefused
from batch_assets.files.manifest import Manifest
from batch_assets.stages.begin import begin
from batch_assets.stages.dispatch import dispatch
from batch_assets.stages.lease import LEASE
from batch_assets.stages.plan import drop_superseded, live_batches
from batch_assets.stages.recipe import Deployment, Recipe
from batch_assets.stages.recover import recover
from batch_assets.stages.rescue import rescue
from batch_assets.stages.terms import keep_terms


@dataclass(frozen=True, kw_only=True)
class Submission:
    """What one call of submit did, and what stands now."""

    request_set: RequestSet
    #: Batches sent by this call.
    sent: int
    #: The request set's batches that were not given up, of all its waves.
    batches: Sequence[Batch]
    #: Why the rest was not sent.
    waiting_for: Waiting | None = None

    @property
    def waiting(self) -> Sequence[Batch]:
        """Planned batches."""
        return [batch for batch in self.batches if batch.state is BatchState.PLANNED]


def submit(deployment: Deployment, recipe: Recipe, manifest: Manifest) -> Submission:
    """Make the request set the partition's current one and send what was never answered.

    Raises the provider's TerminalError or TransientError where a call failed; the batch is then
    planned again, or given up with the reason, and nothing was bought. Raises AccountRefused where
    the account is stopped, too.
    """
    ledger = deployment.ledger
    request_set = ledger.request_sets.open(
        manifest.inference,
        manifest.partition_key,
        manifest.digest,
        origin=deployment.origin or deployment.owner,
        needs_approval=recipe.needs_approval,
    )
    ledger.request_sets.hold(
        manifest.inference, [manifest.partition_key], holder=deployment.owner, lease=LEASE
    )
    keep_terms(deployment, recipe, manifest.layout)
    drop_superseded(deployment, request_set)
    request_set = rescue(deployment, recipe, request_set)
    waiting_for = None
    if request_set.resolved_at is None:
        waiting_for = begin(deployment, recipe, request_set, manifest)
    recover(deployment)
    dispatched = dispatch(deployment, request_set, even_if_told_to_wait=True)
    waiting_for = dispatched.waiting_for or waiting_for
    if waiting_for is not None and waiting_for.kind is WaitKind.STOPPED:
        raise AccountRefused(waiting_for.reason)
    return Submission(
        request_set=request_set,
        sent=dispatched.sent,
        batches=live_batches(deployment, request_set),
        waiting_for=waiting_for,
    )
