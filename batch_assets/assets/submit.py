"""The assets `requests` and `batches`: what is asked, and its way to the provider."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import dagster as dg

from batch_assets.assets.deployment import deployment_of
from batch_assets.assets.events import Failures, Materialized, RunContext
from batch_assets.assets.health import why_nobody_asks
from batch_assets.assets.keys import SUBMIT_POOL
from batch_assets.assets.metadata import batches_metadata, requests_metadata
from batch_assets.assets.partitions_per_run import PartitionsPerRun
from batch_assets.assets.specs import InferenceSpecs
from batch_assets.assets.upstream import loaded_in, upstream_versions
from batch_assets.domain.batch import Batch
from batch_assets.files.manifest import Manifest
from batch_assets.stages.difference import Difference, difference
from batch_assets.stages.lease import held
from batch_assets.stages.prepare import check_taken, prepare
from batch_assets.stages.quote import price_of
from batch_assets.stages.recipe import Deployment, Recipe
from batch_assets.stages.rescue import check_rescue
from batch_assets.stages.submit import Submission, submit
from batch_assets.stages.terms import keep_terms

#: Partitions of a run that are logged one by one.
_LOGGED = 20

#: How old the queue may be that a materialization shows.
_QUEUE_READ_EVERY = timedelta(seconds=10)


def submit_assets(
    recipe: Recipe,
    specs: InferenceSpecs,
    partitions: dg.PartitionsDefinition[str],
    *,
    partitions_per_run: int = PartitionsPerRun.submit,
) -> dg.AssetsDefinition:
    """The multi-asset of `requests` and `batches`; either can be materialized alone."""
    keys = specs.keys

    @dg.multi_asset(
        name=keys.submit_op,
        specs=specs.submitted,
        partitions_def=partitions,
        can_subset=True,
        pool=SUBMIT_POOL,
        backfill_policy=dg.BackfillPolicy.multi_run(partitions_per_run),
        required_resource_keys=keys.resources,
    )
    def submit_(context: dg.AssetExecutionContext) -> Iterator[Any]:
        deployment = deployment_of(context, keys)
        loaded = replace(recipe, corpus=loaded_in(context, recipe.corpus))
        submissions = Submissions(context, deployment, loaded, specs)
        if said := why_nobody_asks(context.instance, deployment.ledger, keys):
            context.log.warning(said)
        failures = Failures(context)
        partition_keys, selected = context.partition_keys, context.selected_asset_keys
        with held(deployment.ledger, keys.inference, partition_keys, holder=deployment.owner):
            for partition_key in partition_keys:
                with failures.of(partition_key):
                    manifest = submissions.prepared(partition_key)
                    if keys.requests in selected:
                        found = submissions.difference(manifest)
                        yield submissions.requests(manifest, found).event(context)
                    if keys.batches in selected:
                        yield submissions.batches(manifest).event(context)
        failures.raise_any("submit")

    return submit_


class Submissions:
    """What one run prepares and submits, each as Dagster is told of it."""

    def __init__(
        self,
        context: RunContext,
        deployment: Deployment,
        recipe: Recipe,
        specs: InferenceSpecs,
    ) -> None:
        self._context = context
        self._deployment = deployment
        self._recipe = recipe
        self._specs = specs
        self._queue = _Queue(deployment)
        self._upstream: dict[str, Mapping[dg.AssetKey, str]] = {}

    def prepared(self, partition_key: str) -> Manifest:
        """The partition's request set as it is now."""
        deployment, recipe = self._deployment, self._recipe
        check_taken(deployment.provider, recipe)
        check_rescue(deployment, recipe)
        # Before anything is read: what comes meanwhile makes the requests stale.
        upstream = upstream_versions(self._context, recipe.corpus, partition_key)
        self._upstream[partition_key] = upstream
        price = price_of(recipe, deployment.provider, deployment.ledger.clock())
        limits = deployment.provider.limits
        files = deployment.files
        manifest = prepare(recipe, partition_key, files=files, limits=limits, price=price)
        keep_terms(deployment, recipe, manifest.layout)
        return manifest

    def difference(self, manifest: Manifest) -> Difference:
        """What of it is other than what the partition had before."""
        found = difference(self._deployment, self._recipe, manifest)
        self._log(f"{manifest.partition_key}: {found}")
        return found

    def _log(self, said: str) -> None:
        """Each line is an event of Dagster's; of many partitions their metadata says enough."""
        if len(self._upstream) <= _LOGGED:
            self._context.log.info(said)

    def requests(self, manifest: Manifest, found: Difference) -> Materialized:
        """`requests` of the partition."""
        key = self._specs.keys.requests
        return Materialized(
            key=key,
            partition_key=manifest.partition_key,
            data_version=manifest.digest,
            metadata=requests_metadata(
                manifest,
                found,
                self._deployment.files,
                self._recipe.packing.envelope,
                self._recipe.stragglers,
            ),
            code_version=self._specs.code_version(key),
            inputs=self._upstream[manifest.partition_key],
        )

    def batches(self, manifest: Manifest) -> Materialized:
        """`batches` of the partition, once what may be sent now is sent."""
        deployment, keys = self._deployment, self._specs.keys
        submission = submit(deployment, self._recipe, manifest)
        self._log(f"{manifest.partition_key}: {_in_words(submission)}")
        waiting = self._queue.newest() if submission.waiting_for is not None else []
        return Materialized(
            key=keys.batches,
            partition_key=manifest.partition_key,
            data_version=manifest.digest,
            metadata=batches_metadata(submission, waiting, deployment.ledger.clock()),
            code_version=self._specs.code_version(keys.batches),
            inputs={keys.requests: manifest.digest},
        )


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
