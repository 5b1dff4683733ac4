"""The poll sensor: one for a code location, whatever number of inferences it has.

A tick asks each provider how its batches are and starts a collecting run for each group of
partitions that can go on. It keeps no cursor: what it must know is in the ledger and in Dagster's
list of runs.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
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
from batch_assets.domain.errors import BatchAssetsError, TransientError
from batch_assets.ledger import Ledger
from batch_assets.runs import RANGE_END, RANGE_START, UnfinishedRuns, partitions_at_rest
from batch_assets.stages.poll import poll
from batch_assets.stages.recipe import Deployment
from batch_assets.stages.submit import recover
from batch_assets.standings import standings_of

SENSOR_NAME = "batch_poll"

#: Dagster takes about a second to launch each run, in the sensor's own thread.
RUNS_PER_TICK = 10

#: How long after its lease a run is taken for dead: where its machine is gone, Dagster's default
#: launcher never finds out, and shows the run as started for ever.
DEAD_AFTER = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class SensedInference:
    """An inference of the code location, as the sensor needs it."""

    keys: InferenceKeys
    partitions: dg.PartitionsDefinition[str]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a tick can do for one inference."""

    keys: InferenceKeys
    #: Partitions that can go on, a group for each run.
    groups: Sequence[Sequence[str]]
    #: Partitions that could, but for a run that failed a moment ago.
    resting: Collection[str]
    #: Partitions that wait for a person.
    stopped: Collection[str]

    def run_requests(self) -> Iterator[dg.RunRequest]:
        """A run for each group."""
        for partition_keys in self.groups:
            yield _run_request(self.keys, partition_keys)

    def in_words(self) -> Iterator[str]:
        """What of it nothing is done about now."""
        name = self.keys.inference
        if self.resting:
            yield f"{name}: {len(self.resting)} partitions rest after a failed run"
        if self.stopped:
            yield (
                f"{name}: {len(self.stopped)} partitions have batches that the provider refused; "
                "materialize their batches again once that is put right"
            )


def with_poll_sensor(defs: dg.Definitions, *, minimum_interval_seconds: int = 30) -> dg.Definitions:
    """The definitions with the sensor over all inferences in them."""
    inferences = _inferences_in(defs)
    if not inferences:
        return defs
    sensor = _poll_sensor(inferences, _collect_jobs(defs, inferences), minimum_interval_seconds)
    return dg.Definitions.merge(defs, dg.Definitions(sensors=[sensor]))


def _inferences_in(defs: dg.Definitions) -> dict[str, SensedInference]:
    found: dict[str, SensedInference] = {}
    for assets in defs.assets or []:
        for spec in assets.specs if isinstance(assets, dg.AssetsDefinition) else []:
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
        troubles = dict(_look(context, deployments))
        # A run would meet the same trouble, and fail.
        down = {name for name, error in troubles.items() if isinstance(error, TransientError)}
        reached = {
            name: inference
            for name, inference in inferences.items()
            if inference.keys.provider not in down
        }
        plans = list(_plans(context, reached, deployments))
        requests = [request for plan in plans for request in plan.run_requests()]
        if requests:
            return dg.SensorResult(run_requests=requests[:RUNS_PER_TICK])
        said = [f"{name}: {error}" for name, error in troubles.items()]
        said += [words for plan in plans for words in plan.in_words()]
        return dg.SkipReason("; ".join([*said, *_open_batches(deployments)]) or "no open batches")

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
) -> Iterator[tuple[str, BatchAssetsError]]:
    """Recover and poll each provider; the trouble that one has does not keep another waiting."""
    for name, deployment in deployments.items():
        try:
            recover(deployment)
            report = poll(deployment)
        except BatchAssetsError as error:
            context.log.warning(f"{name}: {error}")
            yield name, error
            continue
        for unknown in report.unknown:
            context.log.warning(f"{name}: batch {unknown}, a status nobody here knows")


def _plans(
    context: dg.SensorEvaluationContext,
    inferences: Mapping[str, SensedInference],
    deployments: Mapping[str, Deployment],
) -> Iterator[Plan]:
    ledger = next(iter(deployments.values())).ledger
    standings = standings_of(ledger, [each.provider for each in deployments.values()])
    runs = UnfinishedRuns(context)
    for dead in _dead_holders(ledger, inferences):
        runs.fail(dead, "its process is gone: the lease on its partitions was not renewed")
    for name, inference in inferences.items():
        standing, keys = standings[name], inference.keys
        if not (standing.finished or standing.sendable or standing.stopped):
            continue
        order = inference.partitions.get_partition_keys(dynamic_partitions_store=context.instance)
        ready = standing.finished | (standing.sendable - runs.submitting(keys, order))
        ready -= runs.collecting(keys, order)
        resting = ready & partitions_at_rest(context.instance, keys, order, ledger.clock())
        groups = _groups(order, ready - resting, passable=standing.unresolved)
        yield Plan(keys=keys, groups=list(groups), resting=resting, stopped=standing.stopped)


def _dead_holders(ledger: Ledger, inferences: Iterable[str]) -> set[str]:
    """Runs that had partitions and renewed their lease on them no more."""
    patience = ledger.clock() - DEAD_AFTER
    return {
        hold.holder
        for name in inferences
        for hold in ledger.request_sets.holds(name).values()
        if hold.until < patience
    }


def _groups(
    order: Sequence[str], ready: Collection[str], *, passable: AbstractSet[str]
) -> Iterator[list[str]]:
    """The ready partitions in groups, one for each run.

    Dagster counts every partition between a run's first and last as the run's: it writes events
    for each, and paints it red where the run fails. So a run ranges over no more than a backfill's
    would, and passes over such partitions only as are on their way themselves.
    """
    group: list[str] = []
    begin = 0
    for position, partition_key in enumerate(order):
        too_wide = position - begin >= COLLECT_PARTITIONS_PER_RUN
        if group and (too_wide or partition_key not in passable):
            yield group
            group = []
        if partition_key in ready:
            begin = begin if group else position
            group.append(partition_key)
    if group:
        yield group


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


def _open_batches(deployments: Mapping[str, Deployment]) -> Iterator[str]:
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
