"""decide: a person's word on a batch of which nobody can say whether the provider has it."""

from collections.abc import Mapping
from contextlib import suppress
from enum import StrEnum
from typing import assert_never

from batch_assets.domain.batch import Account, Batch, BatchId, BatchState
from batch_assets.domain.errors import DeclarationError, LedgerError, RequestRefused
from batch_assets.ledger import Ledger
from batch_assets.stages.control import adopt, give_up, offer_again
from batch_assets.stages.recipe import Deployment


class Decision(StrEnum):
    """What a person decides on a batch that nobody can tell of.

    Dagster's Launchpad takes a member by its name, so the names are as a person types them.
    """

    adopt = "adopt"
    offer_again = "offer_again"
    give_up = "give_up"


def decide(
    ledger: Ledger,
    accounts: Mapping[Account, Deployment],
    batch_id: BatchId,
    decision: Decision,
    *,
    provider_id: str,
    owner: str,
) -> str:
    """Carry a person's decision out; what becomes of the batch, as a sentence.

    `provider_id` is for adopt alone, and empty otherwise. Raises LedgerError for a batch that there
    is not, is not in doubt, or that the provider has; DeclarationError for one of another account;
    RequestRefused for an id that the provider does not know; the errors of a provider that cannot
    be asked.
    """
    batch, provider_id = ledger.batch(batch_id), provider_id.strip()
    deployment = accounts.get(batch.account)
    if deployment is None:
        raise DeclarationError(
            f"batch {batch.id} is of account {batch.account}: decide on it in the code location "
            "that has this account"
        )
    if (decision is Decision.adopt) != bool(provider_id):
        raise DeclarationError("provider_id is given with the decision adopt, and only with it")
    match decision:
        case Decision.adopt:
            adopt(deployment, batch.id, provider_id, owner=owner)
            said = f"is {provider_id} at the provider and is followed there"
        case Decision.offer_again:
            _check_gone(deployment, batch)
            offer_again(ledger, batch.id, owner=owner)
            said = "is not at the provider; its shard is sent again"
        case Decision.give_up:
            give_up(ledger, batch.id, owner=owner)
            said = "is given up; its shard is sent when its batches are materialized again"
        case _:
            assert_never(decision)
    return f"batch {batch.id} {said}"


def _check_gone(deployment: Deployment, batch: Batch) -> None:
    """A wrong number must not buy a batch twice."""
    if batch.state is not BatchState.SUBMITTED or batch.provider_id is None:
        return
    since = batch.reserved_at or batch.created_at
    with suppress(RequestRefused):
        for found in deployment.provider.poll({batch.provider_id}, since=since):
            raise LedgerError(
                f"the provider has batch {batch.id}, as {found.id} with the status "
                f"{found.status!r}: nothing is sent again; cancel it instead, which cancels it "
                "there, too"
            )
