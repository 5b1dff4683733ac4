"""increment: number the results of a partition that became final since the last time.

A partition need not be complete for it: what is final is what the policy will not ask again. A
result is final once, except where a person has its item asked again: then its new result comes
after the old one.
"""

import secrets

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from batch_assets.domain.batch import BatchState, RequestSet
from batch_assets.domain.wave import RetryPolicy
from batch_assets.files.manifest import Manifest, read_manifest
from batch_assets.files.parquet import ParquetSink, create_parquet, stream_parquet
from batch_assets.stages.folding import Folding
from batch_assets.stages.plan import layout_of
from batch_assets.stages.recipe import Deployment, Recipe
from batch_assets.stages.results import ResultsSink, results_schema
from batch_assets.stages.waves import asked_again, collected_waves

#: Wave of an item that no increment has yet.
_NEVER = -1


def increment(deployment: Deployment, recipe: Recipe, request_set: RequestSet) -> int:
    """Make the partition's new final results readable by their sequence; how many they are.

    Raises StaleMove where another process does the same at this moment, ArtifactError where a
    stored file is missing or damaged.
    """
    ledger, files, layout = deployment.ledger, deployment.files, layout_of(request_set)
    before, mark = ledger.increments.mark(request_set), _mark(deployment, request_set)
    if mark == before:
        return 0
    earlier = ledger.increments.of(request_set)
    read_in_wave = _waves_read(deployment, request_set, [each.path for each in earlier])
    path = layout.increment(len(earlier), secrets.token_hex(4))
    with create_parquet(files, path, results_schema(recipe.endpoint.arrow_type)) as parquet:
        if request_set.resolved_at is not None:
            for batch in stream_parquet(files, layout.results):
                parquet.write(_unread(batch, read_in_wave))
        else:
            _write_final(deployment, recipe, request_set, parquet, read_in_wave)
    ledger.increments.add(request_set, before=before, mark=mark, rows=parquet.rows, path=path)
    return parquet.rows


def _mark(deployment: Deployment, request_set: RequestSet) -> str:
    """Another one whenever there may be something new to read."""
    collected = deployment.ledger.batches(request_set=request_set.id, states={BatchState.COLLECTED})
    resolved = "" if request_set.resolved_at is None else request_set.resolved_at.isoformat()
    return f"{request_set.wave} {len(collected)} {resolved}"


def _waves_read(
    deployment: Deployment, request_set: RequestSet, paths: list[str]
) -> npt.NDArray[np.int16]:
    """For each item the wave of the result that was made readable last."""
    manifest = read_manifest(deployment.files, layout_of(request_set).manifest)
    waves = np.full(manifest.items, _NEVER, dtype=np.int16)
    for path in paths:
        for batch in stream_parquet(deployment.files, path, columns=["item_index", "wave"]):
            waves[np.asarray(batch.column("item_index"))] = _waves_of(batch)
    return waves


def _waves_of(rows: pa.RecordBatch) -> npt.NDArray[np.int16]:
    """An item that was never asked has the first wave: it has no other."""
    return np.asarray(rows.column("wave").fill_null(0)).astype(np.int16)


def _unread(rows: pa.RecordBatch, read_in_wave: npt.NDArray[np.int16]) -> pa.RecordBatch:
    index = np.asarray(rows.column("item_index"))
    return rows.filter(pa.array(_waves_of(rows) > read_in_wave[index]))


def _write_final(
    deployment: Deployment,
    recipe: Recipe,
    request_set: RequestSet,
    parquet: ParquetSink,
    read_in_wave: npt.NDArray[np.int16],
) -> None:
    """Fold what is collected; a request without a batch so far is asked again, so not final."""
    layout = layout_of(request_set)
    manifest = read_manifest(deployment.files, layout.manifest)
    waves = collected_waves(deployment, manifest, request_set, is_settled=True)
    folding = Folding(recipe, deployment.files, request_set, manifest, waves)
    may_rescue = recipe.stragglers is not None and request_set.rescue_wave is None
    folding.write(_FinalRows(manifest, recipe, parquet, read_in_wave, may_rescue=may_rescue))


class _FinalRows(ResultsSink):
    """Takes of a fold what the policy will not ask again and nobody could read before."""

    def __init__(
        self,
        manifest: Manifest,
        recipe: Recipe,
        parquet: ParquetSink,
        read_in_wave: npt.NDArray[np.int16],
        *,
        may_rescue: bool,
    ) -> None:
        super().__init__(manifest, recipe.endpoint.arrow_type, parquet)
        self._retries = recipe.retries
        self._may_rescue = may_rescue
        self._read_in_wave = read_in_wave

    def write(self, items: pa.RecordBatch, verdicts: pa.RecordBatch) -> None:
        index = np.asarray(items.column("item_index"))
        is_new = _waves_of(verdicts) > self._read_in_wave[index]
        may_follow = _may_be_asked_again(self._retries, verdicts, rescues=self._may_rescue)
        wanted = pa.array(is_new & ~may_follow)
        if pc.any(wanted).as_py():
            super().write(items.filter(wanted), verdicts.filter(wanted))


def _may_be_asked_again(
    policy: RetryPolicy, verdicts: pa.RecordBatch, *, rescues: bool
) -> npt.NDArray[np.bool_]:
    # An oversize item has no verdict, and no failure that another try could cure.
    counts = [verdicts.column(name).fill_null(0) for name in ("attempts", "uncounted")]
    return asked_again(
        policy,
        pa.table([verdicts.column("failure"), *counts], ["failure", "attempts", "uncounted"]),
        rescues=rescues,
    )
