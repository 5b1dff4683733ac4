"""submit: plan a batch for each shard, then offer them to the provider while the budget allows.

Each offer is: reserve (commit), call, record (commit). Between the two commits lies the only
doubt there is; `recover` resolves it by asking the provider for the batch's key.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from batch_assets.domain.batch import Batch, BatchState, RequestSet
from batch_assets.domain.capacity import backoff
from batch_assets.domain.control import Waiting, WaitKind
from batch_assets.domain.errors import (
    AccountRefused,
    ArtifactError,
    CapacityRefused,
    DeclarationError,
    ReplyLost,
    StaleMove,
    TerminalError,
    TransientError,
)
from batch_assets.domain.shard import Shard
from batch_assets.files import Files, RequestSetLayout
from batch_assets.files.manifest import Manifest, read_manifest, read_shards
from batch_assets.stages.control import stop_account
from batch_assets.stages.lease import LEASE, kept
from batch_assets.stages.recipe import Deployment
from batch_assets.stages.recover import recover


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


@dataclass(frozen=True, kw_only=True)
class Dispatch:
    """What one pass over the planned batches of a request set did."""

    sent: int
    #: Why the pass ended before the last of them.
    waiting_for: Waiting | None = None


def submit(deployment: Deployment, manifest: Manifest) -> Submission:
    """Make the request set the partition's current one and send what was never sent.

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
    )
    ledger.request_sets.hold(
        manifest.inference, [manifest.partition_key], holder=deployment.owner, lease=LEASE
    )
    _drop_superseded(deployment, request_set)
    if request_set.resolved_at is None:
        plan_wave(deployment, request_set, manifest)
    recover(deployment)
    dispatched = dispatch(deployment, request_set, even_if_told_to_wait=True)
    waiting_for = dispatched.waiting_for
    if waiting_for is not None and waiting_for.kind is WaitKind.STOPPED:
        raise AccountRefused(waiting_for.reason)
    return Submission(
        request_set=request_set,
        sent=dispatched.sent,
        batches=live_batches(deployment, request_set),
        waiting_for=waiting_for,
    )


def _drop_superseded(deployment: Deployment, request_set: RequestSet) -> None:
    """Batches of the partition's earlier request sets that were never sent are not needed."""
    ledger = deployment.ledger
    partition = (request_set.inference, request_set.partition_key)
    for batch in ledger.batches(partition=partition, states={BatchState.PLANNED}):
        if batch.request_set.id != request_set.id:
            _drop(deployment, batch, "the partition has a newer request set")


def _drop(deployment: Deployment, batch: Batch, reason: str) -> None:
    with suppress(StaleMove):  # another process dropped it, or is sending it
        deployment.ledger.drop(batch, owner=deployment.owner, reason=reason)


def live_batches(deployment: Deployment, request_set: RequestSet) -> Sequence[Batch]:
    """The batches of the request set that were not given up."""
    return deployment.ledger.batches(
        request_set=request_set.id, states=set(BatchState) - {BatchState.ABANDONED}
    )


def plan_wave(deployment: Deployment, request_set: RequestSet, manifest: Manifest) -> None:
    """A planned batch for each shard of the wave on its way that has none.

    Raises ArtifactError where the shards are not those that batches were sent from.
    """
    shards = shards_of_wave(deployment.files, manifest, request_set.wave)
    asked = {shard.number: (shard.requests, shard.tokens) for shard in shards}
    for batch in live_batches(deployment, request_set):
        held = (batch.reservation.requests, batch.reservation.tokens)
        if batch.wave != request_set.wave or asked.get(batch.shard) == held:
            continue
        if batch.state is not BatchState.PLANNED:
            raise ArtifactError(
                f"partition {request_set.partition_key} was cut into other shards when batch "
                f"{batch.provider_id} was sent: restore the files of its request set"
            )
        _drop(deployment, batch, "its shard was cut anew")
    plan(deployment, request_set, shards, wave=request_set.wave, endpoint=manifest.endpoint)


def plan(
    deployment: Deployment,
    request_set: RequestSet,
    shards: Sequence[Shard],
    *,
    wave: int,
    endpoint: str,
    not_before: datetime | None = None,
) -> None:
    """A planned batch for each shard that has none."""
    deployment.ledger.plan(
        request_set,
        shards,
        wave=wave,
        account=deployment.provider.account,
        endpoint=endpoint,
        owner=deployment.owner,
        not_before=not_before,
    )


def dispatch(
    deployment: Deployment, request_set: RequestSet, *, even_if_told_to_wait: bool = False
) -> Dispatch:
    """Offer the planned batches of a request set in order.

    Stops where one must wait: for room, for its turn, or for a person. What is left stays planned.
    Raises DeclarationError for a batch that the account could never hold.
    """
    ledger, owner, budget = deployment.ledger, deployment.owner, deployment.provider.budget
    sent = 0
    planned = ledger.batches(request_set=request_set.id, states={BatchState.PLANNED})
    for batch in planned:
        if batch.request_set.cancelled_at is not None:
            _drop(deployment, batch, "its partition is cancelled")
            continue
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
            sent += _offer(deployment, reserved)
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
        with kept(ledger, batch, owner=owner), _shard_on_disk(deployment.files, batch) as shard:
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


@contextmanager
def _shard_on_disk(files: Files, batch: Batch) -> Iterator[Path]:
    """The batch's shard as a local file. Raises ArtifactError unless it is what was written."""
    manifest = read_manifest(files, layout_of(batch.request_set).manifest)
    shard = shards_of_wave(files, manifest, batch.wave)[batch.shard]
    with files.on_disk(shard.path) as path:
        with path.open("rb") as stored:
            found = hashlib.file_digest(stored, "sha256").hexdigest()
        if found != shard.sha256:
            raise ArtifactError(
                f"{files.url(shard.path)} is not what was written: its checksum is {found}, the "
                f"manifest says {shard.sha256}: delete it and materialize the requests again"
            )
        yield path


def shards_of_wave(files: Files, manifest: Manifest, wave: int) -> tuple[Shard, ...]:
    """The shards of one wave of a request set."""
    if wave == 0:
        return manifest.shards
    layout = RequestSetLayout(
        inference=manifest.inference,
        partition_key=manifest.partition_key,
        digest=manifest.digest,
    )
    return read_shards(files, layout.wave_manifest(wave))


def layout_of(request_set: RequestSet) -> RequestSetLayout:
    """Where a request set's files lie."""
    return RequestSetLayout(
        inference=request_set.inference,
        partition_key=request_set.partition_key,
        digest=request_set.digest,
    )


def is_current(deployment: Deployment, request_set: RequestSet) -> bool:
    """Whether the partition's results are still to come from this request set."""
    current = deployment.ledger.request_sets.current(
        request_set.inference, request_set.partition_key
    )
    return current is not None and current.id == request_set.id
