"""The bundles of an inference's results, copied to a folder."""

from typing import TYPE_CHECKING

import click

from batch_assets.cli.exit_codes import ExitCode, NotFound
from batch_assets.cli.place import Place, at_place
from batch_assets.cli.render import Row, emit, schema_of, tell, with_output
from batch_assets.cli.scopes import check_inference

if TYPE_CHECKING:
    from batch_assets.domain.batch import RequestSet
    from batch_assets.files import Files
    from batch_assets.ledger import Ledger

SCHEMA = schema_of("export-artifacts", 1)


class Exported(Row, frozen=True, kw_only=True):
    """A partition's bundle, and where it was copied to."""

    inference: str
    partition: str
    #: Null where there is none.
    folder: str | None
    files: int
    bytes: int
    #: False where the same bundle was there already.
    is_new: bool
    #: Why there is none.
    refused: str | None


_COLUMNS = ("partition", "folder", "files", "bytes", "is_new", "refused")


@click.command("export-artifacts")
@click.argument("inference")
@click.option(
    "--to",
    "folder",
    required=True,
    metavar="FOLDER",
    help="A folder or bucket URL; each partition gets a folder in it.",
)
@click.option(
    "--partition", "partitions", multiple=True, help="Only this partition; may be repeated."
)
@with_output
@at_place
@click.pass_context
def export_artifacts(
    context: click.Context,
    place: Place,
    inference: str,
    folder: str,
    partitions: tuple[str, ...],
    output: str,
) -> None:
    """Copy each partition's bundle: results, requests, raw outputs, and their checksums.

    A bundle never changes, so one that is there already is left as it is. The bundle is kept in
    the store, too: what it has may be pruned there.

    Example: batch-assets export-artifacts glosses --to /mnt/archive
    """
    from batch_assets.files import Files

    files, target = place.files(), Files(folder)
    with place.open_ledger() as ledger:
        check_inference(ledger, inference)
        for key in partitions:
            check_inference(ledger, inference, key)
        found = [
            each
            for each in ledger.request_sets.current_ones(inference)
            if not partitions or each.partition_key in partitions
        ]
        if all(each.resolved_at is None for each in found):
            raise NotFound(
                f"{inference} has no results to export yet: `batch-assets wait {inference}`"
            )
        rows = [_exported(ledger, files, target, each) for each in found]
    emit(output, SCHEMA, rows, _COLUMNS)
    refused = sum(row.refused is not None for row in rows)
    if refused:
        tell(f"{refused:,} of {len(rows):,} partitions were not exported")
        context.exit(ExitCode.PARTIAL if refused < len(rows) else ExitCode.FAILED)


def _exported(
    ledger: "Ledger", files: "Files", target: "Files", request_set: "RequestSet"
) -> Exported:
    from batch_assets.domain.errors import BatchAssetsError
    from batch_assets.files.layout import file_name
    from batch_assets.stages.export import copy_bundle, make_bundle

    inference, key = request_set.inference, request_set.partition_key

    def row(**found: object) -> Exported:
        facts = {"folder": None, "files": 0, "bytes": 0, "is_new": False, "refused": None, **found}
        return Exported(inference=inference, partition=key, **facts)  # type: ignore[arg-type]

    if request_set.resolved_at is None:
        return row(refused="it has no results yet")
    try:
        made, bundle = make_bundle(ledger, files, request_set)
        name = f"{inference}/{file_name(key)}/{made.rpartition('/')[2]}"
        is_new = copy_bundle(files, made, bundle, target, name)
    except BatchAssetsError as error:
        return row(refused=error.message)
    return row(folder=target.url(name), files=len(bundle.files), bytes=bundle.bytes, is_new=is_new)
