"""What a provider returned for a batch, as files here."""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from batch_assets.cli.batches import found_at
from batch_assets.cli.chosen import Asked, chosen, with_provider
from batch_assets.cli.exit_codes import NotFound
from batch_assets.cli.place import at_place
from batch_assets.cli.render import Row, emit, schema_of, tell, with_output
from batch_assets.cli.verdicts import ok_line

if TYPE_CHECKING:
    from batch_assets.stages.direct.bring import Brought

SCHEMA = schema_of("batches-download", 1)


class Downloaded(Row, frozen=True, kw_only=True):
    """A file that was written."""

    id: str
    #: The provider's own word for how the batch stands.
    status: str
    #: output or errors.
    what: str
    path: str
    lines: int
    bytes: int


def with_target(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command the options that say where lines go, as `output_file` and `overwrite`."""

    @click.option(
        "--output-file",
        metavar="FILE",
        help="Where the lines go; - is standard output. Left out, a file here with the id's name.",
    )
    @click.option("--overwrite", is_flag=True, help="In place of a file that is there.")
    @wraps(command)
    def aiming(*given: Any, **named: Any) -> Any:
        return command(*given, **named)

    return aiming


def check_target(output_file: str | None, output: str) -> None:
    """Raise UsageError where lines and an answer would both go to standard output."""
    from batch_assets.stages.direct.bring import STDOUT

    if output_file == STDOUT and output != "table":
        raise click.UsageError("--output-file - and -o both want standard output: leave one out")


@click.command()
@click.argument("batch_id", metavar="ID")
@with_target
@with_output
@at_place
@with_provider
def download(
    asked: Asked, batch_id: str, output_file: str | None, overwrite: bool, output: str
) -> None:
    """Write what a batch answered to a file, as the provider has it.

    Of an expired or cancelled batch, too: what it answered until then. Anthropic and Gemini have
    the errors among the answers.

    Example: batch-assets batches download batch_6903a1 --output-file answers.jsonl
    """
    from batch_assets.stages.direct.bring import bring_output

    _bring(asked, batch_id, "output", output_file, overwrite, output, bring_output)


@click.command()
@click.argument("batch_id", metavar="ID")
@with_target
@with_output
@at_place
@with_provider
def errors(
    asked: Asked, batch_id: str, output_file: str | None, overwrite: bool, output: str
) -> None:
    """Write the lines of a batch's requests that failed to a file.

    They are its error file, or where the provider has none, those of its answers that are errors.
    Where none failed it ends with the code 3, and writes nothing.

    Example: batch-assets batches errors batch_6903a1 --output-file -
    """
    from batch_assets.stages.direct.bring import bring_errors

    _bring(asked, batch_id, "errors", output_file, overwrite, output, bring_errors)


def _bring(
    asked: Asked,
    batch_id: str,
    what: str,
    output_file: str | None,
    overwrite: bool,
    output: str,
    bring: "Callable[..., Brought]",
) -> None:
    from batch_assets.files.layout import file_name
    from batch_assets.stages.direct.bring import STDOUT, NothingThere

    check_target(output_file, output)
    with chosen(asked) as asking:
        batch = found_at(asking, batch_id)
        path = output_file or f"{file_name(batch.id)}-{what}.jsonl"
        try:
            brought = bring(asking.provider, batch, path, overwrite=overwrite)
        except NothingThere as error:
            raise NotFound(error.message) from error
    if path == STDOUT:
        tell(f"{batch.id} is {batch.status}: {brought.lines:,} lines")
        return
    row = Downloaded(
        id=batch.id,
        status=batch.status,
        what=what,
        path=path,
        lines=brought.lines,
        bytes=brought.bytes,
    )
    if output == "table":
        click.echo(ok_line(batch.id, f"{path} ({row.lines:,} lines, {row.bytes:,} bytes)"))
    else:
        emit(output, SCHEMA, [row])
