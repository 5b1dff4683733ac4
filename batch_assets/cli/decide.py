"""A person's decision on a batch that nobody else can tell of."""

import click

from batch_assets.cli.declared import deployments_by_account, with_declaration
from batch_assets.cli.exit_codes import NotFound
from batch_assets.cli.person import given_by
from batch_assets.cli.place import Place, at_place
from batch_assets.cli.render import Row, emit, schema_of, with_output
from batch_assets.domain.batch import BatchId
from batch_assets.domain.errors import DeclarationError, LedgerError

SCHEMA = schema_of("decide", 1)

#: The names that the job decide_batch has.
_DECISIONS = ("adopt", "offer_again", "give_up")


class Decided(Row, frozen=True, kw_only=True):
    """A batch after the decision."""

    batch: int
    #: adopt, offer_again or give_up.
    decision: str
    inference: str
    partition: str
    account: str
    #: Where the batch stands now; of one that is offered again a new row waits to be sent.
    state: str
    #: The provider's id of it, where it has one.
    provider_id: str | None
    #: What becomes of it.
    said: str


@click.command()
@click.argument("batch", type=click.IntRange(min=1))
@click.argument("decision", type=click.Choice(_DECISIONS))
@click.option(
    "--provider-id",
    metavar="ID",
    default="",
    help="For adopt: the id that the provider shows for the batch.",
)
@with_declaration
@given_by
@with_output
@at_place
def decide(
    place: Place,
    batch: int,
    decision: str,
    provider_id: str,
    module: str | None,
    by: str,
    output: str,
) -> None:
    """Decide on a batch of which nobody can say whether the provider has it.

    Or on one that the provider does not know any more, or whose files are gone there. BATCH is its
    number, as `doctor` and `explain` show it. adopt: the provider has it, as --provider-id.
    offer_again: the provider does not have it; where it has it all the same, it is paid for twice.
    give_up: neither; its rows wait until they are submitted again.

    Example: batch-assets decide 17 adopt --provider-id batch_abc123
    """
    from batch_assets.stages.decide import Decision
    from batch_assets.stages.decide import decide as order

    if (decision == "adopt") != bool(provider_id.strip()):
        raise click.UsageError("--provider-id is given with adopt, and only with it")
    with place.open_ledger() as ledger:
        number = BatchId(batch)
        try:
            found = ledger.batch(number)
        except LedgerError as error:
            raise NotFound(error.message) from error
        with deployments_by_account(place, module, owner=by) as accounts:
            if found.account not in accounts:
                raise DeclarationError(
                    f"batch {batch} is of account {found.account}, which is none of this "
                    "deployment: name its code location with -m"
                )
            said = order(
                ledger, accounts, number, Decision(decision), provider_id=provider_id, owner=by
            )
        found = ledger.batch(number)
    row = Decided(
        batch=batch,
        decision=decision,
        inference=found.request_set.inference,
        partition=found.request_set.partition_key,
        account=found.account,
        state=found.state,
        provider_id=found.provider_id,
        said=said,
    )
    emit(output, SCHEMA, [row], ("batch", "inference", "partition", "state", "said"))
