"""Orders of a person's: what is sent, and what ends.

Each calls what the job of the UI calls, so that both agree, and stands in the ledger with who gave
it.
"""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from batch_assets.cli.declared import deployments_by_account, with_declaration
from batch_assets.cli.exit_codes import ExitCode, NotFound
from batch_assets.cli.person import given_by
from batch_assets.cli.place import Place, at_place
from batch_assets.cli.render import Row, emit, schema_of, tell, with_output
from batch_assets.cli.scopes import check_known, with_scopes
from batch_assets.domain.batch import HOLDING, BatchState
from batch_assets.domain.control import Scope
from batch_assets.domain.errors import BatchAssetsError

if TYPE_CHECKING:
    from batch_assets.ledger import Ledger

SCHEMA = schema_of("order", 1)


class Ordered(Row, frozen=True, kw_only=True):
    """An order as it was carried out, and what of its scope it met."""

    order: str
    #: What it covers, in words.
    scope: str
    account: str | None = None
    inference: str | None = None
    partition: str | None = None
    backfill: str | None = None
    #: Orders lifted by it, or partitions ended by it.
    concerned: int
    #: Batches that wait to be sent, and those at the provider or being sent.
    planned_batches: int
    open_batches: int
    #: Batches that are not sent any more.
    dropped_batches: int = 0


_COLUMNS = ("order", "scope", "concerned", "planned_batches", "open_batches", "dropped_batches")


@click.command()
@with_scopes
@click.option("--reason", required=True, help="Why, for those who wonder what keeps their work.")
@given_by
@with_output
@at_place
def pause(place: Place, scopes: Sequence[Scope], reason: str, by: str, output: str) -> None:
    """Send nothing new of an inference, a partition or an account.

    What is at the provider finishes and is collected.

    Example: batch-assets pause glosses --reason "the prompt is wrong"
    """
    from batch_assets.stages.control import pause as order

    _check_reason(reason)
    with place.open_ledger() as ledger:
        check_known(ledger, scopes)
        for scope in scopes:
            order(ledger, scope, owner=by, reason=reason.strip())
        rows = [_ordered(ledger, "pause", scope, concerned=1) for scope in scopes]
    emit(output, SCHEMA, rows, _COLUMNS)


@click.command()
@with_scopes
@given_by
@with_output
@at_place
def resume(place: Place, scopes: Sequence[Scope], by: str, output: str) -> None:
    """Lift what was ordered for just this: a pause, or the stop of an account.

    What waits is sent by the sensor, or by `wait --refresh`. A cancelled partition is not resumed
    by this: it is submitted again.

    Example: batch-assets resume glosses
    """
    from batch_assets.stages.control import resume as order

    with place.open_ledger() as ledger:
        standing = {pause.scope: pause for pause in ledger.pauses.standing()}
        accounts = {batch.account for batch in ledger.batches()}
        for scope in scopes:
            # An account may be resumed without: what was learned of its room is forgotten.
            if scope not in standing and scope.account not in accounts:
                orders = "; ".join(str(pause) for pause in standing.values()) or "nothing"
                raise NotFound(f"nothing was ordered for {scope}; what stands: {orders}")
        rows = []
        for scope in scopes:
            lifted = order(ledger, scope, owner=by)
            rows.append(_ordered(ledger, "resume", scope, concerned=lifted))
    emit(output, SCHEMA, rows, _COLUMNS)


@click.command()
@with_scopes
@click.option(
    "--now/--drain",
    "at_provider",
    default=None,
    help="--now: ask the provider to cancel what it has. --drain: let that finish. Either way what "
    "it answered is collected, and paid for.",
)
@click.option("--reason", required=True, help="Why, for the record.")
@with_declaration
@given_by
@with_output
@at_place
@click.pass_context
def cancel(
    context: click.Context,
    place: Place,
    scopes: Sequence[Scope],
    at_provider: bool | None,
    reason: str,
    module: str | None,
    by: str,
    output: str,
) -> None:
    """End what waits for its results, with what there is.

    Nothing more is sent. Items without an answer get the outcome `cancelled`.

    Example: batch-assets cancel glosses --drain --reason "wrong corpus"
    """
    from batch_assets.stages.control import withdraw

    if at_provider is None:
        raise click.UsageError("say what becomes of the batches at the provider: --drain or --now")
    _check_reason(reason)
    rows = []
    with place.open_ledger() as ledger:
        check_known(ledger, scopes)
        why = f"cancelled by {by}: {reason.strip()}"
        for scope in scopes:
            met = withdraw(ledger, scope, owner=by, reason=why, at_provider=at_provider)
            rows.append(
                _ordered(ledger, "cancel", scope, concerned=met.request_sets, dropped=met.dropped)
            )
        untold = _tell_providers(place, ledger, module, owner=by) if at_provider else []
    emit(output, SCHEMA, rows, _COLUMNS)
    for said in untold:
        tell(f"The provider could not be told yet: {said}. The poll sensor, or `wait`, tells it.")
    if untold:
        context.exit(ExitCode.PROVIDER)


def _check_reason(reason: str) -> None:
    if not reason.strip():
        raise click.BadParameter(
            "it is what others read who wonder why nothing is sent", param_hint="--reason"
        )


def _ordered(
    ledger: "Ledger", order: str, scope: Scope, *, concerned: int, dropped: int = 0
) -> Ordered:
    live = ledger.batches(states={BatchState.PLANNED, *HOLDING})
    states = Counter(batch.state for batch in live if scope.covers(batch))
    return Ordered(
        order=order,
        scope=str(scope),
        account=scope.account,
        inference=scope.inference,
        partition=scope.partition_key,
        backfill=scope.origin,
        concerned=concerned,
        planned_batches=states[BatchState.PLANNED],
        open_batches=sum(states[state] for state in HOLDING),
        dropped_batches=dropped,
    )


def _tell_providers(
    place: Place, ledger: "Ledger", module: str | None, *, owner: str
) -> Sequence[str]:
    """Pass cancellations on to every provider that has batches of them; what keeps it from that."""
    from batch_assets.stages.control import cancel_at_provider

    accounts = {batch.account for batch in ledger.batches(states=HOLDING)}
    wanted = {account for account in accounts if ledger.batches_to_cancel(account)}
    untold: list[str] = []
    if not wanted:
        return untold
    with deployments_by_account(place, module, owner=owner) as deployments:
        for account in sorted(wanted):
            if account not in deployments:
                untold.append(
                    f"account {account} is none of this deployment: name its code location with -m"
                )
                continue
            try:
                cancel_at_provider(deployments[account])
            except BatchAssetsError as error:
                untold.append(error.message)
    return untold
