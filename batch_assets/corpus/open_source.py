"""Opens a file as the source that its format makes it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import assert_never

from batch_assets.corpus.csv_source import CsvDialect, CsvSource
from batch_assets.corpus.jsonl_source import JsonlSource
from batch_assets.corpus.listing import SourceFile
from batch_assets.corpus.parquet_source import ParquetSource
from batch_assets.corpus.source import Source, reading


@contextmanager
def open_source(file: SourceFile, dialect: CsvDialect) -> Iterator[Source]:
    """The file as a source. Raises CorpusError where it is gone or damaged."""
    match file.format:
        case "csv" | "tsv":
            yield CsvSource(file, dialect)
        case "jsonl":
            yield JsonlSource(file)
        case "parquet":
            with reading(file, 0):
                opened = file.open()
            with opened:
                yield ParquetSource(file, opened)
        case _:
            assert_never(file.format)
