"""The discovery sensor: files that came become partitions of an inference, and are submitted.

It keeps no cursor. What is there the corpus lists, what is registered and on its way Dagster knows,
what was submitted the ledger knows: wherever a tick was killed, the next does what was left undone,
and nothing twice.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import dagster as dg

from batch_assets.assets.keys import LEDGER, InferenceKeys
from batch_assets.corpus import Corpus
from batch_assets.corpus.partitioning import Arrivals
from batch_assets.domain.spoken import first_of
from batch_assets.ledger import Ledger
from batch_assets.operations.ranges import groups_of, range_request
from batch_assets.operations.runs import FailedRun, UnfinishedRuns, failed_submissions, is_resting

#: Dagster launches the runs one after the other in the sensor's own thread, and writes two events
#: for each partition of a run before it begins.
RUNS_PER_TICK = 10

#: A file that was written to less long ago may be half of one.
SETTLED_AFTER = timedelta(minutes=1)

#: Runs that fail for a partition before it is left to a person.
TRIES = 5

#: Keys per statement: a database limits its parameters.
_KEYS_PER_STATEMENT = 1_000

#: Refused files that are named.
_SHOWN = 3


def discovery_sensor(
    corpus: Corpus,
    keys: InferenceKeys,
    partitions: dg.DynamicPartitionsDefinition,
    *,
    is_on: bool,
    partitions_per_run: int,
) -> dg.SensorDefinition:
    """The sensor of an inference whose partitions are discovered."""

    @dg.sensor(
        name=keys.discovery_sensor,
        job_name=keys.submit_job,
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING if is_on else dg.DefaultSensorStatus.STOPPED,
        required_resource_keys={LEDGER},
        description=f"Registers new files of {keys.inference} as partitions and submits them, "
        "which costs money. A file that changes after it was submitted is left to a person.",
    )
    def discovery(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        ledger: Ledger = getattr(context.resources, LEDGER)
        arrivals = corpus.arrivals()
        now = ledger.clock()
        most = RUNS_PER_TICK * partitions_per_run
        registered = _registered(context, partitions, arrivals, now, most=most)
        standing = _standing(context, keys, ledger, arrivals, registered)
        groups = groups_of(
            registered,
            standing.ready,
            passable=standing.ready,
            widest=partitions_per_run,
        )
        requests = [range_request(keys.submit_job, group) for group in groups]
        said = "; ".join(_in_words(standing, arrivals))
        context.log.info(said)
        return dg.SensorResult(
            run_requests=requests[:RUNS_PER_TICK], skip_reason=None if requests else said
        )

    return discovery


@dataclass(frozen=True, kw_only=True)
class _Standing:
    """How the files that are there stand, each in one of these sets; gone ones beside them."""

    submitted: set[str]
    #: Registered and to be submitted now.
    ready: set[str]
    #: Not registered yet: being written, or more than a tick can request.
    unregistered: set[str]
    #: In the hands of a run that has not ended.
    in_runs: set[str]
    #: A run failed for them a moment ago.
    resting: set[str]
    #: Left to a person.
    given_up: set[str]
    #: Registered, never submitted, and not there any more.
    gone: set[str]


def _registered(
    context: dg.SensorEvaluationContext,
    partitions: dg.DynamicPartitionsDefinition,
    arrivals: Arrivals,
    now: datetime,
    *,
    most: int,
) -> Sequence[str]:
    """All registered partitions in Dagster's order, after as many new ones as a tick can request.

    Registered here and not by the tick's result: Dagster's daemon takes a query for each key.
    """
    instance, name = context.instance, str(partitions.name)
    registered = instance.get_dynamic_partitions(name)
    known = set(registered)
    settled = now - SETTLED_AFTER
    new = [
        key
        for key, written_at in arrivals.written_at.items()
        if key not in known and (written_at is None or written_at <= settled)
    ][:most]
    for start in range(0, len(new), _KEYS_PER_STATEMENT):
        instance.add_dynamic_partitions(name, new[start : start + _KEYS_PER_STATEMENT])
    return instance.get_dynamic_partitions(name) if new else registered


def _standing(
    context: dg.SensorEvaluationContext,
    keys: InferenceKeys,
    ledger: Ledger,
    arrivals: Arrivals,
    registered: Sequence[str],
) -> _Standing:
    # In this order: a run that ends meanwhile has submitted what the ledger then has, or failed.
    in_runs = UnfinishedRuns(context).submitting(keys, registered)
    failed = failed_submissions(context.instance, keys, registered, ledger.clock())
    submitted = {each.partition_key for each in ledger.request_sets.current_ones(keys.inference)}
    there, known = set(arrivals.written_at), set(registered)
    open_ = (there & known) - submitted - in_runs
    failures = dict(_failures(failed, open_, arrivals.written_at))
    given_up = {key for key, runs in failures.items() if _is_hopeless(runs)}
    now = ledger.clock()
    resting = {
        key
        for key, runs in failures.items()
        if key not in given_up and is_resting([run.ended_at for run in runs], now)
    }
    return _Standing(
        submitted=there & submitted,
        ready=open_ - given_up - resting,
        unregistered=there - known,
        in_runs=(there & in_runs) - submitted,
        resting=resting,
        given_up=given_up,
        gone=known - there - submitted,
    )


def _failures(
    failed: Mapping[str, Sequence[FailedRun]],
    open_: set[str],
    written_at: Mapping[str, datetime | None],
) -> Iterator[tuple[str, Sequence[FailedRun]]]:
    """The failed runs of each partition over its file as it is now."""
    for key in open_:
        at = written_at[key]
        runs = [run for run in failed.get(key, ()) if at is None or run.ended_at > at]
        if runs:
            yield key, runs


def _is_hopeless(runs: Sequence[FailedRun]) -> bool:
    return len(runs) >= TRIES or any(run.is_cancelled for run in runs)


def _in_words(standing: _Standing, arrivals: Arrivals) -> Iterator[str]:
    """What the tick found, for a person; what there is none of is left out."""
    yield f"{len(arrivals.written_at):,} files, {len(standing.submitted):,} of them submitted"
    if standing.ready:
        yield f"{len(standing.ready):,} to be submitted"
    elif not standing.unregistered:
        yield "none new"
    if standing.in_runs:
        yield f"{len(standing.in_runs):,} in the hands of runs"
    if standing.unregistered:
        yield (
            f"{len(standing.unregistered):,} new ones for a later tick: a file is taken when it "
            f"was not written to for {SETTLED_AFTER.total_seconds():.0f} s"
        )
    if standing.resting:
        yield f"{len(standing.resting):,} rest after a failed run"
    if standing.given_up:
        yield (
            f"{len(standing.given_up):,} left to you after {TRIES} failed runs or a cancelled one: "
            "correct the file, or materialize its batches"
        )
    if standing.gone:
        yield f"{len(standing.gone):,} registered files are gone and were never submitted"
    yield from first_of(arrivals.refused, _SHOWN)
