"""What is asked or folded again by a person's word, by the inference's declaration."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

import click

from batch_assets.cli.completion import inferences
from batch_assets.cli.declared import Declared, declared_at, with_declaration
from batch_assets.cli.exit_codes import ExitCode
from batch_assets.cli.person import given_by
from batch_assets.cli.place import Place, at_place
from batch_assets.cli.render import Row, emit, schema_of, with_output
from batch_assets.cli.scopes import check_inference
from batch_assets.domain.batch import RequestSet
from batch_assets.domain.errors import BatchAssetsError, LedgerError
from batch_assets.domain.outcome import Outcome

if TYPE_CHECKING:
    from batch_assets.ledger import Ledger

RETRY_SCHEMA = schema_of("retry", 1)
RESOLVE_SCHEMA = schema_of("resolve", 1)


@click.command()
@click.argument("inference", shell_complete=inferences)
@click.option(
    "--partition", "partitions", multiple=True, help="Only this partition; may be repeated."
)
@click.option(
    "--outcome",
    "outcomes",
    multiple=True,
    required=True,
    help="Items that ended so are asked once more, and paid for once more; may be repeated.",
)
@with_declaration
@given_by
@with_output
@at_place
@click.pass_context
def retry(
    context: click.Context,
    place: Place,
    inference: str,
    partitions: tuple[str, ...],
    outcomes: tuple[str, ...],
    module: str | None,
    by: str,
    output: str,
) -> None:
    """Ask items again whose outcome was final, in a further wave, whatever the policy says.

    Example: batch-assets retry glosses --outcome errored -m my_project.definitions
    """
    from batch_assets.stages.ask_again import ASKABLE

    unknown = sorted(set(outcomes) - set(ASKABLE))
    if unknown:
        raise click.BadParameter(
            f"{', '.join(unknown)}; give some of {', '.join(sorted(ASKABLE))}",
            param_hint="--outcome",
        )
    wanted = {Outcome(each) for each in outcomes}
    with declared_at(place, inference, module, owner=by) as declared:
        found = _chosen(declared.deployment.ledger, inference, partitions)
        rows = [_asked_again(declared, each, wanted) for each in found]
    emit(output, RETRY_SCHEMA, rows)
    _end(context, rows)


class AskedAgain(Row, frozen=True, kw_only=True):
    """A partition whose items are asked again."""

    inference: str
    partition: str
    #: Requests of the wave that was planned.
    requests: int
    #: Why nothing of it is asked again.
    refused: str | None


@click.command()
@click.argument("inference", shell_complete=inferences)
@click.option(
    "--partition", "partitions", multiple=True, help="Only this partition; may be repeated."
)
@with_declaration
@given_by
@with_output
@at_place
@click.pass_context
def resolve(
    context: click.Context,
    place: Place,
    inference: str,
    partitions: tuple[str, ...],
    module: str | None,
    by: str,
    output: str,
) -> None:
    """Make results anew from the raw outputs that are stored, without a call or a cost.

    Of partitions that have had results: after they were deleted, or the output type changed.

    Example: batch-assets resolve glosses --partition a-b -m my_project.definitions
    """
    with declared_at(place, inference, module, owner=by) as declared:
        found = _chosen(declared.deployment.ledger, inference, partitions)
        rows = [_resolved(declared, each) for each in found]
    emit(output, RESOLVE_SCHEMA, rows)
    _end(context, rows)


class Resolved(Row, frozen=True, kw_only=True):
    """A partition whose results were made anew."""

    inference: str
    partition: str
    items: int
    #: Items whose outcome is ok.
    ok: int
    #: Why its results stay as they were.
    refused: str | None


def _asked_again(
    declared: Declared, request_set: RequestSet, outcomes: AbstractSet[Outcome]
) -> AskedAgain:
    from batch_assets.stages.ask_again import ask_again

    asked, refused = 0, None
    try:
        asked = ask_again(declared.deployment, declared.recipe, request_set, outcomes)
    except BatchAssetsError as error:
        refused = error.message
    return AskedAgain(
        inference=request_set.inference,
        partition=request_set.partition_key,
        requests=asked,
        refused=refused,
    )


def _resolved(declared: Declared, request_set: RequestSet) -> Resolved:
    from batch_assets.stages.resolve import resolve as fold

    items, ok, refused = 0, 0, None
    try:
        if request_set.resolved_at is None:
            raise LedgerError("it has no final results yet: `batch-assets wait` for them")
        resolution = fold(declared.deployment, declared.recipe, request_set)
        if resolution is None:
            raise LedgerError("it went another way meanwhile: look at its status")
        # So that a Dagster on the same deployment shows them.
        declared.deployment.ledger.request_sets.made_anew(request_set)
        items, ok = resolution.summary.items, resolution.summary.outcomes[Outcome.OK]
    except BatchAssetsError as error:
        refused = error.message
    return Resolved(
        inference=request_set.inference,
        partition=request_set.partition_key,
        items=items,
        ok=ok,
        refused=refused,
    )


def _chosen(ledger: "Ledger", inference: str, partitions: Sequence[str]) -> Sequence[RequestSet]:
    """The current request sets of the partitions that are named, or of all."""
    check_inference(ledger, inference)
    for key in partitions:
        check_inference(ledger, inference, key)
    found = ledger.request_sets.current_ones(inference)
    return [each for each in found if not partitions or each.partition_key in partitions]


def _end(context: click.Context, rows: Sequence[AskedAgain | Resolved]) -> None:
    refused = sum(row.refused is not None for row in rows)
    if refused:
        context.exit(ExitCode.PARTIAL if refused < len(rows) else ExitCode.FAILED)
