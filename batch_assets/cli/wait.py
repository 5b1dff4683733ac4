"""Wait for the results of an inference's partitions."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from batch_assets.cli.completion import inferences
from batch_assets.cli.declared import Declared, declared_at, own_name, with_declaration
from batch_assets.cli.exit_codes import ExitCode
from batch_assets.cli.place import Place, at_place
from batch_assets.cli.render import Row, emit, schema_of, tell, with_output
from batch_assets.cli.scopes import check_inference
from batch_assets.cli.watch import Fate, Looked, Seen, Watch
from batch_assets.domain.errors import DeclarationError
from batch_assets.domain.outcome import Outcome

if TYPE_CHECKING:
    from batch_assets.files import Files

SCHEMA = schema_of("wait", 1)

#: What a shell says of a program that was interrupted: 128 and the number of SIGINT.
INTERRUPTED = 130


class Waited(Row, frozen=True, kw_only=True):
    """A partition as it stood when the waiting ended."""

    inference: str
    partition: str
    #: pending, resolved, stopped or approval.
    fate: str
    #: As `status` says it.
    state: str
    #: Items with a result, and how many of them are ok; 0 where there are no results yet.
    items: int
    ok: int
    #: Why it is not done; empty where there is nothing to say.
    why: str


_COLUMNS = ("partition", "fate", "state", "items", "ok", "why")


@click.command()
@click.argument("inference", shell_complete=inferences)
@click.option(
    "--partition", "partitions", multiple=True, help="Only this partition; may be repeated."
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Wait no longer; 0 looks once. Left out, it waits as long as it takes.",
)
@click.option(
    "--every",
    type=click.FloatRange(min=0.1),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="How often it looks.",
)
@click.option(
    "--refresh/--no-refresh",
    default=None,
    help="Whether it also asks the provider, collects, resolves, and sends what waits. Left out, "
    "it does where it knows how the inference is declared; else the sensor does, and it watches.",
)
@with_declaration
@with_output
@at_place
@click.pass_context
def wait(
    context: click.Context,
    place: Place,
    inference: str,
    partitions: tuple[str, ...],
    timeout: float | None,
    every: float,
    refresh: bool | None,
    module: str | None,
    output: str,
) -> None:
    """Wait until all results are there, or nothing more comes by itself.

    Ends with 0 where every item is ok, 4 where some failed or are stopped, 5 where an approval is
    wanting, 7 when the time is over. Stop it whenever you like: nothing is lost.

    Example: batch-assets wait glosses --timeout 3600
    """
    with ExitStack() as stack:
        declared = stack.enter_context(_declared(place, inference, module, refresh))
        if declared is None:
            ledger, files = stack.enter_context(place.open_ledger()), place.files()
        else:
            ledger, files = declared.deployment.ledger, declared.deployment.files
        check_inference(ledger, inference)
        for key in partitions:
            check_inference(ledger, inference, key)
        watch = Watch(
            ledger, inference, partitions, declared=declared, every=timedelta(seconds=every)
        )
        if declared is None and refresh is None:
            tell(
                f"Only watching: nothing here says how {inference} is declared, so its sensor must "
                "be on; with -m and its code location this command asks the provider itself."
            )
        try:
            with shown() as show:
                looked = watch.until_over(
                    show, timeout=timeout, sleep=time.sleep, clock=time.monotonic
                )
        except KeyboardInterrupt:
            tell(
                "Stopped waiting; nothing is lost, and what is at the provider goes on. To wait "
                f"again: batch-assets wait {inference}"
            )
            context.exit(INTERRUPTED)
        rows = [_row(files, inference, each) for each in looked.partitions]
    emit(output, SCHEMA, rows, _COLUMNS)
    code = exit_code(looked, rows)
    if code is ExitCode.TIMEOUT:
        tell(f"The time is over. To wait again: batch-assets wait {inference}")
    if code is ExitCode.APPROVAL_WANTING:
        tell(f"To see what waits for approval: batch-assets approve {inference} --dry-run")
    context.exit(code)


@contextmanager
def _declared(
    place: Place, inference: str, module: str | None, refresh: bool | None
) -> Iterator[Declared | None]:
    if refresh is False:
        yield None
        return
    with ExitStack() as stack:
        declared = None
        try:
            declared = stack.enter_context(
                declared_at(place, inference, module, owner=own_name("wait"))
            )
        except DeclarationError:
            if refresh or module is not None:
                raise
        yield declared


@contextmanager
def shown() -> Iterator[Callable[[Looked], None]]:
    """What shows each look on stderr: a bar for a person, a line for each change in a log."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines().show
        return
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.fields[name]}", markup=False),
        BarColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", name="", total=None)
        told: set[str] = set()

        def show(looked: Looked) -> None:
            progress.update(
                task,
                name=looked.inference,
                description=f"{looked}, {looked.time}",
                total=max(looked.requests, 1),
                completed=looked.done,
            )
            for said in notes_on(looked):
                if said not in told:
                    told.add(said)
                    console.print(said, markup=False, highlight=False)

        yield show


class _Lines:
    """Says each change on a line of its own."""

    def __init__(self) -> None:
        self._said = ""
        self._told: set[str] = set()

    def show(self, looked: Looked) -> None:
        if str(looked) != self._said:
            self._said = str(looked)
            tell(f"{looked.at:%H:%M:%S} {looked.inference}: {looked}, {looked.time}")
        for said in notes_on(looked):
            if said not in self._told:
                self._told.add(said)
                tell(said)


#: Partitions whose reasons are told while it waits.
_MOST_NOTES = 5


def notes_on(looked: Looked) -> list[str]:
    """What keeps partitions waiting, and what went wrong, each said once."""
    waiting = [
        f"{each.partition_key}: {each.why}"
        for each in looked.partitions
        if each.why and each.fate is Fate.PENDING
    ]
    return [*waiting[:_MOST_NOTES], *(f"tried again: {said}" for said in looked.troubles)]


def exit_code(looked: Looked, rows: Sequence[Waited]) -> ExitCode:
    """How a command ends that waited for this."""
    fates = looked.fates
    if fates[Fate.PENDING]:
        return ExitCode.TIMEOUT
    if fates[Fate.APPROVAL]:
        return ExitCode.APPROVAL_WANTING
    if fates[Fate.STOPPED] or any(row.ok < row.items for row in rows):
        return ExitCode.PARTIAL
    return ExitCode.OK


def _row(files: "Files", inference: str, seen: Seen) -> Waited:
    outcomes = {}
    if seen.fate is Fate.RESOLVED:
        outcomes = outcomes_of(files, inference, seen.partition_key)
    return Waited(
        inference=inference,
        partition=seen.partition_key,
        fate=seen.fate,
        state=seen.standing.state,
        items=sum(outcomes.values()),
        ok=outcomes.get(Outcome.OK, 0),
        why=seen.why,
    )


def outcomes_of(files: "Files", inference: str, partition_key: str) -> dict[str, int]:
    """How many items of a resolved partition ended in which outcome."""
    from collections import Counter

    from batch_assets.files.layout import results_path
    from batch_assets.files.parquet import stream_parquet
    from batch_assets.stages.counts import outcomes_in

    found: Counter[str] = Counter()
    path = results_path(inference, partition_key)
    for rows in stream_parquet(files, path, columns=["outcome"]):
        found += outcomes_in(rows)
    return found
