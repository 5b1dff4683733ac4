"""From Dagster's resources to what the stages act on."""

from typing import Any

import dagster as dg

from batch_assets.assets.keys import BACKFILL_TAG, FILES, LEDGER, InferenceKeys
from batch_assets.stages.recipe import Deployment


def deployment_of(context: dg.AssetExecutionContext, keys: InferenceKeys) -> Deployment:
    """The deployment a run acts on, in the run's name."""
    run = context.run
    return deployment_from(
        context.resources,
        keys.provider,
        lane=keys.lane,
        owner=run.run_id,
        origin=run.tags.get(BACKFILL_TAG, run.run_id),
    )


def deployment_from(
    resources: Any, provider: str, *, owner: str, origin: str = "", lane: str | None = None
) -> Deployment:
    """The deployment with the provider of that resource key, acted on in the owner's name.

    `lane` is the key of the one that stragglers are asked by.
    """
    return Deployment(
        ledger=getattr(resources, LEDGER),
        files=getattr(resources, FILES).files,
        provider=getattr(resources, provider),
        owner=owner,
        origin=origin,
        live=None if lane is None else getattr(resources, lane),
    )
