"""poll: ask the provider how its batches are, by few calls, and move those that ended."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from batch_assets.domain.batch import Batch, BatchState
from batch_assets.domain.errors import RequestRefused, StaleMove
from batch_assets.domain.provider import Phase, ProviderBatch
from batch_assets.ledger import Ledger
from batch_assets.stages.recipe import Deployment

#: The sensor looks much more often than this; a waiting run steps in after it.
OVERDUE = timedelta(minutes=2)

#: So long after its submission a completed batch that has no file is taken at its word. Until then
#: its files may come late, and asking its requests again would be paying twice.
SETTLED = timedelta(hours=25)


@dataclass(frozen=True, kw_only=True)
class PollReport:
    """What one look at the provider found."""

    open: int
    ended: int
    #: Batches in a status we do not know.
    unknown: tuple[ProviderBatch, ...] = ()


def poll(deployment: Deployment) -> PollReport:
    """Bring the account's submitted batches up to date.

    Raises the provider's errors; what it said before stays noted.
    """
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
    unknown: list[ProviderBatch] = []
    unseen = dict(batches)
    for found in _noting_refusals(ledger, unseen, provider.poll(batches.keys(), since=since)):
        batch = unseen.pop(found.id)
        match found.phase:
            case Phase.ENDED if _is_settling(batch, found, ledger.clock()):
                ledger.observe(batch, found, reason="it is completed; its files are not there yet")
            case Phase.ENDED:
                ended += _end(deployment, batch, found)
            case Phase.OPEN:
                ledger.observe(batch, found)
            case Phase.UNKNOWN:
                unknown.append(found)
                ledger.observe(
                    batch, found, reason=f"the provider says {found.status!r}, which is not known"
                )
    return PollReport(open=len(batches) - ended, ended=ended, unknown=tuple(unknown))


def _noting_refusals(
    ledger: Ledger, unseen: Mapping[str, Batch], found: Iterator[ProviderBatch]
) -> Iterator[ProviderBatch]:
    """What the provider says; where it refuses to, the batches it said nothing of carry why."""
    try:
        yield from found
    except RequestRefused as error:
        for batch in unseen.values():
            ledger.note(batch, error.message)
        raise


def poll_if_overdue(deployment: Deployment, patience: timedelta = OVERDUE) -> PollReport | None:
    """Poll where nobody has for longer than `patience`, as when the sensor is switched off."""
    ledger = deployment.ledger
    submitted = ledger.batches(account=deployment.provider.account, states={BatchState.SUBMITTED})
    overdue = ledger.clock() - patience
    if any((batch.polled_at or batch.submitted_at or overdue) <= overdue for batch in submitted):
        return poll(deployment)
    return None


def _is_settling(batch: Batch, found: ProviderBatch, now: datetime) -> bool:
    files = found.output_file_id or found.error_file_id
    submitted_at = batch.submitted_at or batch.created_at
    return found.status == "completed" and files is None and now < submitted_at + SETTLED


def _end(deployment: Deployment, batch: Batch, found: ProviderBatch) -> bool:
    try:
        deployment.ledger.end(batch, found, owner=deployment.owner)
    except StaleMove:
        return False  # another process saw the same
    return True
