"""JSONL files as sources: an object per line.

A line may have other fields than its neighbours, and a field other kinds of values. The types of
the columns are therefore found in a first pass over all rows that are wanted, and the rows are
given in a second: no surprise further on can break the reading half-way or alter a value.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter
from typing import Any

import msgspec
import pyarrow as pa

from batch_assets.corpus.json_types import JsonType, json_array
from batch_assets.corpus.row_filter import RowFilter
from batch_assets.corpus.source import LONGEST_ROW, TEXT_BLOCK, Source, damaged, reading
from batch_assets.corpus.text_stream import text_stream
from batch_assets.files.parquet import BATCH_ROWS

_BOM = b"\xef\xbb\xbf"

_REMEDY = "write one JSON object per line, in UTF-8, or take the file out of the corpus"

#: Characters beyond the first 65,536 are written as two of them.
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_PAIR = re.compile(rb"\\u[dD][89abAB]..\\u[dD][c-fC-F]..")

#: What msgspec raises for bytes that are no JSON, no object or no text.
_NO_OBJECT = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


@dataclass(frozen=True, kw_only=True)
class _Lines:
    """Some whole lines of the file."""

    content: bytes
    #: The number of the first line, from 1.
    first: int
    #: How many there are; blank ones are no rows.
    count: int

    def rows(self) -> int:
        """How many of the lines are rows."""
        return sum(1 for line in self.content.split(b"\n") if line.strip())


class JsonlSource(Source):
    """A JSONL file."""

    def whole_schema(self) -> pa.Schema:
        """The fields of all lines, in the order in which they first come."""
        types: defaultdict[str, JsonType] = defaultdict(JsonType)
        for objects, _ in self._objects(msgspec.json.Decoder(dict[str, Any]), None):
            for name in dict.fromkeys(chain.from_iterable(objects)):
                types[name].take([fields.get(name) for fields in objects])
        return pa.schema([(name, type_.arrow()) for name, type_ in types.items()])

    def schema(self, columns: Sequence[str], rows: range | None) -> pa.Schema:
        """Types that hold all values of the rows; a field that no line has is null."""
        types = [JsonType() for _ in columns]
        fields = _Fields(columns)
        for objects, _ in self._objects(fields.decoder, rows):
            for place, type_ in enumerate(types):
                type_.take(fields.values(objects, place))
        arrow_types = (type_.arrow() for type_ in types)
        return pa.schema(list(zip(columns, arrow_types, strict=True)))

    def count(self) -> int:
        """Found out by reading the file."""
        return sum(lines.rows() for lines in self._lines())

    def batches(
        self, schema: pa.Schema, rows: range | None, only: RowFilter | None
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """In the file's order."""
        fields = _Fields(schema.names)
        for objects, row in self._objects(fields.decoder, rows):
            with reading(self.file, row):
                arrays = [
                    json_array(fields.values(objects, place), field.type)
                    for place, field in enumerate(schema)
                ]
            batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
            for offset in range(0, batch.num_rows, BATCH_ROWS):
                yield row + offset, batch.slice(offset, BATCH_ROWS)

    def _objects(
        self, decoder: "msgspec.json.Decoder[Any]", rows: range | None
    ) -> Iterator[tuple[list[Any], int]]:
        """The objects of the rows that are wanted, block by block; and the first one's position."""
        row = 0
        for lines in self._lines():
            if rows is not None and row >= rows.stop:
                return
            if rows is not None and row + lines.count <= rows.start:
                row += lines.rows()
                continue
            objects = self._decoded(decoder, lines, row)
            first, row = row, row + len(objects)
            if rows is not None:
                objects = objects[max(0, rows.start - first) : rows.stop - first]
                first = max(first, rows.start)
            if objects:
                yield objects, first

    def _decoded(self, decoder: "msgspec.json.Decoder[Any]", lines: _Lines, row: int) -> list[Any]:
        try:
            objects: list[Any] = decoder.decode_lines(lines.content)
        except _NO_OBJECT:
            objects = []
        # More objects than lines: some line has two. Fewer: a line is blank, or broken.
        return objects if len(objects) == lines.count else self._singly(decoder, lines, row)

    def _singly(self, decoder: "msgspec.json.Decoder[Any]", lines: _Lines, row: int) -> list[Any]:
        objects = []
        for number, line in enumerate(lines.content.split(b"\n"), lines.first):
            if not line.strip():
                continue
            try:
                objects.append(decoder.decode(line))
            except _NO_OBJECT as error:
                where = f"line {number} (row {row + len(objects)})"
                raise damaged(self.file, where, _complaint(error, line), _REMEDY) from error
        return objects

    def _lines(self) -> Iterator[_Lines]:
        first = 1
        for content in self._blocks():
            ends = content.count(b"\n")
            # The last line may have no end.
            yield _Lines(content=content, first=first, count=ends + (content[-1:] != b"\n"))
            first += ends

    def _blocks(self) -> Iterator[bytes]:
        """The file in blocks of whole lines."""
        with text_stream(self.file) as source:
            rest, begun = b"", False
            while True:
                with reading(self.file, 0, _REMEDY):
                    block = source.read(TEXT_BLOCK)
                if not block:
                    break
                rest += block
                if not begun:
                    rest, begun = rest.removeprefix(_BOM), True
                cut = rest.rfind(b"\n", len(rest) - len(block)) + 1
                if cut:
                    yield rest[:cut]
                    rest = rest[cut:]
                if len(rest) > LONGEST_ROW:
                    why = f"it has no line end for {LONGEST_ROW:,} bytes"
                    raise damaged(self.file, "somewhere in it", why, _REMEDY)
            if rest:
                yield rest


class _Fields:
    """Decodes the fields of an object that are wanted, and skips the others."""

    def __init__(self, columns: Sequence[str]) -> None:
        names = [f"f{place}" for place in range(len(columns))]
        self.decoder: msgspec.json.Decoder[Any]
        try:
            wanted = msgspec.defstruct(
                "Item",
                [(name, Any, None) for name in names],
                rename=dict(zip(names, columns, strict=True)),
                gc=False,
            )
        except ValueError:
            # A name with a quote or the like: msgspec's structures have none.
            self.decoder = msgspec.json.Decoder(dict[str, Any])
            self._getters = [_getter_of(name) for name in columns]
        else:
            self.decoder = msgspec.json.Decoder(wanted)
            self._getters = [attrgetter(name) for name in names]

    def values(self, objects: Sequence[Any], place: int) -> list[Any]:
        """One field of all objects; None where an object does not have it."""
        return list(map(self._getters[place], objects))


def _getter_of(name: str) -> Callable[[Any], Any]:
    return lambda fields: fields.get(name)


def _complaint(error: Exception, line: bytes) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return "it has bytes that are no UTF-8"
    if _SURROGATE.search(_PAIR.sub(b"", line)):
        return "it has one half of a surrogate pair, which is no character"
    return str(error)
