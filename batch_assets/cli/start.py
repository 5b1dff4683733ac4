"""Start an inference from files, without a code location or a daemon."""

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from batch_assets.cli.begun import (
    about_rows,
    check_free,
    declaration_of,
    inference_of,
    on_deployment,
)
from batch_assets.cli.declared import Declared
from batch_assets.cli.declaring import Given, declares
from batch_assets.cli.exit_codes import ExitCode
from batch_assets.cli.place import Place, at_place
from batch_assets.cli.plan import planned
from batch_assets.cli.render import Row, emit, schema_of, tell, with_output
from batch_assets.cli.wait import outcomes_of, shown
from batch_assets.cli.watch import Fate, Looked, Seen, Watch
from batch_assets.domain.errors import TransientError
from batch_assets.domain.outcome import Outcome

if TYPE_CHECKING:
    from batch_assets.started import Started

SCHEMA = schema_of("start", 1)

#: What a shell says of a program that a signal ended: 128 and its number.
_SIGNALLED = 128


class StartedPartition(Row, frozen=True, kw_only=True):
    """A partition as it stands when the command ends."""

    inference: str
    partition: str
    request_set: str
    #: pending, resolved, stopped or approval.
    fate: str
    #: As `status` says it.
    state: str
    #: Requests of the wave on its way, and how many of them the provider has finished and failed.
    requests: int
    completed: int
    failed: int
    #: Batches of it that wait to be sent, that are at the provider, and that are collected.
    planned_batches: int
    open_batches: int
    collected_batches: int
    #: Items by their outcome; empty before the results are there.
    outcomes: Mapping[str, int]
    #: Where the results are; null before.
    results: str | None
    #: Why it is not done; empty where there is nothing to say.
    why: str


class _Line(Row, frozen=True, kw_only=True):
    """The same for a person."""

    inference: str
    fate: str
    requests: int
    completed: int
    failed: int
    outcomes: str
    why: str


@click.command()
@declares
@click.option("--dry-run", is_flag=True, help="Quote it, as plan does, and send nothing.")
@click.option("--wait", "is_waiting", is_flag=True, help="Stay until the results are there.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="With --wait: wait no longer. Left out, it waits as long as it takes.",
)
@click.option(
    "--every",
    type=click.FloatRange(min=0.1),
    metavar="SECONDS",
    help="With --wait: how often the provider is asked. Left out, 5 of the sandbox, else 30.",
)
@with_output
@at_place
@click.pass_context
def start(
    context: click.Context,
    place: Place,
    given: Given,
    *,
    dry_run: bool,
    is_waiting: bool,
    timeout: float | None,
    every: float | None,
    output: str,
) -> None:
    """Ask a model about each row of some files.

    It may be stopped at any moment: the same command goes on, and nothing is paid for twice. What
    was sent without --wait is brought in by wait, or by a sensor on the same ledger and store.

    Example: batch-assets start --input a.csv --id-field id --prompt-field text --model gpt-5 --wait
    """
    if not is_waiting and (timeout is not None or every is not None):
        raise click.UsageError("--timeout and --every are for --wait")
    if dry_run:
        if is_waiting:
            raise click.UsageError("--dry-run sends nothing, so there is nothing to --wait for")
        planned(place, given, output)
        return
    started = declaration_of(place, given)
    inference = inference_of(started)
    with on_deployment(place, inference) as declared, _told_how_to_go_on(context, started):
        check_free(started, declared.deployment)
        keys = inference.corpus.partition_keys()
        trouble = _sent(declared, started, keys)
        looked = _watched(place, declared, keys, is_waiting, timeout, every)
        rows = [_row(declared, each) for each in looked.partitions]
    emit(output, SCHEMA, rows if output != "table" else [_line(row) for row in rows])
    for row in rows:
        if row.results is not None:
            tell(f"Results: {row.results}")
    if trouble is not None and not is_waiting:
        raise trouble
    code = _exit_code(rows, is_waiting=is_waiting)
    if code in (ExitCode.TIMEOUT, ExitCode.OK) and any(row.results is None for row in rows):
        tell(f"To wait for the results: batch-assets wait {started.name}")
    if code is ExitCode.APPROVAL_WANTING:
        tell(f"To approve it: batch-assets approve {started.name}")
    context.exit(code)


