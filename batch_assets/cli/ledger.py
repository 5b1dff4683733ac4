"""The ledger itself: its version, its state, its rows."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import click
import msgspec

from batch_assets.cli.exit_codes import ExitCode
from batch_assets.cli.place import Place, at_place
from batch_assets.cli.render import Row, emit, schema_of, tell, with_output
from batch_assets.domain.errors import ArtifactError, LedgerError

CHECK_SCHEMA = schema_of("ledger-check", 1)
DUMP_SCHEMA = schema_of("ledger-dump", 1)


class Checked(Row, frozen=True, kw_only=True):
    """A sentence about the ledger, or how many rows something has."""

    #: rule or count.
    kind: str
    what: str
    #: Whether the rule holds; null of a count.
    holds: bool | None = None
    #: Of a count.
    rows: int | None = None
    #: What is otherwise, and the way out.
    detail: str = ""


@click.group()
def ledger() -> None:
    """The ledger itself: the record of every batch."""


@ledger.command()
@at_place
def migrate(place: Place) -> None:
    """Bring the ledger's schema to this version, or make a new ledger.

    Every command that writes does the same at its start; back it up first.

    Example: batch-assets ledger migrate --db-path ledger.db
    """
    from batch_assets.ledger.checkup import NEWEST, looked_at, version_of

    try:
        with looked_at(place.ledger_url) as engine:
            before = version_of(engine)
    except LedgerError:
        before = 0
    with place.open_ledger():
        pass
    tell(
        f"the ledger is at version {NEWEST}"
        + (", as it was" if before == NEWEST else f"; it was at {before}" if before else ", new")
    )


@ledger.command()
@with_output
@at_place
@click.pass_context
def check(context: click.Context, place: Place, output: str) -> None:
    """Check the version, the database and the sentences that the ledger keeps; count its rows.

    Changes nothing. Ends with 1 where something does not hold.

    Example: batch-assets ledger check -o json
    """
    from batch_assets.ledger.checkup import check as look
    from batch_assets.ledger.checkup import looked_at

    with looked_at(place.ledger_url) as engine:
        found = look(engine)
    rows = [
        Checked(kind="rule", what=each.rule, holds=each.holds, detail=each.detail)
        for each in found.findings
    ]
    rows += [Checked(kind="count", what=name, rows=count) for name, count in found.counts.items()]
    emit(output, CHECK_SCHEMA, rows)
    if not all(each.holds for each in found.findings):
        context.exit(ExitCode.FAILED)


@ledger.command()
@click.option(
    "--output",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where to write it; stdout where it is left out.",
)
@click.option("--overwrite", is_flag=True, help="Replace the file where there is one.")
@at_place
def dump(place: Place, file: Path | None, *, overwrite: bool) -> None:
    """Write every row of every table as JSON lines, as of one moment.

    Example: batch-assets ledger dump --output ledger.jsonl
    """
    from batch_assets.ledger.checkup import dump as rows_of
    from batch_assets.ledger.checkup import looked_at

    count = 0
    encode = msgspec.json.Encoder().encode
    with looked_at(place.ledger_url) as engine, _sink(file, overwrite=overwrite) as sink:
        for table, row in rows_of(engine):
            sink.write(encode({"schema": DUMP_SCHEMA, "table": table, **row}) + b"\n")
            count += 1
    tell(f"{count:,} rows{'' if file is None else f' written to {file}'}")


@contextmanager
def _sink(file: Path | None, *, overwrite: bool) -> Iterator[BinaryIO]:
    """Stdout, or a file that takes its name when it is complete."""
    if file is None:
        yield sys.stdout.buffer
        sys.stdout.flush()
        return
    if file.exists() and not overwrite:
        raise ArtifactError(f"{file} is there already: name another file, or give --overwrite")
    from batch_assets.files import Files

    with Files(str(file.parent)).create(file.name) as new:
        yield cast(BinaryIO, new)
