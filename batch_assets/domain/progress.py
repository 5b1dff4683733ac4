"""How far a wave of a partition is, folded from its batches."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from batch_assets.domain.batch import (
    HOLDING,
    Batch,
    BatchState,
    CanaryState,
    RequestSet,
    RequestSetId,
)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Shards of one wave by what became of their newest batch."""

    #: Waiting to be sent.
    planned: int = 0
    #: With the provider, or being sent.
    open: int = 0
    ended: int = 0
    collected: int = 0
    #: Refused for good: they stay so until `batches` is materialized again.
    stopped: int = 0

    @property
    def is_collected(self) -> bool:
        """Whether everything the wave will ever return is in the store."""
        return self.is_settled and self.stopped == 0

    @property
    def is_settled(self) -> bool:
        """Whether nothing is to be sent, waited for or brought in."""
        return self.planned == self.open == self.ended == 0

    @property
    def has_ended_batches(self) -> bool:
        """Whether there is something to collect."""
        return self.ended > 0

    def __str__(self) -> str:
        words = {
            "waiting to be sent": self.planned,
            "at the provider": self.open,
            "ended": self.ended,
            "collected": self.collected,
            "refused": self.stopped,
        }
        return ", ".join(f"{count} {word}" for word, count in words.items() if count) or "none"


@dataclass(frozen=True, kw_only=True)
class WaveProgress:
    """How far the wave on its way of one partition is, by what the provider last said."""

    request_set: RequestSetId
    inference: str
    partition_key: str
    wave: int
    shards: Progress
    #: Requests of the wave, and how many of them the provider has finished and failed.
    requests: int
    completed: int
    failed: int
    #: When its first batch was submitted that is still open.
    submitted_at: datetime | None
    #: Kinds of the open batches, for what is expected of them: endpoint and time of submission.
    open_since: tuple[tuple[str, datetime], ...]
    #: The stage that a person was told of last.
    told: str | None

    @property
    def share(self) -> float:
        """Of its requests that are finished or failed, 0 to 1."""
        return min((self.completed + self.failed) / max(self.requests, 1), 1.0)

    @property
    def quarter(self) -> int:
        """The quarters of its requests that are done: 0, 25, 50, 75 or 100 per cent."""
        return int(self.share * 4) * 25

    @property
    def stage(self) -> str:
        """What a person is told of: its wave, state, and quarter."""
        return f"{self.wave}/{self.state}/{self.quarter}"

    @property
    def is_news(self) -> bool:
        """Whether it is in another wave or state than a person was told of, or a quarter further.

        How a request set begins is told by the materialization that sent it.
        """
        if self.told is None:
            return not self.begins
        wave, state, quarter = self.told.split("/")
        return (int(wave), state) != (self.wave, self.state) or int(quarter) < self.quarter

    @property
    def begins(self) -> bool:
        """Whether its first wave is on its way, and nothing of it is done."""
        return self.wave == 0 and self.state in ("waiting", "open") and self.quarter == 0

    @property
    def state(self) -> str:
        """Where the wave stands, in a word."""
        shards = self.shards
        if shards.open:
            return "open"
        if shards.planned:
            return "waiting"
        if shards.ended:
            return "ended"
        return "stopped" if shards.stopped else "collected"


def is_complete(request_set: RequestSet, progress: Progress) -> bool:
    """Whether the wave on its way returns nothing more, and what it brought can be resolved.

    A cancelled one has shards that were never sent, as has one whose stragglers are to be asked
    live. Of one whose canary did not pass, a person is to say how it goes on.
    """
    if request_set.cancelled_at is not None:
        return progress.is_settled
    if request_set.canary_state is CanaryState.HELD:
        return False
    if request_set.carried is None:
        return False
    return progress.is_settled if request_set.awaits_rescue else progress.is_collected


def progress_of(batches: Iterable[Batch]) -> Progress:
    """Fold the batches of one wave; they come in the order they were planned."""
    newest = {batch.shard: batch.state for batch in batches}
    return progress_of_states(newest.values())


def progress_of_states(newest: Iterable[BatchState]) -> Progress:
    """Fold the states of the newest batch of each shard of one wave."""
    states = Counter(newest)
    return Progress(
        planned=states[BatchState.PLANNED],
        open=sum(states[state] for state in HOLDING),
        ended=states[BatchState.ENDED],
        collected=states[BatchState.COLLECTED],
        stopped=states[BatchState.ABANDONED],
    )
