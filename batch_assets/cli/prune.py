"""What may be removed from the store, and its removal."""

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from batch_assets.cli.age import age
from batch_assets.cli.completion import inferences
from batch_assets.cli.person import given_by
from batch_assets.cli.place import Place, at_place
from batch_assets.cli.render import Row, emit, schema_of, tell, with_output
from batch_assets.cli.scopes import check_inference

if TYPE_CHECKING:
    from batch_assets.stages.prune import Prunable

SCHEMA = schema_of("prune-artifacts", 1)


class Pruned(Row, frozen=True, kw_only=True):
    """What of one request set goes, or would go."""

    inference: str
    partition: str
    request_set: str
    #: False where it was only shown.
    removed: bool
    files: int
    bytes: int
    #: Requests whose answers no later request set can carry over any more: they are paid for again.
    answers_lost_to_reuse: int
    #: Why something of it stays; empty where nothing has to.
    kept_since: str
    paths: list[str]


_COLUMNS = ("partition", "request_set", "removed", "files", "bytes", "kept_since")


@click.command("prune-artifacts")
@click.argument("inference", shell_complete=inferences)
@click.option(
    "--partition", "partitions", multiple=True, help="Only this partition; may be repeated."
)
@click.option(
    "--older-than", callback=age, metavar="AGE", help="Only what ended so long ago: 30d, 12h, 2w."
)
@click.option(
    "--include-raw-output-artifacts",
    "include_raw",
    is_flag=True,
    help="Also what the provider returned, of exported partitions: changed rows or prompts then "
    "cannot carry these answers over, and buy them again.",
)
@click.option("--dry-run", is_flag=True, help="Show what would go; remove nothing.")
@given_by
@with_output
@at_place
def prune_artifacts(
    place: Place,
    inference: str,
    partitions: tuple[str, ...],
    older_than: timedelta | None,
    *,
    include_raw: bool,
    dry_run: bool,
    by: str,
    output: str,
) -> None:
    """Remove request files, and raw outputs where asked for, that a bundle has anyway.

    Results, bundles, item indexes and the ledger stay. What is on its way, or not exported, keeps
    everything.

    Example: batch-assets prune-artifacts glosses --older-than 30d --dry-run
    """
    from batch_assets.stages.prune import prunable, prune

    files = place.files()
    rows: list[Pruned] = []
    with place.open_ledger() as ledger:
        check_inference(ledger, inference)
        for key in partitions:
            check_inference(ledger, inference, key)
        for found in prunable(
            ledger,
            files,
            inference,
            partition_keys=partitions,
            older_than=older_than or timedelta(),
            include_raw_outputs=include_raw,
        ):
            if found.files and not dry_run:
                prune(files, found, by=by, now=ledger.clock())
            rows.append(_row(found, removed=bool(found.files) and not dry_run))
    emit(output, SCHEMA, rows, _COLUMNS)
    count, size = sum(row.files for row in rows), sum(row.bytes for row in rows)
    tell(f"{count:,} files, {size:,} bytes {'would go' if dry_run else 'removed'}")
    lost = sum(row.answers_lost_to_reuse for row in rows)
    if lost:
        tell(
            f"{lost:,} answers {'would' if dry_run else 'can'} not be carried over any more: where "
            "rows or prompts change, they are asked and paid for again"
        )


def _row(found: "Prunable", *, removed: bool) -> Pruned:
    request_set = found.request_set
    return Pruned(
        inference=request_set.inference,
        partition=request_set.partition_key,
        request_set=request_set.digest,
        removed=removed,
        files=len(found.files),
        bytes=found.bytes,
        answers_lost_to_reuse=found.requests_lost,
        kept_since=found.kept_since,
        paths=[file.path for file in found.files],
    )
