"""The assets `requests` and `batches`: what is asked, and its way to the provider."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import dagster as dg

from batch_assets.assets.deployment import deployment_of
from batch_assets.assets.events import Materialized, failure_of
from batch_assets.assets.keys import SUBMIT_POOL, InferenceKeys
from batch_assets.assets.metadata import batches_metadata, requests_metadata
from batch_assets.assets.specs import InferenceSpecs
from batch_assets.assets.upstream import loaded_in, upstream_versions
from batch_assets.domain.batch import Batch
from batch_assets.domain.errors import BatchAssetsError
from batch_assets.stages.difference import difference
from batch_assets.stages.lease import held
from batch_assets.stages.prepare import prepare
from batch_assets.stages.recipe import Deployment, Recipe
from batch_assets.stages.submit import Submission, submit

#: Partitions per run of a backfill. Other than collect's: with equal policies Dagster would put
#: results, which are not there yet, into the run that submits.
SUBMIT_PARTITIONS_PER_RUN = 500

#: How old the queue may be that a materialization shows.
_QUEUE_READ_EVERY = timedelta(seconds=10)


def submit_assets(
    recipe: Recipe, specs: InferenceSpecs, partitions: dg.PartitionsDefinition[str]
) -> dg.AssetsDefinition:
    """The multi-asset of `requests` and `batches`; either can be materialized alone."""
    keys = specs.keys

    @dg.multi_asset(
        name=keys.submit_op,
        specs=specs.submitted,
        partitions_def=partitions,
        can_subset=True,
        pool=SUBMIT_POOL,
        backfill_policy=dg.BackfillPolicy.multi_run(SUBMIT_PARTITIONS_PER_RUN),
        required_resource_keys=keys.resources,
    )
    def submit_(context: dg.AssetExecutionContext) -> Iterator[Any]:
        deployment = deployment_of(context, keys)
        loaded = replace(recipe, corpus=loaded_in(context, recipe.corpus))
        queue = _Queue(deployment)
        failures: dict[str, Exception] = {}
        partition_keys = context.partition_keys
        with held(deployment.ledger, keys.inference, partition_keys, holder=deployment.owner):
            for partition_key in partition_keys:
                try:
                    yield from _submit_partition(
                        context, deployment, loaded, keys, partition_key, queue
                    )
                except BatchAssetsError as error:
                    context.log.error(f"{partition_key}: {error}")
                    failures[partition_key] = error
        if failures:
            raise failure_of(failures, "submit")

    return submit_


def _submit_partition(
    context: dg.AssetExecutionContext,
    deployment: Deployment,
    recipe: Recipe,
    keys: InferenceKeys,
    partition_key: str,
    queue: "_Queue",
) -> Iterator[Any]:
    provider, files = deployment.provider, deployment.files
    upstream = upstream_versions(context, recipe.corpus, partition_key)
    manifest = prepare(recipe, partition_key, files=files, limits=provider.limits)
    if keys.requests in context.selected_asset_keys:
        found = difference(deployment, recipe, manifest)
        context.log.info(f"{partition_key}: {found}")
        yield Materialized(
            key=keys.requests,
            partition_key=partition_key,
            data_version=manifest.digest,
            metadata=requests_metadata(manifest, found, files),
            inputs=upstream,
        ).event(context)
    if keys.batches in context.selected_asset_keys:
        submission = submit(deployment, recipe, manifest)
        context.log.info(f"{partition_key}: {_in_words(submission)}")
        waiting = queue.newest() if submission.waiting_for is not None else []
        yield Materialized(
            key=keys.batches,
            partition_key=partition_key,
            data_version=manifest.digest,
            metadata=batches_metadata(submission, waiting, deployment.ledger.clock()),
            inputs={keys.requests: manifest.digest},
        ).event(context)


def _in_words(submission: Submission) -> str:
    sent, waiting_for = submission.sent, submission.waiting_for
    said = (
        f"{sent} of {len(submission.batches)} batches sent now, {len(submission.waiting)} waiting"
    )
    return said if waiting_for is None else f"{said} for {waiting_for.kind}: {waiting_for.reason}"


class _Queue:
    """The account's queue, read anew every few seconds and not for each of a run's partitions."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._read_at: datetime | None = None
        self._batches: Sequence[Batch] = []

    def newest(self) -> Sequence[Batch]:
        """The waiting batches, next one first."""
        ledger, provider = self._deployment.ledger, self._deployment.provider
        now = ledger.clock()
        if self._read_at is None or now > self._read_at + _QUEUE_READ_EVERY:
            self._read_at, self._batches = now, ledger.queue(provider.account, provider.budget)
        return self._batches
