"""The results of a request set as they stood before they were made anew."""

from collections.abc import Iterator

import pyarrow as pa

from batch_assets.files import Files
from batch_assets.files.parquet import stream_parquet

#: What makes a row another one for whoever reads the results.
_COMPARED = ["outcome", "output"]


class EarlierResults:
    """Earlier results, read row by row beside the new ones. Both are in the order of the items."""

    def __init__(self, files: Files, path: str) -> None:
        self._batches = stream_parquet(files, path, columns=_COMPARED)
        self._rest: pa.RecordBatch | None = None
        #: New rows that are not as they were.
        self.changed = 0

    def compare(self, rows: pa.RecordBatch) -> None:
        """Hold the next new rows against the earlier ones."""
        done = 0
        for earlier in self._next(rows.num_rows):
            later = rows.slice(done, earlier.num_rows).select(_COMPARED)
            if not later.equals(earlier):
                pairs = zip(later.to_pylist(), earlier.to_pylist(), strict=True)
                self.changed += sum(one != other for one, other in pairs)
            done += earlier.num_rows
        self.changed += rows.num_rows - done

    def _next(self, rows: int) -> Iterator[pa.RecordBatch]:
        while rows:
            batch = self._rest or next(self._batches, None)
            if batch is None:
                return
            taken = batch.slice(0, rows)
            rows -= taken.num_rows
            self._rest = batch.slice(taken.num_rows) if taken.num_rows < batch.num_rows else None
            yield taken.select(_COMPARED)

    def close(self) -> None:
        """Close the file, read through or not."""
        self._batches.close()  # type: ignore[attr-defined]
