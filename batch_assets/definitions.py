"""The code location of workspace.yaml: the inferences in defs/ on the chosen deployment."""

from pathlib import Path

import dagster as dg

from batch_assets.operations import with_operations
from batch_assets.resources.deployments import chosen_deployment


@dg.definitions
def defs() -> dg.Definitions:
    """Everything under defs/, the deployment's resources, the poll sensor, the operator's jobs."""
    deployment = chosen_deployment()
    declared = dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
    return with_operations(
        dg.Definitions.merge(
            declared,
            dg.Definitions(resources=deployment.resources, executor=dg.in_process_executor),
        ),
        minimum_interval_seconds=deployment.poll_seconds,
    )
