"""resolve: one final outcome for each item, from the item index and the raw outputs.

A pure fold: delete the results and they are made again without a call. Where another try may help
and the policy allows it, the next wave's shards are written instead, and no results.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from batch_assets.domain.batch import BatchState, RequestSet
from batch_assets.domain.shard import Shard
from batch_assets.files import Files, RequestSetLayout
from batch_assets.files.manifest import Manifest, read_manifest, write_shards
from batch_assets.files.parquet import create_parquet
from batch_assets.files.store import Written
from batch_assets.stages.fold import Collected, Folder, LineCounts, verdict_schema
from batch_assets.stages.items import ItemIndex, verdict_rows
from batch_assets.stages.recipe import Deployment, Recipe
from batch_assets.stages.results import ResultsSink, Summary, results_schema
from batch_assets.stages.shards import create_shards
from batch_assets.stages.submit import is_current, layout_of, plan, shards_of_wave


@dataclass(frozen=True, kw_only=True)
class Resolution:
    """The results of a partition as they were written."""

    manifest: Manifest
    request_set: RequestSet
    summary: Summary
    results: Written
    lines: LineCounts


class _NoResults(Exception):
    """The results are not to take their name: what stands there stays."""


def resolve(deployment: Deployment, recipe: Recipe, request_set: RequestSet) -> Resolution | None:
    """Write the partition's results, or plan the next wave and return None.

    None too where a newer request set took the partition over meanwhile. Every batch of the wave
    on its way must be collected. Raises ArtifactError where a stored file is missing or damaged.
    """
    layout = layout_of(request_set)
    files = deployment.files
    manifest = read_manifest(files, layout.manifest)
    waves = _collected_waves(deployment, manifest, request_set)
    folding = _Folding(recipe, files, layout, manifest, waves)
    try:
        with create_parquet(files, layout.results, results_schema(recipe.output)) as parquet:
            sink = ResultsSink(manifest, recipe.output, parquet)
            folding.write(sink)
            asks_again = folding.retryable and recipe.retries.allows_after(request_set.wave)
            in_charge = is_current(deployment, request_set)
            if asks_again or not in_charge:
                raise _NoResults
    except _NoResults:
        if in_charge:
            _plan_wave(deployment, layout, manifest, request_set, folding.retryable)
        return None
    deployment.ledger.request_sets.resolve(request_set)
    return Resolution(
        manifest=manifest,
        request_set=request_set,
        summary=sink.summary,
        results=parquet.written,
        lines=folding.folder.counts,
    )


def _collected_waves(
    deployment: Deployment, manifest: Manifest, request_set: RequestSet
) -> list[list[Collected]]:
    """The shards of each wave with the batches that answered them."""
    batches = {
        (batch.wave, batch.shard): batch
        for batch in deployment.ledger.batches(
            request_set=request_set.id, states={BatchState.COLLECTED}
        )
    }
    waves = []
    for wave in range(request_set.wave + 1):
        shards = shards_of_wave(deployment.files, manifest, wave)
        waves.append([Collected(shard=s, batch=batches[wave, s.number]) for s in shards])
    return waves


class _Folding:
    """Goes through a request set shard by shard, in the order of the items."""

    def __init__(
        self,
        recipe: Recipe,
        files: Files,
        layout: RequestSetLayout,
        manifest: Manifest,
        waves: Sequence[Sequence[Collected]],
    ) -> None:
        self._manifest = manifest
        self._waves = waves
        self._index = ItemIndex(files, layout.items)
        self._schema = verdict_schema(recipe.output)
        self._shared = self._index.shared_ordinals()
        self._held: pa.Table = self._schema.empty_table()
        self.folder = Folder(recipe, files, layout)
        #: Ordinals that another try may cure.
        self.retryable = array("q")

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
        retryable = np.flatnonzero(verdicts.column("retryable").to_numpy())
        self.retryable.extend((retryable + shard.first_ordinal).tolist())
        return shard.first_ordinal, verdicts

    def _held_ordinals(self, first: int) -> npt.NDArray[np.int64]:
        return self._shared[: np.searchsorted(self._shared, first)]

    def _hold(self, first: int, verdicts: pa.Table) -> None:
        """Keep the verdicts on requests that items of later shards may share."""
        begin, end = np.searchsorted(self._shared, [first, first + verdicts.num_rows])
        if end > begin:
            rows = pa.array(self._shared[begin:end] - first)
            self._held = pa.concat_tables([self._held, verdicts.take(rows)])


def _plan_wave(
    deployment: Deployment,
    layout: RequestSetLayout,
    manifest: Manifest,
    request_set: RequestSet,
    ordinals: "array[int]",
) -> None:
    """Write the next wave's shards from the lines of wave 0, and plan their batches."""
    wave = request_set.wave + 1
    files = deployment.files
    wanted = np.frombuffer(ordinals, dtype=np.int64)
    with create_shards(files, layout, wave=wave, limits=manifest.limits) as sink:
        for shard in manifest.shards:
            begin, end = np.searchsorted(wanted, [shard.first_ordinal, shard.last_ordinal + 1])
            mine = set(wanted[begin:end].tolist())
            if not mine:
                continue
            with files.open(shard.path) as lines:
                for ordinal, line in enumerate(lines, start=shard.first_ordinal):
                    if ordinal in mine:
                        tokens = -(-len(line) * shard.tokens // shard.bytes)
                        sink.write(ordinal, line, tokens)
    shards = tuple(sink.shards)
    write_shards(files, layout.wave_manifest(wave), shards)
    plan(deployment, request_set, shards, wave=wave, endpoint=manifest.endpoint)
