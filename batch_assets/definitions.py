"""The code location of workspace.yaml: the inferences in defs/ and those that were started from a
command line, on the chosen deployment.
"""

from pathlib import Path

import dagster as dg

from batch_assets.assets.location import location_of
from batch_assets.files import Files
from batch_assets.inference import batch_inference
from batch_assets.operations import with_operations
from batch_assets.resources.deployments import NamedDeployment, chosen_deployment
from batch_assets.resources.environment import chosen_environment
from batch_assets.started import started_inference, started_names


@dg.definitions
def defs() -> dg.Definitions:
    """Everything under defs/ and everything started, the resources, sensors, operator's jobs."""
    deployment = chosen_deployment()
    declared = dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
    return with_operations(
        dg.Definitions.merge(
            declared,
            _started(declared, deployment),
            dg.Definitions(resources=deployment.resources, executor=dg.in_process_executor),
        ),
        minimum_interval_seconds=deployment.poll_seconds,
    )


def _started(declared: dg.Definitions, deployment: NamedDeployment) -> dg.Definitions:
    """What was started on the deployment; one that cannot be loaded keeps nothing else away."""
    found: dict[str, dg.Definitions] = {}
    log = dg.get_dagster_logger("batch_assets")
    root = chosen_environment().files_root
    try:
        files = None if root is None else Files(root)
        names = [] if files is None else started_names(files)
    # Whatever a store raises that cannot be reached.
    except Exception as error:  # noqa: BLE001
        log.warning(f"what was started from a command line is not shown: {root}: {error}")
        return dg.Definitions()
    taken = set(location_of(declared).inferences)
    for name in names:
        assert files is not None
        try:
            if name in taken:
                raise ValueError("defs/ declares an inference of that name")
            inference = started_inference(files, name)
            if inference is None or inference.provider not in deployment.resources:
                raise ValueError("the deployment does not have its provider")
            found[name] = batch_inference(inference)
        # A module of the user's own may raise anything where it is imported.
        except Exception as error:  # noqa: BLE001
            log.warning(f"{name}, started from a command line, is not shown: {error}")
    return dg.Definitions.merge(*found.values())
