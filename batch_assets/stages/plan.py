"""Planned batches: what of a request set is to be sent, before anything is."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from batch_assets.domain.batch import Batch, BatchState, RequestSet
from batch_assets.domain.errors import ArtifactError, StaleMove
from batch_assets.domain.provider import Provider
from batch_assets.domain.shard import Shard
from batch_assets.files import Files, RequestSetLayout
from batch_assets.files.manifest import Manifest, read_manifest, read_shards
from batch_assets.stages.recipe import Deployment


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
        drop(deployment, batch, "its shard was cut anew")
    plan(deployment, request_set, shards, wave=request_set.wave, endpoint=manifest.endpoint)


def plan(
    deployment: Deployment,
    request_set: RequestSet,
    shards: Sequence[Shard],
    *,
    wave: int,
    endpoint: str,
    not_before: datetime | None = None,
    carried: int | None = None,
    canary: int | None = None,
    releases_canary: bool = False,
) -> None:
    """A planned batch for each shard that has none; see `Ledger.plan`."""
    deployment.ledger.plan(
        request_set,
        shards,
        wave=wave,
        account=provider_of_the_next(deployment, request_set).account,
        endpoint=endpoint,
        owner=deployment.owner,
        not_before=not_before,
        carried=carried,
        canary=canary,
        releases_canary=releases_canary,
    )


def provider_of_the_next(deployment: Deployment, request_set: RequestSet) -> Provider:
    """Who is asked what is planned of a request set from now on: a lane, once it is rescued."""
    if request_set.rescued_at is None or deployment.live is None:
        return deployment.provider
    return deployment.live


def drop_superseded(deployment: Deployment, request_set: RequestSet) -> None:
    """Batches of the partition's earlier request sets that were never sent are not needed."""
    ledger = deployment.ledger
    partition = (request_set.inference, request_set.partition_key)
    for batch in ledger.batches(partition=partition, states={BatchState.PLANNED}):
        if batch.request_set.id != request_set.id:
            drop(deployment, batch, "the partition has a newer request set")


def drop(deployment: Deployment, batch: Batch, reason: str) -> None:
    """Give up a batch that was never sent."""
    with suppress(StaleMove):  # another process dropped it, or is sending it
        deployment.ledger.drop(batch, owner=deployment.owner, reason=reason)


def live_batches(deployment: Deployment, request_set: RequestSet) -> Sequence[Batch]:
    """The batches of the request set that were not given up."""
    return deployment.ledger.batches(
        request_set=request_set.id, states=set(BatchState) - {BatchState.ABANDONED}
    )


def shards_of_wave(files: Files, manifest: Manifest, wave: int) -> tuple[Shard, ...]:
    """The shards of one wave of a request set."""
    if wave == 0:
        return manifest.shards
    return read_shards(files, manifest.layout.wave_manifest(wave))


def tokens_per_request(files: Files, manifest: Manifest, waves: Iterable[int]) -> float:
    """Estimated prompt tokens of a request, over all that these waves asked."""
    asked = [shard for wave in waves for shard in shards_of_wave(files, manifest, wave)]
    return sum(shard.tokens for shard in asked) / max(1, sum(shard.requests for shard in asked))


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


@contextmanager
def shard_on_disk(files: Files, batch: Batch) -> Iterator[Path]:
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
