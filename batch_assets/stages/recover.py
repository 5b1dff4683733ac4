"""recover: find out what became of offers whose process died, or whose reply was lost."""

from datetime import timedelta

from batch_assets.domain.errors import BatchAssetsError, RequestRefused, StaleMove
from batch_assets.stages.lease import LEASE
from batch_assets.stages.recipe import Deployment

#: A batch may come into the provider's list some time after its creation: before, its absence says
#: nothing, and offering its shard again could be paying twice.
LISTED_AFTER = timedelta(minutes=3)

#: Batches that were submitted so long before it, or since, are known to be others.
AGO = timedelta(days=2)

#: How often a provider is asked that could not say; every run and every tick would, otherwise.
LOOK_EVERY = timedelta(minutes=1)


def recover(deployment: Deployment) -> int:
    """Decide on every doubtful batch of the accounts by its key; how many were decided.

    One that the provider has is adopted; one that it does not have may be offered again. Where the
    provider cannot say, it stays reserved with the reason, for a later look or a person's decision.
    """
    return sum(map(_recover, deployment.by_provider))


def _recover(deployment: Deployment) -> int:
    ledger, owner, provider = deployment.ledger, deployment.owner, deployment.provider
    decided = 0
    for batch in ledger.doubtful_batches(provider.account):
        if not ledger.take_over(batch, owner=owner, lease=LEASE):
            continue
        assert batch.reserved_at is not None
        try:
            found = provider.find(
                batch.key,
                since=batch.reserved_at,
                requests=batch.reservation.requests,
                besides=ledger.provider_ids(provider.account, since=batch.reserved_at - AGO),
            )
        except BatchAssetsError as error:
            reason = f"nobody knows whether it exists at the provider: {error.message}"
            next_look = ledger.clock() + LOOK_EVERY
            ledger.hand_back(batch, owner=owner, reason=reason, next_look=next_look)
            if isinstance(error, RequestRefused):
                continue  # it has no list to look in: the others are no different
            raise
        if found is None and ledger.clock() < batch.reserved_at + LISTED_AFTER:
            reason = (
                "its process died, and the provider does not list it so far; it is looked up again"
            )
            next_look = batch.reserved_at + LISTED_AFTER
            ledger.hand_back(batch, owner=owner, reason=reason, next_look=next_look)
            continue
        try:
            if found is None:
                reason = "its process died before the provider had it"
                ledger.release(batch, owner=owner, reason=reason)
            else:
                ledger.record(batch, found, owner=owner)
        except StaleMove:
            continue  # the search outlasted the lease, and another process decided
        decided += 1
    return decided
