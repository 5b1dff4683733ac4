"""CSV and TSV files as sources.

Every value is text, as it stands in the file: types are never guessed, so that an id 007 stays one
and no block reads other than the one before it.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.csv as pa_csv

from batch_assets.corpus.listing import SourceFile
from batch_assets.corpus.row_filter import RowFilter
from batch_assets.corpus.source import (
    LONGEST_ROW,
    TEXT_BLOCK,
    Source,
    check_columns,
    damaged,
    only_in,
    unreadable,
)
from batch_assets.corpus.text_stream import Utf8Stream, text_stream
from batch_assets.domain.errors import CorpusError, DeclarationError
from batch_assets.files.parquet import BATCH_ROWS, DAMAGED

#: A row of our own behind the last: it is missing where a quote before it was never closed.
_LAST_ROW = f"end-{uuid4().hex}"

_UNCLOSED = "a quote is opened and never closed"

#: What pyarrow says of a row, or of a header, that its block is too small for.
_TOO_LONG = re.compile("straddl|Empty CSV file or block")


@dataclass(frozen=True, kw_only=True)
class CsvDialect:
    """How a CSV file is written."""

    #: None: a comma, and a tab in a TSV file.
    delimiter: str | None = None
    #: None: quotes are characters like any other.
    quote: str | None = '"'
    #: The character that takes the next one's meaning away; in quotes, two of them are one.
    escape: str | None = None
    #: As Python names it.
    encoding: str = "utf-8"
    #: Names of the columns of files that have no header; None: the first row has them.
    header: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("delimiter", "quote", "escape"):
            mark = getattr(self, name)
            if mark is not None and (len(mark) != 1 or not mark.isascii() or mark in "\r\n"):
                raise DeclarationError(
                    f"CSV {name} {mark!r}: give one ASCII character that ends no line"
                )
        try:
            codecs.lookup(self.encoding)
        except LookupError as error:
            raise DeclarationError(
                f"CSV encoding {self.encoding!r}: give one that Python knows, as latin-1 or utf-16"
            ) from error


class CsvSource(Source):
    """A CSV or TSV file."""

    def __init__(self, file: SourceFile, dialect: CsvDialect) -> None:
        super().__init__(file)
        self._dialect = dialect
        self._delimiter = dialect.delimiter or ("\t" if file.format == "tsv" else ",")
        self._remedy = (
            f"write it with {self._delimiter!r} between values and {dialect.quote!r} around those "
            f"that hold one, in {dialect.encoding}, or say in the corpus's csv how it is written"
        )
        self._names: list[str] | None = None

    def whole_schema(self) -> pa.Schema:
        """Text all over."""
        return pa.schema([(name, pa.string()) for name in self._header()])

    def _header(self) -> list[str]:
        if self._dialect.header is not None:
            return list(self._dialect.header)
        block = TEXT_BLOCK
        while self._names is None:
            try:
                with self._opened(block) as reader:
                    self._names = list(reader.schema.names)
            except (*DAMAGED, UnicodeDecodeError) as error:
                block = self._larger(block, error, 0)
        return self._names

    def schema(self, columns: Sequence[str], rows: range | None) -> pa.Schema:
        """Text all over."""
        check_columns(self.file, self._header(), columns)
        return pa.schema([(name, pa.string()) for name in columns])

    def count(self) -> int:
        """Found out by reading the file."""
        names = self._header()
        first = next((name for name in names if names.count(name) == 1), names[0])
        schema = self.schema([first], None)
        return sum(batch.num_rows for _, batch in self.batches(schema, None, None))

    def batches(
        self, schema: pa.Schema, rows: range | None, only: RowFilter | None
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """In the file's order."""
        # The end is known by a column that is always read.
        columns = list(schema.names)
        names = self._header()
        closing = self._closing_row(names, columns[0])
        row = rows.start if rows is not None else 0
        block = TEXT_BLOCK
        while True:
            try:
                with self._opened(block, columns=columns, skip=row, closing=closing) as reader:
                    for batch in self._until_the_end(reader, row):
                        start, wanted = only_in(rows, row, batch)
                        row += batch.num_rows
                        for offset in range(0, wanted.num_rows, BATCH_ROWS):
                            yield start + offset, wanted.slice(offset, BATCH_ROWS)
                        if rows is not None and row >= rows.stop:
                            return
                return
            except (*DAMAGED, UnicodeDecodeError) as error:
                # Goes on behind the rows that are given.
                block = self._larger(block, error, row)

    def _until_the_end(self, reader: Any, row: int) -> Iterator[pa.RecordBatch]:
        """What is before our own last row."""
        held = None
        for batch in reader:
            if not batch.num_rows:
                continue
            if held is not None:
                row += held.num_rows
                yield held
            held = batch
        if held is None:
            # Rows were skipped that are no longer there, our own among them.
            return
        if held.column(0)[-1].as_py() != _LAST_ROW:
            raise self._damaged(row + held.num_rows - 1, _UNCLOSED)
        yield held.slice(0, held.num_rows - 1)

    def _closing_row(self, names: list[str], column: str) -> bytes:
        values = [_LAST_ROW if name == column else "" for name in names]
        return f"\n{self._delimiter.join(values)}\n".encode()

    @contextmanager
    def _opened(
        self,
        block: int,
        *,
        columns: Sequence[str] | None = None,
        skip: int = 0,
        closing: bytes = b"",
    ) -> Iterator[Any]:
        dialect = self._dialect
        with text_stream(self.file) as source:
            stream = Utf8Stream(source, dialect.encoding, closing)
            with pa_csv.open_csv(
                pa.PythonFile(stream, mode="r"),
                read_options=pa_csv.ReadOptions(
                    block_size=block,
                    use_threads=False,
                    column_names=None if dialect.header is None else list(dialect.header),
                    skip_rows_after_names=skip,
                ),
                parse_options=pa_csv.ParseOptions(
                    delimiter=self._delimiter,
                    quote_char=dialect.quote or False,
                    escape_char=dialect.escape or False,
                    newlines_in_values=True,
                ),
                convert_options=pa_csv.ConvertOptions(
                    include_columns=columns,
                    column_types={name: pa.string() for name in columns or ()},
                    strings_can_be_null=False,
                ),
            ) as reader:
                yield reader

    def _larger(self, block: int, error: Exception, row: int) -> int:
        """A larger block where a row did not fit; else CorpusError, with the line where known."""
        complaint = str(error)
        if _TOO_LONG.search(complaint) and block < LONGEST_ROW:
            return block * 8
        if _LAST_ROW in complaint:
            complaint = f"{complaint.partition(': ')[0]}: {_UNCLOSED}"
        found = re.search(r"Row #(\d+): (.*)", complaint, re.DOTALL)
        if found is None:
            raise unreadable(self.file, row, error, self._remedy) from error
        header = 1 if self._dialect.header is None else 0
        raise self._damaged(int(found[1]) - 1 - header, found[2]) from error

    def _damaged(self, row: int, complaint: str) -> CorpusError:
        line = self._line_of(row)
        where = f"row {row}" if line is None else f"line {line} (row {row})"
        return damaged(self.file, where, complaint, self._remedy)

    def _line_of(self, row: int) -> int | None:
        """The line in which a row begins, from 1; None where Python's reader sees other rows."""
        header = 1 if self._dialect.header is None else 0
        options: dict[str, Any] = {"delimiter": self._delimiter, "escapechar": self._dialect.escape}
        if self._dialect.quote is None:
            options["quoting"] = csv.QUOTE_NONE
        else:
            options["quotechar"] = self._dialect.quote
        with text_stream(self.file) as source:
            text = io.StringIO(
                source.read(LONGEST_ROW).decode(self._dialect.encoding, "replace"), newline=""
            )
        reader = csv.reader(text, **options)
        seen = line = 0
        try:
            for values in reader:
                if values and seen == row + header:
                    return line + 1
                seen += bool(values)
                line = reader.line_num
        except csv.Error:
            pass
        return None
