"""How the partitions of inferences stand."""

import click
from click.core import ParameterSource

from batch_assets.cli.completion import inferences
from batch_assets.cli.declared import ledger_at, with_declaration
from batch_assets.cli.exit_codes import ExitCode, NotFound
from batch_assets.cli.place import Place, at_place
from batch_assets.cli.render import Row, emit, schema_of, with_output

SCHEMA = schema_of("status", 1)


class PartitionStatus(Row, frozen=True, kw_only=True):
    """One partition of an inference, as the ledger knows it."""

    inference: str
    partition: str
    #: waiting, open, ended, collected, stopped, held, cancelled or resolved.
    state: str
    wave: int
    #: Requests of the wave on its way, and how many of them the provider has finished and failed.
    requests: int
    completed: int
    failed: int
    #: Batches of the wave on its way, by where they stand.
    planned_batches: int
    open_batches: int
    collected_batches: int
    refused_batches: int
    #: When the request set was submitted first: ISO 8601, UTC.
    since: str
    request_set: str


_COLUMNS = (
    "inference",
    "partition",
    "state",
    "wave",
    "requests",
    "completed",
    "failed",
    "planned_batches",
    "open_batches",
    "refused_batches",
    "since",
)


@click.command()
@click.argument("inference", shell_complete=inferences, required=False)
@click.option("--partition", help="Only this partition.")
@click.option("--open", "is_open", is_flag=True, help="Only partitions that wait for results.")
@click.option(
    "--refresh",
    "is_refreshed",
    is_flag=True,
    help="First ask the provider, collect, resolve, and send what waits, once, as `wait` does.",
)
@with_declaration
@with_output
@at_place
@click.pass_context
def status(
    context: click.Context,
    place: Place,
    inference: str | None,
    partition: str | None,
    is_open: bool,
    is_refreshed: bool,
    module: str | None,
    output: str,
) -> None:
    """Show how the partitions of an inference, or of all, stand.

    Reads the ledger alone, and changes nothing. With --refresh it first takes forward what is open,
    where it knows how that is declared; it ends with 6 then where a provider could not be asked,
    with 4 where something is stopped or is left to its sensor.

    Example: batch-assets status glosses --open
    """
    code = ExitCode.OK
    if not is_refreshed:
        if context.get_parameter_source("module") is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"-m {module} is for --refresh: give that, or leave -m out")
        module = None  # the environment may name one, which takes seconds to load
    else:
        from batch_assets.cli.refresh import refresh

        partitions = () if partition is None else (partition,)
        code = refresh(place, inference, partitions, module)
    with ledger_at(place, module) as ledger:
        found = ledger.standing.of(inference, partition_key=partition, only_open=is_open)
        if not found and inference is not None and not is_open:
            what = inference if partition is None else f"partition {partition} of {inference}"
            known = ", ".join(ledger.standing.inferences()) or "none"
            raise NotFound(f"the ledger has no {what}; inferences it has: {known}")
    rows = [
        PartitionStatus(
            inference=each.request_set.inference,
            partition=each.request_set.partition_key,
            state=each.state,
            wave=each.request_set.wave,
            requests=each.requests,
            completed=each.completed,
            failed=each.failed,
            planned_batches=each.batches.planned,
            open_batches=each.batches.open,
            collected_batches=each.batches.ended + each.batches.collected,
            refused_batches=each.batches.stopped,
            since=each.request_set.created_at.isoformat(timespec="seconds"),
            request_set=each.request_set.digest,
        )
        for each in found
    ]
    emit(output, SCHEMA, rows, _COLUMNS, nothing="no partitions")
    context.exit(code)
