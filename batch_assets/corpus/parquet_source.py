"""Parquet files as sources."""

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from batch_assets.corpus.listing import SourceFile
from batch_assets.corpus.row_filter import RowFilter
from batch_assets.corpus.source import Source, check_columns, damaged, only_in, reading
from batch_assets.corpus.unfit_text import UnfitText, check_text
from batch_assets.files.parquet import BATCH_ROWS, open_parquet


class ParquetSource(Source):
    """A Parquet file; row groups without a row that is wanted are not read."""

    def __init__(self, file: SourceFile, opened: Any) -> None:
        super().__init__(file)
        with reading(file, 0):
            self._parquet = open_parquet(opened)

    def whole_schema(self) -> pa.Schema:
        """As the file has it."""
        return self._parquet.schema_arrow

    def schema(self, columns: Sequence[str], rows: range | None) -> pa.Schema:
        """As the file has them."""
        there = self._parquet.schema_arrow
        check_columns(self.file, there.names, columns)
        return pa.schema([there.field(name) for name in columns])

    def count(self) -> int:
        """From the file's footer."""
        return int(self._parquet.metadata.num_rows)

    def batches(
        self, schema: pa.Schema, rows: range | None, only: RowFilter | None
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """In the file's order."""
        for first, groups in self._runs(rows, only):
            row = first
            batches = self._parquet.iter_batches(
                batch_size=BATCH_ROWS, row_groups=groups, columns=schema.names, use_threads=False
            )
            while True:
                with reading(self.file, row):
                    batch = next(batches, None)
                    if batch is None:
                        break
                    self._check(row, batch)
                # The file decides the order of columns; the caller named its own.
                start, wanted = only_in(rows, row, batch.select(schema.names))
                row += batch.num_rows
                if wanted.num_rows:
                    yield start, wanted

    def _check(self, row: int, batch: pa.RecordBatch) -> None:
        try:
            check_text(batch)
        except UnfitText as error:
            where = f"row {row + error.row}, column {error.column!r}"
            remedy = "correct the row, or write the column as binary"
            raise damaged(self.file, where, str(error), remedy) from error

    def _runs(self, rows: range | None, only: RowFilter | None) -> Iterator[tuple[int, list[int]]]:
        """Row groups to read that follow each other, and the position of their first row."""
        metadata = self._parquet.metadata
        column = self._column_of(only)
        first, begun, run = 0, 0, list[int]()
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            is_wanted = rows is None or (first < rows.stop and rows.start < first + group.num_rows)
            if is_wanted and only is not None and column is not None:
                counted = group.column(column).statistics
                if counted is not None and counted.has_min_max:
                    is_wanted = only.may_hold(counted.min, counted.max)
            if is_wanted and not run:
                begun = first
            if is_wanted:
                run.append(number)
            elif run:
                yield begun, run
                run = []
            first += group.num_rows
        if run:
            yield begun, run

    def _column_of(self, only: RowFilter | None) -> int | None:
        """Where Parquet keeps what is known of the filter's column; None for a nested one."""
        if only is None:
            return None
        schema = self._parquet.metadata.schema
        places = [place for place in range(len(schema)) if schema.column(place).path == only.column]
        return places[0] if len(places) == 1 else None
