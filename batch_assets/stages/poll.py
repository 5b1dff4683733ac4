"""poll: ask the provider how its batches are, by few calls, and move those that ended."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from batch_assets.domain.batch import Batch, BatchState
from batch_assets.domain.cadence import SOON, due_at
from batch_assets.domain.errors import BatchUnknown, OutOfTime, RequestRefused, StaleMove
from batch_assets.domain.lane import Lane
from batch_assets.domain.provider import COMPLETED, Phase, ProviderBatch
from batch_assets.ledger import Ledger
from batch_assets.ledger.polls import Sighting
from batch_assets.stages.expected import Expected, expected_of
from batch_assets.stages.recipe import Deployment

#: A waiting run steps in where the sensor is so much behind.
OVERDUE = timedelta(minutes=2)

#: So long after its submission a completed batch that has no file is taken at its word. Until then
#: its files may come late, and asking its requests again would be paying twice.
SETTLED = timedelta(hours=25)

#: Sightings that are written down in one transaction: about a page of a provider's list.
_WRITTEN_AT_ONCE = 100


@dataclass(frozen=True, kw_only=True)
class PollReport:
    """What one look at the provider found."""

    open: int
    ended: int
    #: Batches in a status we do not know.
    unknown: tuple[ProviderBatch, ...] = ()
    #: Batches that it was time to ask about, and no time was left for; they come first next time.
    put_off: int = 0


def poll(deployment: Deployment) -> PollReport:
    """Bring all of the accounts' submitted batches up to date.

    Raises the provider's errors; what it said before stays noted.
    """
    return _together(_ask(own, each, each) for own, each in _submitted_by_provider(deployment))


def poll_due(deployment: Deployment, every: timedelta) -> PollReport:
    """Bring those up to date that it is time to ask about, the longest unasked first.

    `every` is the interval of those who ask. Who else polls the same ledger is taken into account.
    """
    return _together(
        _ask(own, submitted, _due(own, submitted, every))
        for own, submitted in _submitted_by_provider(deployment)
    )


def poll_if_overdue(deployment: Deployment, patience: timedelta = OVERDUE) -> PollReport | None:
    """Poll where it was time to for longer than `patience`, as when the sensor is switched off."""
    at_once = timedelta()
    overdue = any(
        _due(own, submitted, at_once, patience=patience)
        for own, submitted in _submitted_by_provider(deployment)
    )
    return poll_due(deployment, at_once) if overdue else None


def _submitted_by_provider(
    deployment: Deployment,
) -> Iterator[tuple[Deployment, Sequence[Batch]]]:
    for own in deployment.by_provider:
        found = own.ledger.batches(account=own.provider.account, states={BatchState.SUBMITTED})
        yield own, [batch for batch in found if batch.provider_id is not None]


def _due(
    deployment: Deployment,
    submitted: Sequence[Batch],
    every: timedelta,
    *,
    patience: timedelta = timedelta(),
) -> Sequence[Batch]:
    """Those that it was time to ask about for longer than `patience`."""
    expected = expected_of(deployment.ledger, deployment.provider.account)
    until = deployment.ledger.clock() - patience
    return [batch for batch in submitted if _due_at(batch, expected, every) <= until]


def _together(reports: Iterator[PollReport]) -> PollReport:
    """What was found at each provider as one report."""
    found = list(reports)
    return PollReport(
        open=sum(each.open for each in found),
        ended=sum(each.ended for each in found),
        unknown=tuple(batch for each in found for batch in each.unknown),
        put_off=sum(each.put_off for each in found),
    )


def _due_at(batch: Batch, expected: Expected, every: timedelta) -> datetime:
    history = expected.history(batch.request_set.inference, batch.endpoint)
    asked_at = _asked_at(batch)
    if batch.woken_at is not None and (asked_at is None or asked_at < batch.woken_at):
        return batch.woken_at
    if batch.rescued_at is not None:
        # It is cancelled, and what it left waits for its end.
        if asked_at is None or asked_at < batch.rescued_at:
            return batch.rescued_at
        return asked_at + SOON
    return due_at(_submitted_at(batch), asked_at, history, every)


def _submitted_at(batch: Batch) -> datetime:
    return batch.submitted_at or batch.created_at


def _asked_at(batch: Batch) -> datetime | None:
    """When the provider was asked about it last, whatever it said."""
    return max(filter(None, (batch.polled_at, batch.missed_at)), default=None)


def _known_at(batch: Batch) -> datetime:
    return _asked_at(batch) or _submitted_at(batch)


def _ask(deployment: Deployment, submitted: Sequence[Batch], due: Collection[Batch]) -> PollReport:
    if not due:
        return PollReport(open=len(submitted), ended=0)
    ledger = deployment.ledger
    newest_first = sorted(submitted, key=lambda batch: (_offered_at(batch), batch.id), reverse=True)
    unseen = {str(batch.provider_id): batch for batch in newest_first}
    found = deployment.provider.poll(
        [str(batch.provider_id) for batch in sorted(due, key=_known_at)],
        since=min(map(_offered_at, due)),
        among=list(unseen),
    )
    notes = _Notes(ledger)
    ended = 0
    unknown: list[ProviderBatch] = []
    try:
        for each in _noting_refusals(ledger, unseen, found):
            batch = unseen.pop(each.id, None)
            if batch is None:
                continue  # it came by twice
            match each.phase:
                case Phase.ENDED if _is_settling(batch, each, ledger.clock()):
                    notes.add(batch, each, "it is completed; its files are not there yet")
                case Phase.ENDED:
                    ended += _end(deployment, batch, each)
                case Phase.OPEN if isinstance(deployment.provider, Lane):
                    # How far it is, the one who carries it out has said.
                    known = replace(each, completed=batch.completed, failed=batch.failed)
                    notes.add(batch, known, batch.reason)
                case Phase.OPEN:
                    notes.add(batch, each)
                case Phase.UNKNOWN:
                    unknown.append(each)
                    notes.add(batch, each, f"the provider says {each.status!r}, which is not known")
    except OutOfTime:
        pass  # the next look goes on
    finally:
        notes.write()
    return PollReport(
        open=len(submitted) - ended,
        ended=ended,
        unknown=tuple(unknown),
        put_off=sum(str(batch.provider_id) in unseen for batch in due),
    )


def _offered_at(batch: Batch) -> datetime:
    return batch.reserved_at or batch.created_at


class _Notes:
    """What the provider said of open batches, written down by the page."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._sightings: list[Sighting] = []

    def add(self, batch: Batch, found: ProviderBatch, reason: str | None = None) -> None:
        self._sightings.append(Sighting(batch=batch, found=found, reason=reason))
        if len(self._sightings) == _WRITTEN_AT_ONCE:
            self.write()

    def write(self) -> None:
        sightings, self._sightings = self._sightings, []
        if sightings:
            self._ledger.polls.observe(sightings)


def _noting_refusals(
    ledger: Ledger, unseen: Mapping[str, Batch], found: Iterator[ProviderBatch]
) -> Iterator[ProviderBatch]:
    """What the provider says; where it refuses to, the batches it said nothing of carry why."""
    try:
        yield from found
    except BatchUnknown as error:
        gone = [batch for batch_id, batch in unseen.items() if batch_id in error.ids]
        ledger.polls.miss(gone, error.message)
        raise
    except RequestRefused as error:
        for batch in unseen.values():
            ledger.note(batch, error.message)
        raise


def _is_settling(batch: Batch, found: ProviderBatch, now: datetime) -> bool:
    files = found.output_file_id or found.error_file_id
    is_new = now < _submitted_at(batch) + SETTLED
    return found.status.lower() in COMPLETED and files is None and is_new


def _end(deployment: Deployment, batch: Batch, found: ProviderBatch) -> bool:
    try:
        deployment.ledger.end(batch, found, owner=deployment.owner)
    except StaleMove:
        return False  # another process saw the same
    return True
