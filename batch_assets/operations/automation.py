"""The sensor that carries out the automation of inferences."""

from collections.abc import Sequence

import dagster as dg

from batch_assets.assets.location import Location

AUTOMATION_SENSOR = "batch_automation"


def automation_sensors(
    defs: dg.Definitions, location: Location
) -> Sequence[dg.AutomationConditionSensorDefinition]:
    """One, which is on, where an inference has an automation; Dagster's own is off until a person
    turns it on, and would leave these assets to this one.
    """
    submitted = {
        key for inference in location.inferences.values() for key in inference.keys.submitted
    }
    automated = [
        spec.key
        for assets in defs.assets or []
        for spec in (assets.specs if isinstance(assets, dg.AssetsDefinition) else [])
        if spec.key in submitted and spec.automation_condition is not None
    ]
    if not automated:
        return []
    return [
        dg.AutomationConditionSensorDefinition(
            AUTOMATION_SENSOR,
            target=dg.AssetSelection.assets(*automated),
            default_status=dg.DefaultSensorStatus.RUNNING,
            description="Submits partitions of the inferences that declare an automation, which "
            "costs money; the poll sensor brings their results.",
        )
    ]
