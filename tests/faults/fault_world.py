"""A partition that is brought home whatever stands in its way, and the judgement on its end."""

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from stage_world import LATENCY, World

from batch_assets.domain.batch import FINAL
from batch_assets.domain.budget import Reservation
from batch_assets.domain.errors import TransientError
from batch_assets.domain.progress import Progress
from batch_assets.stages.control import cancel_at_provider
from batch_assets.stages.resolve import Resolution
from batch_assets.stages.sweep import sweep

#: Ticks after which a partition that is not home is taken for a dead end.
MOST_TICKS = 60


@dataclass(kw_only=True)
class FaultWorld(World):
    """Carried as runs and the sensor carry it: what fails for now is tried again later."""

    def send(self) -> None:
        """Submit. What that meets for now is met again by the ticks that follow."""
        with suppress(TransientError):
            self.submit()

    def tick(self, after: float = LATENCY) -> Resolution | None:
        """What the sensor and its runs do at one time."""
        self.clock.advance(after)
        for step in (lambda: cancel_at_provider(self.deployment), self.poll):
            with suppress(TransientError):
                step()
        with suppress(TransientError):
            state = self.advance()
            return state if isinstance(state, Resolution) else None
        return None

    def bring_home(self, after: float = LATENCY) -> Resolution:
        """Tick after tick to the results, then once more through the uploads."""
        for _ in range(MOST_TICKS):
            resolution = self.tick(after)
            if resolution is not None:
                self._sweep()
                return resolution
        raise AssertionError(f"a dead end: {self.states}, {[each.reason for each in self.batches]}")

    def _sweep(self) -> None:
        """What the sensor does once an hour."""
        for _ in range(2):
            with suppress(TransientError):
                sweep(self.deployment, every=timedelta())

    def carry(self) -> Resolution:
        self.send()
        return self.bring_home()

    @property
    def progress(self) -> Progress:
        state = self.advance()
        assert not isinstance(state, Resolution)
        return state.progress

    @property
    def attempts(self) -> list[int]:
        """For each item how often it was asked and it counted."""
        return self.column("attempts")

    def judged(self, *outcomes: str, executed: int, most: int = 1, unseen: int = 0) -> None:
        """Nothing is lost, nothing is paid for beyond the allowed, nothing is left behind.

        `outcomes` are those of the items in their order, or one for all of them. The sandbox counts
        what was `executed`, in all and at most of one body; of these, `unseen` are answers that
        never came in a line of their request.
        """
        rows = self.results()
        assert [row["item_id"] for row in rows] == self._items()
        expected = outcomes * len(rows) if len(outcomes) == 1 else outcomes
        assert [row["outcome"] for row in rows] == list(expected)
        assert [row["output"] is not None for row in rows] == [each == "ok" for each in expected]
        paid = self.executions
        assert (paid["requests_executed"], paid["max_executions_of_one_body"]) == (executed, most)
        assert sum(row["executions"] for row in rows) == executed - unseen
        self.nothing_is_left()

    def nothing_is_left(self) -> None:
        """No budget is held, no batch is on its way, no upload is without its batch."""
        assert self.ledger.held(self.deployment.provider.account) == Reservation()
        assert {batch.state for batch in self.batches} <= FINAL
        uploads, used = self.at_provider()
        assert uploads == used

    def at_provider(self) -> tuple[Counter[str], Counter[str]]:
        """The request files that the provider has, and those that its batches were made of."""
        state = self.sandbox.state
        uploads, _ = state.files.page(purpose="batch", after=None, limit=10_000, descending=True)
        batches, _ = state.batches.page(after=None, limit=100)
        return (
            Counter(file.id for file in uploads),
            Counter(batch.input_file_id for batch in batches),
        )

    def _items(self) -> list[Any]:
        """The corpus's items, as its file has them."""
        parts = self.recipe.corpus.read(self.partition_key, ["id"])
        return [item for part in parts for item in part.batch.column("id").to_pylist()]
