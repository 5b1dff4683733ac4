"""What became of each thing that a command was given: a line of its own, and one exit code."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import click

from batch_assets.cli.exit_codes import ExitCode, exit_code_of
from batch_assets.cli.render import Row, emit
from batch_assets.domain.errors import BatchAssetsError, CorpusError

#: Of `emit_each`: the rows are only gone through.
NOTHING = "nothing"

RowT = TypeVar("RowT", bound=Row)


def ok_line(what: str, result: str) -> str:
    """`[OK] what -> result`."""
    return printable(f"[OK] {what} -> {result}")


def fail_line(what: str, reason: str) -> str:
    """`[FAIL] what (reason)`."""
    return printable(f"[FAIL] {what} ({reason})")


def printable(text: str) -> str:
    """The text on one line, without what steers a terminal."""
    return "".join(letter for letter in " ".join(text.split()) if letter.isprintable())


def emit_each(
    output: str, schema: str, rows: Iterable[RowT], line: Callable[[RowT], str]
) -> list[RowT]:
    """Write each row when it is there; all of them."""
    written: list[RowT] = []

    def noted() -> Iterator[RowT]:
        for row in rows:
            written.append(row)
            yield row

    if output == "table":
        for row in noted():
            click.echo(line(row))
    elif output == NOTHING:
        list(noted())
    else:
        emit(output, schema, noted())
    return written


def code_of_all(errors: Iterable[BatchAssetsError | None]) -> ExitCode:
    """The exit code that all have in common; PARTIAL where they have none."""
    codes = {ExitCode.OK if error is None else code_of(error) for error in errors}
    return codes.pop() if len(codes) == 1 else ExitCode.PARTIAL


def code_of(error: BatchAssetsError) -> ExitCode:
    """As `exit_code_of`; a person's file that is not there, and a provider's, is not found."""
    is_no_file = isinstance(error, CorpusError) and isinstance(error.__cause__, FileNotFoundError)
    return ExitCode.NOT_FOUND if is_no_file else exit_code_of(error)
