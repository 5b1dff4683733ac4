"""What a tick can do for each inference: which partitions go on, in which runs."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import dagster as dg

from batch_assets.assets.keys import InferenceKeys
from batch_assets.assets.location import LocatedInference
from batch_assets.domain.provider import Provider
from batch_assets.ledger import Ledger
from batch_assets.operations.backfills import left_to_backfills, pause_cancelled
from batch_assets.operations.ranges import groups_of, range_request
from batch_assets.operations.runs import UnfinishedRuns, partitions_at_rest
from batch_assets.operations.standings import Rescuer, Standing, standings_of
from batch_assets.stages.rescue import has_left_provider

#: How long after its lease a run is taken for dead: where its machine is gone, Dagster's default
#: launcher never finds out, and shows the run as started for ever.
DEAD_AFTER = timedelta(minutes=1)


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


def plans_of(
    context: dg.SensorEvaluationContext,
    inferences: Mapping[str, LocatedInference],
    ledger: Ledger,
    providers: Mapping[str, Provider],
    down: Collection[str] = (),
) -> Iterator[Plan]:
    """A plan for each of the inferences of which something can be said.

    `providers` are by their resource keys. Of an inference whose provider is `down`, only what is
    asked live goes on.
    """
    pause_cancelled(context.instance, ledger, owner="the poll sensor")
    rescuers = {
        name: Rescuer(stragglers=stragglers, lane=providers[stragglers.provider])
        for name, inference in inferences.items()
        if (stragglers := inference.stragglers) is not None and inference.keys.provider not in down
    }
    standings = standings_of(ledger, list(providers.values()), rescuers)
    runs = UnfinishedRuns(context)
    for dead in _dead_holders(ledger, inferences):
        runs.fail(dead, "its process is gone: the lease on its partitions was not renewed")
    for name, inference in inferences.items():
        standing, keys = standings[name], inference.keys
        if keys.provider in down:
            standing = _left_to_lanes(ledger, name, standing, providers[keys.provider])
        if not (standing.finished or standing.sendable or standing.stopped):
            continue
        order = inference.partitions.get_partition_keys(dynamic_partitions_store=context.instance)
        ready = standing.finished | (standing.sendable - runs.submitting(keys, order))
        ready -= runs.collecting(keys, order)
        ready -= left_to_backfills(
            context.instance, ready & standing.finished, standing.origins, keys.collected
        )
        resting = ready & partitions_at_rest(context.instance, keys, order, ledger.clock())
        groups = groups_of(
            order,
            ready - resting,
            passable=standing.unresolved,
            widest=inference.partitions_per_run,
        )
        yield Plan(keys=keys, groups=list(groups), resting=resting, stopped=standing.stopped)


def _left_to_lanes(
    ledger: Ledger, inference: str, standing: Standing, provider: Provider
) -> Standing:
    """What of the inference can go on without its provider of batches."""
    left = {
        each.partition_key
        for each in ledger.request_sets.current_ones(inference)
        if each.resolved_at is None and has_left_provider(ledger, each, provider)
    }
    return replace(
        standing,
        finished=standing.finished & left,
        sendable=standing.sendable & left,
        stopped=set(),
        unresolved=standing.unresolved & left,
    )


def _dead_holders(ledger: Ledger, inferences: Iterable[str]) -> set[str]:
    """Runs that had partitions and renewed their lease on them no more."""
    patience = ledger.clock() - DEAD_AFTER
    return {
        hold.holder
        for name in inferences
        for hold in ledger.request_sets.holds(name).values()
        if hold.until < patience
    }


def _run_request(keys: InferenceKeys, partition_keys: Sequence[str]) -> dg.RunRequest:
    config = {"ops": {keys.collect_op: {"config": {"partition_keys": list(partition_keys)}}}}
    return range_request(keys.collect_job, partition_keys, config)
