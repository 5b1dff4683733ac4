"""The item index read along the shards: each item beside the verdict on its request."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from batch_assets.domain.shard import Shard
from batch_assets.files import Files
from batch_assets.files.parquet import stream_parquet


class ItemIndex:
    """The items of a request set, in the corpus's order."""

    def __init__(self, files: Files, path: str) -> None:
        self._files = files
        self._path = path

    def shared_ordinals(self) -> npt.NDArray[np.int64]:
        """Ordinals of requests that more than one item shares, sorted."""
        shared: list[npt.NDArray[np.int64]] = []
        columns = ["ordinal", "is_duplicate"]
        for batch in stream_parquet(self._files, self._path, columns=columns):
            duplicates = batch.filter(batch.column("is_duplicate"))
            if duplicates.num_rows:
                shared.append(_ordinals(duplicates))
        if not shared:
            return np.empty(0, dtype=np.int64)
        found = np.unique(np.concatenate(shared))
        return found[found >= 0]

    def along(self, shards: tuple[Shard, ...]) -> Iterator[tuple[Shard | None, pa.RecordBatch]]:
        """Runs of items, each with the shard that holds or precedes their requests.

        An item that repeats an earlier one may have its request in an earlier shard; without any
        shard at all, every item is oversize.
        """
        number = 0
        for batch in stream_parquet(self._files, self._path):
            own = np.where(_flags(batch, "is_duplicate"), -1, _ordinals(batch))
            begin = 0
            while number + 1 < len(shards):
                later = np.flatnonzero(own[begin:] > shards[number].last_ordinal)
                if len(later) == 0:
                    break
                end = begin + int(later[0])
                if end > begin:
                    yield shards[number], batch.slice(begin, end - begin)
                begin, number = end, number + 1
            if begin < batch.num_rows:
                yield (shards[number] if shards else None), batch.slice(begin)


def _ordinals(batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
    """The items' ordinals; -1 for an oversize one."""
    return np.asarray(batch.column("ordinal").fill_null(-1))


def _flags(batch: pa.RecordBatch, name: str) -> npt.NDArray[np.bool_]:
    return np.asarray(batch.column(name).to_numpy(zero_copy_only=False))


def verdict_rows(
    items: pa.RecordBatch, first_ordinal: int, verdicts: int, held: npt.NDArray[np.int64]
) -> pa.Array:
    """For each item the row of its verdict: in the shard's own table, or, after its `verdicts`
    rows, among those `held` from earlier shards. Null for an oversize item.
    """
    ordinals = _ordinals(items)
    rows = ordinals - first_ordinal
    earlier = (ordinals >= 0) & (rows < 0)
    rows[earlier] = verdicts + np.searchsorted(held, ordinals[earlier])
    return pa.array(rows, mask=ordinals < 0)
