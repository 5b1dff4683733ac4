"""The bundles of an inference's results, copied to a folder."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from batch_assets.cli.completion import inferences
from batch_assets.cli.declared import kept_at, with_declaration
from batch_assets.cli.exit_codes import ExitCode, NotFound
from batch_assets.cli.place import Place, at_place
from batch_assets.cli.render import Row, emit, schema_of, tell, with_output
from batch_assets.cli.scopes import check_inference

if TYPE_CHECKING:
    from batch_assets.domain.batch import RequestSet
    from batch_assets.files import Files
    from batch_assets.inference import Inference
    from batch_assets.ledger import Ledger
    from batch_assets.stages.export import Bundle
    from batch_assets.stages.recipe import Recipe

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
@click.argument("inference", shell_complete=inferences)
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
@with_declaration
@with_output
@at_place
@click.pass_context
def export_artifacts(
    context: click.Context,
    place: Place,
    inference: str,
    folder: str,
    partitions: tuple[str, ...],
    module: str | None,
    output: str,
) -> None:
    """Copy each partition's bundle: results, requests, raw outputs, and their checksums.

    A bundle never changes, so one that is there already is left as it is. The bundle is kept in
    the store, too: what it has may be pruned there. As in Dagster, the checks that block are made
    of the results first: a partition that does not pass is not exported. Where nothing says how the
    inference is declared, only bundles that were made before are copied.

    Example: batch-assets export-artifacts glosses --to /mnt/archive
    """
    from batch_assets.files import Files

    target = Files(folder)
    with kept_at(place, inference, module) as (ledger, files, declared):
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
        source = _Source(ledger, files, declared)
        rows = [_exported(source, target, each) for each in found]
    emit(output, SCHEMA, rows, _COLUMNS)
    refused = sum(row.refused is not None for row in rows)
    if refused:
        tell(f"{refused:,} of {len(rows):,} partitions were not exported")
        context.exit(ExitCode.PARTIAL if refused < len(rows) else ExitCode.FAILED)


class _Source:
    """Where bundles come from: the store, and what stands before them."""

    def __init__(self, ledger: "Ledger", files: "Files", declared: "Inference | None") -> None:
        self.files = files
        self._ledger = ledger
        self._examination = None
        if declared is not None:
            from batch_assets.stages.quality import Examination

            recipe = declared.recipe()
            self._examination = Examination(ledger, files, recipe, lambda: _keys(recipe, ledger))

    def bundle(self, request_set: "RequestSet") -> tuple[str, "Bundle"]:
        """The folder and the manifest of resolved results.

        Raises BlockedByChecks as the collecting run in Dagster does, DeclarationError where nobody
        can say what blocks a bundle that is still to be made.
        """
        from batch_assets.domain.errors import DeclarationError
        from batch_assets.stages.export import found_bundle, make_bundle

        if self._examination is None:
            made = found_bundle(self.files, request_set)
            if made is None:
                raise DeclarationError(
                    "nothing here says which checks stand before its bundle: name its code "
                    "location with -m, or materialize its bundle"
                )
            return made
        from batch_assets.checks import blocked

        evaluations = self._examination.of(request_set.partition_key)
        why = blocked(evaluations, ask_again=f"{request_set.inference}_ask_again")
        if why is not None:
            raise why
        return make_bundle(self._ledger, self.files, request_set)


def _keys(recipe: "Recipe", ledger: "Ledger") -> Sequence[str]:
    """All partitions, in the order in which a check compares each with the one before."""
    from batch_assets.domain.errors import CorpusError

    try:
        return recipe.corpus.partition_keys()
    except CorpusError:  # its files are gone, or Dagster alone knows them
        return [each.partition_key for each in ledger.request_sets.current_ones(recipe.inference)]


def _exported(source: _Source, target: "Files", request_set: "RequestSet") -> Exported:
    from batch_assets.domain.errors import BatchAssetsError
    from batch_assets.files.layout import file_name
    from batch_assets.stages.export import copy_bundle

    inference, key = request_set.inference, request_set.partition_key

    def row(**found: object) -> Exported:
        facts = {"folder": None, "files": 0, "bytes": 0, "is_new": False, "refused": None, **found}
        return Exported(inference=inference, partition=key, **facts)  # type: ignore[arg-type]

    if request_set.resolved_at is None:
        return row(refused="it has no results yet")
    try:
        made, bundle = source.bundle(request_set)
        name = f"{inference}/{file_name(key)}/{made.rpartition('/')[2]}"
        is_new = copy_bundle(source.files, made, bundle, target, name)
    except BatchAssetsError as error:
        return row(refused=error.message)
    return row(folder=target.url(name), files=len(bundle.files), bytes=bundle.bytes, is_new=is_new)
