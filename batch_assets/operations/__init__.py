"""What a code location has once, whatever number of inferences: the poll sensor, and the jobs by
which a person gives orders.
"""

import dagster as dg

from batch_assets.assets.location import location_of
from batch_assets.operations.jobs import operator_jobs
from batch_assets.operations.sensors import poll_sensor


def with_operations(defs: dg.Definitions, *, minimum_interval_seconds: int = 30) -> dg.Definitions:
    """The definitions with the sensor and the operator's jobs over all inferences in them."""
    location = location_of(defs)
    if not location.inferences:
        return defs
    names = {inference.keys.collect_job for inference in location.inferences.values()}
    collecting = [job for job in defs.jobs or [] if job.name in names]
    sensor = poll_sensor(location, collecting, minimum_interval_seconds)
    return dg.Definitions.merge(
        defs, dg.Definitions(sensors=[sensor], jobs=operator_jobs(location))
    )
