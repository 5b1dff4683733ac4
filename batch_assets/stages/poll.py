"""poll: ask the provider how its batches are, by few calls, and move those that ended."""

from dataclasses import dataclass
from datetime import timedelta

from batch_assets.domain.batch import Batch, BatchState
from batch_assets.domain.errors import StaleMove
from batch_assets.domain.provider import Phase, ProviderBatch
from batch_assets.stages.recipe import Deployment

#: Batch-level error codes that say the account's queue was full (OpenAI: "Enqueued token limit").
CAPACITY_CODES = frozenset({"token_limit_exceeded"})

#: The sensor looks much more often than this; a waiting run steps in after it.
OVERDUE = timedelta(minutes=2)

_CAPACITY_WAIT = timedelta(minutes=2)
_LONGEST_CAPACITY_WAIT = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class PollReport:
    """What one look at the provider found."""

    open: int
    ended: int
    #: Batches in a status we do not know, with the provider's own word.
    unknown: tuple[str, ...] = ()


def poll(deployment: Deployment) -> PollReport:
    """Bring the account's submitted batches up to date. Raises the provider's TransientError."""
    ledger, provider = deployment.ledger, deployment.provider
    batches = {
        batch.provider_id: batch
        for batch in ledger.batches(account=provider.account, states={BatchState.SUBMITTED})
        if batch.provider_id is not None
    }
    if not batches:
        return PollReport(open=0, ended=0)
    since = min(batch.reserved_at or batch.created_at for batch in batches.values())
    ended = 0
    unknown: list[str] = []
    for found in provider.poll(batches.keys(), since=since):
        batch = batches[found.id]
        match found.phase:
            case Phase.ENDED:
                ended += _end(deployment, batch, found)
            case Phase.OPEN:
                ledger.observe(batch, found)
            case Phase.UNKNOWN:
                unknown.append(f"{found.id} is {found.status!r}")
                ledger.observe(
                    batch, found, reason=f"the provider says {found.status!r}, which is not known"
                )
    return PollReport(open=len(batches) - ended, ended=ended, unknown=tuple(unknown))


def poll_if_overdue(deployment: Deployment, patience: timedelta = OVERDUE) -> PollReport | None:
    """Poll where nobody has for longer than `patience`, as when the sensor is switched off."""
    ledger = deployment.ledger
    submitted = ledger.batches(account=deployment.provider.account, states={BatchState.SUBMITTED})
    overdue = ledger.clock() - patience
    if any((batch.polled_at or batch.submitted_at or overdue) <= overdue for batch in submitted):
        return poll(deployment)
    return None


def _end(deployment: Deployment, batch: Batch, found: ProviderBatch) -> bool:
    ledger, owner = deployment.ledger, deployment.owner
    try:
        ledger.end(batch, found, owner=owner)
    except StaleMove:
        return False  # another process saw the same
    if any(problem.code in CAPACITY_CODES for problem in found.problems):
        wait = min(_CAPACITY_WAIT * 2 ** min(batch.refusals, 10), _LONGEST_CAPACITY_WAIT)
        ledger.reject(
            ledger.batch(batch.id),
            owner=owner,
            reason="the provider's queue was full; offered again later",
            not_before=ledger.clock() + wait,
        )
    return True
