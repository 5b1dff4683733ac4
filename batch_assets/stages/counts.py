"""What is counted while raw outputs are folded: lines that are nobody's answer, and the waves."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from batch_assets.domain.batch import Batch, BatchId
from batch_assets.domain.outcome import Outcome
from batch_assets.domain.usage import Usage

#: Columns that count what was used.
TOKENS = (
    "input_tokens",
    "cached_tokens",
    "output_tokens",
    "reasoning_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
)


@dataclass
class LineCounts:
    """Lines that are nobody's answer; counted, never trusted."""

    #: Lines whose custom_id is not one of the requests asked.
    foreign: int = 0
    #: Further lines for a request that already had one.
    duplicate: int = 0
    #: Of these, the ones that say something else than the one that counts.
    contradictory: int = 0
    #: Lines of which not even the custom_id could be read.
    unreadable: int = 0
    #: Requests that the provider's own counts have wrong, in batches that it calls completed.
    count_mismatches: int = 0


@dataclass(kw_only=True)
class WaveCounts:
    """What one wave asked, what came of it, and what it used."""

    requests: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    #: Answers of the model, which is what is paid for.
    executions: int = 0
    usage: Usage = field(default_factory=Usage)
    #: Prompt tokens from which on a request has other unit prices, from 0 on.
    steps: Sequence[int] = (0,)
    #: The usage, that of each step's requests for itself.
    usage_by_step: list[Usage] = field(default_factory=list)
    #: Answers of which the provider told no usage.
    untold: int = 0

    def __post_init__(self) -> None:
        self.usage_by_step = [Usage() for _ in self.steps]

    @property
    def ok(self) -> int:
        return self.outcomes[Outcome.OK]

    def add(self, verdicts: pa.Table) -> None:
        """Take in the verdicts on requests that the wave asked."""
        self.requests += verdicts.num_rows
        self.outcomes += outcomes_in(verdicts)
        self.executions += pc.sum(verdicts.column("executions")).as_py() or 0
        self.usage += usage_in(verdicts)
        told = verdicts.column("input_tokens")
        is_paid = pc.greater(verdicts.column("executions"), 0)
        self.untold += pc.sum(pc.and_(is_paid, pc.is_null(told))).as_py() or 0
        for place, rows in enumerate(self._by_step(verdicts, told)):
            self.usage_by_step[place] += usage_in(rows)

    def _by_step(self, verdicts: pa.Table, told: pa.ChunkedArray) -> Iterator[pa.Table]:
        """The verdicts of each step's requests."""
        if len(self.steps) == 1:
            yield verdicts
            return
        # Below the first step there is nothing, and above the last no end.
        for above, end in zip(self.steps, (*self.steps[1:], None), strict=True):
            is_one = pc.greater(told, above) if above else pc.greater_equal(told, 0)
            if end is not None:
                is_one = pc.and_(is_one, pc.less_equal(told, end))
            yield verdicts.filter(is_one)


class ProviderCounts:
    """Holds what a provider says of its batches against their lines."""

    def __init__(self) -> None:
        self._completed: Counter[BatchId] = Counter()
        self._failed: Counter[BatchId] = Counter()

    def take(self, batch: Batch, *, is_completed: bool) -> None:
        """Take in the first line for a request."""
        (self._completed if is_completed else self._failed)[batch.id] += 1

    def mismatches(self, batches: Iterable[Batch]) -> int:
        """Requests that the provider counted as what they are not."""
        return sum(
            max(
                abs((batch.completed or 0) - self._completed[batch.id]),
                abs((batch.failed or 0) - self._failed[batch.id]),
            )
            for batch in batches
            if batch.provider_status == "completed" and batch.completed is not None
        )


def outcomes_in(rows: pa.Table | pa.RecordBatch) -> Counter[str]:
    """How many rows have which outcome."""
    found = pc.value_counts(rows.column("outcome"))
    return Counter({str(each["values"]): each["counts"].as_py() for each in found})


def usage_in(rows: pa.Table | pa.RecordBatch) -> Usage:
    """The tokens of the rows together."""
    return Usage(**{name: pc.sum(rows.column(name)).as_py() or 0 for name in TOKENS})
