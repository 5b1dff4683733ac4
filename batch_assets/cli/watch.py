"""Partitions watched until nothing of them is on its way any more.

Where the declaration is known, every look also takes them forward: what is due is asked of the
provider, what ended is collected and resolved, and what may be sent is sent.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from batch_assets.domain.batch import HOLDING, Batch, BatchState, RequestSet
from batch_assets.domain.errors import (
    AccountRefused,
    BatchAssetsError,
    StaleMove,
    TransientError,
)
from batch_assets.domain.spoken import spoken_age, spoken_time

if TYPE_CHECKING:
    from batch_assets.cli.declared import Declared
    from batch_assets.ledger import Ledger
    from batch_assets.ledger.standing import PartitionStanding


class Fate(StrEnum):
    """What is to be expected of a partition."""

    #: It comes by itself.
    PENDING = "pending"
    #: Its results are there.
    RESOLVED = "resolved"
    #: A person must put something right before it goes on.
    STOPPED = "stopped"
    #: A person must approve before it goes on.
    APPROVAL = "approval"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One partition at one look."""

    standing: "PartitionStanding"
    fate: Fate
    #: Why it waits or is stopped; empty where there is nothing to say.
    why: str = ""

    @property
    def partition_key(self) -> str:
        return self.standing.request_set.partition_key


@dataclass(frozen=True, kw_only=True)
class Looked:
    """All partitions at one look."""

    inference: str
    partitions: Sequence[Seen]
    at: datetime
    #: When the last open batch usually ends; None where nothing is known of that.
    expected: datetime | None = None
    #: What went wrong in this look, and is tried again.
    troubles: Sequence[str] = ()

    @property
    def fates(self) -> Counter[Fate]:
        return Counter(each.fate for each in self.partitions)

    @property
    def is_over(self) -> bool:
        """Whether nothing comes by itself any more."""
        return self.fates[Fate.PENDING] == 0

    @property
    def requests(self) -> int:
        """Of the waves on their way."""
        return sum(each.standing.requests for each in self.partitions)

    @property
    def done(self) -> int:
        """Requests that the provider has finished or failed."""
        return sum(each.standing.completed + each.standing.failed for each in self.partitions)

    @property
    def age(self) -> timedelta:
        """Since the first of the partitions was submitted."""
        return self.at - min(each.standing.request_set.created_at for each in self.partitions)

    def __str__(self) -> str:
        fates = self.fates
        said = [
            f"{fates[Fate.RESOLVED]:,} of {len(self.partitions):,} partitions resolved",
            f"{self.done:,} of {self.requests:,} requests",
        ]
        said += [f"{fates[Fate.STOPPED]:,} stopped"] if fates[Fate.STOPPED] else []
        said += [f"{fates[Fate.APPROVAL]:,} want approval"] if fates[Fate.APPROVAL] else []
        return ", ".join(said)

    @property
    def time(self) -> str:
        """How old it is, and when it is expected to end."""
        age = f"{spoken_age(self.age)} old"
        if self.is_over or self.expected is None:
            return age
        if self.expected <= self.at:
            return f"{age}, due any moment"
        return f"{age}, expected {spoken_time(self.expected, self.at)}"


