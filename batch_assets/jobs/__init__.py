"""Jobs of one inference, so that the UI and the sensor say what they run."""

from typing import Any

import dagster as dg

from batch_assets.assets.specs import InferenceSpecs
from batch_assets.jobs.ask_again import ask_again_job
from batch_assets.jobs.submit_changed import submit_changed_job
from batch_assets.stages.recipe import Recipe


def inference_jobs(
    recipe: Recipe, specs: InferenceSpecs, partitions: dg.PartitionsDefinition[str]
) -> list[Any]:
    """The jobs that submit partitions, submit what changed, collect, and ask items again."""
    keys = specs.keys
    return [
        dg.define_asset_job(
            keys.submit_job,
            selection=dg.AssetSelection.assets(keys.requests, keys.batches),
            description=f"Prepare and submit partitions of {keys.inference}.",
        ),
        dg.define_asset_job(
            keys.collect_job,
            selection=dg.AssetSelection.assets(keys.raw_outputs, keys.results, keys.bundle),
            description=f"Collect, resolve and export finished partitions of {keys.inference}; "
            "the poll sensor starts it.",
        ),
        submit_changed_job(recipe, specs, partitions),
        ask_again_job(recipe, keys, partitions),
    ]
