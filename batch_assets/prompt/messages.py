"""The compiled form of a prompt: rows in, the JSON of what stands for their messages out.

What is the same for all rows is encoded once; only what varies is encoded per row.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from batch_assets.domain.errors import CorpusError

#: How an endpoint wants its messages: the array `messages` of a chat completion, the array `input`
#: of a response, one text (embeddings, moderations, completions), Anthropic's `messages` with the
#: field `system` behind them, or Gemini's `contents` with `systemInstruction`.
Dialect = Literal["chat", "responses", "text", "anthropic", "gemini"]

#: The values of each column a prompt reads, one sequence per name.
Columns = Mapping[str, Sequence[Any]]

#: Names a row, by its position among those given, for an error.
DescribeRow = Callable[[int], str]


class Varying(ABC):
    """A piece of the messages that differs from row to row."""

    #: The columns it reads.
    fields: tuple[str, ...]
    #: What determines it beside the row.
    shape: str

    @abstractmethod
    def encoded(self, columns: Columns, describe_row: DescribeRow) -> Iterator[bytes]:
        """Its bytes in each row. Raises CorpusError for a row that it cannot take."""


@dataclass(frozen=True)
class Piece:
    """A content part: constant bytes around one value, which is empty where it is left out."""

    head: bytes
    value: bytes | Varying
    tail: bytes
    optional: bool = False


class Messages:
    """Rows in, the bytes that stand for the messages in each row's body out."""

    def __init__(
        self, dialect: Dialect, pieces: Sequence[bytes | Varying], *, gives_bodies: bool = False
    ) -> None:
        self._varying = [piece for piece in pieces if isinstance(piece, Varying)]
        #: Bytes before, between and after the pieces that vary.
        self._constants = _constants_of(pieces)
        #: The columns it reads, sorted.
        self.fields = tuple(sorted({name for each in self._varying for name in each.fields}))
        #: Everything but the rows that determines what is rendered.
        self.shape = [
            dialect,
            *(constant.decode() for constant in self._constants),
            *(each.shape for each in self._varying),
        ]
        self.constant_bytes = sum(len(constant) for constant in self._constants)
        #: Whether `encoded` may give an object: then a row's bytes that begin with `{` are the
        #: fields of a whole body, its messages among them, in place of the messages alone. Such a
        #: body is checked: it is plain JSON, has messages of the dialect, and neither `model` nor
        #: `stream`. The endpoint gives it the model, the output's format and its settings; where
        #: both have a setting, the body's is for this item and stands. What else a user may not
        #: set, the endpoint refuses.
        self.gives_bodies = gives_bodies

    def encoded(self, rows: pa.RecordBatch, describe_row: DescribeRow) -> Iterator[bytes]:
        """The JSON of each row's messages; `rows` has the columns of `fields`.

        Raises CorpusError, with `describe_row(position)`, for a row that cannot be rendered.
        """
        columns = {name: values_of(rows.column(name), name, describe_row) for name in self.fields}
        streams = [each.encoded(columns, describe_row) for each in self._varying]
        constants = self._constants
        match streams:
            case []:
                yield from (constants[0] for _ in range(rows.num_rows))
            case [only]:
                head, tail = constants
                for piece in only:
                    yield b"".join((head, piece, tail))
            case _:
                whole = [b""] * (2 * len(streams) + 1)
                whole[::2] = constants
                for pieces in zip(*streams, strict=True):
                    whole[1::2] = pieces
                    yield b"".join(whole)


def values_of(column: pa.Array, name: str, describe_row: DescribeRow) -> Sequence[Any]:
    """A column's values in Python. Raises CorpusError for one that Python has no value for."""
    if _holds_bytes(column.type):
        return _OneByOne(column)
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        # Python's own type where nothing is lost, whether or not pandas is installed.
        with suppress(pa.ArrowInvalid):
            column = column.cast(pa.timestamp("us", column.type.tz))
    try:
        values: list[Any] = column.to_pylist()
    except (ValueError, OverflowError):
        for position, value in enumerate(column):
            _check_readable(value, name, describe_row(position))
        raise
    return values


class _OneByOne(Sequence[Any]):
    """Values made when they are asked for: a column of images is not copied whole."""

    def __init__(self, column: pa.Array) -> None:
        self._column = column

    def __len__(self) -> int:
        return len(self._column)

    def __getitem__(self, position: Any) -> Any:
        return self._column[position].as_py()


def _holds_bytes(type_: pa.DataType) -> bool:
    """Whether it is bytes, alone or in a struct of nothing that Python could have no value for."""
    if pa.types.is_struct(type_):
        kinds = [field.type for field in type_]
        others = [kind for kind in kinds if not _is_bytes(kind)]
        return len(others) < len(kinds) and all(map(_is_always_readable, others))
    return _is_bytes(type_)


def _is_bytes(type_: pa.DataType) -> bool:
    return bool(pa.types.is_binary(type_) or pa.types.is_large_binary(type_))


def _is_always_readable(type_: pa.DataType) -> bool:
    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_null, pa.types.is_integer)
    return any(is_such(type_) for is_such in kinds)


def half_a_character(row: str, what: str, position: int) -> CorpusError:
    """Half of a surrogate pair has no bytes, so it cannot be sent."""
    return CorpusError(f"{row}: {what} has half a character at position {position}: correct it")


def _check_readable(value: pa.Scalar, name: str, row: str) -> None:
    try:
        value.as_py()
    except (ValueError, OverflowError) as error:
        raise CorpusError(
            f"{row}: {name} cannot be read ({error}): correct the row, or write the column as text"
        ) from error


def _constants_of(pieces: Sequence[bytes | Varying]) -> list[bytes]:
    constants = [b""]
    for piece in pieces:
        if isinstance(piece, bytes):
            constants[-1] += piece
        else:
            constants.append(b"")
    return constants
