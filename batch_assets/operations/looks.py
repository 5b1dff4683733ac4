"""A look at a provider: recover, cancel, poll and sweep, and what of it a person must know."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from batch_assets.domain.batch import Batch, BatchState
from batch_assets.domain.errors import BatchAssetsError, RequestRefused, TransientError
from batch_assets.stages.control import cancel_at_provider
from batch_assets.stages.poll import PollReport, poll
from batch_assets.stages.recipe import Deployment
from batch_assets.stages.recover import LISTED_AFTER, recover
from batch_assets.stages.sweep import sweep

#: How long a look may take. Dagster ends a tick after a minute, and one tick looks at every
#: provider of the code location; what is not done is done by the next.
PATIENCE = timedelta(seconds=15)


@dataclass(frozen=True, kw_only=True)
class Look:
    """What one look at a provider found."""

    #: Resource key of the provider.
    provider: str
    troubles: Sequence[BatchAssetsError]
    #: A run would meet the same trouble now, and fail.
    is_down: bool
    #: Submitted batches in a status that nobody here knows.
    unknown: Sequence[Batch]
    #: Submitted batches that the provider said nothing of.
    lost: Sequence[Batch]
    #: Batches of which nobody, the provider included, can say whether it has them.
    in_doubt: Sequence[Batch]


def look(provider: str, deployment: Deployment) -> Look:
    """Bring the ledger up to what the provider says; what fails keeps nothing else from it."""
    ledger, account = deployment.ledger, deployment.provider.account
    began = ledger.clock()
    reports: list[PollReport] = []
    steps: list[Callable[[Deployment], object]] = [
        recover,
        cancel_at_provider,
        lambda deployment: reports.append(poll(deployment)),
        sweep,
    ]
    with deployment.provider.within(PATIENCE.total_seconds()):
        troubles = list(_troubles(steps, deployment))
    is_down = any(isinstance(trouble, TransientError) for trouble in troubles)
    submitted = ledger.batches(account=account, states={BatchState.SUBMITTED})
    unknown = {found.id for report in reports for found in report.unknown}
    says_not_all = not reports and any(isinstance(each, RequestRefused) for each in troubles)
    unseen = [
        batch for batch in submitted if (batch.polled_at or batch.submitted_at or began) < began
    ]
    return Look(
        provider=provider,
        troubles=troubles,
        is_down=is_down,
        unknown=[batch for batch in submitted if batch.provider_id in unknown],
        lost=unseen if says_not_all and not is_down else [],
        # One that is down tells of them when it is back.
        in_doubt=[] if is_down else _for_a_person(ledger.doubtful_batches(account), began),
    )


def _for_a_person(doubtful: Sequence[Batch], now: datetime) -> Sequence[Batch]:
    """Those that looking again will not decide."""
    return [b for b in doubtful if b.reserved_at is None or now >= b.reserved_at + LISTED_AFTER]


def _troubles(
    steps: Sequence[Callable[[Deployment], object]], deployment: Deployment
) -> Iterator[BatchAssetsError]:
    """Take every step; none is taken any more where the provider is not there."""
    for step in steps:
        try:
            step(deployment)
        except BatchAssetsError as error:
            yield error
            if isinstance(error, TransientError):
                return
