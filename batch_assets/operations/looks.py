"""A look at the providers: recover, cancel, poll and sweep, and what of it a person must know."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Thread

from batch_assets.domain.batch import Batch, BatchState
from batch_assets.domain.errors import (
    BatchAssetsError,
    OutOfTime,
    ProviderUnavailable,
    TransientError,
)
from batch_assets.stages.control import cancel_at_provider
from batch_assets.stages.expected import Expected, expected_of
from batch_assets.stages.poll import PollReport, poll_due
from batch_assets.stages.recipe import Deployment
from batch_assets.stages.recover import LISTED_AFTER, recover
from batch_assets.stages.sweep import sweep

#: How long a tick calls its providers, all at the same time. Dagster ends a tick after a minute,
#: and its own lists of runs and events are read in that, too. What is not done is done by the next.
PATIENCE = timedelta(seconds=25)

#: How much longer a look may take to come to its end: its last call and what it writes down.
GRACE = timedelta(seconds=10)

#: Calls of a tick to all providers together. 2,000 open batches are 20 pages of a list; three times
#: that lets none be forgotten, and is no burst where a provider allows so many calls a minute.
CALLS = 60

#: Share of a look that may go to anything but the poll itself.
_ASIDE = 1 / 3


@dataclass(frozen=True, kw_only=True)
class Look:
    """What one look at a provider found."""

    #: Resource key of the provider.
    provider: str
    deployment: Deployment
    troubles: Sequence[BatchAssetsError]
    #: A run would meet the same trouble now, and fail.
    is_down: bool
    #: Batches with the provider or being sent, as the ledger has them after the look.
    open: Sequence[Batch]
    #: What is known of how long they take.
    expected: Expected
    #: How many batches there was no time to ask about.
    put_off: int
    #: Submitted batches in a status that nobody here knows.
    unknown: Sequence[Batch]
    #: Submitted batches that the provider said it does not know.
    lost: Sequence[Batch]
    #: Batches of which nobody, the provider included, can say whether it has them.
    in_doubt: Sequence[Batch]


def looks_at(deployments: Mapping[str, Deployment], every: timedelta) -> list[Look]:
    """A look at each provider, by its resource key; one that is silent keeps no other waiting.

    `every` is how often somebody looks.
    """
    calls = max(CALLS // max(len(deployments), 1), 1)
    visits = {name: _Visit(each, every, calls) for name, each in deployments.items()}
    deadline = time.monotonic() + (PATIENCE + GRACE).total_seconds()
    for visit in visits.values():
        visit.start()
    for visit in visits.values():
        visit.join(max(deadline - time.monotonic(), 0))
    return [_look(name, visit) for name, visit in visits.items()]


class _Visit(Thread):
    """The calls to one provider, in a thread of their own."""

    def __init__(self, deployment: Deployment, every: timedelta, calls: int) -> None:
        super().__init__(daemon=True)
        self.deployment = deployment
        self.began = deployment.ledger.clock()
        self.troubles: list[BatchAssetsError] = []
        self.report: PollReport | None = None
        #: An error that is not of our tree.
        self.failure: Exception | None = None
        self._every = every
        self._calls = calls

    def run(self) -> None:
        try:
            with self._within(1.0):
                self._take_steps()
        except Exception as failure:  # noqa: BLE001
            self.failure = failure

    def _take_steps(self) -> None:
        """Take every step; none is taken any more where the provider is not there."""
        steps: list[tuple[Callable[[Deployment], object], float]] = [
            (recover, _ASIDE),
            (cancel_at_provider, _ASIDE),
            (self._poll, 1.0),
            (sweep, _ASIDE),
        ]
        for step, share in steps:
            try:
                with self._within(share):
                    step(self.deployment)
            except OutOfTime:
                continue  # the next look goes on
            except BatchAssetsError as error:
                self.troubles.append(error)
                if isinstance(error, TransientError):
                    return

    def _within(self, share: float) -> AbstractContextManager[None]:
        seconds, calls = PATIENCE.total_seconds() * share, max(int(self._calls * share), 1)
        return self.deployment.provider.within(seconds, calls=calls)

    def _poll(self, deployment: Deployment) -> None:
        self.report = poll_due(deployment, self._every)


def _look(name: str, visit: _Visit) -> Look:
    """What became of the visit. Raises what is no error of our tree."""
    if visit.failure is not None:
        raise visit.failure
    troubles = list(visit.troubles)
    if visit.is_alive():
        seconds = (PATIENCE + GRACE).total_seconds()
        troubles.append(ProviderUnavailable(f"it is silent for {seconds:.0f} seconds"))
    ledger, account = visit.deployment.ledger, visit.deployment.provider.account
    is_down = any(isinstance(trouble, TransientError) for trouble in troubles)
    open_batches = ledger.batches(
        account=account, states={BatchState.RESERVED, BatchState.SUBMITTED}
    )
    submitted = [batch for batch in open_batches if batch.state is BatchState.SUBMITTED]
    report = visit.report or PollReport(open=len(submitted), ended=0)
    unknown = {found.id for found in report.unknown}
    return Look(
        provider=name,
        deployment=visit.deployment,
        troubles=troubles,
        is_down=is_down,
        open=open_batches,
        expected=expected_of(ledger, account),
        put_off=report.put_off,
        unknown=[batch for batch in submitted if batch.provider_id in unknown],
        lost=[batch for batch in submitted if batch.missed_at is not None],
        # One that is down tells of them when it is back.
        in_doubt=[] if is_down else _for_a_person(ledger.doubtful_batches(account), visit.began),
    )


def _for_a_person(doubtful: Sequence[Batch], now: datetime) -> Sequence[Batch]:
    """Those that looking again will not decide."""
    return [b for b in doubtful if b.reserved_at is None or now >= b.reserved_at + LISTED_AFTER]
