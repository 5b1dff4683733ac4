"""The assets `requests` and `batches`: what is asked, and its way to the provider."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from batch_assets.assets.deployment import deployment_of
from batch_assets.assets.events import Materialized, failure_of
from batch_assets.assets.keys import SUBMIT_POOL, InferenceKeys
from batch_assets.assets.metadata import batches_metadata, requests_metadata
from batch_assets.domain.errors import BatchAssetsError
from batch_assets.stages.lease import held
from batch_assets.stages.prepare import prepare
from batch_assets.stages.recipe import Deployment, Recipe
from batch_assets.stages.submit import submit

#: Partitions per run of a backfill. Other than collect's: with equal policies Dagster would put
#: results, which are not there yet, into the run that submits.
SUBMIT_PARTITIONS_PER_RUN = 500


def submit_assets(
    recipe: Recipe,
    keys: InferenceKeys,
    partitions: dg.PartitionsDefinition[str],
    *,
    description: str | None,
) -> dg.AssetsDefinition:
    """The multi-asset of `requests` and `batches`; either can be materialized alone."""
    about = f"{description}\n\n" if description else ""

    @dg.multi_asset(
        name=keys.submit_op,
        specs=[
            keys.spec(
                keys.requests,
                deps=[],
                description=about
                + "The rows of a partition as requests of the model: shards that fit a provider "
                "batch, the item index, and the manifest with the quote in tokens. "
                "Calls nobody and costs nothing: materialize it alone for a dry run.",
                kinds={"jsonl", "parquet"},
                code_version=recipe.requests.shape_digest[:12],
            ),
            keys.spec(
                keys.batches,
                deps=[keys.requests],
                description="The shards in the provider's hands: one batch each. Requests that "
                "were sent before are never sent again, so materializing this twice buys nothing "
                "twice. The sensor collects what the provider finishes.",
                kinds={keys.provider},
            ),
        ],
        partitions_def=partitions,
        can_subset=True,
        pool=SUBMIT_POOL,
        backfill_policy=dg.BackfillPolicy.multi_run(SUBMIT_PARTITIONS_PER_RUN),
        required_resource_keys=keys.resources,
    )
    def submit_(context: dg.AssetExecutionContext) -> Iterator[Any]:
        deployment = deployment_of(context, keys)
        failures: dict[str, Exception] = {}
        partition_keys = context.partition_keys
        with held(deployment.ledger, keys.inference, partition_keys, holder=deployment.owner):
            for partition_key in partition_keys:
                try:
                    yield from _submit_partition(context, deployment, recipe, keys, partition_key)
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
) -> Iterator[Any]:
    provider, files = deployment.provider, deployment.files
    manifest = prepare(recipe, partition_key, files=files, limits=provider.limits)
    if keys.requests in context.selected_asset_keys:
        yield Materialized(
            key=keys.requests,
            partition_key=partition_key,
            data_version=manifest.digest,
            metadata=requests_metadata(manifest, files),
        ).event(context)
    if keys.batches in context.selected_asset_keys:
        submission = submit(deployment, manifest)
        context.log.info(
            f"{partition_key}: {submission.sent} of {len(submission.batches)} batches sent now, "
            f"{len(submission.waiting)} waiting"
        )
        yield Materialized(
            key=keys.batches,
            partition_key=partition_key,
            data_version=manifest.digest,
            metadata=batches_metadata(submission),
            inputs={keys.requests: manifest.digest},
        ).event(context)
