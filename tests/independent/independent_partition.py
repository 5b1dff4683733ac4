"""One partition on its way through a server that others wrote, in real time."""

import time
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from factories import a_corpus, a_recipe
from stage_world import a_ledger

from batch_assets.domain.batch import RequestSet
from batch_assets.domain.provider import Provider
from batch_assets.files import Files
from batch_assets.ledger import Ledger
from batch_assets.stages.advance import advance
from batch_assets.stages.plan import layout_of
from batch_assets.stages.poll import poll
from batch_assets.stages.prepare import prepare
from batch_assets.stages.recipe import Deployment, Recipe
from batch_assets.stages.resolve import Resolution
from batch_assets.stages.submit import Submission, submit

#: How long a partition may take, in looks at the provider and seconds between two of them.
LOOKS = 1_500
PAUSE = 0.2


#: The model's name at ogx; aimock takes any.
MODEL = "backend/chat-model"

#: Requests of a run, as many as issue 6 asks for.
REQUESTS = 2_000

#: How many of each kind `failing` has; what the model says to them is in conftest.py.
FAILING = {"busy": 20, "broken": 20, "wrong": 50, "long": 50, "odd": 30}


def words(count: int = REQUESTS) -> list[str]:
    """What the model has an answer to."""
    return [f"word {number}" for number in range(count)]


def failing() -> list[str]:
    """The same, with failures of every kind among the first."""
    asked = [f"{kind} {number}" for kind, count in FAILING.items() for number in range(count)]
    return [*asked, *words()[len(asked) :]]


class RunningClock:
    """Real time, and what is skipped of it."""

    def __init__(self) -> None:
        self._skipped = timedelta()

    def now(self) -> float:
        return time.time() + self._skipped.total_seconds()

    def skip(self, wait: timedelta) -> None:
        self._skipped += wait


@dataclass(kw_only=True)
class Partition:
    """A partition, and what it passes."""

    deployment: Deployment
    recipe: Recipe
    clock: RunningClock

    @property
    def ledger(self) -> Ledger:
        return self.deployment.ledger

    @property
    def request_set(self) -> RequestSet:
        found = self.ledger.request_sets.current(self.recipe.inference, "p")
        assert found is not None
        return found

    def submit(self) -> Submission:
        limits = self.deployment.provider.limits
        made = prepare(self.recipe, "p", files=self.deployment.files, limits=limits)
        return submit(self.deployment, self.recipe, made)

    def finish(self) -> Resolution:
        """Wave after wave to the results."""
        for _ in range(LOOKS):
            seen = poll(self.deployment)
            state = advance(self.deployment, self.recipe, self.request_set)
            if isinstance(state, Resolution):
                return state
            if seen.open == 0:
                self.clock.skip(timedelta(minutes=1))  # the next wave waits so long
            Event().wait(PAUSE)  # the server works in its own time
        raise AssertionError(f"still {state.progress}")

    def table(self) -> pa.Table:
        with self.deployment.files.open(layout_of(self.request_set).results) as source:
            return pq.read_table(source)

    def ends(self) -> Counter[tuple[Any, ...]]:
        """How many items ended how: outcome, code of the error, and times asked."""
        columns = self.table().select(["outcome", "error_code", "attempts"])
        return Counter(tuple(row.values()) for row in columns.to_pylist())


def a_partition(folder: Path, provider: Provider, words: list[str], **recipe: Any) -> Partition:
    """Of a corpus of these words; keywords are a_recipe's."""
    clock = RunningClock()
    rows = pa.table({"id": [f"i-{row}" for row in range(len(words))], "word": words})
    asked = {"user": "{{ word }}", "system": None, "output": None, "max_waves": 2, **recipe}
    return Partition(
        deployment=Deployment(
            ledger=a_ledger(folder, clock),
            files=Files(str(folder / "store")),
            provider=provider,
            owner="independent",
        ),
        recipe=a_recipe(a_corpus(folder / "corpus", rows), **asked),
        clock=clock,
    )
