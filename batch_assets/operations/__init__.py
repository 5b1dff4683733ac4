"""What a code location has once, whatever number of inferences: the poll sensor and the checks of
it, the sensor that shows what a command line did, and the jobs by which a person gives orders.
"""

import dagster as dg

from batch_assets.assets.health import polled_check
from batch_assets.assets.location import location_of
from batch_assets.operations.automation import automation_sensors
from batch_assets.operations.beside_dagster import beside_dagster_sensor
from batch_assets.operations.jobs import operator_jobs
from batch_assets.operations.sensors import poll_sensor


def with_operations(defs: dg.Definitions, *, minimum_interval_seconds: int = 30) -> dg.Definitions:
    """The definitions with the sensors and the operator's jobs over all inferences in them."""
    location = location_of(defs)
    if not location.inferences:
        return defs
    names = {inference.keys.collect_job for inference in location.inferences.values()}
    collecting = [job for job in defs.jobs or [] if job.name in names]
    sensor = poll_sensor(location, collecting, minimum_interval_seconds)
    checks = [polled_check(inference.keys) for inference in location.inferences.values()]
    specs = [spec for each in defs.assets or [] for spec in getattr(each, "specs", [])]
    code_versions = {spec.key: spec.code_version for spec in specs}
    beside = beside_dagster_sensor(location, collecting, code_versions, minimum_interval_seconds)
    sensors = [sensor, beside, *automation_sensors(defs, location)]
    return dg.Definitions.merge(
        defs,
        dg.Definitions(sensors=sensors, jobs=operator_jobs(location), asset_checks=checks),
    )
