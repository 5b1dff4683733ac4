"""News in Dagster's event log, an event for each kind and inference."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime

import dagster as dg

from batch_assets.assets.location import LocatedInference, Location
from batch_assets.domain.batch import Batch
from batch_assets.domain.progress import progress_of
from batch_assets.ledger import Ledger
from batch_assets.operations import event_log
from batch_assets.operations.inference_events import (
    InferenceEvent,
    InferenceEventKind,
    counted,
    partition_page,
    some_of,
)
from batch_assets.operations.told import Cursor, News


def finished(
    context: dg.SensorEvaluationContext, location: Location, ledger: Ledger, cursor: Cursor
) -> Iterator[News]:
    for name, inference in location.inferences.items():
        mark = f"finished/{name}"
        found = event_log.finished_partitions(context.instance, inference.keys, cursor.event(mark))
        if found is None:
            continue
        coverage = found.ok / max(found.items, 1)
        cost = "" if found.cost_usd is None else f", ${found.cost_usd:,.6f}"
        said, left_open = _standing(context.instance, ledger, inference)
        event = InferenceEvent(
            kind=InferenceEventKind.FINISHED,
            inference=name,
            partition_keys=found.partition_keys,
            sentence=f"{name} has results of {counted(found.partition_keys)}: "
            f"{found.items:,} items, {coverage:.1%} ok{cost}. {said}",
            path=partition_page(inference.keys.results, found.partition_keys, "partitions"),
            items=found.items,
            coverage=coverage,
            cost_usd=found.cost_usd,
            open_partitions=left_open,
        )
        yield News(event=event, told=_reached(mark, found.read_until))


def failed(
    context: dg.SensorEvaluationContext, location: Location, ledger: Ledger, cursor: Cursor
) -> Iterator[News]:
    marks = {name: f"failed/{name}" for name in location.inferences}
    read = min((cursor.event(mark) for mark in marks.values()), default=cursor.since)
    failures, until = event_log.run_failures(context.instance, read)
    for name, inference in location.inferences.items():
        after = cursor.event(marks[name])
        runs = [run for event, run in failures if event > after]
        found = event_log.failed_runs(context, inference, runs)
        if found is None:
            # Failures of others are not read again.
            yield News(event=None, told=_reached(marks[name], until))
            continue
        said, left_open = _standing(context.instance, ledger, inference)
        event = InferenceEvent(
            kind=InferenceEventKind.FAILED,
            inference=name,
            partition_keys=found.partition_keys,
            sentence=f"{_what_failed(name, found)}. {said}\n{some_of(found.reasons)}",
            path=f"/runs/{found.newest_run}",
            open_partitions=left_open,
        )
        yield News(event=event, told=_reached(marks[name], until))


def _what_failed(name: str, found: event_log.FailedRuns) -> str:
    if not found.partition_keys:
        return f"A run of {name} failed"
    return f"{name} failed for {counted(found.partition_keys)}"


def checks_failed(
    context: dg.SensorEvaluationContext, location: Location, cursor: Cursor
) -> Iterator[News]:
    assert context.repository_def is not None
    checks = context.repository_def.asset_graph.asset_check_keys
    until = datetime.now(UTC) - event_log.SETTLED_AFTER
    for name, inference in location.inferences.items():
        keys = inference.keys
        own = keys.submitted | keys.collected
        after = datetime.fromtimestamp(cursor.checks.get(name, cursor.checks[""]), UTC)
        found = event_log.failed_checks(
            context.instance,
            sorted((key for key in checks if key.asset_key in own), key=str),
            after,
            until,
        )
        if not found:
            continue
        partition_keys = list(
            dict.fromkeys(each.partition_key for each in found if each.partition_key is not None)
        )
        lines = some_of(
            f"{each.name} of {each.partition_key or each.asset_key.to_user_string()} "
            f"({each.severity.value.lower()}): {each.said}"
            for each in found
        )
        event = InferenceEvent(
            kind=InferenceEventKind.CHECK_FAILED,
            inference=name,
            partition_keys=partition_keys,
            sentence=f"{len(found)} checks of {name} did not pass\n{lines}",
            path=partition_page(found[0].asset_key, (), "checks"),
        )
        yield News(event=event, told=_checked(name, until))


def _reached(mark: str, event: int) -> Callable[[Cursor], Cursor]:
    return lambda cursor: cursor.reached(mark, event)


def _checked(name: str, until: datetime) -> Callable[[Cursor], Cursor]:
    return lambda cursor: replace(cursor, checks={**cursor.checks, name: until.timestamp()})


def _standing(
    instance: dg.DagsterInstance, ledger: Ledger, inference: LocatedInference
) -> tuple[str, int]:
    """How the whole inference stands, and how many of its partitions are on their way."""
    order = inference.partitions.get_partition_keys(dynamic_partitions_store=instance)
    results, failed, running = event_log.partitions_with_results(instance, inference)
    left_open = (_on_their_way(ledger, inference.keys.inference) | running) & set(order)
    failed -= left_open
    said = (
        f"{len(results):,} of {len(order):,} partitions have results, {len(failed):,} failed, "
        f"{f'{len(left_open):,}' if left_open else 'none'} "
        f"{'are' if len(left_open) > 1 else 'is'} left open."
    )
    return said, len(left_open)


def _on_their_way(ledger: Ledger, inference: str) -> set[str]:
    """Partitions that get results without anybody's doing, or by an approval."""
    waves: dict[str, list[Batch]] = {}
    for batch in ledger.batches_of_unresolved():
        if batch.request_set.inference == inference:
            waves.setdefault(batch.request_set.partition_key, []).append(batch)
    stopped = {
        partition_key
        for partition_key, wave in waves.items()
        if (progress := progress_of(wave)).stopped and progress.is_settled
    }
    unresolved = {
        each.partition_key
        for each in ledger.request_sets.current_ones(inference)
        if each.resolved_at is None and each.cancelled_at is None
    }
    return unresolved - stopped
