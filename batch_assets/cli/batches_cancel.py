"""Batches that a provider is asked to cancel."""

from typing import TYPE_CHECKING

import click

from batch_assets.cli.batches import found_at
from batch_assets.cli.chosen import Asked, Chosen, chosen, with_provider
from batch_assets.cli.place import at_place
from batch_assets.cli.render import Row, schema_of, with_output
from batch_assets.cli.verdicts import code_of_all, emit_each, fail_line, ok_line
from batch_assets.domain.errors import BatchAssetsError, RequestRefused
from batch_assets.domain.provider import Phase

if TYPE_CHECKING:
    from batch_assets.domain.provider import ProviderBatch
    from batch_assets.ledger import Ledger

SCHEMA = schema_of("batches-cancel", 1)


class CancelledBatch(Row, frozen=True, kw_only=True):
    """A batch that the provider was asked to cancel."""

    id: str
    #: Whether the provider was asked, and knows it.
    ok: bool
    #: The provider's own word then; null where it was not asked.
    status: str | None
    #: Why it was not cancelled; empty where it was.
    reason: str


@click.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@with_output
@at_place
@with_provider
@click.pass_context
def cancel(context: click.Context, asked: Asked, ids: tuple[str, ...], output: str) -> None:
    """Ask the provider to cancel batches; what they answered until then can be downloaded.

    One that the ledger has is refused: `batch-assets cancel` ends its partition, so that the
    ledger does not take it for a loss, and ask its requests again.

    Example: batch-assets batches cancel batch_6903a1 batch_6903a2
    """
    errors: list[BatchAssetsError | None] = []
    with chosen(asked) as asking, asking.open_ledger() as ledger:
        rows = (_cancelled(ledger, asking, each, errors) for each in dict.fromkeys(ids))
        emit_each(output, SCHEMA, rows, _line)
    context.exit(code_of_all(errors))


def _cancelled(
    ledger: "Ledger", asking: Chosen, batch_id: str, errors: list[BatchAssetsError | None]
) -> CancelledBatch:
    try:
        _check_not_ours(ledger, asking, batch_id)
        batch = _asked_to_cancel(asking, batch_id)
    except BatchAssetsError as error:
        errors.append(error)
        return CancelledBatch(id=batch_id, ok=False, status=None, reason=error.message)
    errors.append(None)
    return CancelledBatch(id=batch_id, ok=True, status=batch.status, reason="")


def _asked_to_cancel(asking: Chosen, batch_id: str) -> "ProviderBatch":
    try:
        return asking.provider.cancel(batch_id)
    except RequestRefused:
        # Raises BatchUnknown where there is none.
        batch = found_at(asking, batch_id)
        if batch.phase is Phase.ENDED:
            raise RequestRefused(f"it is {batch.status}: there is nothing to cancel") from None
        raise


def _check_not_ours(ledger: "Ledger", asking: Chosen, batch_id: str) -> None:
    account = asking.provider.account
    ours = ledger.batches_by_provider_id(account, [batch_id]).get(batch_id)
    if ours is not None:
        request_set = ours.request_set
        raise RequestRefused(
            f"it is of partition {request_set.partition_key} of {request_set.inference}: "
            f"batch-assets cancel {request_set.inference} --partition {request_set.partition_key} "
            "--now --reason …"
        )


def _line(row: CancelledBatch) -> str:
    return ok_line(row.id, str(row.status)) if row.ok else fail_line(row.id, row.reason)
