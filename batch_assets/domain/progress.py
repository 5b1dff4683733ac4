"""How far a wave of a partition is, folded from its batches."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from batch_assets.domain.batch import HOLDING, Batch, BatchState


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


def progress_of(batches: Iterable[Batch]) -> Progress:
    """Fold the batches of one wave; they come in the order they were planned."""
    newest = {batch.shard: batch.state for batch in batches}
    states = Counter(newest.values())
    return Progress(
        planned=states[BatchState.PLANNED],
        open=sum(states[state] for state in HOLDING),
        ended=states[BatchState.ENDED],
        collected=states[BatchState.COLLECTED],
        stopped=states[BatchState.ABANDONED],
    )
