"""The fold of a whole request set: a result for each item, and which requests are asked again."""

from array import array
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from batch_assets.domain.batch import Account, RequestSet
from batch_assets.domain.outcome import Failure, Outcome
from batch_assets.domain.shard import Shard
from batch_assets.files import Files
from batch_assets.files.manifest import Manifest
from batch_assets.stages.counts import LineCounts, WaveCounts
from batch_assets.stages.fold import Collected, Folder, verdict_schema
from batch_assets.stages.items import ItemIndex, verdict_rows
from batch_assets.stages.plan import layout_of
from batch_assets.stages.recipe import Recipe
from batch_assets.stages.results import ResultsSink
from batch_assets.stages.waves import asked_again


@dataclass(kw_only=True)
class Trouble:
    """Requests that failed for the account's sake, and the first of their reasons."""

    error_code: str | None
    message: str | None
    requests: int = 0


class Folding:
    """Goes through a request set shard by shard, in the order of the items."""

    def __init__(
        self,
        recipe: Recipe,
        files: Files,
        request_set: RequestSet,
        manifest: Manifest,
        waves: Sequence[Sequence[Collected]],
        steps: Sequence[Sequence[int]] = (),
    ) -> None:
        layout = layout_of(request_set)
        self._manifest = manifest
        self._waves = waves
        self._retries = recipe.retries
        self._rescues = request_set.awaits_rescue
        self._index = ItemIndex(files, layout.items)
        self._schema = verdict_schema(recipe.endpoint.arrow_type)
        self._shared = self._index.shared_ordinals()
        self._held: pa.Table = self._schema.empty_table()
        self.folder = Folder(
            recipe,
            files,
            layout,
            is_wave_zero_sent=request_set.is_wave_zero_sent,
            steps=steps,
        )
        #: Ordinals of the requests that the policy asks again.
        self.again = array("q")
        #: Ordinals of the requests that were not asked yet, since a canary goes first.
        self.held = array("q")
        #: How the requests ended that were.
        self.asked = WaveCounts()
        #: Of these, the ones that failed for the account's sake.
        self.trouble: Trouble | None = None

    def write(self, sink: ResultsSink) -> None:
        """Write a result for each item."""
        runs = groupby(self._index.along(self._manifest.shards), key=lambda run: run[0])
        for shard, items_of_shard in runs:
            first, verdicts = self._verdicts(shard)
            held = self._held_ordinals(first)
            both = pa.concat_tables([verdicts, self._held]).combine_chunks()
            for _, items in items_of_shard:
                rows = verdict_rows(items, first, verdicts.num_rows, held)
                taken = both.take(rows).combine_chunks().to_batches()
                sink.write(items, taken[0])
            self._hold(first, verdicts)

    def _verdicts(self, shard: Shard | None) -> tuple[int, pa.Table]:
        """The ordinal of the first request of a shard, and the verdicts from there on."""
        if shard is None:
            return 0, self._schema.empty_table()
        collected = self._waves[0][shard.number]
        later = [
            [other for other in wave if other.shard.overlaps(shard)] for wave in self._waves[1:]
        ]
        verdicts = self.folder.fold(collected, later)
        is_held = pc.equal(pc.fill_null(verdicts.column("failure"), ""), Failure.HELD.value)
        held = is_held.to_numpy()
        if held.any():
            self.held.extend((np.flatnonzero(held) + shard.first_ordinal).tolist())
            self.asked.add(verdicts.filter(pc.is_valid(verdicts.column("wave"))))
        again = asked_again(self._retries, verdicts, rescues=self._rescues) & ~held
        self.again.extend((np.flatnonzero(again) + shard.first_ordinal).tolist())
        self._note_trouble(verdicts.filter(pa.array(again)))
        return shard.first_ordinal, verdicts

    def _note_trouble(self, again: pa.Table) -> None:
        refused = again.filter(pc.equal(again.column("failure"), Failure.ACCOUNT.value))
        if refused.num_rows == 0:
            return
        if self.trouble is None:
            self.trouble = Trouble(
                error_code=refused.column("error_code")[0].as_py(),
                message=refused.column("error_message")[0].as_py(),
            )
        self.trouble.requests += refused.num_rows

    def ended_as(self, outcomes: AbstractSet[Outcome]) -> npt.NDArray[np.int64]:
        """Ordinals of the requests whose last verdict is one of these."""
        found = array("q")
        wanted = pa.array([outcome.value for outcome in outcomes])
        for shard in self._manifest.shards:
            first, verdicts = self._verdicts(shard)
            is_one = pc.is_in(verdicts.column("outcome"), value_set=wanted)
            found.extend((np.flatnonzero(is_one.to_numpy()) + first).tolist())
        return np.frombuffer(found, dtype=np.int64)

    def ended_at(self) -> datetime | None:
        """When the newest batch of the last wave ended."""
        ends = [each.batch.ended_at for each in self._waves[-1] if each.batch is not None]
        return max(filter(None, ends), default=None)

    @property
    def account(self) -> Account | None:
        """The account that the last wave was asked by; None where nothing of it was sent."""
        batches = (each.batch for each in self._waves[-1])
        return next((batch.account for batch in batches if batch is not None), None)

    def lines(self) -> LineCounts:
        """Lines that are nobody's answer, over all waves."""
        batches = [each.batch for wave in self._waves for each in wave if each.batch is not None]
        counts = self.folder.counts
        counts.count_mismatches = self.folder.provider_counts.mismatches(batches)
        return counts

    def _held_ordinals(self, first: int) -> npt.NDArray[np.int64]:
        return self._shared[: np.searchsorted(self._shared, first)]

    def _hold(self, first: int, verdicts: pa.Table) -> None:
        """Keep the verdicts on requests that items of later shards may share."""
        begin, end = np.searchsorted(self._shared, [first, first + verdicts.num_rows])
        if end > begin:
            rows = pa.array(self._shared[begin:end] - first)
            self._held = pa.concat_tables([self._held, verdicts.take(rows)])
