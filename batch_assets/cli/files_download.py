"""A file at a provider, as a file here."""

from contextlib import suppress

import click

from batch_assets.cli.batches_bring import check_target, with_target
from batch_assets.cli.chosen import Asked, Chosen, chosen, with_provider
from batch_assets.cli.exit_codes import NotFound
from batch_assets.cli.place import at_place
from batch_assets.cli.render import Row, emit, schema_of, tell, with_output
from batch_assets.cli.verdicts import ok_line
from batch_assets.domain.errors import RequestRefused

SCHEMA = schema_of("files-download", 1)


class DownloadedFile(Row, frozen=True, kw_only=True):
    """A file that was written."""

    id: str
    path: str
    lines: int
    bytes: int


@click.command()
@click.argument("file_id", metavar="ID")
@with_target
@with_output
@at_place
@with_provider
def download(
    asked: Asked, file_id: str, output_file: str | None, overwrite: bool, output: str
) -> None:
    """Write a file of the provider's to a file here, as it is.

    What a batch answered is brought by the batch's own id: `batch-assets batches download`. Gemini
    gives back no file that was uploaded.

    Example: batch-assets files download file-6903a1 --output-file requests.jsonl
    """
    from batch_assets.files.layout import file_name
    from batch_assets.stages.direct.bring import STDOUT, bring_file

    check_target(output_file, output)
    path = output_file or f"{file_name(file_id)}.jsonl"
    with chosen(asked) as asking:
        try:
            brought = bring_file(asking.provider, file_id, path, overwrite=overwrite)
        except RequestRefused as error:
            _check_there(asking, file_id, error)
            raise
    if path == STDOUT:
        tell(f"{file_id}: {brought.lines:,} lines")
        return
    row = DownloadedFile(id=file_id, path=path, lines=brought.lines, bytes=brought.bytes)
    if output == "table":
        click.echo(ok_line(file_id, f"{path} ({row.lines:,} lines, {row.bytes:,} bytes)"))
    else:
        emit(output, SCHEMA, [row])


def _check_there(asking: Chosen, file_id: str, refusal: RequestRefused) -> None:
    """Raise NotFound where the provider's list of files does not have it."""
    from batch_assets.stages.direct.look import files_at

    with suppress(RequestRefused):
        if not files_at(asking.provider, [file_id]):
            raise NotFound(f"{asking.name} has no file {file_id}") from refusal
