"""From Dagster's resources to what the stages act on."""

import dagster as dg

from batch_assets.assets.keys import FILES, LEDGER, InferenceKeys
from batch_assets.stages.recipe import Deployment


def deployment_of(context: dg.AssetExecutionContext, keys: InferenceKeys) -> Deployment:
    """The deployment a run acts on, in the run's name."""
    resources = context.resources
    return Deployment(
        ledger=getattr(resources, LEDGER),
        files=getattr(resources, FILES).files,
        provider=getattr(resources, keys.provider),
        owner=context.run.run_id,
    )