class Watch:
    """Looks at an inference's partitions, those that are named or all."""

    def __init__(
        self,
        ledger: "Ledger",
        inference: str,
        partitions: Collection[str] = (),
        *,
        declared: "Declared | None" = None,
        every: timedelta = timedelta(seconds=30),
    ) -> None:
        """`every` is how often it looks: the provider is asked no more often."""
        self._ledger = ledger
        self._inference = inference
        self._partitions = set(partitions)
        self._declared = declared
        self._every = every
        #: Why a partition cannot go on, for those that failed here.
        self._failed: dict[str, str] = {}
        #: Who has a partition in hand, for those that this look left alone.
        self._left: dict[str, str] = {}

    def look(self) -> Looked:
        """Take the partitions forward where that can be done, and say how they stand."""
        troubles: list[str] = []
        if self._declared is not None:
            troubles = self._ask() + self._advance()
        return self._look(troubles)

    def until_over(
        self,
        show: Callable[[Looked], None],
        *,
        timeout: float | None,
        sleep: Callable[[float], None],
        clock: Callable[[], float],
    ) -> Looked:
        """Look until nothing comes by itself any more, or the time is over; the last look."""
        deadline = None if timeout is None else clock() + timeout
        while True:
            looked = self.look()
            show(looked)
            left = None if deadline is None else deadline - clock()
            if looked.is_over or (left is not None and left <= 0):
                return looked
            pause = self._every.total_seconds()
            sleep(pause if left is None else min(pause, left))

    def _ask(self) -> list[str]:
        """What the sensor does at each tick."""
        from batch_assets.stages.control import cancel_at_provider
        from batch_assets.stages.poll import poll_due
        from batch_assets.stages.recover import recover
        from batch_assets.stages.sweep import sweep

        assert self._declared is not None
        deployment, troubles = self._declared.deployment, []
        # Else those who wait for the same room would take theirs, too, after some minutes.
        self._ledger.request_sets.want([self._inference], self._partitions)
        for step in (recover, cancel_at_provider, lambda each: poll_due(each, self._every), sweep):
            try:
                step(deployment)
            except BatchAssetsError as error:
                troubles.append(error.message)
                if isinstance(error, TransientError):
                    break  # the other steps would meet the same
        return troubles

    def _advance(self) -> list[str]:
        from batch_assets.stages.advance import advance

        assert self._declared is not None
        deployment, recipe = self._declared.deployment, self._declared.recipe
        troubles = []
        self._left = {}
        for standing in self._standings():
            key = standing.request_set.partition_key
            if standing.request_set.resolved_at is not None or key in self._failed:
                continue
            try:
                with self._in_hand(key) as request_set:
                    if request_set is not None:
                        with suppress(StaleMove):  # another process takes it forward, too
                            advance(deployment, recipe, request_set)
            except (TransientError, AccountRefused) as error:
                troubles.append(f"{key}: {error.message}")
            except BatchAssetsError as error:
                self._failed[key] = error.message
        return troubles

    @contextmanager
    def _in_hand(self, partition_key: str) -> Iterator[RequestSet | None]:
        """Hold the partition; its request set as it stands now, and None where nothing is to do.

        One that a run has in hand is left to that. They are held one by one: asking live may take
        hours, and what waits for its turn meanwhile is anybody's.
        """
        from batch_assets.stages.lease import held

        assert self._declared is not None
        ledger, holder = self._ledger, self._declared.deployment.owner
        with held(ledger, self._inference, [partition_key], holder=holder) as has:
            if partition_key not in has:
                hold = ledger.request_sets.holds(self._inference).get(partition_key)
                self._left[partition_key] = "another process" if hold is None else hold.holder
            current = ledger.request_sets.current(self._inference, partition_key)
            is_open = current is not None and current.resolved_at is None
            yield current if partition_key in has and is_open else None

    def _standings(self) -> Sequence["PartitionStanding"]:
        wanted = self._partitions
        found = self._ledger.standing.of(self._inference)
        return [each for each in found if not wanted or each.request_set.partition_key in wanted]

    def _look(self, troubles: Sequence[str]) -> Looked:
        ledger = self._ledger
        wanting = {each.id for each in ledger.approvals.wanted(self._inference)}
        pauses = ledger.pauses.standing()
        of_set = {
            batch.request_set.id: batch
            for batch in ledger.batches(states={BatchState.PLANNED})
            if batch.request_set.inference == self._inference
        }

        def seen(standing: "PartitionStanding") -> Seen:
            request_set = standing.request_set
            if request_set.resolved_at is not None:
                return Seen(standing=standing, fate=Fate.RESOLVED)
            if request_set.partition_key in self._failed:
                why = self._failed[request_set.partition_key]
                return Seen(standing=standing, fate=Fate.STOPPED, why=why)
            if standing.state == "stopped":
                return Seen(standing=standing, fate=Fate.STOPPED, why=self._why_stopped(standing))
            if why := self._why_left(request_set):
                return Seen(standing=standing, fate=Fate.PENDING, why=why)
            if standing.state in ("waiting", "held") and request_set.id in wanting:
                why = request_set.canary_reason or "nobody has approved it yet"
                return Seen(standing=standing, fate=Fate.APPROVAL, why=why)
            waiting = of_set.get(request_set.id)
            if waiting is None or standing.state != "waiting":
                return Seen(standing=standing, fate=Fate.PENDING)
            for pause in pauses:
                if pause.scope.covers(waiting):
                    fate = Fate.STOPPED if pause.is_stop else Fate.PENDING
                    return Seen(standing=standing, fate=fate, why=str(pause))
            return Seen(
                standing=standing, fate=Fate.PENDING, why=_why_later(waiting, ledger.clock())
            )

        return Looked(
            inference=self._inference,
            partitions=[seen(each) for each in self._standings()],
            at=ledger.clock(),
            expected=self._expected(),
            troubles=troubles,
        )

    def _why_left(self, request_set: RequestSet) -> str:
        """Why it is left as it is, though it comes by itself; empty where it is not."""
        if holder := self._left.get(request_set.partition_key):
            return f"{holder} has it in hand, and it is left to that"
        return request_set.rescue_asks or ""

    def _why_stopped(self, standing: "PartitionStanding") -> str:
        given_up = self._ledger.batches(
            request_set=standing.request_set.id, states={BatchState.ABANDONED}
        )
        reason = given_up[-1].reason if given_up else None
        return (
            f"the provider refused {standing.batches.stopped} batch(es) for good: {reason} Once "
            "that is put right, submit it again: only what was refused is sent"
        )

    def _expected(self) -> datetime | None:
        from batch_assets.stages.expected import expected_of

        open_batches = [
            batch
            for batch in self._ledger.batches(states=HOLDING)
            if batch.request_set.inference == self._inference
            and (not self._partitions or batch.request_set.partition_key in self._partitions)
        ]
        ends = []
        for account in {batch.account for batch in open_batches}:
            expected = expected_of(self._ledger, account)
            ends += [
                expected.end(self._inference, batch.endpoint, batch.submitted_at)
                for batch in open_batches
                if batch.account == account and batch.submitted_at is not None
            ]
        return max(filter(None, ends), default=None)


def _why_later(waiting: Batch, now: datetime) -> str:
    """Why a planned batch is not sent yet; empty where nothing keeps it."""
    if waiting.reason or waiting.not_before is None or waiting.not_before <= now:
        return waiting.reason or ""
    return f"what has no answer is asked again in {spoken_age(waiting.not_before - now)}"
