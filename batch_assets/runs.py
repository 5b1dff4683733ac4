"""What Dagster's list of runs says: which partitions are in a run's hands, which just failed."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from batch_assets.assets.keys import InferenceKeys

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

#: Failures that are older are forgotten.
_MEMORY = timedelta(hours=6)


def partitions_in_runs(
    instance: dg.DagsterInstance, keys: InferenceKeys, order: Sequence[str]
) -> set[str]:
    """Partitions that an unfinished run collects already, or is going to."""
    runs = instance.get_runs(filters=dg.RunsFilter(statuses=_UNFINISHED))
    return {
        partition_key
        for run in runs
        if _collects(run, keys)
        for partition_key in _partitions_of(run, keys, order)
    }


def partitions_at_rest(
    instance: dg.DagsterInstance, keys: InferenceKeys, order: Sequence[str]
) -> set[str]:
    """Partitions whose collecting run failed not long ago: another at once would fail too."""
    now = datetime.now(UTC)
    failed = instance.get_run_records(
        filters=dg.RunsFilter(
            job_name=keys.collect_job,
            statuses=[dg.DagsterRunStatus.FAILURE],
            updated_after=now - _MEMORY,
        )
    )
    failures: defaultdict[str, list[float]] = defaultdict(list)
    for record in failed:
        for partition_key in _partitions_of(record.dagster_run, keys, order):
            failures[partition_key].append(record.end_time or now.timestamp())
    return {
        partition_key
        for partition_key, ends in failures.items()
        if max(ends) + (_FIRST_REST * 2 ** (len(ends) - 1)).total_seconds() > now.timestamp()
    }


def _collects(run: dg.DagsterRun, keys: InferenceKeys) -> bool:
    if run.job_name == keys.collect_job:
        return True
    return bool(run.asset_selection and run.asset_selection & {keys.raw_outputs, keys.results})


def _partitions_of(run: dg.DagsterRun, keys: InferenceKeys, order: Sequence[str]) -> Iterator[str]:
    config: Any = run.run_config
    op_config = config.get("ops", {}).get(keys.collect_op, {}).get("config", {})
    named = op_config.get("partition_keys")
    if named:
        yield from named
    elif (single := run.tags.get(PARTITION)) is not None:
        yield single
    elif (start := run.tags.get(RANGE_START)) in order and (
        end := run.tags.get(RANGE_END)
    ) in order:
        yield from order[order.index(start) : order.index(end) + 1]
