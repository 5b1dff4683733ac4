"""Named jobs, so that the UI and the sensor say what they run."""

from typing import Any

import dagster as dg

from batch_assets.assets.keys import InferenceKeys


def inference_jobs(keys: InferenceKeys) -> list[Any]:
    """One job that submits partitions and one that collects them."""
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
    ]
