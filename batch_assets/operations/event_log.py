"""What Dagster's event log has of the inferences that was not read yet: results that were made,
runs that failed, checks that did not pass.

A cursor of the log's own storage says how far it was read, as in Dagster's own sensors.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import dagster as dg
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from batch_assets.assets.keys import InferenceKeys
from batch_assets.assets.location import LocatedInference
from batch_assets.operations.runs import partitions_in

#: Materializations, failed runs and failed checks that a tick reads, of each inference or check.
MOST = 1_000

#: A process may have written an evaluation with the time of a moment ago: it is read when no other
#: can come before it.
SETTLED_AFTER = timedelta(seconds=10)

#: Set on a failed run that Dagster starts again (dagster 1.13, _core/storage/tags.py).
_WILL_RETRY = "dagster/will_retry"


@dataclass(frozen=True, kw_only=True)
class FinishedPartitions:
    """The newest results of partitions, summed."""

    partition_keys: Sequence[str]
    items: int
    ok: float
    #: None where it is not known of each partition.
    cost_usd: float | None
    read_until: int


@dataclass(frozen=True, kw_only=True)
class FailedRuns:
    """Failed runs of one inference, of which Dagster starts none again."""

    partition_keys: Sequence[str]
    #: One for each run and step.
    reasons: Sequence[str]
    newest_run: str


@dataclass(frozen=True, kw_only=True)
class FailedCheck:
    """A check that did not pass, of one partition or of the asset."""

    name: str
    asset_key: dg.AssetKey
    partition_key: str | None
    severity: dg.AssetCheckSeverity
    said: str


def newest_event(instance: dg.DagsterInstance) -> int:
    """Where the event log ends now."""
    return instance.event_log_storage.get_maximum_record_id() or 0


def finished_partitions(
    instance: dg.DagsterInstance, keys: InferenceKeys, read: int
) -> FinishedPartitions | None:
    """What was materialized of `results` after the event `read`."""
    wanted = dg.AssetRecordsFilter(asset_key=keys.results, after_storage_id=read)
    records = instance.fetch_materializations(wanted, limit=MOST, ascending=True).records
    newest: dict[str, dg.AssetMaterialization] = {}
    for record in records:
        if (made := record.asset_materialization) is not None and made.partition is not None:
            newest[made.partition] = made
    if not newest:
        return None
    items = {key: int(_number(made, "dagster/row_count") or 0) for key, made in newest.items()}
    costs = [_number(made, "cost_usd") for made in newest.values()]
    known = [cost for cost in costs if cost is not None]
    return FinishedPartitions(
        partition_keys=list(newest),
        items=sum(items.values()),
        ok=sum(items[key] * (_number(made, "coverage") or 0.0) for key, made in newest.items()),
        cost_usd=sum(known) if len(known) == len(costs) else None,
        read_until=records[-1].storage_id,
    )


def _number(made: dg.AssetMaterialization, name: str) -> float | None:
    value = made.metadata[name].value if name in made.metadata else None
    return float(value) if isinstance(value, int | float) else None


def run_failures(
    instance: dg.DagsterInstance, read: int
) -> tuple[Sequence[tuple[int, dg.DagsterRun]], int]:
    """The runs whose failure was written after the event `read`, and how far that was read."""
    wanted = dg.RunStatusChangeRecordsFilter(
        event_type=dg.DagsterEventType.RUN_FAILURE, after_storage_id=read
    )
    records = instance.fetch_run_status_changes(wanted, limit=MOST, ascending=True).records
    if not records:
        return [], read
    ids = list({record.run_id for record in records})
    runs = {run.run_id: run for run in instance.get_runs(filters=dg.RunsFilter(run_ids=ids))}
    return [
        (record.storage_id, runs[record.run_id]) for record in records if record.run_id in runs
    ], records[-1].storage_id


def failed_runs(
    context: dg.SensorEvaluationContext, inference: LocatedInference, runs: Sequence[dg.DagsterRun]
) -> FailedRuns | None:
    """Those of the runs that failed for the inference, with the reasons."""
    found = [
        (run, *failure)
        for run in runs
        if run.tags.get(_WILL_RETRY) != "true" and _is_of_location(context, run)
        for failure in _failures(context.instance, run, inference)
    ]
    if not found:
        return None
    return FailedRuns(
        partition_keys=list(dict.fromkeys(key for _, keys, _ in found for key in keys)),
        reasons=[reason for _, _, reason in found],
        newest_run=found[-1][0].run_id,
    )


def _is_of_location(context: dg.SensorEvaluationContext, run: dg.DagsterRun) -> bool:
    """Whether the run is of the sensor's code location; a run in a test is of none."""
    mine, origin = context.code_location_origin, run.remote_job_origin
    if mine is None or origin is None:
        return True
    return origin.repository_origin.code_location_origin.location_name == mine.location_name


