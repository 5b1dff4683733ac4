"""What Dagster's list of runs says: which partitions are in a run's hands, and which a run failed
for.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from batch_assets.assets.keys import InferenceKeys

#: Tags of a run over one partition, and over a range of them (dagster 1.13, storage/tags.py).
PARTITION = "dagster/partition"
RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"

_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.MANAGED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]

#: After a failed run its partitions rest this long, twice as long after each further failure.
_FIRST_REST = timedelta(minutes=1)

#: Failures of collecting that are older are forgotten.
_MEMORY = timedelta(hours=6)

#: Runs that did not submit their partitions, of which a tick reads the newest.
_REMEMBERED = 500


class UnfinishedRuns:
    """The runs that Dagster has queued or started, as they are when a tick begins."""

    def __init__(self, context: dg.SensorEvaluationContext) -> None:
        self._instance = context.instance
        self._repository = context.repository_def
        self._runs = list(context.instance.get_runs(filters=dg.RunsFilter(statuses=_UNFINISHED)))

    def fail(self, run_id: str, reason: str) -> None:
        """Report a started run as failed; Dagster may then retry it. Another's run is let be."""
        for run in self._runs:
            if run.run_id == run_id and run.status is dg.DagsterRunStatus.STARTED:
                self._instance.report_run_failed(run, reason)
                self._runs = [other for other in self._runs if other is not run]
                return

    def collecting(self, keys: InferenceKeys, order: Sequence[str]) -> set[str]:
        """Partitions that a run collects already, or is going to."""
        return self._partitions(keys.collect_op, keys.collected, order)

    def submitting(self, keys: InferenceKeys, order: Sequence[str]) -> set[str]:
        """Partitions that a run sends already, or is going to."""
        return self._partitions(keys.submit_op, {keys.batches}, order)

    def _partitions(
        self, op: str, assets: AbstractSet[dg.AssetKey], order: Sequence[str]
    ) -> set[str]:
        return {
            partition_key
            for run in self._runs
            if self._executes(run, op, assets)
            for partition_key in partitions_in(run, op, order)
        }

    def _executes(self, run: dg.DagsterRun, op: str, assets: AbstractSet[dg.AssetKey]) -> bool:
        if run.asset_selection is not None:
            return bool(run.asset_selection & assets)
        # A named job, perhaps the user's own: a run of all that it selects.
        repository = self._repository
        if repository is None or not repository.has_job(run.job_name):
            return False
        return repository.get_job(run.job_name).has_node_named(op)


def partitions_at_rest(
    instance: dg.DagsterInstance, keys: InferenceKeys, order: Sequence[str], now: datetime
) -> set[str]:
    """Partitions whose collecting run failed not long ago: another at once would fail too."""
    records = instance.get_run_records(
        filters=dg.RunsFilter(
            job_name=keys.collect_job,
            statuses=[dg.DagsterRunStatus.FAILURE],
            updated_after=now - _MEMORY,
        )
    )
    failures: defaultdict[str, list[datetime]] = defaultdict(list)
    for record in records:
        for partition_key in partitions_in(record.dagster_run, keys.collect_op, order):
            failures[partition_key].append(_end_of(record, now))
    return {key for key, ends in failures.items() if is_resting(ends, now)}


def is_resting(ends: Sequence[datetime], now: datetime) -> bool:
    """Whether failures that ended then are too fresh for another run."""
    return bool(ends) and max(ends) + _FIRST_REST * 2 ** (len(ends) - 1) > now


@dataclass(frozen=True, kw_only=True)
class FailedRun:
    """A submitting run that ended without success."""

    ended_at: datetime
    #: By a person, or by Dagster in a person's name.
    is_cancelled: bool


def failed_submissions(
    instance: dg.DagsterInstance, keys: InferenceKeys, order: Sequence[str], now: datetime
) -> Mapping[str, Sequence[FailedRun]]:
    """The runs of the submitting job that ended without success, by partition."""
    records = instance.get_run_records(
        filters=dg.RunsFilter(
            job_name=keys.submit_job,
            statuses=[dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED],
        ),
        limit=_REMEMBERED,
    )
    failed: defaultdict[str, list[FailedRun]] = defaultdict(list)
    for record in records:
        run = record.dagster_run
        cancelled = run.status is dg.DagsterRunStatus.CANCELED
        failure = FailedRun(ended_at=_end_of(record, now), is_cancelled=cancelled)
        for partition_key in partitions_in(run, keys.submit_op, order):
            failed[partition_key].append(failure)
    return failed


def _end_of(record: dg.RunRecord, now: datetime) -> datetime:
    return now if record.end_time is None else datetime.fromtimestamp(record.end_time, UTC)


def partitions_in(run: dg.DagsterRun, op: str, order: Sequence[str]) -> Iterator[str]:
    config: Any = run.run_config
    named = config.get("ops", {}).get(op, {}).get("config", {}).get("partition_keys")
    if named:
        yield from named
    elif (single := run.tags.get(PARTITION)) is not None:
        yield single
    elif (start := run.tags.get(RANGE_START)) in order and (
        end := run.tags.get(RANGE_END)
    ) in order:
        yield from order[order.index(start) : order.index(end) + 1]
