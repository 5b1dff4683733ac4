"""The poll sensor: one for a code location, whatever number of inferences it has.

A tick asks each provider how its batches are, where it is time to, and starts a collecting run for
each group of partitions that can go on. It keeps no cursor: what it must know is in the ledger and
in Dagster's list of runs.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import dagster as dg

from batch_assets.assets.deployment import deployment_from
from batch_assets.assets.health import SENSOR_NAME, changed_checks, last_heard
from batch_assets.assets.location import LocatedInference, Location
from batch_assets.assets.progress import news_of, observation_of
from batch_assets.domain.batch import Batch
from batch_assets.operations.looks import Look, looks_at
from batch_assets.operations.plans import plans_of
from batch_assets.operations.skip_reason import alarms, in_words, open_batches, unknown_status
from batch_assets.stages.recipe import Deployment

#: Dagster takes about a second to launch each run, in the sensor's own thread.
RUNS_PER_TICK = 10

#: Name of an alarm in the metadata of an observation on `batches`.
ALARM = "alarm"

#: Observations of a partition that are read to see whether an alarm is news.
_REMEMBERED = 100


def poll_sensor(
    location: Location, jobs: list[Any], minimum_interval_seconds: int
) -> dg.SensorDefinition:
    """The sensor over all inferences of the location; `jobs` are those that collect."""
    every = timedelta(seconds=minimum_interval_seconds)

    @dg.sensor(
        name=SENSOR_NAME,
        jobs=jobs,
        minimum_interval_seconds=minimum_interval_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        required_resource_keys=location.resources,
        description="Asks the providers how their batches are and starts the runs that collect "
        "what is finished and send what was waiting for room.",
    )
    def batch_poll(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        deployments = {
            name: deployment_from(context.resources, name, owner=SENSOR_NAME)
            for name in location.providers
        }
        return _tick(context, location, deployments, every)

    return batch_poll


def _tick(
    context: dg.SensorEvaluationContext,
    location: Location,
    deployments: Mapping[str, Deployment],
    every: timedelta,
) -> dg.SensorResult:
    ledger = next(iter(deployments.values())).ledger
    ledger.request_sets.want(location.inferences)
    looks = looks_at(deployments, every)
    down = {each.provider for each in looks if each.is_down}
    providers = {name: deployment.provider for name, deployment in deployments.items()}
    plans = list(plans_of(context, location.inferences, ledger, providers, down))
    requests = [request for plan in plans for request in plan.run_requests()]
    said = alarms(looks, ledger)
    for alarm in said:
        context.log.warning(alarm)
    oldest = ledger.polls.oldest_unasked(location.inferences)
    context.log.info(last_heard(oldest, ledger.clock()))
    if not requests:
        said += [*in_words(plans), *open_batches(looks)]
    return dg.SensorResult(
        run_requests=requests[:RUNS_PER_TICK],
        skip_reason=None if requests else "; ".join(said) or "no open batches",
        asset_events=list(_events(context.instance, location.inferences, looks, oldest)),
    )


def _events(
    instance: dg.DagsterInstance,
    inferences: Mapping[str, LocatedInference],
    looks: Sequence[Look],
    oldest: Mapping[str, datetime],
) -> Iterator[dg.AssetObservation | dg.AssetCheckEvaluation]:
    """What a person finds on the assets after the tick."""
    yield from _alarms(instance, inferences, [batch for each in looks for batch in each.unknown])
    expected, ledger = {each.provider: each.expected for each in looks}, looks[0].deployment.ledger
    now = ledger.clock()
    for progress in news_of(ledger, inferences):
        keys = inferences[progress.inference].keys
        yield observation_of(keys.batches, progress, expected[keys.provider], now)
    keys_by_name = {name: inference.keys for name, inference in inferences.items()}
    yield from changed_checks(instance, keys_by_name, oldest, now)


def _alarms(
    instance: dg.DagsterInstance,
    inferences: Mapping[str, LocatedInference],
    unknown: Iterable[Batch],
) -> Iterator[dg.AssetObservation]:
    """An observation of each batch in a status that is new to us, where there is none yet."""
    for batch in unknown:
        request_set, alarm = batch.request_set, unknown_status(batch)
        if request_set.inference not in inferences:
            continue  # another code location's, whose own sensor tells
        batches = inferences[request_set.inference].keys.batches
        if alarm not in _told(instance, batches, request_set.partition_key):
            yield dg.AssetObservation(
                asset_key=batches, partition=request_set.partition_key, metadata={ALARM: alarm}
            )


def _told(instance: dg.DagsterInstance, batches: dg.AssetKey, partition_key: str) -> set[Any]:
    """The alarms that stand in Dagster's event log."""
    wanted = dg.AssetRecordsFilter(asset_key=batches, asset_partitions=[partition_key])
    found = instance.fetch_observations(wanted, limit=_REMEMBERED).records
    observations = [record.asset_observation for record in found]
    return {
        observation.metadata[ALARM].value
        for observation in observations
        if observation is not None and ALARM in observation.metadata
    }
