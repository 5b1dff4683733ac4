"""Rows as text that neither a spreadsheet nor a line reader misunderstands."""

from base64 import b64encode
from collections import Counter
from typing import Any, Self

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from batch_assets.corpus.column_text import as_text
from batch_assets.domain.errors import ArtifactError

#: Rows that are Python values at a time; one of an embedding has thousands of them.
_SLICE = 256

#: What a spreadsheet takes for the begin of a formula (OWASP, "CSV Injection"; the wide forms are
#: read as the narrow ones in East Asian locales), and the quote that marks such a cell as text: a
#: cell that has one of its own gets a second, so that the first can always be dropped.
_FORMULA = r"\A([=+\-@\t\n'＝＋－＠])"

#: Characters that JSON may hold and that some readers of lines take for an end of line.
_LINE_ENDS = {
    char.encode(): f"\\u{ord(char):04x}".encode() for char in ("\u2028", "\u2029", "\u0085")
}


def _plain(value: Any) -> str:
    """What pandas makes of nanoseconds, where it is installed, and what JSON has no form for."""
    return str(value.isoformat() if hasattr(value, "isoformat") else value)


_encoder = msgspec.json.Encoder(enc_hook=_plain)


def _one_line(text: bytes) -> bytes:
    for char, escaped in _LINE_ENDS.items():
        text = text.replace(char, escaped)
    return text


class JsonLines:
    """A JSON object per row, with the columns as its fields.

    Numbers that JSON has not, as NaN, are null; times are ISO 8601, bytes Base64, and decimals
    texts. A line has no other character that ends a line somewhere: those are escaped.
    """

    def __init__(self, sink: Any) -> None:
        self._sink = sink
        self._rows = 0

    def write(self, batch: pa.RecordBatch) -> None:
        """Append the rows. Raises ArtifactError for a value that cannot be written."""
        for begin in range(0, batch.num_rows, _SLICE):
            part = batch.slice(begin, _SLICE)
            names = part.schema.names
            columns = [
                _values(column, name, self._rows)
                for name, column in zip(names, part.columns, strict=True)
            ]
            rows = [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]
            self._sink.write(_one_line(_encoder.encode_lines(rows)))
            self._rows += part.num_rows


class CsvRows:
    """Rows of RFC 4180, in UTF-8, with a header and every text quoted.

    The fields of a struct are columns of their own, `output.label`; what is nested deeper, and
    lists, are JSON text, bytes Base64. A null is an empty cell, an empty text is `""`, as is a null
    where there is one column only.

    A text that a spreadsheet would take for a formula, or that begins with `'`, has a `'` before
    it: whoever drops the first `'` of a text has it back. Line ends inside a text are line
    feeds, and NUL is U+FFFD: that cannot be undone. Numbers are as they are.

    Raises ArtifactError for two columns of one name.
    """

    def __init__(self, sink: Any, schema: pa.Schema, *, delimiter: str) -> None:
        nothing = pa.RecordBatch.from_arrays([pa.nulls(0, f.type) for f in schema], schema.names)
        cells = [(name, column.type) for name, column in _row_cells(nothing, 0)]
        repeated = [name for name, count in Counter(name for name, _ in cells).items() if count > 1]
        if repeated:
            raise ArtifactError(
                f"{', '.join(map(repr, repeated))} would name several columns of the file: "
                "leave all but one of them out, or write Parquet"
            )
        names = _safe(pa.array([name for name, _ in cells], pa.large_string())).to_pylist()
        self._schema = pa.schema(
            [(name, type_) for name, (_, type_) in zip(names, cells, strict=True)]
        )
        options = pa_csv.WriteOptions(delimiter=delimiter)
        self._writer = pa_csv.CSVWriter(sink, self._schema, write_options=options)
        self._rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def write(self, batch: pa.RecordBatch) -> None:
        """Append the rows. Raises ArtifactError for a value that cannot be written."""
        for begin in range(0, batch.num_rows, _SLICE):
            part = batch.slice(begin, _SLICE)
            cells = [column for _, column in _row_cells(part, self._rows)]
            self._writer.write(pa.RecordBatch.from_arrays(cells, schema=self._schema))
            self._rows += part.num_rows


def _row_cells(batch: pa.RecordBatch, row: int) -> list[tuple[str, pa.Array]]:
    """The columns as they stand in the file; `row` is the number of the first row."""
    columns = [(name, _cells(column, name, row)) for name, column in _spread(batch)]
    if len(columns) == 1:
        # Readers pass over an empty line, which a null alone would be.
        [(name, column)] = columns
        return [(name, pc.fill_null(as_text(column), ""))]
    return columns


def _spread(batch: pa.RecordBatch) -> list[tuple[str, pa.Array]]:
    """The columns by name, each field of a struct as one."""
    columns: list[tuple[str, pa.Array]] = []
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if pa.types.is_struct(column.type) and column.type.num_fields:
            fields = [f"{name}.{field.name}" for field in column.type]
            columns += zip(fields, column.flatten(), strict=True)
        else:
            columns.append((name, column))
    return columns


def _cells(column: pa.Array, name: str, row: int) -> pa.Array:
    """The column as it stands in the file: numbers as they are, anything else as safe text."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if _is_number(column.type):
        return column
    if pa.types.is_nested(column.type):
        texts = [
            None if value is None else _one_line(_encoder.encode(value)).decode()
            for value in _values(column, name, row)
        ]
        column = pa.array(texts, pa.large_string())
    elif _is_binary(column.type):
        encoded = [
            None if value is None else b64encode(value).decode() for value in column.to_pylist()
        ]
        column = pa.array(encoded, pa.large_string())
    return _safe(as_text(column))


def _is_number(type_: pa.DataType) -> bool:
    types = pa.types
    kinds = (types.is_integer, types.is_floating, types.is_decimal, types.is_boolean, types.is_null)
    return any(is_such(type_) for is_such in kinds)


def _is_binary(type_: pa.DataType) -> bool:
    types = pa.types
    kinds = (types.is_binary, types.is_large_binary, types.is_fixed_size_binary)
    return any(is_such(type_) for is_such in (*kinds, types.is_binary_view))


def _safe(texts: pa.Array) -> pa.Array:
    for unsafe, safe in (("\r\n", "\n"), ("\r", "\n"), ("\0", "\ufffd")):
        texts = pc.replace_substring(texts, unsafe, safe)
    return pc.replace_substring_regex(texts, _FORMULA, r"'\1")


def _values(column: pa.Array, name: str, row: int) -> list[Any]:
    try:
        values: list[Any] = column.to_pylist()
    except (ValueError, OverflowError) as error:
        raise ArtifactError(
            f"row {row} or one of the {len(column)} after it: {name!r} cannot be written as text "
            f"({error}): leave the column out, or write Parquet"
        ) from error
    return values
