"""The poll sensor: one for a code location, whatever number of inferences it has.

A tick asks each provider how its batches are and starts a collecting run for each group of
partitions that can go on. It keeps no cursor: what it must know is in the ledger and in Dagster's
list of runs.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import dagster as dg

from batch_assets.assets.collect import COLLECT_PARTITIONS_PER_RUN
from batch_assets.assets.keys import (
    FILES,
    INFERENCE_METADATA,
    LEDGER,
    PROVIDER_METADATA,
    InferenceKeys,
)
from batch_assets.domain.batch import Batch, BatchState
from batch_assets.domain.errors import BatchAssetsError
from batch_assets.domain.progress import progress_of
from batch_assets.ledger import Ledger
from batch_assets.runs import partitions_at_rest, partitions_in_runs
from batch_assets.stages.poll import poll
from batch_assets.stages.recipe import Deployment
from batch_assets.stages.submit import recover

SENSOR_NAME = "batch_poll"

#: Dagster takes about a second to launch each run, in the sensor's own thread.
RUNS_PER_TICK = 10

RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"


@dataclass(frozen=True, kw_only=True)
class SensedInference:
    """An inference of the code location, as the sensor needs it."""

    keys: InferenceKeys
    partitions: dg.PartitionsDefinition[str]


def with_poll_sensor(defs: dg.Definitions, *, minimum_interval_seconds: int = 30) -> dg.Definitions:
    """The definitions with the sensor over all inferences in them."""
    inferences = _inferences_in(defs)
    if not inferences:
        return defs
    sensor = _poll_sensor(inferences, _collect_jobs(defs, inferences), minimum_interval_seconds)
    return dg.Definitions.merge(defs, dg.Definitions(sensors=[sensor]))


def _inferences_in(defs: dg.Definitions) -> dict[str, SensedInference]:
    found: dict[str, SensedInference] = {}
    for spec in defs.resolve_all_asset_specs():
        name = spec.metadata.get(INFERENCE_METADATA)
        if name is not None and spec.partitions_def is not None:
            keys = InferenceKeys(inference=name, provider=spec.metadata[PROVIDER_METADATA])
            found[name] = SensedInference(keys=keys, partitions=spec.partitions_def)
    return found


def _collect_jobs(defs: dg.Definitions, inferences: Mapping[str, SensedInference]) -> list[Any]:
    names = {inference.keys.collect_job for inference in inferences.values()}
    return [job for job in defs.jobs or [] if job.name in names]


def _poll_sensor(
    inferences: Mapping[str, SensedInference], jobs: list[Any], minimum_interval_seconds: int
) -> dg.SensorDefinition:
    providers = {inference.keys.provider for inference in inferences.values()}

    @dg.sensor(
        name=SENSOR_NAME,
        jobs=jobs,
        minimum_interval_seconds=minimum_interval_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        required_resource_keys={LEDGER, FILES, *providers},
        description="Asks the providers how their batches are and starts the runs that collect "
        "what is finished and send what was waiting for room.",
    )
    def batch_poll(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        deployments = {name: _deployment_of(context, name) for name in sorted(providers)}
        troubles = list(_look(context, deployments))
        requests = list(_run_requests(context, inferences, deployments))[:RUNS_PER_TICK]
        if requests:
            return dg.SensorResult(run_requests=requests)
        return dg.SkipReason("; ".join([*troubles, *_standing(deployments)]) or "no open batches")

    return batch_poll


def _deployment_of(context: dg.SensorEvaluationContext, provider: str) -> Deployment:
    resources = context.resources
    return Deployment(
        ledger=getattr(resources, LEDGER),
        files=getattr(resources, FILES).files,
        provider=getattr(resources, provider),
        owner=SENSOR_NAME,
    )


def _look(
    context: dg.SensorEvaluationContext, deployments: Mapping[str, Deployment]
) -> Iterator[str]:
    """Recover and poll each provider; the trouble that one has does not keep another waiting."""
    for name, deployment in deployments.items():
        try:
            recover(deployment)
            report = poll(deployment)
        except BatchAssetsError as error:
            context.log.warning(f"{name}: {error}")
            yield f"{name}: {error}"
            continue
        for unknown in report.unknown:
            context.log.warning(f"{name}: batch {unknown}, a status nobody here knows")


def _run_requests(
    context: dg.SensorEvaluationContext,
    inferences: Mapping[str, SensedInference],
    deployments: Mapping[str, Deployment],
) -> Iterator[dg.RunRequest]:
    ready: defaultdict[str, set[str]] = defaultdict(set)
    for deployment in _one_per_ledger(deployments):
        for ready_inference, partition_key in _ready_partitions(deployment.ledger, deployments):
            ready[ready_inference].add(partition_key)
    for name, inference in inferences.items():
        if not ready[name]:
            continue
        order = inference.partitions.get_partition_keys(dynamic_partitions_store=context.instance)
        busy = partitions_in_runs(context.instance, inference.keys, order)
        resting = partitions_at_rest(context.instance, inference.keys, order)
        waiting = [key for key in order if key in ready[name] - busy - resting]
        for start in range(0, len(waiting), COLLECT_PARTITIONS_PER_RUN):
            yield _run_request(inference.keys, waiting[start : start + COLLECT_PARTITIONS_PER_RUN])


def _one_per_ledger(deployments: Mapping[str, Deployment]) -> Collection[Deployment]:
    return list({id(deployment.ledger): deployment for deployment in deployments.values()}.values())


def _ready_partitions(
    ledger: Ledger, deployments: Mapping[str, Deployment]
) -> Iterator[tuple[str, str]]:
    """Partitions that a run could take further now."""
    waves: defaultdict[int, list[Batch]] = defaultdict(list)
    for batch in ledger.batches_of_unresolved():
        waves[batch.request_set.id].append(batch)
    for wave in waves.values():
        progress = progress_of(wave)
        if progress.has_ended_batches or progress.is_collected or _may_send(wave, deployments):
            yield wave[0].request_set.inference, wave[0].request_set.partition_key
    # What an earlier request set bought is collected too.
    for batch in ledger.batches(states={BatchState.ENDED}):
        yield batch.request_set.inference, batch.request_set.partition_key


def _may_send(wave: Iterable[Batch], deployments: Mapping[str, Deployment]) -> bool:
    planned = [batch for batch in wave if batch.state is BatchState.PLANNED]
    if not planned:
        return False
    first = planned[0]
    for deployment in deployments.values():
        if deployment.provider.account == first.account:
            ledger = deployment.ledger
            held = ledger.held(first.account)
            in_time = first.not_before is None or first.not_before <= ledger.clock()
            return in_time and deployment.provider.budget.has_room(held, first.reservation)
    return False


def _run_request(keys: InferenceKeys, partition_keys: Sequence[str]) -> dg.RunRequest:
    config = {"ops": {keys.collect_op: {"config": {"partition_keys": list(partition_keys)}}}}
    if len(partition_keys) == 1:
        return dg.RunRequest(
            job_name=keys.collect_job, partition_key=partition_keys[0], run_config=config
        )
    return dg.RunRequest(
        job_name=keys.collect_job,
        run_config=config,
        tags={RANGE_START: partition_keys[0], RANGE_END: partition_keys[-1]},
    )


def _standing(deployments: Mapping[str, Deployment]) -> Iterator[str]:
    """One clause for each account: what is out, how old it is, what waits."""
    for deployment in deployments.values():
        ledger, account = deployment.ledger, deployment.provider.account
        open_batches = ledger.batches(
            account=account, states={BatchState.RESERVED, BatchState.SUBMITTED}
        )
        planned = ledger.batches(account=account, states={BatchState.PLANNED})
        if open_batches or planned:
            oldest = _age(open_batches, ledger.clock())
            yield f"{account}: {len(open_batches)} batches open{oldest}, {len(planned)} waiting"


def _age(batches: Sequence[Batch], now: datetime) -> str:
    if not batches:
        return ""
    age = now - min(batch.submitted_at or batch.created_at for batch in batches)
    return f", oldest {timedelta(seconds=int(age.total_seconds()))}"
