"""How the partitions of inferences stand."""

import click

from batch_assets.cli.completion import inferences
from batch_assets.cli.exit_codes import NotFound
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
@with_output
@at_place
def status(
    place: Place, inference: str | None, partition: str | None, is_open: bool, output: str
) -> None:
    """Show how the partitions of an inference, or of all, stand.

    Reads the ledger alone: nobody is asked, and nothing is changed.

    Example: batch-assets status glosses --open
    """
    with place.open_ledger() as ledger:
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
