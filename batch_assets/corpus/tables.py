"""Tables and frames of all kinds as streams of Arrow batches."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from batch_assets.corpus.unfit_text import UnfitText
from batch_assets.files.parquet import BATCH_ROWS


class Opened(ABC):
    """A table that can be streamed."""

    schema: pa.Schema
    #: Whether it can be streamed more than once.
    is_repeatable = True

    @abstractmethod
    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Its rows in their order, these columns only, in small batches."""


def opened(value: Any) -> Opened:
    """Any table.

    Raises TypeError for what is none, ArrowException for one that Arrow has no types for, UnfitText
    for one with text that is none.

    pandas and polars are not imported: a value of theirs has them loaded already.
    """
    match value:
        case pa.Table() | pa.RecordBatch():
            return _Table(value)
        case pa.RecordBatchReader():
            return _Reader(value)
    kind = f"{type(value).__module__.split('.')[0]}.{type(value).__name__}"
    if kind.startswith("pyarrow.") and hasattr(value, "scanner"):
        return _Dataset(value)
    if kind == "pandas.DataFrame":
        return _Table(_from_pandas(value))
    if kind == "polars.LazyFrame":
        return _LazyFrame(value)
    if kind == "polars.DataFrame":
        return _Table(value.to_arrow())
    if hasattr(value, "__arrow_c_stream__"):
        return _Reader(pa.RecordBatchReader.from_stream(value))
    raise TypeError(f"{type(value).__qualname__} is no table")


class _Table(Opened):
    def __init__(self, table: pa.Table | pa.RecordBatch) -> None:
        self._table = table if isinstance(table, pa.Table) else pa.Table.from_batches([table])
        self.schema = self._table.schema

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        selected = self._table.select(list(columns))
        yield from selected.to_batches(max_chunksize=BATCH_ROWS)


class _Reader(Opened):
    is_repeatable = False

    def __init__(self, reader: pa.RecordBatchReader) -> None:
        self._reader = reader
        self.schema = reader.schema

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        for batch in self._reader:
            selected = batch.select(list(columns))
            for begin in range(0, selected.num_rows, BATCH_ROWS):
                yield selected.slice(begin, BATCH_ROWS)


class _Dataset(Opened):
    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        self.schema = dataset.schema

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        import pyarrow.dataset as pads

        options: dict[str, Any] = {}
        if isinstance(getattr(self._dataset, "format", None), pads.ParquetFileFormat):
            # Else the columns of all row groups of a file are in memory at once.
            options["fragment_scan_options"] = pads.ParquetFragmentScanOptions(pre_buffer=False)
        scanner = self._dataset.scanner(
            columns=list(columns),
            batch_size=BATCH_ROWS,
            batch_readahead=2,
            fragment_readahead=1,
            use_threads=False,
            **options,
        )
        yield from (batch for batch in scanner.to_batches() if batch.num_rows)


class _LazyFrame(Opened):
    def __init__(self, frame: Any) -> None:
        self._frame = frame
        self.schema = frame.limit(0).collect().to_arrow().schema

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        selected = self._frame.select(list(columns))
        # Polars before 1.34 has a lazy frame in memory whole or not at all.
        if hasattr(selected, "collect_batches"):
            parts = selected.collect_batches(chunk_size=BATCH_ROWS, maintain_order=True)
        else:
            parts = [selected.collect()]
        for part in parts:
            yield from part.to_arrow().to_batches(max_chunksize=BATCH_ROWS)


def _from_pandas(frame: Any) -> pa.Table:
    columns = []
    for name in frame.columns:
        try:
            columns.append(pa.Array.from_pandas(frame[name]))
        except UnicodeEncodeError as error:
            row = next(row for row, value in enumerate(frame[name]) if _is_half(value))
            raise UnfitText(row, str(name)) from error
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise TypeError(f"column {name!r} holds values of several types ({error})") from error
    return pa.Table.from_arrays(columns, names=[str(name) for name in frame.columns])


def _is_half(value: Any) -> bool:
    """Whether a value holds text with half of a surrogate pair, which has no bytes."""
    try:
        pa.array([value])
    except UnicodeEncodeError:
        return True
    return False
