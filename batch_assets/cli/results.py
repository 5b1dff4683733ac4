"""The results of an inference, as a file or as lines on stdout."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from batch_assets.cli.completion import inferences
from batch_assets.cli.declared import Declared, declared_at, with_declaration
from batch_assets.cli.exit_codes import ExitCode, NotFound
from batch_assets.cli.place import Place, at_place
from batch_assets.cli.render import tell
from batch_assets.cli.scopes import check_inference
from batch_assets.domain.errors import ArtifactError

if TYPE_CHECKING:
    import pyarrow as pa

    from batch_assets.files import Files
    from batch_assets.ledger import Ledger

#: Partitions that a message names.
_NAMED = 10


@click.command()
@click.argument("inference", shell_complete=inferences)
@click.option(
    "--partition", "partitions", multiple=True, help="Only this partition; may be repeated."
)
@click.option(
    "--output",
    "file",
    metavar="FILE",
    help="Where to write them, a path or URL; its ending says the format: .parquet, .csv, .tsv or "
    ".jsonl, the texts also with .gz, .zst, .bz2 or .lz4. Left out, JSON lines on stdout.",
)
@click.option("--overwrite", is_flag=True, help="Replace the file where there is one.")
@click.option(
    "--append",
    is_flag=True,
    help="Add to a .jsonl file what it does not have yet; it says itself how far it goes.",
)
@click.option(
    "--after-sequence",
    type=click.IntRange(min=0),
    metavar="N",
    help="What is final behind this number, of open partitions too; 0 is before the first. Each "
    "row has its `sequence`: go on with the last one.",
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most so many.")
@with_declaration
@at_place
@click.pass_context
def results(
    context: click.Context,
    place: Place,
    inference: str,
    partitions: tuple[str, ...],
    file: str | None,
    *,
    overwrite: bool,
    append: bool,
    after_sequence: int | None,
    limit: int | None,
    module: str | None,
) -> None:
    """Write the results, or, before the end, what is final of them.

    Of partitions that are done; with --after-sequence or --append, of open ones too.

    Example: batch-assets results glosses --output glosses.csv.gz
    """
    _check(file, overwrite=overwrite, append=append, after_sequence=after_sequence)
    if after_sequence is None and not append:
        with ExitStack() as stack:
            ledger, files = _stores(stack, place, inference, module)
            done, lacking = _chosen(ledger, inference, partitions)
            _write(_stored(files, inference, done, limit), file, overwrite=overwrite)
        if lacking:
            names = ", ".join(lacking[:_NAMED]) + (", …" if len(lacking) > _NAMED else "")
            tell(
                f"{len(lacking):,} partitions have no results yet: {names}. --after-sequence 0 has "
                "what is final of them"
            )
            context.exit(ExitCode.PARTIAL)
        return
    with declared_at(place, inference, module, owner="results (command line)") as declared:
        for key in partitions or ("",):
            check_inference(declared.deployment.ledger, inference, key or None)
        if append:
            from batch_assets.stages.read import append_results

            rows = append_results(
                declared.deployment,
                declared.recipe,
                Path(str(file)),
                partition_keys=partitions or None,
                limit=limit,
            )
            tell(f"{rows:,} results appended to {file}")
            return
        reader = _final(declared, partitions, after_sequence or 0, limit)
        _write(reader, file, overwrite=overwrite)


def _check(file: str | None, *, overwrite: bool, append: bool, after_sequence: int | None) -> None:
    if file is None and (overwrite or append):
        raise click.UsageError("--append and --overwrite are about a file: name it with --output")
    if append and overwrite:
        raise click.UsageError("--append keeps what --overwrite replaces: give one of them")
    if append and after_sequence is not None:
        raise click.UsageError(
            "with --append the file itself says how far it goes: leave out --after-sequence"
        )
    if append and not str(file).endswith((".jsonl", ".ndjson")):
        raise click.UsageError(f"--append adds lines to a .jsonl file, and {file} is none")


def _stores(
    stack: ExitStack, place: Place, inference: str, module: str | None
) -> tuple["Ledger", "Files"]:
    """The ledger and the store of the place, or of the code location that is named."""
    if module is None:
        return stack.enter_context(place.open_ledger()), place.files()
    deployment = stack.enter_context(
        declared_at(place, inference, module, owner="results (command line)")
    ).deployment
    return deployment.ledger, deployment.files


def _chosen(
    ledger: "Ledger", inference: str, partitions: Sequence[str]
) -> tuple[list[str], list[str]]:
    """The partitions that have their results, and those that have none. Raises NotFound."""
    for key in partitions or ("",):
        check_inference(ledger, inference, key or None)
    found = ledger.request_sets.current_ones(inference)
    wanted = [each for each in found if not partitions or each.partition_key in partitions]
    done = [each.partition_key for each in wanted if each.resolved_at is not None]
    lacking = [each.partition_key for each in wanted if each.resolved_at is None]
    if not done:
        raise NotFound(
            f"{inference} has no results yet of {', '.join(lacking[:_NAMED])}: `batch-assets wait "
            f"{inference}`, or read what is final of them with --after-sequence 0"
        )
    return done, lacking


def _stored(
    files: "Files", inference: str, partitions: Sequence[str], limit: int | None
) -> "pa.RecordBatchReader":
    from batch_assets.stages.tables import stored_results

    return _limited(stored_results(files, inference, partitions), limit)


def _final(
    declared: Declared, partitions: Sequence[str], after_sequence: int, limit: int | None
) -> "pa.RecordBatchReader":
    import pyarrow as pa

    from batch_assets.stages.read import result_pages, sequenced_schema

    pages = result_pages(
        declared.deployment,
        declared.recipe,
        partition_keys=partitions or None,
        after_sequence=after_sequence,
        limit=limit,
    )
    batches = (batch for page in pages for batch in page.to_batches())
    return pa.RecordBatchReader.from_batches(sequenced_schema(declared.recipe), batches)


def _limited(reader: "pa.RecordBatchReader", limit: int | None) -> "pa.RecordBatchReader":
    import pyarrow as pa

    if limit is None:
        return reader

    def first_rows() -> Iterator[pa.RecordBatch]:
        left = limit
        for rows in reader:
            yield rows.slice(0, left)
            left -= rows.num_rows
            if left <= 0:
                return

    return pa.RecordBatchReader.from_batches(reader.schema, first_rows())


def _write(reader: "pa.RecordBatchReader", file: str | None, *, overwrite: bool) -> None:
    if file is not None:
        from batch_assets.stages.written import write_results

        try:
            rows = write_results(reader, file, overwrite=overwrite)
        except ArtifactError as error:
            said = error.message.replace("say overwrite=True", "give --overwrite")
            raise ArtifactError(said) from error
        tell(f"{rows:,} results written to {file}")
        return
    from batch_assets.stages.text_rows import JsonLines

    lines = JsonLines(sys.stdout.buffer)
    for rows in reader:
        lines.write(rows)
    sys.stdout.flush()
