"""The poll sensor: one for a code location, whatever number of inferences it has.

A tick asks each provider how its batches are and starts a collecting run for each group of
partitions that can go on. It keeps no cursor: what it must know is in the ledger and in Dagster's
list of runs.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
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
from batch_assets.domain.batch import Account, Batch, BatchState
from batch_assets.domain.budget import Budget, Reservation
from batch_assets.domain.errors import BatchAssetsError, TransientError
from batch_assets.domain.progress import progress_of
from batch_assets.ledger import Ledger
from batch_assets.runs import RANGE_END, RANGE_START, UnfinishedRuns, partitions_at_rest
from batch_assets.stages.poll import poll
from batch_assets.stages.recipe import Deployment
from batch_assets.stages.submit import recover

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


@dataclass
class Standing:
    """The partitions of one inference that wait for their results."""

    #: There is something to collect or to resolve.
    finished: set[str] = field(default_factory=set)
    #: There is room to send what is planned.
    sendable: set[str] = field(default_factory=set)
    #: Every one of them, those at the provider too.
    unresolved: set[str] = field(default_factory=set)


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
        requests = list(_run_requests(context, reached, deployments))[:RUNS_PER_TICK]
        if requests:
            return dg.SensorResult(run_requests=requests)
        said = [f"{name}: {error}" for name, error in troubles.items()]
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


def _run_requests(
    context: dg.SensorEvaluationContext,
    inferences: Mapping[str, SensedInference],
    deployments: Mapping[str, Deployment],
) -> Iterator[dg.RunRequest]:
    ledger = next(iter(deployments.values())).ledger
    standings = _standings(ledger, deployments)
    runs = UnfinishedRuns(context)
    for dead in _dead_holders(ledger, inferences):
        runs.fail(dead, "its process is gone: the lease on its partitions was not renewed")
    for name, inference in inferences.items():
        standing, keys = standings[name], inference.keys
        if not (standing.finished or standing.sendable):
            continue
        order = inference.partitions.get_partition_keys(dynamic_partitions_store=context.instance)
        ready = standing.finished | (standing.sendable - runs.submitting(keys, order))
        ready -= runs.collecting(keys, order)
        ready -= partitions_at_rest(context.instance, keys, order, ledger.clock())
        for partition_keys in _stretches(order, ready, passable=standing.unresolved):
            yield _run_request(keys, partition_keys)


def _dead_holders(ledger: Ledger, inferences: Iterable[str]) -> set[str]:
    """Runs that had partitions and renewed their lease on them no more."""
    patience = ledger.clock() - DEAD_AFTER
    return {
        hold.holder
        for name in inferences
        for hold in ledger.request_sets.holds(name).values()
        if hold.until < patience
    }


def _standings(ledger: Ledger, deployments: Mapping[str, Deployment]) -> defaultdict[str, Standing]:
    """How the partitions of each inference stand, those of other code locations too."""
    rooms = _rooms(deployments)
    standings: defaultdict[str, Standing] = defaultdict(Standing)
    waves: defaultdict[int, list[Batch]] = defaultdict(list)
    for batch in ledger.batches_of_unresolved():
        waves[batch.request_set.id].append(batch)
    for wave in waves.values():
        partition_key = wave[0].request_set.partition_key
        standing = standings[wave[0].request_set.inference]
        standing.unresolved.add(partition_key)
        progress = progress_of(wave)
        if progress.has_ended_batches or progress.is_collected:
            standing.finished.add(partition_key)
        elif _may_send(wave, rooms, ledger.clock()):
            standing.sendable.add(partition_key)
    # What an earlier request set bought is collected too.
    for batch in ledger.batches(states={BatchState.ENDED}):
        standings[batch.request_set.inference].finished.add(batch.request_set.partition_key)
    return standings


@dataclass
class _Room:
    """What is left of an account's budget while a tick hands it out."""

    budget: Budget
    held: Reservation

    def take(self, asked: Reservation) -> bool:
        """Count it in, where it fits."""
        if not self.budget.has_room(self.held, asked):
            return False
        self.held += asked
        return True


def _rooms(deployments: Mapping[str, Deployment]) -> dict[Account, _Room]:
    return {
        deployment.provider.account: _Room(
            deployment.provider.budget, deployment.ledger.held(deployment.provider.account)
        )
        for deployment in deployments.values()
    }


def _may_send(wave: Sequence[Batch], rooms: Mapping[Account, _Room], now: datetime) -> bool:
    """Whether a run could send any of the wave; takes the room of all that it could."""
    sent = False
    for batch in wave:
        in_time = batch.not_before is None or batch.not_before <= now
        if batch.state is BatchState.PLANNED and in_time:
            room = rooms.get(batch.account)
            if room is None or not room.take(batch.reservation):
                break
            sent = True
    return sent


def _stretches(
    order: Sequence[str], ready: Collection[str], *, passable: AbstractSet[str]
) -> Iterator[list[str]]:
    """The ready partitions in groups, one for each run.

    Dagster counts every partition between a run's first and last as the run's: it writes events
    for each, and paints it red where the run fails. So a run ranges over no more than a backfill's
    would, and passes over such partitions only as are on their way themselves.
    """
    stretch: list[str] = []
    begin = 0
    for position, partition_key in enumerate(order):
        too_wide = position - begin >= COLLECT_PARTITIONS_PER_RUN
        if stretch and (too_wide or partition_key not in passable):
            yield stretch
            stretch = []
        if partition_key in ready:
            begin = begin if stretch else position
            stretch.append(partition_key)
    if stretch:
        yield stretch


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