def _failures(
    instance: dg.DagsterInstance, run: dg.DagsterRun, inference: LocatedInference
) -> Iterator[tuple[Sequence[str], str]]:
    """Partitions and reason of each step of the inference that failed in the run.

    A run that failed without a step, as where its process was killed, is of the inferences whose
    assets or jobs it was to run.
    """
    keys = inference.keys
    steps = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    for entry in steps:
        event = entry.dagster_event
        if event is None or event.step_key not in _ops(keys):
            continue
        data = event.step_failure_data
        failure = data.user_failure_data
        if failure is None or failure.description is None:
            error = data.error
            said = str(event.message) if error is None else (error.cause or error).message.strip()
            yield list(_keys_in(instance, run, inference)), said
        else:
            named = list(failure.metadata) or list(_keys_in(instance, run, inference))
            yield named, failure.description
    if not steps and _was_to_run(run, keys):
        yield list(_keys_in(instance, run, inference)), _why_no_step(instance, run)


def _was_to_run(run: dg.DagsterRun, keys: InferenceKeys) -> bool:
    if run.asset_selection is not None:
        return bool(run.asset_selection & (keys.submitted | keys.collected))
    jobs = {keys.submit_job, keys.collect_job, keys.submit_changed_job, keys.ask_again_job}
    return run.job_name in jobs


def _ops(keys: InferenceKeys) -> set[str]:
    return {keys.submit_op, keys.collect_op, keys.submit_changed_op, keys.ask_again_op}


def _keys_in(
    instance: dg.DagsterInstance, run: dg.DagsterRun, inference: LocatedInference
) -> Iterator[str]:
    order = inference.partitions.get_partition_keys(dynamic_partitions_store=instance)
    yield from partitions_in(run, inference.keys.collect_op, order)


def _why_no_step(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    failures = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    messages = [
        each.dagster_event.message
        for each in failures
        if each.dagster_event is not None and each.dagster_event.message
    ]
    return messages[-1] if messages else f"run {run.run_id} failed"


def failed_checks(
    instance: dg.DagsterInstance,
    checks: Sequence[dg.AssetCheckKey],
    after: datetime,
    until: datetime,
) -> Sequence[FailedCheck]:
    """What was evaluated in that time and did not pass, of each check the newest.

    The rows of checks are in the order in which they were planned, so that a time is the only
    cursor that passes over none.
    """
    found = []
    for check in checks:
        records = instance.event_log_storage.get_asset_check_execution_history(
            check, limit=MOST, status={AssetCheckExecutionRecordStatus.FAILED}
        )
        for record in records:
            event = None if record.event is None else record.event.dagster_event
            data = None if event is None else event.event_specific_data
            if record.event is None or not isinstance(data, dg.AssetCheckEvaluation):
                continue
            if after.timestamp() < record.event.timestamp <= until.timestamp():
                found.append(_failed_check(data))
    return found


def _failed_check(data: dg.AssetCheckEvaluation) -> FailedCheck:
    return FailedCheck(
        name=data.check_name,
        asset_key=data.asset_key,
        partition_key=data.partition,
        severity=data.severity,
        said=data.description or "no reason given",
    )


def partitions_with_results(
    instance: dg.DagsterInstance, inference: LocatedInference
) -> tuple[set[str], set[str], set[str]]:
    """Partitions that have results, whose newest run failed, and that a run has or is to have."""
    order = inference.partitions.get_partition_keys(dynamic_partitions_store=instance)
    keys, states = inference.keys, defaultdict[str, set[str]](set)
    for asset in (keys.requests, keys.batches, keys.results):
        found: Mapping[str, object] = (
            instance.get_status_by_partition(asset, order, inference.partitions) or {}
        )
        for partition_key, state in found.items():
            if state is not None:
                states[str(getattr(state, "value", state))].add(partition_key)
    results = set(instance.get_materialized_partitions(keys.results)) & set(order)
    return results, states["FAILED"], states["IN_PROGRESS"]
