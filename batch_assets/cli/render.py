"""How a command says what it found: a table for a person, JSON for a program.

What was asked for goes to stdout, everything else to stderr. JSON has a schema with a version:
`{"schema": "batch-assets/NAME/1", "rows": [...]}`; with jsonl each row is a line of its own, and
the schema stands in each.
"""

import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any

import click
import msgspec

FORMATS = ("table", "json", "jsonl")


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a command's answer; its fields are what programs may rely on."""


def schema_of(name: str, version: int) -> str:
    """How an answer names its schema."""
    return f"batch-assets/{name}/{version}"


def with_output(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command the option `-o`, as its argument `output`."""

    @click.option(
        "-o",
        "--output",
        type=click.Choice(FORMATS),
        default="table",
        show_default=True,
        help="A table for people, or JSON for programs.",
    )
    @wraps(command)
    def chosen(*given: Any, **named: Any) -> Any:
        return command(*given, **named)

    return chosen


def emit(
    output: str,
    schema: str,
    rows: Iterable[Row],
    columns: Sequence[str] | None = None,
    *,
    nothing: str = "nothing",
) -> None:
    """Write rows to stdout; of a table only these columns, and `nothing` where there is no row."""
    if output == "jsonl":
        for row in rows:
            line = {"schema": schema, **msgspec.to_builtins(row)}
            click.echo(msgspec.json.encode(line))
        return
    if output == "json":
        click.echo(msgspec.json.encode({"schema": schema, "rows": list(rows)}))
        return
    _table(list(rows), columns, nothing)


def tell(message: str) -> None:
    """Say something beside the answer."""
    click.echo(message, err=True)


def _table(rows: Sequence[Row], columns: Sequence[str] | None, nothing: str) -> None:
    if not rows:
        tell(nothing)
        return
    from batch_assets.cli.table import table_lines

    names = columns or rows[0].__struct_fields__
    values = [[getattr(row, name) for name in names] for row in rows]
    heading, *lines = table_lines(
        [name.replace("_", " ") for name in names],
        [[_cell(value) for value in row] for row in values],
        right=[
            all(isinstance(value, int | float | None) for value in column)
            for column in zip(*values, strict=True)
        ],
        # Where nobody looks, no width is to cut anything off.
        width=shutil.get_terminal_size().columns if sys.stdout.isatty() else None,
    )
    click.echo("\n".join([click.style(heading, bold=True), *lines]))


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.4g}"
        case _:
            return "".join(letter if letter.isprintable() else " " for letter in str(value))
