"""A corpus of Parquet files, one partition each."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import fsspec
import pyarrow as pa

from batch_assets.domain.errors import CorpusError
from batch_assets.files.parquet import BATCH_ROWS, open_parquet

_ENDING = ".parquet"


@dataclass(frozen=True, kw_only=True)
class ParquetCorpus:
    """Parquet files in a folder; each file is a partition, named as the file without its ending.

    `path` is a folder, a glob or one file: a local path or any URL that fsspec opens. `item_id`
    names the column that holds each item's key; its values are unique within a partition.
    Raises CorpusError, naming the file, the row and the way out, where something cannot be read.
    """

    path: str
    item_id: str

    def partition_keys(self) -> list[str]:
        """The partitions, sorted by key."""
        return sorted(self._files())

    def source_ref(self, partition_key: str) -> str:
        """The partition's file, for lineage and error texts."""
        files = self._files()
        if partition_key not in files:
            raise CorpusError(
                f"{self.path} has no file {partition_key}{_ENDING}: put it back, "
                "or reload the code location so that the partition disappears"
            )
        return files[partition_key]

    def schema(self, partition_key: str) -> pa.Schema:
        """Columns of the partition's file."""
        source_ref = self.source_ref(partition_key)
        with self._opened(source_ref) as parquet:
            return parquet.schema_arrow

    def read(self, partition_key: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """The partition's rows in the file's order, these columns only, in small batches."""
        source_ref = self.source_ref(partition_key)
        with self._opened(source_ref) as parquet:
            rows = 0
            batches = parquet.iter_batches(batch_size=BATCH_ROWS, columns=list(columns))
            while True:
                with _reading(source_ref, rows):
                    batch = next(batches, None)
                if batch is None:
                    return
                # The file decides the order of columns; the caller named its own.
                yield batch.select(list(columns))
                rows += batch.num_rows

    def _files(self) -> dict[str, str]:
        """Full name of each partition's file, looked up anew: a corpus grows."""
        filesystem, path = fsspec.core.url_to_fs(self.path)
        if filesystem.isdir(path):
            path = f"{path.rstrip('/')}/*{_ENDING}"
        found = sorted(filesystem.glob(path)) if "*" in path else [path]
        if not found or not filesystem.exists(found[0]):
            raise CorpusError(
                f"{self.path}: no such Parquet file or folder of Parquet files; "
                "check the corpus's path (a relative one starts at the project's root)"
            )
        files: dict[str, str] = {}
        for name in found:
            key = name.rsplit("/", 1)[-1].removesuffix(_ENDING)
            if key in files:
                raise CorpusError(
                    f"{files[key]} and {name} would both be partition {key!r}: "
                    "rename one of the files"
                )
            files[key] = filesystem.unstrip_protocol(name) if "://" in self.path else name
        return files

    @contextmanager
    def _opened(self, source_ref: str) -> Iterator[Any]:
        with fsspec.open(source_ref, "rb") as source, _reading(source_ref, 0):
            parquet = open_parquet(source)
            yield parquet


@contextmanager
def _reading(source_ref: str, row: int) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise CorpusError(
            f"{source_ref}, at row {row} or after it: not readable as Parquet ({error}); "
            "write the file again, or take it out of the corpus"
        ) from error
