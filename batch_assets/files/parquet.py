"""Parquet as a stream: read in small batches, written batch by batch."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from batch_assets.domain.errors import ArtifactError
from batch_assets.files.store import Files, Written

#: Rows in hand at a time: small enough that what is made of them stays in the processor's cache.
BATCH_ROWS = 1024

_ROW_GROUP = 16 * 1024


#: What a damaged file raises, beside what pyarrow calls its own errors.
DAMAGED = (pa.ArrowException, OSError)


def complaint_of(error: Exception) -> str:
    """What pyarrow says is wrong, on one line."""
    return " ".join(str(error).split())


def open_parquet(source: Any) -> pq.ParquetFile:
    """A Parquet file for streaming: buffers one row group, not the columns of all of them.

    Read it with `use_threads=False`: for batches of this size threads bring no speed, and what each
    of them keeps for itself is 40 MB.

    Pages that have a checksum are held to it: compression alone lets most flipped bits through.
    """
    return pq.ParquetFile(source, pre_buffer=False, page_checksum_verification=True)


def stream_parquet(
    files: Files, path: str, *, columns: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """The rows of a stored file in their order. Raises ArtifactError where it is damaged."""
    with files.open(path) as source:
        try:
            with open_parquet(source) as parquet:
                yield from parquet.iter_batches(
                    batch_size=BATCH_ROWS, columns=columns, use_threads=False
                )
        except DAMAGED as error:
            raise ArtifactError(
                f"{files.url(path)} is not the Parquet file that was stored "
                f"({complaint_of(error)}): restore it, "
                "or materialize the asset that writes it again"
            ) from error


class ParquetSink:
    """Collects batches into row groups of a useful size."""

    def __init__(self, writer: pq.ParquetWriter, schema: pa.Schema) -> None:
        self._writer = writer
        self._schema = schema
        self._waiting: list[pa.RecordBatch] = []
        self._rows = 0
        self.rows = 0
        #: Size and checksum, once the file is complete.
        self.written = Written(sha256="", bytes=0)

    def write(self, batch: pa.RecordBatch) -> None:
        """Append the batch's rows."""
        self._waiting.append(batch)
        self._rows += batch.num_rows
        self.rows += batch.num_rows
        if self._rows >= _ROW_GROUP:
            self.flush()

    def flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.Table.from_batches(self._waiting, self._schema))
            self._waiting, self._rows = [], 0


@contextmanager
def create_parquet(files: Files, path: str, schema: pa.Schema) -> Iterator[ParquetSink]:
    """A new Parquet file (zstd level 1) that takes its name when the block ends well."""
    with files.create(path) as new:
        with pq.ParquetWriter(
            new, schema, compression="zstd", compression_level=1, write_page_checksum=True
        ) as writer:
            sink = ParquetSink(writer, schema)
            yield sink
            sink.flush()
        sink.written = new.written
