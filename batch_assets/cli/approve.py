"""What waits for a person's word, and the word."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from batch_assets.cli.completion import inferences
from batch_assets.cli.exit_codes import NotFound
from batch_assets.cli.person import given_by
from batch_assets.cli.place import Place, at_place
from batch_assets.cli.render import Row, emit, schema_of, with_output
from batch_assets.domain.errors import DeclarationError

if TYPE_CHECKING:
    from decimal import Decimal

    from batch_assets.files import Files
    from batch_assets.stages.approve import Approvable

SCHEMA = schema_of("approve", 1)


class Approved(Row, frozen=True, kw_only=True):
    """A request set, and what sending it is expected to cost."""

    inference: str
    partition: str
    request_set: str
    #: False where it was only shown.
    approved: bool
    requests: int
    #: Estimated.
    prompt_tokens: int
    #: USD with the expected answers; null where that is unknown, and never 0 for it.
    usd: float | None
    #: USD of the prompts alone.
    input_usd: float | None
    #: What it costs, in words.
    quote: str
    #: The same where all of it is asked live, the worst case, with the expected answers and with
    #: answers as long as they may be; null where it has no stragglers, or that is unknown.
    live_usd: float | None
    live_most_usd: float | None
    #: When, and by whom; null where it has no stragglers.
    stragglers: str | None


_COLUMNS = ("partition", "request_set", "approved", "requests", "prompt_tokens", "quote")


@click.command()
@click.argument("inference", shell_complete=inferences)
@click.option(
    "--partition", "partitions", multiple=True, help="Only this partition; may be repeated."
)
@click.option(
    "--digest",
    help="The request set that is approved, as `plan` and the asset `requests` show it: of exactly "
    "one partition, which need not be submitted yet. Left out, what waits now.",
)
@click.option("--dry-run", is_flag=True, help="Show what waits and its quote; approve nothing.")
@given_by
@with_output
@at_place
def approve(
    place: Place,
    inference: str,
    partitions: tuple[str, ...],
    digest: str | None,
    *,
    dry_run: bool,
    by: str,
    output: str,
) -> None:
    """Approve what waits for it: the sensor, or `wait --refresh`, sends it then.

    Example: batch-assets approve glosses --partition a-b --by ada
    """
    from batch_assets.stages.approve import approve as record
    from batch_assets.stages.approve import waiting_for_approval

    if digest is not None and len(partitions) != 1:
        raise click.UsageError("--digest is of one partition: name it with --partition")
    with place.open_ledger() as ledger:
        files = place.files()
        found = (
            _chosen(waiting_for_approval(ledger, files, inference), inference, partitions)
            if digest is None
            else [_prepared(files, inference, partitions[0], digest)]
        )
        for each in [] if dry_run else found:
            record(ledger, each, given_by=by)
    rows = [
        Approved(
            inference=inference,
            partition=each.partition_key,
            request_set=each.digest,
            approved=not dry_run,
            requests=each.quote.requests,
            prompt_tokens=each.quote.prompt_tokens,
            usd=_usd(each.quote.usd),
            input_usd=_usd(each.quote.input_usd),
            quote=each.said,
            live_usd=None if each.live_quote is None else _usd(each.live_quote.usd),
            live_most_usd=None if each.live_quote is None else _usd(each.live_quote.most_usd),
            stragglers=None if each.terms is None else str(each.terms.stragglers),
        )
        for each in found
    ]
    emit(output, SCHEMA, rows, _COLUMNS)


def _usd(amount: "Decimal | None") -> float | None:
    return None if amount is None else float(amount)


def _prepared(files: "Files", inference: str, partition_key: str, digest: str) -> "Approvable":
    from batch_assets.stages.approve import prepared

    try:
        return prepared(files, inference, partition_key, digest)
    except DeclarationError as error:
        raise NotFound(error.message) from error


def _chosen(
    found: Sequence["Approvable"], inference: str, partitions: Sequence[str]
) -> Sequence["Approvable"]:
    wanted = {each.partition_key: each for each in found}
    missing = [key for key in partitions if key not in wanted]
    if missing or not wanted:
        what = ", ".join(missing) or f"nothing of {inference}"
        raise NotFound(
            f"{what} waits for no approval now; {', '.join(wanted) or 'no partition'} does. One "
            "that is not submitted yet is named with --digest"
        )
    return [wanted[key] for key in dict.fromkeys(partitions)] or found