def _sent(declared: Declared, started: "Started", keys: list[str]) -> TransientError | None:
    """Prepare and submit; what stood in the way, where a later try may find it otherwise."""
    from batch_assets.stages.lease import held
    from batch_assets.stages.preview import prepared
    from batch_assets.stages.submit import submit
    from batch_assets.started import keep_started

    deployment, recipe = declared.deployment, declared.recipe
    trouble = None
    with about_rows(started):
        manifests = [prepared(deployment, recipe, key) for key in keys]
        # Before anything is sent: whoever goes on with it asks the same.
        keep_started(deployment.files, started)
    tell(f"Started as {started.name}; to go on with it: --run-id {started.name}")
    with held(deployment.ledger, started.name, keys, holder=deployment.owner):
        for manifest in manifests:
            try:
                submit(deployment, recipe, manifest)
            except TransientError as error:
                trouble = error
                tell(f"It is tried again: {error.message}")
    return trouble


def _watched(
    place: Place,
    declared: Declared,
    keys: list[str],
    is_waiting: bool,
    timeout: float | None,
    every: float | None,
) -> Looked:
    """How the partitions stand, after a wait where one is asked for."""
    import time

    from batch_assets.resources.deployments import poll_seconds

    deployment, name = declared.deployment, declared.recipe.inference
    if not is_waiting:
        return Watch(deployment.ledger, name, keys).look()
    pause = timedelta(seconds=every or poll_seconds(place.environment))
    watch = Watch(deployment.ledger, name, keys, declared=declared, every=pause)
    with shown() as show:
        return watch.until_over(show, timeout=timeout, sleep=time.sleep, clock=time.monotonic)


def _row(declared: Declared, seen: Seen) -> StartedPartition:
    from batch_assets.files.layout import results_path

    files, standing = declared.deployment.files, seen.standing
    request_set = standing.request_set
    is_resolved = seen.fate is Fate.RESOLVED
    where = (request_set.inference, request_set.partition_key)
    return StartedPartition(
        inference=request_set.inference,
        partition=request_set.partition_key,
        request_set=request_set.digest,
        fate=seen.fate,
        state=standing.state,
        requests=standing.requests,
        completed=standing.completed,
        failed=standing.failed,
        planned_batches=standing.batches.planned,
        open_batches=standing.batches.open,
        collected_batches=standing.batches.collected,
        outcomes=outcomes_of(files, *where) if is_resolved else {},
        results=files.url(results_path(*where)) if is_resolved else None,
        why=seen.why,
    )


def _line(row: StartedPartition) -> _Line:
    return _Line(
        inference=row.inference,
        fate=row.fate,
        requests=row.requests,
        completed=row.completed,
        failed=row.failed,
        outcomes=", ".join(f"{count:,} {outcome}" for outcome, count in row.outcomes.items()),
        why=row.why,
    )


def _exit_code(rows: list[StartedPartition], *, is_waiting: bool) -> ExitCode:
    """As `wait` ends; what was sent and not waited for is well."""
    fates = {row.fate for row in rows}
    if is_waiting and Fate.PENDING in fates:
        return ExitCode.TIMEOUT
    if Fate.APPROVAL in fates:
        return ExitCode.APPROVAL_WANTING
    is_ok = all(set(row.outcomes) <= {Outcome.OK} for row in rows)
    return ExitCode.PARTIAL if Fate.STOPPED in fates or not is_ok else ExitCode.OK


class _Terminated(KeyboardInterrupt):
    """The process was told to end."""


@contextmanager
def _told_how_to_go_on(context: click.Context, started: "Started") -> Iterator[None]:
    """Ends the command in order where a signal stops it, and says how to go on."""

    def terminate(*_: Any) -> None:
        raise _Terminated

    # Dagster has it interrupt, once it makes resources (1.13, _utils/interrupts.py).
    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    except KeyboardInterrupt as stop:
        number = signal.SIGTERM if isinstance(stop, _Terminated) else signal.SIGINT
        tell(
            "Stopped; nothing is lost, and what is at the provider goes on. To go on, give the "
            f"same command with --run-id {started.name}"
        )
        context.exit(_SIGNALLED + number)
    finally:
        signal.signal(signal.SIGTERM, before)
